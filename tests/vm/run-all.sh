#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# run-all.sh [PATTERN]: every test-*.sh whose name matches, VM_JOBS (2) at a time: most guests keep one CPU of the host
# busy. A PASS or FAIL line for each as it ends, then the total.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1

run_one() {	# TEST.sh
	local name=${1%.sh} start=$SECONDS log status

	log=$(mktemp)
	timeout -k 30 $((1200 * ${MOBILITY_PATIENCE:-1})) "./$1" >"$log" 2>&1
	status=$?
	if [ $status -eq 0 ] && grep -q "^PASS $name" "$log"; then
		echo "PASS $name ($((SECONDS - start)) s)"
	else
		grep "^FAIL $name" "$log" || echo "FAIL $name ended with status $status"
		tail -n 60 "$log" | grep -v "^FAIL $name" | sed 's/^/    /'
	fi
	rm -f "$log"
}
# its lines together, though another test ends at the same time
report() {
	local result

	result=$(run_one "$1" 2>&1)
	echo "$result"
}
export -f run_one report

# the long ones first, so that two at a time end together
long=(test-oracle.sh test-apps.sh test-drain-kill.sh test-agent.sh)
tests=()
for test in "${long[@]}" test-*.sh; do
	if [[ $test == test-*"${1-}"* && $test != test-lib.sh && " ${tests[*]} " != *" $test "* ]]; then
		tests+=("$test")
	fi
done
[ ${#tests[@]} -gt 0 ] || { echo "run-all.sh: no test is named *${1-}*" >&2; exit 2; }
results=$(mktemp)
trap 'rm -f "$results"' EXIT
printf '%s\n' "${tests[@]}" | xargs -P "${VM_JOBS:-2}" -I{} bash -c 'report {}' | tee "$results"
passed=$(grep -c '^PASS ' "$results")
echo "vm: $passed passed, $((${#tests[@]} - passed)) failed"
[ "$passed" -eq ${#tests[@]} ]
