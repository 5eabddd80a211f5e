#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A disk does not come back from a read (bad_reads.c): the status names it and what helps. When its protection is ended the others are replicated again, though the
# read still hangs; protected again when it answers it is replicated whole.
# timeout: 120
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/functions.sh"

cd "$tmp"
build_preload bad_reads
python3 "$flow/image.py" make a 16M random 1
python3 "$flow/image.py" make b 8M random 2
agent_config agent
appliance_init
start_appliance
: >bad
LD_PRELOAD=$tmp/bad_reads.so BAD_READS=$tmp/bad BAD_READS_OF=$tmp/a \
	ASAN_OPTIONS=verify_asan_link_order=0:${ASAN_OPTIONS:-} start_agent agent
enroll agent
ctl agent protect a b >protect.out
wait_protected agent
bookmark agent before
point_equals agent before a b

note "it hangs: told, with what helps"
echo "8388608 8392704 -1" >bad
python3 "$flow/image.py" edit b 3 5
wait_for agent 60 '.problems | any((.what | test("^a does not answer: a read of it has taken")) and (.remedy | test("unprotect")))'
if ctl agent bookmark none --timeout 3s >none.out 2>&1; then fail "a point without the disk that does not answer"; fi

note "without it the others go on, though it still hangs"
ctl agent unprotect a >unprotect.out
bookmark agent without
point_equals agent without b
[ -s bad ] || fail "it answered: nothing was shown"
status agent '[.disks[].name] == ["b"]' >/dev/null || fail "still there: $(status agent .disks)"

note "it answers, and is protected again"
: >bad
python3 "$flow/image.py" edit a 3 6
ctl agent protect a >protect.out
wait_protected agent
bookmark agent again
point_equals agent again a b
finish
