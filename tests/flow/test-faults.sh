#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Connections through a proxy that drops, truncates, resets, stalls and corrupts them. Replication gets through by itself, the
# result is equal, and what was sent is bounded: no fault makes the agent begin from the start.
# timeout: 540
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/functions.sh"

cd "$tmp"
mib=1048576
python3 "$flow/image.py" make a 32M random "$seed"
agent_config agent network.stall_timeout=2s network.connect_timeout=2s
appliance_init
start_appliance
start_proxy 127.0.0.1
start_agent agent

note "enrolment over a connection that fails says so, and works when it is tried again"
appliance token --json >token.json
proxy once reset down 500
enrol() {
	jq -r .token token.json | ctl agent enroll "127.0.0.1:$control" \
		--fingerprint "$(jq -r .fingerprint token.json)" --token-file -
}
enrol >enroll.out 2>&1 || note "refused: $(cat enroll.out)"
status agent '.machine != null' >/dev/null 2>&1 || enrol

note "initial replication of 32 MiB while every connection fails, until 20 have or all is there"
all_struck() { proxy_stat 'drop + .truncate + .reset + .stall + .corrupt'; }
# By faults, not by time: how many tries a segment takes is luck, and the back-off between them grows.
done_or_struck() {
	[ "$(all_struck)" -ge 20 ] || status agent '.disks[0].state == "protected"'
}
proxy random 100 12000000
ctl agent protect a
until_true 240 "20 faults, or the end of initial replication" done_or_struck
proxy pass
wait_protected agent 120
bookmark agent first 90
mkdir first-copy
cp a first-copy/a
up=$(proxy_stat bytes_up)
struck=$(all_struck)
note "$struck faults, $((up / mib)) MiB passed upwards"
# each fault may cost the segments in flight (2 workers of 4 MiB), not more
[ "$up" -lt $(((32 + 16 + struck * 8) * mib)) ] || fail "$up bytes upwards for 32 MiB and $struck faults"
[ "$struck" -ge 3 ] || fail "hardly a fault struck"

note "the named faults, one after another, each hitting a delta"
kinds=("drop up 100000" "drop down 200" "truncate up 300000" "truncate down 100" "reset up 200000"
	"reset down 1" "stall up 50000 0" "stall down 0 0" "corrupt up 150000" "corrupt down 50" "halfopen"
	"slow up 0 100000")
struck() { [ "$(proxy_stat "${kind%% *}")" -gt "$before" ]; }
for kind in "${kinds[@]}"; do
	before=$(proxy_stat "${kind%% *}")
	python3 "$flow/image.py" make more 1M random $RANDOM
	proxy every "$kind"
	proxy close
	# more than any of the faults lets through, so that each of them hits a segment
	dd if=more of=a bs=1M seek=$((RANDOM % 32)) conv=notrunc status=none
	until_true 30 "$kind to strike" struck
	proxy pass
	bookmark agent "after-${kind// /-}" 60
	point_equals agent "after-${kind// /-}" a
done

note "the appliance cannot be reached for a while: status says so, then it goes on by itself"
proxy off
proxy close
python3 "$flow/image.py" edit a $RANDOM 5
wait_for agent 30 '.appliance.connected == false and .appliance.error != null and (.problems | length > 0)'
status agent '.problems[0].what, .problems[0].remedy'
proxy on
wait_for agent 60 '.appliance.connected'
bookmark agent reachable
point_equals agent reachable a

note "no full resync happened in all of it"
total=$(proxy_stat bytes_up)
rest=$((total - up))
[ "$rest" -lt $((32 * mib)) ] || fail "$rest bytes upwards for a few deltas"
status agent '.disks[0].state == "protected"' >/dev/null
point_equals agent first first-copy/a
finish
