#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Bits that flip at rest, in a journal (header, extent table, payload, trailer) and in the base: verify names each and the points it harms, export
# refuses those points and gives no wrong byte, points that it does not harm are still right.
# timeout: 120
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/functions.sh"

cd "$tmp"
python3 "$flow/image.py" make a 8M random 1
python3 "$flow/image.py" make b 4M text 2
appliance_init
set_up agent 127.0.0.2 a b
wait_protected agent
id=$(machine agent)
for n in 1 2 3; do
	mkdir "at-$n"
	bookmark agent "point-$n"
	cp a b "at-$n"
	python3 "$flow/image.py" edit a $((seed + n)) 12
done
stop agent
stop appliance
appliance verify >clean.out || fail "verify of a clean store: $(cat clean.out)"
[ "$(appliance disks "$id" --json | jq '(.disks? // .) | length')" -eq 2 ] || fail "disks: $(appliance disks "$id")"

same() { cmp "$1/a" out/a.raw && cmp "$1/b" out/b.raw; }

# try_points : exports each; whoever succeeds must be right. Sets $refused.
try_points() {
	refused=0
	for n in 1 2 3; do
		rm -rf out
		mkdir out
		if appliance export "$id" "point-$n" --format raw out >export.out 2>&1; then
			same "at-$n" || fail "$1: point-$n was exported with wrong bytes"
		else
			refused=$((refused + 1))
			[ -s export.out ] || fail "$1: export refused without a word"
			for image in out/*.raw; do
				[ ! -e "$image" ] || cmp -s "$image" "at-$n/$(basename "$image" .raw)" ||
					fail "$1: a wrong image was left behind by a refused export"
			done
		fi
	done
}

damage() { # WHAT FILE OFFSET [must-refuse]: content that is intact may be exported although what describes it is damaged
	local status=0
	cp "$2" saved
	python3 "$flow/image.py" flip "$2" "$3"
	appliance verify >damage.out 2>&1 || status=$?
	[ "$status" -eq 1 ] || fail "$1: verify ended with $status: $(cat damage.out)"
	note "$1: $(head -n 1 damage.out | cut -c 1-220)"
	[ "$(grep -c . damage.out)" -ge 1 ] || fail "$1: verify does not name the damage"
	grep -Eq 'point|journal|base|segment|block' damage.out || fail "$1: verify does not say what is damaged: $(cat damage.out)"
	status=0
	appliance verify "$id" >/dev/null 2>&1 || status=$?
	[ "$status" -eq 1 ] || fail "$1: verify MACHINE ended with $status"
	try_points "$1"
	[ "$refused" -ge 1 ] || [ "${4:-}" != must-refuse ] || fail "$1: every point was exported although verify found damage"
	cat saved >"$2"
	appliance verify >damage.out 2>&1 || fail "$1, repaired: $(cat damage.out)"
	try_points "$1, repaired"
	[ "$refused" -eq 0 ] || fail "$1: a repaired point is still refused: $(cat export.out)"
}

mapfile -t journals < <(find "$appliance_dir" -name '*.mj' -size +8k | sort)
[ "${#journals[@]}" -ge 3 ] || fail "journals: ${journals[*]}"
first=${journals[0]}
last=${journals[-1]}
damage "journal, payload" "$first" $(($(stat -c %s "$first") * 2 / 3)) must-refuse
damage "journal, header" "$first" 20
damage "journal, extent table" "$first" 70
damage "journal, trailer" "$last" $(($(stat -c %s "$last") - 5))

note "a journal that is gone, and one that is cut off"
for way in gone cut; do
	cp -p "$first" saved-journal
	if [ $way = gone ]; then
		rm "$first"
	else
		truncate -s $(($(stat -c %s "$first") - 100)) "$first"
	fi
	! appliance verify >damage.out 2>&1 || fail "a journal is $way and verify is content"
	try_points "journal $way"
	[ "$refused" -ge 1 ] || fail "a journal is $way and every point is exported"
	cat saved-journal >"$first"
done
appliance verify >damage.out 2>&1 || fail "after restoring: $(cat damage.out)"

note "fold everything into the base, and damage that"
appliance_set policy retention 1s
appliance_set policy all_points_for 0s
appliance_set policy policy_interval 200ms
start_appliance
start_agent agent
wait_protected agent
bookmark agent newest
mkdir at-newest
cp a b at-newest
base_there() { [ -n "$(find "$appliance_dir" -name base.img -size +1M)" ] && [ "$(find "$appliance_dir" -name '*.mj' | wc -l)" -le 4 ]; }
until_true 30 "journals to be folded into the base" base_there
stop agent
stop appliance
appliance verify >clean.out || fail "verify after folding: $(cat clean.out)"
mapfile -t bases < <(find "$appliance_dir" -name base.img -size +1M)
for base in "${bases[@]}"; do
	python3 - "$base" >offset.out <<-'PYTHON'
		import sys
		content = open(sys.argv[1], "rb").read()
		print(next(i for i in range(len(content) // 2, len(content)) if content[i]))
	PYTHON
	cp "$base" saved
	python3 "$flow/image.py" flip "$base" "$(cat offset.out)"
	! appliance verify >damage.out 2>&1 || fail "damage of the base was not found"
	note "base: $(head -n 1 damage.out | cut -c 1-220)"
	if appliance export "$id" latest --format raw out >export.out 2>&1; then
		same at-newest || fail "wrong bytes from a damaged base"
	fi
	cat saved >"$base"
done
appliance verify >clean.out || fail "verify of the repaired base: $(cat clean.out)"

note "damage that stays: named by verify, sent again by a resync, and points after that are whole"
base=${bases[0]}
disk=$(appliance disks "$id" --json | jq -r --arg id "$(basename "$(dirname "$base")")" '(.disks? // .)[] | select(.id == $id).name')
python3 "$flow/image.py" flip "$base" "$(($(stat -c %s "$base") / 2))"
! appliance verify >damage.out 2>&1 || fail "damage of the base was not found"
grep -q "disk $disk, .*mobilityctl resync --now $disk" damage.out || fail "verify names neither disk nor remedy: $(cat damage.out)"
! appliance export "$id" newest --format raw out >export.out 2>&1 || fail "a damaged base was exported"
start_appliance
start_agent agent
wait_protected agent
ctl agent resync "$disk" >resync.out
until_true 60 "the resync to be complete" grep -q 'its resynchronisation is complete' agent/agent.log
wait_for agent 60 ".disks | all(.state == \"protected\")"
bookmark agent end
point_equals agent end a b
# the block in the base is whole when what was sent again has been folded over it
repaired() { appliance verify; }
until_true 30 "the base to be whole" repaired
finish
