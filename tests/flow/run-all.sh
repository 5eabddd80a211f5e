#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# run-all.sh [PATTERN…]: runs the flow tests whose name contains one of the PATTERNs, FLOW_JOBS (2) at a time, a PASS or FAIL line each.
# A test has its own limit in a line "# timeout: SECONDS" (120 when it has none).
set -uo pipefail
cd "$(dirname "$0")/../.." || exit
bin=${MOBILITY_BIN:-build/bin}
for program in mobilityd mobilityctl mobility-appliance; do
	[ -x "$bin/$program" ] || {
		echo "FAIL flow: $bin/$program is not there; build it with: make all"
		exit 1
	}
done
MOBILITY_BIN=$(cd "$bin" && pwd)
FLOW_OUT=$(realpath -m "${FLOW_OUT:-build/flow}") # where logs and evidence go
export MOBILITY_BIN FLOW_OUT

run_one() {
	local name log limit status=0 start=$SECONDS
	name=$(basename "$1" .sh)
	log=$FLOW_OUT/$name.log
	limit=$(sed -n 's/^# timeout: *\([0-9]*\).*/\1/p' "$1")
	timeout -k 10 "${limit:-120}" "$1" >"$log" 2>&1 || status=$?
	case $status in
	0) echo "PASS $name ($((SECONDS - start)) s)" ;;
	77) echo "SKIP $name: $(tail -n 1 "$log")" ;;
	*)
		[ "$status" -ne 124 ] || echo "took longer than its limit of ${limit:-120} s" >>"$log"
		echo "FAIL $name (exit $status, $((SECONDS - start)) s)"
		tail -n 40 "$log" | sed 's/^/    /'
		;;
	esac
	return "$status"
}
export -f run_one

mkdir -p "$FLOW_OUT"
results=$(mktemp)
trap 'rm -f "$results"' EXIT
# the long ones first, so that two at a time end together
for pattern in "${@:-}"; do
	for t in tests/flow/test-*"$pattern"*.sh; do
		printf '%s %s\n' "$(sed -n 's/^# timeout: *\([0-9]*\).*/\1/p' "$t")" "$t"
	done
done | sort -rn | sed 's/^[0-9]* //' |
	xargs -r -P "${FLOW_JOBS:-2}" -I{} bash -c 'run_one {} 2>&1' | tee "$results"
passed=$(grep -c '^PASS ' "$results")
failed=$(grep -c '^FAIL ' "$results")
echo "flow: $passed passed, $failed failed in $SECONDS s"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
