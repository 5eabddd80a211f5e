#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Application-consistent points without a kernel: how writers are run, listed and let go, what vss-shim run returns, what a scan may not call
# itself, what the appliance keeps of it, also in a catalog of the format before. No filesystem of this machine is ever frozen.
# timeout: 120
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/functions.sh"

cd "$tmp"
mkdir -p shim/writers.d shim/local.d shim/hooks.d
cat >shim/vss-shim.conf <<END
[shim]
socket = $tmp/shim/sock
[freeze]
filesystems = no
window = 2s
[writers]
vendor_dir = $tmp/shim/writers.d
local_dir = $tmp/shim/local.d
[hooks]
qemu_ga_dir = $tmp/shim/hooks.d
vmware = no
azure = no
END
shim() { "$bin/vss-shim" --config shim/vss-shim.conf "$@"; }

# writer NAME CASES : holds a lock between freeze and thaw; CASES come before what it does by itself
writer() {
	cat >"shim/writers.d/$1" <<END
#!/bin/bash
if [ "\$1" = identify ]; then printf 'name: Test\ninstances: 3\n'; exit 0; fi
while read -r phase; do
	echo "$1 \$phase" >>$tmp/phases
	case \$phase in
	${2-}
	freeze) exec 9>$tmp/lock-$1; flock -n 9 && echo ok || echo fail the lock is taken ;;
	*) exec 9>&-; echo ok ;;
	esac
done
END
	chmod 755 "shim/writers.d/$1"
}
free() { flock -n "$tmp/lock-$1" true; }

run_is() { # STATUS OPTION… -- COMMAND…
	local expected=$1 got=0
	shift
	: >phases
	shim run "$@" >run.out 2>&1 || got=$?
	[ "$got" -eq "$expected" ] || fail "vss-shim run $* ended with $got, not $expected: $(cat run.out)"
}

writer 20-a
writer 30-b
cat >shim/hooks.d/hook.sh <<END
#!/bin/sh
echo "hook \$1" >>$tmp/phases
[ /proc/\$\$/fd/0 -ef /dev/null ] || echo "standard input is not /dev/null" >>$tmp/surprises
while read -r key value; do
	# 32 and 33 are the C library's
	case \$key\$value in SigIgn:00000000*[08]0000000 | SigIgn:00000001*[08]0000000) ;; SigIgn:*) echo "signals are ignored: \$value" >>$tmp/surprises ;; esac
done </proc/\$\$/status
END
chmod 755 shim/hooks.d/hook.sh

note "vss-shim run"
run_is 0 -- sh -c "! flock -n $tmp/lock-20-a true && echo command >>$tmp/phases"
[ "$(grep -Ev 'prepare|post' phases | tr '\n' ';')" = "20-a freeze;30-b freeze;hook freeze;command;hook thaw;30-b thaw;20-a thaw;" ] ||
	fail "the order: $(cat phases)"
[ ! -e surprises ] || fail "what a hook did not expect: $(sort -u surprises)"
run_is 7 -- sh -c 'exit 7'
run_is 127 -- "$tmp/no-such-program"
run_is 122 --timeout 1h -- true
run_is 122
run_is 124 --timeout 500ms -- sleep 1
free 20-a || fail "20-a holds its lock after the window"
writer 40-bad 'freeze) echo fail no such table; continue ;;'
run_is 123 -- touch "$tmp/was-run"
[ ! -e was-run ] || fail "the command was run although a writer failed"
grep -q '40-bad failed: freeze: no such table' run.out || fail "no reason: $(cat run.out)"
run_is 123 --anyway -- touch "$tmp/was-run"
[ -e was-run ] || fail "--anyway does not run the command"
chmod g+w shim/writers.d/40-bad
run_is 123 -- true
grep -q '40-bad failed: refused: .* can be written by others' run.out || fail "not refused: $(cat run.out)"

note "the daemon, and its requester's death"
rm shim/writers.d/40-bad
start shim shim/shim.log "$bin/vss-shim" --config shim/vss-shim.conf serve
until_true 10 "the shim" test -S shim/sock
cat >shim/hold.py <<-'PYTHON'
	import socket, sys, time
	with socket.socket(socket.AF_UNIX) as s:
	    s.connect(sys.argv[1])
	    answers = s.makefile()
	    s.sendall(b"set window_ms=10000 disks=\n")
	    assert answers.readline().startswith("prepared ")
	    s.sendall(b"freeze\n")
	    assert answers.readline().startswith("frozen ")
	    open(sys.argv[2], "w").close()
	    time.sleep(60)
