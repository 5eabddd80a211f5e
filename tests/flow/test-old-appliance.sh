#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# An appliance that says nothing of versions, codecs, levels of digests and what an epoch follows (old_appliance.py): initial replication, deltas and a
# resync work in the format of then, and nothing newer is ever tried but a level of digests.
# timeout: 90
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/functions.sh"

cd "$tmp"
python3 "$flow/image.py" make a 12M mixed "$seed"
agent_config agent
set_up_inside agent old old_appliance.py
protect agent a
wait_protected agent
python3 "$flow/image.py" edit a 1 10
bookmark agent delta
point_equals agent delta a
sent=$(status agent .totals.sent_bytes)
ctl agent resync a >resync.out
until_true 20 "the resync to ask for digests" jq -e '.malformed >= 1' old/counts
wait_for agent 30 ".disks[0] | .state == \"protected\" and .resync_cause == null"
python3 "$flow/image.py" edit a 2 3
bookmark agent resynced
point_equals agent resynced a
sent=$(($(status agent .totals.sent_bytes) - sent))
note "$(cat old/counts), $sent bytes for the resync and a delta"
[ "$sent" -lt $((4 << 20)) ] || fail "the resync sent the disk again"
jq -e '.segments > 2 and .digests > 0 and .segment_versions > 0 and .codecs > 0 and .committed > 0 and .version == null' old/counts >/dev/null ||
	fail "not what an old appliance sees: $(cat old/counts)"
[ ! -s old/errors ] || fail "errors: $(head -n 5 old/errors)"
finish
