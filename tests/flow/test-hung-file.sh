#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The filesystem of a protected file does not answer (hung_file.c): the status answers all the same, and names the file and what helps, also when the agent was
# started again meanwhile. When its protection is ended, and the agent started once more, the others are replicated.
# timeout: 180
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/functions.sh"

cd "$tmp"
build_preload hung_file
python3 "$flow/image.py" make a 16M random 1
python3 "$flow/image.py" make b 8M random 2
agent_config agent
appliance_init
start_appliance
start_hanging() {
	LD_PRELOAD=$tmp/hung_file.so HUNG=$tmp/hung HUNG_SEEK=$tmp/hung-seek HUNG_FILE=$tmp/a \
		ASAN_OPTIONS=verify_asan_link_order=0:${ASAN_OPTIONS:-} start_agent agent
}
told='.problems | any((.what | test("^a has not answered for")) and (.remedy | test("unprotect a,")))'
start_hanging
enroll agent
ctl agent protect a b >protect.out
wait_protected agent
bookmark agent before
point_equals agent before a b

note "it hangs: told, with what helps"
: >hung
wait_for agent 60 "$told"

note "also after a restart, though it has never answered"
kill9 agent
start_hanging
wait_for agent 60 "$told"
if (cd / && ctl agent status >"$tmp/status.out"); then fail "all is well: $(cat status.out)"; fi

note "without it the others go on, though it still hangs"
(cd / && ctl agent unprotect a >"$tmp/unprotect.out")
kill9 agent
start_hanging
python3 "$flow/image.py" edit b 3 5
wait_protected agent
bookmark agent without
point_equals agent without b
[ -e hung ] || fail "it answered: nothing was shown"

note "it is open, and does not tell where it has holes: without it the others go on at once"
rm hung
ctl agent protect a >protect.out
wait_protected agent
: >hung-seek
wait_for agent 60 '.problems | any((.what | test("^a does not answer: a read of it has taken")))'
python3 "$flow/image.py" edit b 3 7
(cd / && ctl agent unprotect a >"$tmp/unprotect.out")
bookmark agent beside
point_equals agent beside b
[ -e hung-seek ] || fail "it answered: nothing was shown"

note "it answers, and is protected again"
rm hung-seek
ctl agent protect a >protect.out
wait_protected agent
bookmark agent again
point_equals agent again a b
finish