PYTHON
start requester shim/requester.log python3 shim/hold.py "$tmp/shim/sock" "$tmp/held"
until_true 20 "the freeze" test -e held
! free 20-a || fail "nothing is held"
kill9 requester
until_true 3 "20-a to be let go after its requester's death" free 20-a
rm held
start requester shim/requester.log python3 shim/hold.py "$tmp/shim/sock" "$tmp/held"
until_true 20 "the freeze" test -e held
kill9 shim
until_true 3 "20-a to be let go after the shim's death" free 20-a
kill9 requester
start shim shim/shim.log "$bin/vss-shim" --config shim/vss-shim.conf serve

until_true 10 "the shim" test -S shim/sock
cat >shim/list.py <<-'PYTHON'
	import socket, sys
	with socket.socket(socket.AF_UNIX) as s:
	    s.connect(sys.argv[1])
	    s.sendall(b"writers\n")
	    assert s.makefile().readline().startswith("writers ")
PYTHON
got=0
timeout 10 "$bin/vss-shim" --config shim/vss-shim.conf serve >second.out 2>&1 || got=$?
[ $got -eq 1 ] || fail "a second daemon ended with $got: $(cat second.out)"
until_true 20 "an answer of the first daemon after the second one failed" python3 shim/list.py "$tmp/shim/sock"

# What is noted while filesystems are frozen must not be on one of them.
if [ "$(stat -f -c %T .)" != tmpfs ]; then
	sed "s/^filesystems = no/filesystems = yes/; s,/sock$,/other," shim/vss-shim.conf >shim/disk.conf
	got=0
	timeout 10 "$bin/vss-shim" --config shim/disk.conf serve >disk.out 2>&1 || got=$?
	if [ $got -ne 1 ] || ! grep -q 'could be frozen' disk.out; then fail "a ledger on a disk: $got, $(cat disk.out)"; fi
fi

note "a scanned disk is never application-consistent, and says so"
python3 "$flow/image.py" make a 4M random 1
agent_config agent "agent.shim_socket=$tmp/shim/sock"
set_up agent 127.0.0.2 a
wait_protected agent
until_true 20 "the writers" ctl agent writers
ctl agent writers >writers.out
grep -Eq '^20-a +ready +Test, 3 found; last not run yet$' writers.out || fail "writers: $(cat writers.out)"
ctl agent writers --json | jq -e '.writers | map(.name) == ["20-a", "30-b", "50-qemu-ga.hook.sh"]' >/dev/null || fail "writers --json"
got=0
ctl agent bookmark --app --name scanned --timeout 30s >bookmark.out 2>&1 || got=$?
[ $got -eq 4 ] || fail "bookmark --app of a scanned disk ended with $got: $(cat bookmark.out)"
grep -q 'crash-consistent' bookmark.out || fail "the point is not called crash-consistent: $(cat bookmark.out)"
grep -q 'a is scanned' bookmark.out || fail "the reason is missing: $(cat bookmark.out)"
appliance points --json | jq -e '.points[] | select(.name == "scanned") | .consistency == "crash" and (.reason | test("a is scanned"))' >/dev/null ||
	fail "the point's record: $(appliance points --json)"
status agent '.problems | any(.what | test("only crash-consistent: a is scanned"))' >/dev/null || fail "no warning in the status"
! ctl agent bookmark x --name y >/dev/null 2>&1 || fail "two names for a bookmark"

note "what the appliance keeps of it"
appliance token --json >token.json
python3 "$flow/enroll.py" "$tmp/m" 127.0.0.2 "$control" "$data" host-m <token.json >/dev/null
python3 "$flow/application.py" 127.0.0.2 "$control" "$data" "$tmp/m" || fail "application.py"
appliance points host-m | grep -q 'crash .* bad .*writer 20-postgresql failed: late' || fail "points: $(appliance points host-m)"

note "a catalog of the format before is brought to this one"
stop appliance
appliance points --json | jq -S 'del(.points[].writers, .points[].reason)' >before.json
python3 - "$appliance_dir/catalog.db" <<-'PYTHON'
	import sqlite3, sys
	db = sqlite3.connect(sys.argv[1])
	for column in "reason", "writers", "doubt":
	    db.execute(f"ALTER TABLE point DROP COLUMN {column}")
	db.executescript("DROP INDEX point_disk_by_disk; DROP TABLE gone; DROP TABLE removed; PRAGMA user_version = 1;")
PYTHON
appliance points --json | jq -S 'del(.points[].writers, .points[].reason)' >after.json
cmp before.json after.json || fail "points were lost"
start_appliance
wait_for agent 30 .appliance.connected
bookmark agent last
stop shim
finish
