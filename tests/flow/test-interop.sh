#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Real traffic between agent and appliance, recorded by a tap, is decoded by tests/interop/decode.py, which knows the protocol document alone; the images that
# it builds from the segments equal the sources.
# timeout: 90
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/functions.sh"

cd "$tmp"
[ -e "$top/tests/interop/decode.py" ] || fail "tests/interop/decode.py is not there"
python3 "$flow/image.py" make a 6M mixed 1
python3 "$flow/image.py" make b 1M text 2
appliance_init
start_appliance
start_tap "$tmp/capture"
round=0
for compression in zstd zlib none; do
	agent=agent-$compression
	agent_config "$agent" "replication.compression=$compression"
	start_agent "$agent"
	enroll "$agent" 127.0.0.1
	ctl "$agent" protect a b
	wait_protected "$agent"
	bookmark "$agent" first
	python3 "$flow/image.py" edit a $((seed + round)) 12
	round=$((round + 1))
	bookmark "$agent" second
	ctl "$agent" resync b
	sleep 1
	bookmark "$agent" third
	point_equals "$agent" third a b
	id=$(machine "$agent")
	mkdir "final-$id"
	cp a b "final-$id"
	stop "$agent"
done
kill9 tap
[ ! -s capture/errors ] || fail "the tap had errors: $(head -n 5 capture/errors)"
note "$(find capture -mindepth 1 -maxdepth 1 -type d | wc -l) exchanges"
python3 "$top/tests/interop/decode.py" capture images >decode.out 2>&1 || fail "decode: $(tail -n 20 decode.out)"
tail -n 3 decode.out
# A decoder that finds nothing wrong proves something only if it does find what is wrong.
python3 "$top/tests/interop/mutations.py" capture >mutations.out 2>&1 || fail "mutations: $(grep -v ': exchange' mutations.out | tail -n 20)"
tail -n 1 mutations.out
for final in final-*; do
	for disk in a b; do
		cmp "$final/$disk" "images/${final#final-}/$disk.raw" || fail "the decoded $disk of ${final#final-} is not the source"
	done
done
finish
