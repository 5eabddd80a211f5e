#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# resync by checksum: the operator's sends differences only, and the status shows its cause; a disk that grew is resynced from what is there;
# an agent that lost its state is told what to do and does not send the disk again.
# timeout: 120
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/functions.sh"

cd "$tmp"
mib=1048576
python3 "$flow/image.py" make a 32M random 1
# no scan of its own accord: what moves is what the resync moves
agent_config agent replication.scan_interval=10m
appliance_init
start_proxy 127.0.0.1
set_up agent 127.0.0.1 a
wait_protected agent
bookmark agent first

note "operator"
python3 "$flow/image.py" edit a "$seed" 6
sent=$(status agent .totals.sent_bytes)
unchanged=$(status agent .totals.unchanged_bytes)
proxy now stall up 0 3000 # so that it lasts long enough to be seen
proxy once stall up 0 3000
ctl agent resync a
wait_for agent 5 '.disks[0] | .state == "resync" and (.resync_cause // "" | test("operator"))'
ctl agent status >status.out || [ $? -eq 1 ]
grep -q operator status.out || fail "the status text does not show the cause: $(cat status.out)"
wait_for agent 60 ".disks[0].state == \"protected\" and .totals.unchanged_bytes > $unchanged + 20 * $mib"
moved=$(($(status agent .totals.sent_bytes) - sent))
[ "$moved" -lt $((4 * mib)) ] || fail "the resync of a few edits sent $moved bytes"
[ "$moved" -gt 0 ] || fail "the resync sent nothing although the disk was edited"
bookmark agent second
point_equals agent second a
note "$moved bytes for a resync of 32 MiB"

note "killed in the middle of a resync"
python3 "$flow/image.py" edit a $((seed + 1)) 6
ctl agent resync a
sleep 0.3
kill9 agent
start_agent agent
wait_protected agent
bookmark agent third
point_equals agent third a

note "the disk grows"
stop agent
truncate -s 40M a
python3 "$flow/image.py" edit a $((seed + 2)) 30
start_agent agent
wait_for agent 60 ".disks[0].size == 40 * $mib and .disks[0].state == \"protected\""
bookmark agent grown
point_equals agent grown a
[ "$(status agent .totals.sent_bytes)" -lt $((16 * mib)) ] || fail "growing sent the whole disk again"

note "the old points have the old size"
export_point "$(machine agent)" first exported
[ "$(stat -c %s exported/a.raw)" -eq $((32 * mib)) ] || fail "the first point has $(stat -c %s exported/a.raw) bytes"

note "the disk shrinks: refused with a reason, and what was replicated stays"
stop agent
cp a kept
truncate -s 24M a
start_agent agent
wait_for agent 30 '(.problems | length > 0) and (.disks[0].error | length > 0)'
status agent .disks[0].error
stop agent
cp kept a
start_agent agent
mkdir grown
mv kept grown/a
wait_for agent 60 '.disks[0].error == null and .disks[0].state == "protected"'
point_equals agent grown grown/a
bookmark agent whole-again
point_equals agent whole-again a

note "its protection ended and begun again, the smaller disk is a new one; the points of the old one stay"
stop agent
cp a grown/a
truncate -s 24M a
start_agent agent
wait_for agent 30 '.disks[0].error | length > 0'
ctl agent unprotect a
for ((i = 0; i < 50; i++)); do
	ctl agent protect a 2>protect.err && break
	sleep 0.2	# the appliance may not have been told yet
done
wait_protected agent
bookmark agent smaller
point_equals agent smaller a
point_equals agent whole-again grown/a
finish
