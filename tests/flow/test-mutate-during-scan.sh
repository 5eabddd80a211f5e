#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A writer runs without pause while the disk is scanned. A point may be refused or not come at all, but a point that there is was
# the state of the disk at some instant: its digest is in the writer's history.
# timeout: 120
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/functions.sh"

cd "$tmp"
python3 "$flow/image.py" make a 16M mixed 1
set_up agent 127.0.0.2 a
wait_protected agent

note "no quiet time at all: a bookmark is refused with a reason"
# a write every millisecond, also where much else runs: a scan takes less than 100 of them
start storm storm.log python3 -c '
import itertools, os, random, sys, time
disk = os.open(sys.argv[1], os.O_WRONLY)
for i in itertools.count():
    os.pwrite(disk, b"%016d" % i, random.randrange(1 << 20) * 16)
    time.sleep(0.001)' a
sleep 1
before=$(status agent '.totals.epochs')
started=$SECONDS
if ctl agent bookmark stormy --timeout 8s >stormy.out 2>&1; then
	fail "a point of a disk that never rested: $(cat stormy.out)"
fi
[ $((SECONDS - started)) -lt 30 ] || fail "a timeout of 8 s took $((SECONDS - started)) s"
grep -Eqi 'busy|changed|chang|quiet|fuzzy|written|writ' stormy.out || fail "no reason: $(cat stormy.out)"
note "refused: $(cat stormy.out)"
note "but replication goes on"
wait_for agent 20 ".totals.epochs > $before"
kill9 storm

note "bursts with quiet times between them: points come, and each is a state that was"
start_writer a
taken=0
for n in $(seq 12); do
	if ctl agent bookmark "b$n" --timeout 10s >>bookmark.out 2>&1; then
		taken=$((taken + 1))
	fi
done
stop writer
bookmark agent last
id=$(machine agent)
point_equals agent last a
[ "$taken" -gt 0 ] || fail "not one of 12 bookmarks was taken although the disk rested between bursts"
appliance points "$id" --json | jq -r '(.points? // .)[] | select(.name != null) | .name' >names.out
mapfile -t names < <(grep '^b' names.out)
for name in "${names[@]}"; do
	export_point "$id" "$name" exported
	was_a_state "$name" exported/a.raw
done
note "$taken bookmarks of 12 became points, in a history of $(wc -l <history) states; all are right"
[ "${#names[@]}" -eq "$taken" ] || fail "bookmark said $taken, the appliance lists ${#names[@]}"
finish
