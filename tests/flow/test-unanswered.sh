#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A segment arrives, and the connection breaks before each of its answers, until the agent sends it in parts: what the appliance has under the number are
# other bytes. It refuses, the epoch is lost and nothing else, the next one goes through.
# timeout: 120
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/functions.sh"

cd "$tmp"
python3 "$flow/image.py" make a 8M random "$seed"
agent_config agent
set_up_inside agent capture unanswered.py
protect agent a
wait_protected agent 90
[ "$(cat capture/tries)" -eq 6 ] || fail "$(cat capture/tries) answers were lost, not 6"
grep -q 'at a time' agent/agent.log || fail "the segment was not parted"
grep -q '409 conflict' appliance.log || fail "the appliance refused nothing"
bookmark agent first
point_equals agent first a
status agent '.disks[0].resync_cause == null' >/dev/null || fail "a resync"
finish
