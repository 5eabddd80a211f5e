#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Many machines at once, over TLS: some send an initial replication in bulk, some commit small epochs. Whatever was acknowledged is there, the
# appliance's memory stays bounded, and neither kind keeps the other from going on. LOAD_* make it larger (tests/bench/appliance.sh).
# timeout: 120
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/functions.sh"

cd "$tmp"
appliance_init
# all of them come from one address here
appliance_set listen connections 1024
appliance_set listen connections_per_address 1024
start_appliance
python3 "$flow/load.py" 127.0.0.2 "$tmp/m" "$bin/mobility-appliance" "$appliance_dir" --control "$control" --data "$data" \
	--pid "${pid_of[appliance]}" --machines "${LOAD_MACHINES:-30}" --bulk "${LOAD_BULK:-6}" --small "${LOAD_SMALL:-2}" \
	--seconds "${LOAD_SECONDS:-4}" >load.json || fail "the load ended with $?"
jq . load.json
[ -z "${LOAD_OUT:-}" ] || cp load.json "$LOAD_OUT"
is() { jq -e "$1" load.json >/dev/null || fail "$2"; }
# a sanitizer's shadow memory is not the appliance's
if ! grep -q __asan_init "$bin/mobility-appliance" && ! grep -q __tsan_init "$bin/mobility-appliance"; then
	is '.peak_mib <= 256' "the appliance took more than 256 MiB"
fi
# where the window was long enough for all of them to get several segments in, none may have got nothing
is '.bulk_mib_s * .seconds < 32 * .bulk_machines or .bulk_least_mib >= 4' "a machine in bulk got nothing stored while others did"
is '.fewest_mixed >= 2' "a machine with small epochs was starved by the bulk ones"
is '.busy_small == 0' "a small segment was told to come again"
finish
