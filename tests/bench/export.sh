#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# export.sh: exporting a recovery point against `cp` of the same bytes to the same filesystem, both until they are durable: a point that is all
# in the base, and one over a long journal. Writes build/bench/export.json. IMAGE_MIB (2048), EPOCHS (30), ROUNDS (3).
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/../flow/functions.sh"

size=${IMAGE_MIB:-2048}
epochs=${EPOCHS:-30}
cd "$tmp"
python3 "$flow/image.py" make a "${size}M" mixed 1
appliance_init
appliance_set policy policy_interval 200ms
set_up agent 127.0.0.2 a
wait_protected agent 600
bookmark agent first 120
id=$(machine agent)

seconds() { # COMMAND… : its best time of ROUNDS
	local began took best=
	for _ in $(seq "${ROUNDS:-3}"); do
		rm -rf out copy.raw
		mkdir out
		sync
		began=$EPOCHREALTIME
		"$@" >/dev/null
		took=$(bc -l <<<"$EPOCHREALTIME - $began")
		[ -n "$best" ] && [ "$(bc -l <<<"$took >= $best")" = 1 ] || best=$took
	done
	echo "$best"
}
ours() { appliance export "$id" "$1" --format raw out; }
peer() { cp --sparse=always "$1" copy.raw && sync copy.raw; }

row() { # WORK POINT
	local mine theirs bytes
	mine=$(seconds ours "$2")
	cmp out/a.raw "$3" || fail "$1: the image is wrong"
	mv out/a.raw plain.raw
	theirs=$(seconds peer plain.raw)
	bytes=$(($(stat -c '%b * %B' plain.raw)))
	rm plain.raw
	printf '%s\tMiB/s\t%s\t%s\t>= 0.7\n' "$1" "$(bc -l <<<"$bytes / 1048576 / $mine")" "$(bc -l <<<"$bytes / 1048576 / $theirs")" >>rows
}

cp --sparse=always a first.img
ctl agent pause >/dev/null # it would read the disk all the time
row "export, all of it in one journal" first first.img
ctl agent resume >/dev/null
for n in $(seq "$epochs"); do
	python3 "$flow/image.py" edit a "$n" 200
	bookmark agent "epoch-$n" 120
done
ctl agent pause >/dev/null
row "export, over a journal of $epochs epochs" "epoch-$epochs" a
stop agent
stop appliance
appliance_set policy retention 1s
appliance_set policy all_points_for 0s
start_appliance
folded() { [ "$(sqlite3 "$appliance_dir/catalog.db" 'select count(*) from journal')" = 0 ]; }
until_true 300 "the fold" folded
row "export, all of it in the base" latest a
python3 "$top/tests/bench/table.py" export <rows || missed=yes
finish
[ -z "${missed:-}" ]
