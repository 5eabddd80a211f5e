#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The appliance's disk fills up in the middle of a delta: 507, the agent says why and what to do, nothing that was acknowledged is lost
# and the catalog is whole; when there is space again replication goes on by itself. Then the filesystem of the agent's state file fills up:
# replication goes on, and status tells of that file, not of the appliance.
# timeout: 150
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/functions.sh"

cd "$tmp"
truncate -s 96M store.img
mkfs.ext4 -q -F -m 0 store.img
mkdir "$appliance_dir"
if ! mount -o loop store.img "$appliance_dir" 2>mount.log && ! mount -t tmpfs -o size=90M none "$appliance_dir" 2>>mount.log; then
	finished=yes
	echo "no small file system can be mounted here ($(tail -n 1 mount.log)): run it as root"
	exit 77
fi
mounts+=("$appliance_dir")
# init wants a folder of its own making
appliance_dir=$appliance_dir/store

python3 "$flow/image.py" make a 24M random 1
appliance_init
appliance_set store reserve 4M
set_up agent 127.0.0.2 a
wait_protected agent
bookmark agent before
mkdir before
cp a before/a

note "the disk fills up"
free=$(($(df -B1 --output=avail "$tmp/appliance" | tail -n 1) - 7 * 1048576))
head -c "$free" /dev/zero >"$tmp/appliance/ballast"
python3 "$flow/image.py" make new 12M random 2
dd if=new of=a bs=1M conv=notrunc status=none
wait_for agent 60 '.problems | any((.what | test("space|full"; "i")) and (.remedy | length > 10))'
status agent '.problems[] | "\(.what) -- \(.remedy)"'
ctl agent status >status.out || [ $? -eq 1 ]
grep -Eqi 'space|full' status.out || fail "the status text does not tell: $(cat status.out)"
explained() { ctl agent explain --json | jq -e '.bound == "problem" and (.what | test("space|full"; "i"))'; }
until_true 70 "explain to tell that the store is full" explained # the minute that it judges has the time before in it
! ctl agent bookmark full --timeout 5s >full.out 2>&1 || fail "a point on a full store"
grep -Eqi 'space|full' full.out || note "the refused bookmark says: $(cat full.out)"
appliance machines >machines.out 2>&1 || fail "machines ended with $?"
grep -Eq 'store is full.*reserve|store is full.*retention' machines.out || fail "machines does not tell that the store is full: $(cat machines.out)"
appliance machines --json | jq -e '.store.full and .store.free < .store.reserve + 4194304' >/dev/null || fail "machines --json: $(appliance machines --json)"

note "what was there is still right, while it is full, and through a restart of the appliance"
point_equals agent before before/a
appliance verify
kill9 appliance
start_appliance
point_equals agent before before/a
wait_for agent 60 '.problems | any(.what | test("space|full"; "i"))'
appliance points --json | jq -e '(.points? // .) | all(.name != "full")' >points.out ||
	fail "a point that was refused is listed"

note "space is freed: it goes on by itself"
rm "$tmp/appliance/ballast"
wait_for agent 90 '(.problems | all(.what | test("space|full"; "i") | not)) and .appliance.connected'
appliance machines --json | jq -e '.store.full == false' >/dev/null || fail "machines says that the store is still full"
bookmark agent after 90
point_equals agent after a
point_equals agent before before/a
database=$(grep -rlm1 'SQLite format 3' "$appliance_dir" | head -n 1)
[ -n "$database" ] || fail "no catalog found in $appliance_dir"
[ "$(sqlite3 "$database" 'pragma integrity_check')" = ok ] || fail "the catalog is damaged"

note "no room for the agent's state file: a disk that grew is taken up and gets points all the same"
stop agent
mv agent/state agent/state.kept
mkdir agent/state
mount -t tmpfs -o size=256k none agent/state
mounts+=("$tmp/agent/state")
cp -a agent/state.kept/. agent/state
head -c 1M /dev/zero >agent/state/ballast 2>/dev/null || true
truncate -s 26M a
start_agent agent
wait_for agent 60 ".disks[0].size == 26 * 1048576 and .disks[0].state == \"protected\""
bookmark agent grown
point_equals agent grown a
status agent '[.problems[] | select(.severity == "error")] | length == 1 and (.[0].what | test("state/state.json cannot be written: No space left")) and
	(.[0].remedy | test("appliance") | not)' >/dev/null || fail "the problems: $(status agent .problems)"
status agent '.appliance | .connected and .error == null' >/dev/null || fail "the appliance is blamed: $(status agent .appliance)"
! ctl agent pause >pause.out 2>&1 || fail "a pause that is not remembered"
grep -q 'No space left' pause.out || fail "the refused pause says: $(cat pause.out)"
[ "$(grep -c 'state.json cannot be written' agent/agent.log)" -eq 1 ] || fail "not one line in the log: $(grep state.json agent/agent.log)"
rm agent/state/ballast
wait_for agent 30 '.problems | length == 0'
jq -e '.disks[0].last_state == "protected" and (.disks[0].resync_requested | not)' agent/state/state.json >/dev/null || fail "recorded: $(cat agent/state/state.json)"
finish
