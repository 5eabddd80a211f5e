#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The cases that block trackers get wrong, each in a guest: NN-*.sh. A PASS or FAIL line for each,
# then the total.
#
# usage: run.sh [PATTERN...]	all of them, or those whose name begins with one of these
# CASE_JOBS (2) run at a time; MOBILITY_PATIENCE as in functions.sh. Another kernel: MOBILITY_KERNEL, MOBILITY_FLAVOUR (fetch-kernel.sh).
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

run_case() {		# NAME
	local name=$1 start=$SECONDS status

	timeout -k 30 $((${CASE_TIMEOUT:-900} * ${MOBILITY_PATIENCE:-1})) "./$name.sh" >"$logs/$name" 2>&1
	status=$?
	if [ $status -eq 0 ] && grep -q "^PASS $name" "$logs/$name"; then
		echo "$(grep "^PASS $name" "$logs/$name" | tail -n 1) ($((SECONDS - start)) s)"
	else
		grep "^FAIL $name" "$logs/$name" || echo "FAIL $name ended with status $status"
		tail -n 60 "$logs/$name" | grep -v "^FAIL $name" | sed 's/^/    /'
	fi
}

names=()
for pattern in "${@:-}"; do
	for file in "$pattern"*.sh; do
		[[ $file != [0-9][0-9]-* ]] || names+=("${file%.sh}")
	done
done
[ ${#names[@]} -gt 0 ] || { echo "run.sh: no case begins with: $*" >&2; exit 2; }
if ! { ../build-tools.sh && ../build-kmod.sh; } >"$logs/build" 2>&1; then
	tail -n 20 "$logs/build"
	exit 1
fi
for name in "${names[@]}"; do
	while [ "$(jobs -pr | wc -l)" -ge "${CASE_JOBS:-2}" ]; do
		wait -n
	done
	run_case "$name" >"$logs/$name.result" &
done
wait
cat "$logs"/*.result
passed=$(cat "$logs"/*.result | grep -c '^PASS ')
echo "cases: $passed passed, $((${#names[@]} - passed)) failed"
[ "$passed" -eq ${#names[@]} ]
