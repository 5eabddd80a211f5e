#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A disk that cannot be read in places (bad_reads.c): the status and the log name the ranges, all else goes on, no recovery point pretends to have what could not be
# read, and when it can be read only that is sent.
# timeout: 90
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/functions.sh"

cd "$tmp"
build_preload bad_reads
python3 "$flow/image.py" make a 16M random 1
python3 "$flow/image.py" make b 4M random 2
agent_config agent replication.compression=none
appliance_init
start_appliance
# 4 KiB in a block; two blocks and a byte of each of their neighbours; the last sector. In the block layer's words: a medium error (ENODATA),
# one of a device that is offline (ENODEV), any (EIO)
printf '%s\n' "200704 204800 61" "5308415 5439489 19" "16776704 16777216 5" >bad
LD_PRELOAD=$tmp/bad_reads.so BAD_READS=$tmp/bad BAD_READS_OF=$tmp/a \
	ASAN_OPTIONS=verify_asan_link_order=0:${ASAN_OPTIONS:-} start_agent agent
enroll agent
ctl agent protect a b >protect.out

named='393216 bytes of .*/a cannot be read: 65536 at offset 196608, 262144 at offset 5242880, 65536 at offset 16711680$'
wait_for agent 30 "[.disks[] | select(.name == \"a\") | .error // \"\" | test(\"$named\")] == [true] and
	(.problems | any(.severity == \"error\" and (.what | test(\"cannot be read\")) and (.remedy | test(\"kernel\"))))"
wait_protected agent
ctl agent status >status.out || [ $? -eq 1 ]
grep -q 'cannot be read' status.out || fail "the status says nothing: $(cat status.out)"
if ctl agent bookmark early --timeout 4s >early.out 2>&1; then fail "a point without what could not be read"; fi
grep -q 'could not be read' early.out || fail "no reason: $(cat early.out)"

note "everything else goes on: what is written elsewhere arrives"
sent=$(status agent .totals.sent_bytes)
dd if=b of=a bs=1M count=1 seek=8 conv=notrunc status=none
python3 "$flow/image.py" edit b 3 5
until_true 20 "the changes" eval "[ \$(status agent .totals.sent_bytes) -ge $((sent + (1 << 20))) ]"
status agent '.disks[] | select(.name == "b") | .error == null' >/dev/null || fail "the other disk has an error"

note "when it can be read only that is sent, and the point is the disk"
sleep 2
[ "$(grep -c 'error: a: .*cannot be read' agent/agent.log)" -eq 1 ] || fail "not one line in the log: $(grep 'cannot be read' agent/agent.log)"
grep -Eq "error: a: $named" agent/agent.log || fail "the log names other ranges: $(grep 'cannot be read' agent/agent.log)"
sent=$(status agent .totals.sent_bytes)
: >bad
bookmark agent whole
point_equals agent whole a b
sent=$(($(status agent .totals.sent_bytes) - sent))
[ "$sent" -ge 393216 ] || fail "$sent bytes were sent, less than what was missing"
[ "$sent" -lt 600000 ] || fail "$sent bytes were sent for 393216 that were missing"
wait_for agent 10 'all(.disks[]; .error == null)'
finish
