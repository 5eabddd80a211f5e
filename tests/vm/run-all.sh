#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run-all.sh [PATTERN]: every test-*.sh whose name matches, one after another; a PASS or FAIL line for each, then the total.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here" || exit 1
passed=0
failed=0

for test in test-*"${1:-}"*.sh; do
	[ "$test" != test-lib.sh ] || continue
	name=${test%.sh}
	start=$SECONDS
	log=$(mktemp)
	timeout -k 30 $((1200 * ${MOBILITY_PATIENCE:-1})) "./$test" >"$log" 2>&1
	status=$?
	if [ $status -eq 0 ] && grep -q "^PASS $name" "$log"; then
		echo "PASS $name ($((SECONDS - start)) s)"
		passed=$((passed + 1))
	else
		grep "^FAIL $name" "$log" || echo "FAIL $name ended with status $status"
		tail -n 60 "$log" | grep -v "^FAIL $name" | sed 's/^/    /'
		failed=$((failed + 1))
	fi
	rm -f "$log"
done
echo "vm: $passed passed, $failed failed"
[ $failed -eq 0 ]
