#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Bits that flip inside TLS (damage.py): the appliance refuses each damaged segment and names what is wrong, the agent sends it again, status and
# log tell, and every point is the disk. Damaged answers cost a request or a block that need not have been sent, nothing else.
# timeout: 120
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/functions.sh"

cd "$tmp"
# a segment or two each
disks=(a b c d e f g h)
python3 "$flow/image.py" make a 6M random 1
for disk in "${disks[@]:1}"; do
	python3 "$flow/image.py" make "$disk" 512K text "$seed"
done
agent_config agent
set_up_inside agent flight damage.py

mode() { echo "$1" >flight/mode; }
damaged() { jq -s "map(select($1)) | length" flight/damage; }
abandoned() { grep -c 'the epoch was abandoned' agent/agent.log || true; }

note "every segment of an initial replication is damaged when it comes first, each in another place"
mode once
protect agent "${disks[@]}"
wait_protected agent 30
bookmark agent first
mode pass
point_equals agent first "${disks[@]}"
for place in 'payload begin' 'payload middle' 'payload end' 'extent offset' 'extent digest' trailer 'disk id'; do
	[ "$(damaged ".place == \"$place\"")" -ge 1 ] || fail "no $place was damaged: $(cat flight/damage)"
done
[ "$(damaged '.status != 422 or .answer.error != "digest"')" -eq 0 ] || fail "not refused as damage: $(cat flight/damage)"
jq -es 'all(.answer.message | test("SHA-256|decompress"))' flight/damage >/dev/null || fail "the damage is not named: $(cat flight/damage)"
count=$(damaged true)
[ "$(status agent .totals.retries)" -ge "$count" ] || fail "$count damaged, sent again: $(status agent .totals.retries)"
[ "$(abandoned)" -eq 0 ] || fail "damage of a single segment cost an epoch"
grep -q '422 digest.*SHA-256' appliance.log || fail "the appliance's log does not tell of the damage"
grep -q 'warning: [a-h]: the appliance refused: .*SHA-256' agent/agent.log || fail "the agent's log does not tell of the damage"
note "$count segments damaged once, none of them stored"

note "a damaged header looks like another format: the epoch begins anew"
python3 "$flow/image.py" edit a 3 4
mode header
bookmark agent header
[ "$(damaged '.place == "magic" and .status == 400 and .answer.error == "malformed"')" -eq 1 ] || fail "$(tail -n 1 flight/damage)"
[ "$(abandoned)" -eq 1 ] || fail "$(abandoned) epochs were abandoned, not 1"

note "a path that damages everything: nothing is committed, the status says so, and it goes on by itself when the path is mended"
mode always
python3 "$flow/image.py" edit a 4 4
wait_for agent 20 '.appliance.error != null and (.appliance.error | test("^a: .*(SHA-256|decompress)")) and
	(.problems | any(.severity == "error" and (.what | test("^a: the appliance refused: the data at [0-9]+")) and (.remedy | test("damaged"))))'
point=$(status agent .last_point.id)
sleep 1
[ "$(status agent .last_point.id)" -eq "$point" ] || fail "a point was made of what was damaged"
mode pass
bookmark agent mended
[ "$(damaged '.what == "segment" and .status == 200')" -eq 0 ] || fail "a damaged segment was stored: $(cat flight/damage)"
wait_for agent 10 '.appliance.error == null and (.problems | length == 0)'

note "damaged answers: digests in a resync, the answer to a commit"
python3 "$flow/image.py" edit a 5 4
sent=$(status agent .totals.sent_bytes)
mode digests
ctl agent resync a >resync.out
digests_damaged() { [ "$(damaged '.place == "digests"')" -ge 1 ]; }
until_true 20 "the resync to ask for digests" digests_damaged
wait_for agent 30 '.disks | all(.state == "protected" and .resync_cause == null)'
bookmark agent resynced
note "$(damaged '.place == "digests"') answers with digests damaged, $(($(status agent .totals.sent_bytes) - sent)) bytes sent"
[ $(($(status agent .totals.sent_bytes) - sent)) -lt $((3 << 20)) ] || fail "damaged digests made the agent send the disk again"
python3 "$flow/image.py" edit b 6 4
mode commit
bookmark agent last
[ "$(damaged '.place == "commit"')" -eq 1 ] || fail "no answer to a commit was damaged"
point_equals agent last "${disks[@]}"
[ ! -s flight/errors ] || fail "errors: $(head -n 5 flight/errors)"
finish
