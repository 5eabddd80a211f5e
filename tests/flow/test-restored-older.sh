#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The appliance's store is put back to an older copy of itself: the agent notices, records it as the cause of a resync, sends what the old
# state lacks and no more, and points are equal again; the points of the copy are what they were. Commits behind its back are noticed, too.
# timeout: 120
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/functions.sh"

cd "$tmp"
python3 "$flow/image.py" make a 8M random 1
set_up agent 127.0.0.2 a
wait_protected agent
bookmark agent old
mkdir at-old
cp a at-old/a

note "a copy, taken while the appliance stands still"
stop appliance
cp -a "$appliance_dir" older
start_appliance
python3 "$flow/image.py" edit a "$seed" 8
bookmark agent new
point_equals agent new a

stop appliance
rm -rf "$appliance_dir"
mv older "$appliance_dir"
sent=$(status agent .totals.sent_bytes)
start_appliance
until_true 30 "the cause in the agent's log" grep -q 'a is resynchronised by checksum: the appliance was restored from an older state' agent/agent.log
wait_protected agent 60
bookmark agent again
point_equals agent again a
point_equals agent old at-old/a
moved=$(($(status agent .totals.sent_bytes) - sent))
[ "$moved" -gt 0 ] || fail "nothing was sent although the old state lacks the edits"
[ "$moved" -lt $((4 << 20)) ] || fail "$moved bytes were sent for a few edits"
[ "$(grep -c 'restored from an older state' agent/agent.log)" -eq 1 ] || fail "it was resynchronised more than once"

note "somebody else commits with the certificate of this machine"
python3 "$flow/behind.py" agent/state 127.0.0.2 "$control" "$data" write $((5 * 65536))
bookmark agent noticed
point_equals agent noticed a
grep -q 'stands at another epoch' agent/agent.log || fail "nothing noticed it"
note "$moved bytes made the older state equal again"
finish
