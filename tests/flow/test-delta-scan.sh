#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Delta replication by scan: rounds of random edits on two disks, a bookmark after each. Every point exported equals the copies
# made at that time, also after all later rounds and a restart of both sides.
# timeout: 150
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/functions.sh"

cd "$tmp"
rounds=8
python3 "$flow/image.py" make a 16M mixed 1
python3 "$flow/image.py" make b $((8 * 1048576 + 1536)) random 2
set_up agent 127.0.0.2 a b
wait_protected agent

sent_before=$(status agent .totals.sent_bytes)
for round in $(seq $rounds); do
	python3 "$flow/image.py" edit a $((seed + round)) $((RANDOM % 20 + 1))
	if [ $((round % 2)) -eq 0 ]; then
		python3 "$flow/image.py" edit b $((seed - round)) 3
	fi
	bookmark agent "round-$round"
	sha256sum a b >"sums-$round.out"
	cp --sparse=always a "copy-a-$round"
	cp --sparse=always b "copy-b-$round"
done
sent=$(($(status agent .totals.sent_bytes) - sent_before))
note "$rounds rounds sent $sent bytes"
[ "$sent" -lt $((16 * 1048576)) ] || fail "deltas sent $sent bytes, more than a few edits can be"

check_rounds() {
	for round in $(seq $rounds); do
		export_point "$id" "round-$round" exported
		for disk in a b; do
			[ "$(digest_of "exported/$disk.raw")" = "$(digest_of "copy-$disk-$round")" ] ||
				fail "point round-$round is not what $disk was then"
		done
	done
}
id=$(machine agent)
check_rounds

note "the list says what was taken, newest first"
mapfile -t listed < <(appliance points "$id" --json |
	jq -r '(.points? // .) | map(select(.name != null)) | .[].name')
expected=$(for round in $(seq $rounds -1 1); do echo "round-$round"; done)
[ "$(printf '%s\n' "${listed[@]}")" = "$expected" ] || fail "points listed: ${listed[*]}"

note "the same after a restart of both"
stop agent
stop appliance
start_appliance
check_rounds
start_agent agent
wait_protected agent
python3 "$flow/image.py" edit a "$seed" 5
bookmark agent after-restart
point_equals agent after-restart a b

note "a bookmark without a name"
ctl agent bookmark >unnamed.out
point_equals agent latest a b
finish
