#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# mobilityctl verify: tells when a disk was last proven equal to its replica, also after a restart; finds what differs, names it, sends it again and
# proves that; proves nothing of a disk that is busy.
# timeout: 90
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/functions.sh"

cd "$tmp"
python3 "$flow/image.py" make a 24M mixed 1
agent_config agent replication.scan_interval=10m
set_up_inside agent tap forgetful.py
protect agent a
wait_protected agent
bookmark agent first
behind() { python3 "$flow/behind.py" "$tmp/agent/state" 127.0.0.2 "$control" "$data" "$@"; }
verified() { status agent '.disks[0].verify.proven_equal // 0'; }

note "an equal disk"
[ "$(verified)" -eq 0 ] || fail "it is said to be proven equal before anybody looked"
ctl agent verify a
wait_for agent 30 '.disks[0].verify | .proven_equal != null and .running == false and .mismatched_bytes == 0'
ctl agent status >status.out || [ $? -eq 1 ]
grep -q 'proven equal' status.out || fail "the text does not tell: $(cat status.out)"
first=$(verified)

note "the replica has another block: a bookmark does not see it, verify does"
behind write $((5 * 65536))
bookmark agent wrong
export_point "$(machine agent)" "$(status agent .last_point.id)" exported
! cmp -s a exported/a.raw || fail "the replica was not changed"
[ "$(verified)" -eq "$first" ] || fail "it is said to be proven equal by nothing"
ctl agent verify >verify.out
grep -q '^a (.*) is to be verified$' verify.out || fail "verify does not say what it acts on: $(cat verify.out)"
wait_for agent 30 ".disks[0].verify | .proven_equal > $first and .running == false"
status agent '.disks[0].verify.mismatched_bytes == 65536' || fail "mismatched: $(status agent .disks[0].verify)"
grep -q "verify mismatch: .* at $((5 * 65536)), 65536 bytes" agent/agent.log || fail "the range is not named"
bookmark agent right
point_equals agent right a
doubtful() { appliance points "$(machine agent)" --json | jq -c '[.points[] | select(.doubt != null) | .name] | sort'; }
appliance points "$(machine agent)" --json >points.json
jq -e '[.points[] | select(.name == "wrong")][0].doubt | test("65536 bytes of a .from offset 327680 on")' points.json >/dev/null ||
	fail "the wrong point is not in doubt: $(cat points.json)"
jq -e '[.points[] | select(.name == "first" or .name == "right") | .doubt] == [null, null]' points.json >/dev/null ||
	fail "points are in doubt that were proven, or came later: $(cat points.json)"
appliance points "$(machine agent)" | grep -q 'in doubt: a verification found' || fail "the table does not tell"
appliance export "$(machine agent)" wrong --format raw doubtful >/dev/null 2>err
grep -q 'this recovery point is in doubt' err || fail "export does not warn: $(cat err)"

note "what was proven is remembered"
second=$(verified)
stop agent
start_agent agent
wait_protected agent
[ "$(verified)" -eq "$second" ] || fail "forgotten at the restart: $(verified), was $second"

note "of a busy disk nothing is proven until it is quiet"
start writer writer.log python3 -c 'import os, time
n = 0
f = open("a", "r+b", buffering=0)
print("writing", flush=True)
while True:
    n += 1
    f.seek((n % 300) * 65536)
    f.write(os.urandom(512))
    time.sleep(0.002)'
until_true 20 "the writer" grep -q writing writer.log
ctl agent verify a
sleep 3
[ "$(verified)" -eq "$second" ] || fail "a busy disk was said to be proven equal"
note "one request is one scan at once: the next comes when one is due anyway"
scanned=$(status agent .totals.read_bytes)
sleep 3
[ "$(status agent .totals.read_bytes)" -eq "$scanned" ] || fail "it is scanned again and again"
status agent '.disks[0].verify.running' || fail "the request is forgotten"
kill9 writer
ctl agent verify a
wait_for agent 40 ".disks[0].verify | .proven_equal > $second and .running == false"
bookmark agent last
point_equals agent last a
ctl agent verify nothing 2>err && fail "an unknown disk was taken"
grep -q 'is not protected' err || fail "the error says: $(cat err)"
finish
