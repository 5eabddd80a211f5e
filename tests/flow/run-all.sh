#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# run-all.sh [PATTERN…]: runs the flow tests whose name contains one of the PATTERNs, FLOW_JOBS (3: most wait more than they compute) at a time, a PASS or FAIL line each.
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

jobs=${FLOW_JOBS:-3}

limit() {	# TEST: for two at a time
	sed -n 's/^# timeout: *\([0-9]*\).*/\1/p' "$1" | grep . || echo 120
}

# the long ones first, so that they end together
for pattern in "${@:-}"; do
	for t in tests/flow/test-*"$pattern"*.sh; do
		[ ! -f "$t" ] || echo "$(($(limit "$t") * jobs / 2)) $(basename "$t" .sh) $t"
	done
done | sort -rn | tests/pool.sh --may-skip flow "$jobs" "$FLOW_OUT"
