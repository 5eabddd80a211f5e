#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# pause stops replication, also over a restart; nothing is lost meanwhile, and resume goes on.
# timeout: 90
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/functions.sh"

cd "$tmp"
python3 "$flow/image.py" make a 8M random 1
set_up agent 127.0.0.2 a
wait_protected agent
bookmark agent before
mkdir before
cp a before/a

ctl agent pause
wait_for agent 10 '.paused'
sleep 2 # an epoch in work may end
sent=$(status agent .totals.sent_bytes)
epoch=$(status agent .epoch)
python3 "$flow/image.py" edit a "$seed" 10
sleep 4
[ "$(status agent .totals.sent_bytes)" -eq "$sent" ] || fail "bytes are sent while it is paused"
[ "$(status agent .epoch)" -eq "$epoch" ] || fail "epochs go on while it is paused"
ctl agent status >status.out || [ $? -eq 1 ]
grep -qi paused status.out || fail "the status text does not say paused"
! ctl agent bookmark paused --timeout 3s >bookmark.out 2>&1 || fail "a point while it is paused"
grep -qi paus bookmark.out || fail "the refusal does not say why: $(cat bookmark.out)"

note "paused over an orderly restart and over kill -9"
stop agent
start_agent agent
status agent '.paused' >/dev/null || fail "not paused after a restart"
kill9 agent
start_agent agent
status agent '.paused' >/dev/null || fail "not paused after kill -9"
sleep 3
[ "$(status agent .totals.sent_bytes)" -eq 0 ] || fail "bytes are sent although it is paused"
ctl agent pause || fail "pause twice is an error"

ctl agent resume
wait_for agent 10 '.paused | not'
bookmark agent after
point_equals agent after a
point_equals agent before before/a
ctl agent resume || fail "resume twice is an error"
finish
