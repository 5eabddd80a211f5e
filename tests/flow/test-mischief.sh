#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Requests that are cut off at each of their parts, repeated, overtaken by others and repeated late (mischief.py), in an initial
# replication and in deltas: every point is the disk, nothing is sent from the start again.
# timeout: 240
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/functions.sh"
cd "$tmp"
mib=1048576
python3 "$flow/image.py" make a 32M random "$seed"
agent_config agent replication.workers=4 replication.compression=none
set_up_inside agent trouble mischief.py
protect agent a
wait_protected agent 60
bookmark agent first
point_equals agent first a
for n in 1 2; do
	python3 "$flow/image.py" edit a $RANDOM 40
	bookmark agent "delta$n"
	point_equals agent "delta$n" a
done
status agent '.disks[0].resync_cause == null' >/dev/null || fail "a resync"
note "$(cat trouble/counts)"
for kind in head begin middle unanswered half twice overtaken late; do
	[ "$(jq ".$kind" trouble/counts)" -ge 1 ] || fail "$kind did not happen"
done
[ "$(jq '."late answers" | add' trouble/counts)" -ge 1 ] || fail "no late repetition was answered"
sent=$(status agent .totals.sent_bytes)
[ "$sent" -lt $((3 * 32 * mib)) ] || fail "$sent bytes were sent"
! grep -q . trouble/errors 2>/dev/null || note "errors: $(sort trouble/errors | uniq -c | head -n 5)"
finish
