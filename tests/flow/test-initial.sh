#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Initial replication: images of several sizes and kinds, protected together, come back bit by bit; empty regions cost
# nothing on the wire; what cannot be protected is refused in a sentence.
# timeout: 120
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/functions.sh"

cd "$tmp"
python3 "$flow/image.py" make random 9M random 1
python3 "$flow/image.py" make uneven $((3 * 1048576 + 512)) random 2
python3 "$flow/image.py" make zero 16M zero 3
python3 "$flow/image.py" make sparse 64M sparse 4
python3 "$flow/image.py" make text 8M text 5
python3 "$flow/image.py" make mixed $((20 * 1048576 - 4096)) mixed 6
python3 "$flow/image.py" make tiny 512 random 7
truncate -s 32M hole
images=(random uneven zero sparse text mixed tiny hole)

appliance_init
start_appliance
agent_config agent replication.workers=4
start_agent agent
enroll agent
note "disks are protected in two steps, the second while the first is in work"
ctl agent protect "$tmp/random" "$tmp/uneven"
ctl agent protect "${images[@]:2}" # as relative paths
wait_protected agent 60
[ "$(status agent '.disks | length')" -eq ${#images[@]} ] || fail "not all disks are listed"
bookmark agent first
point_equals agent first "${images[@]}"
point_equals agent latest "${images[@]}"

note "the figures are those of what was moved"
status agent '.totals.data_bytes > 9000000 and .totals.sent_bytes < .totals.read_bytes' >/dev/null ||
	fail "totals: $(status agent .totals)"
incompressible=$((9 * 1048576 + 3 * 1048576 + 512 + 512))
sent=$(status agent .totals.sent_bytes)
[ "$sent" -gt $incompressible ] || fail "only $sent bytes were sent for $incompressible random ones"
[ "$sent" -lt $((incompressible + 24 * 1048576)) ] || fail "$sent bytes were sent: empty regions or text were not saved"
status agent '.disks | all(.replicated == .size and .error == null)' >/dev/null || fail "replicated is not size"

note "the export is sparse"
export_point "$(machine agent)" first "$tmp/exported"
[ "$(du -k exported/hole.raw | cut -f1)" -lt 1024 ] || fail "a hole was exported as data"

note "what cannot be protected is refused in a sentence, and changes nothing"
truncate -s 0 empty
truncate -s 1000 odd
for bad in "$tmp/absent" "$tmp" "$tmp/empty" "$tmp/odd" /dev/null; do
	! ctl agent protect "$bad" >"$tmp/refused.out" 2>&1 || fail "$bad was accepted"
	grep -q "${bad##*/}" "$tmp/refused.out" || fail "the refusal does not name $bad: $(cat "$tmp/refused.out")"
done
[ "$(status agent '.disks | length')" -eq ${#images[@]} ] || fail "a refused disk is listed"

note "the same disk again is the same disk"
ctl agent protect "$tmp/tiny" >"$tmp/again.out" 2>&1 || true
[ "$(status agent '.disks | length')" -eq ${#images[@]} ] || fail "a disk is listed twice"

note "a disk that is no longer protected is not in new points, and stays in old ones"
ctl agent unprotect "$tmp/random" >unprotect.out
grep -qF "random ($tmp/random, path:$tmp/random) is not protected any more" unprotect.out || fail "it says: $(cat unprotect.out)"
wait_for agent 20 '.disks | all(.name != "random")'
bookmark agent second
export_point "$(machine agent)" second "$tmp/exported"
[ ! -e exported/random.raw ] || fail "a point has a disk that is not protected any more"
point_equals agent second "${images[@]:1}"
point_equals agent first "${images[@]}"
note "a file whose name begins with a dot is protected under another name"
python3 "$flow/image.py" make .vm.img 1M random 8
ctl agent protect .vm.img
wait_protected agent
bookmark agent dot
point_equals agent dot "${images[@]:1}"
export_point "$(machine agent)" dot "$tmp/exported"
[ "$(digest_of exported/_vm.img.raw)" = "$(digest_of .vm.img)" ] || fail "what is exported is not .vm.img"
finish
