#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The appliance is killed -9 while it receives, and the tail of the open epoch's journal is torn in several ways. After the restart it has never less
# than it acknowledged, and what it has is right. Bytes that were acknowledged but are damaged later are never taken for good.
# timeout: 90
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/functions.sh"

cd "$tmp"
appliance_init
start_appliance
id=$(appliance token --json | python3 "$flow/enroll.py" "$tmp/m" 127.0.0.2 "$control" "$data" host-m)
torn() { python3 "$flow/torn.py" 127.0.0.2 "$control" "$data" "$tmp/m" "$1" "$seed" || fail "torn $1"; }
newest_journal() { find "$appliance_dir" -name '*.mj' -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2; }

tear() { # WAY JOURNAL
	case $1 in
	nothing) ;;
	garbage) head -c 70000 /dev/urandom >>"$2" ;;
	zeros) head -c 100000 /dev/zero >>"$2" ;;
	half-a-segment) # a valid beginning, cut off: what a crash in the middle of a write leaves
		head -c 60000 "$2" >copy
		cat copy >>"$2"
		;;
	a-header) # a header alone
		head -c 64 "$2" >copy
		cat copy >>"$2"
		;;
	damaged-copy) # a whole segment whose trailer is wrong
		python3 "$flow/image.py" copy-first-segment "$2" >copy
		cat copy >>"$2"
		;;
	esac
}

for way in nothing garbage zeros half-a-segment a-header damaged-copy; do
	: >m/acknowledged
	python3 "$flow/torn.py" 127.0.0.2 "$control" "$data" "$tmp/m" send "$seed" &
	pid_of[sender]=$!
	until_true 20 "acknowledgements" bash -c "[ \$(wc -l <m/acknowledged) -ge $((5 + RANDOM % 40)) ]"
	kill9 appliance
	wait "${pid_of[sender]}" || true
	unset 'pid_of[sender]'
	journal=$(newest_journal)
	[ -n "$journal" ] || fail "no journal found"
	tear $way "$journal"
	start_appliance
	note "$way after $(wc -l <m/acknowledged) acknowledged segments, journal of $(stat -c %s "$journal") bytes"
	torn check
	torn commit
	export_point "$id" latest exported
	cmp m/expected.img exported/torn.raw || fail "after $way the image is wrong"
	appliance verify >verify.out || fail "verify after $way: $(cat verify.out)"
done
finish
