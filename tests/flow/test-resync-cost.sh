#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What a resync costs: of an equal disk a few bytes on the wire and no read of stored content on the appliance; with 1 % of the blocks changed no more
# than they are and 0.2 % of the disk. What waits for resync_window says so, and keeps or loses its recovery points as it says.
# timeout: 90
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/functions.sh"

cd "$tmp"
mib=1048576
size=$((64 * mib))
python3 "$flow/image.py" make a 64M random 1
# no scan of its own accord: what moves is what the resync moves
agent_config agent replication.scan_interval=10m
appliance_init
start_proxy 127.0.0.1
set_up agent 127.0.0.1 a
wait_protected agent
bookmark agent first

behind() { python3 "$flow/behind.py" "$tmp/agent/state" 127.0.0.2 "$control" "$data" "$@"; }
wire() { echo $(($(proxy_stat bytes_up) + $(proxy_stat bytes_down))); }
resync() { # waits until one is over, whose epochs come after those there are
	local unchanged
	unchanged=$(status agent .totals.unchanged_bytes)
	ctl agent resync "$@"
	wait_for agent 60 ".disks[0].state == \"protected\" and .disks[0].resync_waiting == false and
		.totals.unchanged_bytes > $unchanged + $size * 9 / 10"
}

note "nothing changed"
before=$(wire)
resync a
moved=$(($(wire) - before))
note "$moved bytes on the wire for $size"
# the digests of all blocks would be 0.049 %
[ "$moved" -le $((size / 2500)) ] || fail "a resync of an equal disk moved $moved bytes"
[ "$(behind reads)" -eq 0 ] || fail "the appliance read $(behind reads) bytes for it"

note "1 % changed"
python3 - a <<-'PYTHON'
	import os, random, sys
	with open(sys.argv[1], "r+b") as f:
	    for block in random.Random(7).sample(range(1024), 10):
	        f.seek(block * 65536)
	        f.write(os.urandom(65536))
PYTHON
before=$(wire)
resync a
moved=$(($(wire) - before))
note "$moved bytes on the wire for $((10 * 65536)) of payload"
[ "$moved" -le $((10 * 65536 + size / 500)) ] || fail "a resync of 1 % moved $moved bytes"
[ "$(behind reads)" -eq 0 ] || fail "the appliance read $(behind reads) bytes for it"
bookmark agent second
point_equals agent second a

note "the operator's waits for the window, and the disk keeps its recovery points"
stop agent
agent_config agent replication.scan_interval=10m replication.resync_window=never
start_agent agent
wait_protected agent
ctl agent resync a
wait_for agent 10 '.disks[0] | .state == "protected" and .resync_waiting and .resync_starts == null'
status agent '.problems == []' || fail "a resync that takes nothing away is a problem"
bookmark agent third
resync --now a

note "a disk that lost its continuity waits without recovery points, and says so"
behind delete
bookmark_fails() { ! ctl agent bookmark no --timeout 5s 2>bookmark.err; }
bookmark_fails || fail "there was a recovery point of a disk that the appliance does not know"
wait_for agent 30 '(.disks[0] | .state == "resync" and .resync_waiting) and
	any(.problems[]; .severity == "error" and (.what | test("no new recovery points")) and (.remedy | test("--now")))'
ctl agent status >status.out || [ $? -eq 1 ]
grep -q 'waits for mobilityctl resync --now' status.out || fail "the text does not tell: $(cat status.out)"
bookmark_fails || fail "there was a recovery point while it waits"
grep -q 'resync --now' bookmark.err || fail "the refusal has no remedy: $(cat bookmark.err)"
resync --now a
bookmark agent fourth
point_equals agent fourth a
finish
