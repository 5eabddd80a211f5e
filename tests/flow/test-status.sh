#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# mobilityctl status: text and JSON in every situation, JSON against docs/status.schema.json, exit codes, --watch.
# timeout: 90
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/functions.sh"

cd "$tmp"
valid() { # SITUATION
	local healthy=0
	ctl agent status --json >"$1.json" || healthy=$?
	[ "$(jq 'if .problems | length > 0 then 1 else 0 end' "$1.json")" -eq $healthy ] ||
		fail "$1: status --json ended with $healthy: $(jq -c .problems "$1.json")"
	jq -e '.schema == 1 and (.time | type == "number") and has("machine") and has("appliance") and
		(.module.mode | IN("hook", "track-only", "absent")) and (.module.reason | type == "string") and
		(.paused | type == "boolean") and (.epoch | type == "number") and has("last_point") and has("rpo_ns") and
		(.backlog_bytes | type == "number") and (.churn_bytes_per_s | type == "number") and
		([.totals[]] | length >= 7 and all(type == "number" and . >= 0)) and
		(.disks | all((.name | type == "string") and (.state | IN("initial", "resync", "protected", "unreachable")) and
			(.replicated <= .size) and has("eta_ns") and has("resync_cause") and has("error"))) and
		(.problems | all((.severity | IN("error", "warning")) and (.what | length > 0) and (.remedy | length > 0)))' \
		"$1.json" >/dev/null || fail "$1: $(jq -c . "$1.json")"
	if [ -e "$top/docs/status.schema.json" ]; then
		python3 "$flow/schema.py" "$top/docs/status.schema.json" "$1.json" || fail "$1 breaks the schema"
	fi
	ctl agent status >"$1.out" || [ $? -eq 1 ] || fail "$1: status failed"
	[ "$(wc -l <"$1.out")" -le 50 ] || fail "$1: more than a screen: $(wc -l <"$1.out") lines"
	awk 'length($0) > 160 {exit 1}' "$1.out" || fail "$1: a line over 160 characters"
}
bound() { # SITUATION BOUND TEXT
	ctl agent explain --json >"$1.explain"
	jq -e --arg bound "$2" --arg what "$3" '.bound == $bound and (.what | test($what)) and (.help | length > 0)' "$1.explain" >/dev/null ||
		fail "explain in '$1' is not $2, /$3/: $(jq -c '[.bound, .what, .help]' "$1.explain")"
}
says() { grep -Eqi -e "$2" "$1.out" || fail "status in '$1' does not say /$2/: $(cat "$1.out")"; }

appliance_init
start_appliance
start_agent agent
valid not-enrolled
says not-enrolled 'enrol'
bound not-enrolled problem 'not enrolled'
jq -e '.problems | any(.remedy | test("enroll"))' not-enrolled.json >/dev/null || fail "no remedy before enrolment"

enroll agent
valid no-disks
says no-disks 'protect'
bound no-disks problem 'No disk is protected'

python3 "$flow/image.py" make a 8M random 1
ctl agent protect a
valid initial
wait_protected agent
bookmark agent first
valid protected
says protected '\ba\b'
says protected 'protected'
says protected 'first|last point'
jq -e --arg now "$(date +%s%N)" '(.last_point.id > 0) and .last_point.consistency == "crash" and (.last_point.name | type == "string" or . == null) and
	.rpo_ns >= 0 and .rpo_ns < 60e9 and (($now | tonumber) - .time | fabs) < 10e9' protected.json >/dev/null ||
	fail "last point: $(jq -c '[.last_point, .rpo_ns, .time]' protected.json)"
jq -e '.appliance.connected and .disks[0].source == "scan" and .module.mode == "absent" and ((.disks[0].eta_ns // 0) == 0)' \
	protected.json >/dev/null || fail "protected: $(cat protected.json)"
says protected 'module'
bound protected nothing 'keeps up'

note "a warning is a problem, too"
ctl agent pause
valid paused
jq -e '.paused and [.problems[].severity] == ["warning"]' paused.json >/dev/null || fail "paused: $(jq -c .problems paused.json)"
bound paused paused 'paused'
ctl agent resume

note "the RPO grows while the appliance is away, and the status says what is wrong"
kill9 appliance
python3 "$flow/image.py" edit a 1 3
wait_for agent 30 '.appliance.connected == false and .rpo_ns > 3e9 and (.problems | any(.severity == "error" or .severity == "warning"))'
valid away
says away 'connect|reach|refused'
start_appliance
wait_for agent 60 '.appliance.connected and (.problems | length == 0)'

note "a disk that has gone"
mv a gone
wait_for agent 30 '.disks[0].state == "unreachable" and (.disks[0].error | length > 0) and (.problems | length > 0)'
valid unreachable
says unreachable 'a'
bound unreachable problem 'a cannot be reached'
mv gone a
wait_for agent 30 '.disks[0].state != "unreachable" and .disks[0].error == null'
wait_protected agent
bookmark agent back
point_equals agent back a

note "--watch repeats"
timeout 5 "$bin/mobilityctl" --config agent/mobility.conf status --watch --json >watch.out || [ $? -eq 124 ]
[ "$(jq -s length watch.out)" -ge 2 ] || fail "--watch showed $(jq -s length watch.out) times in 5 s"

note "exit codes: 0 done, 1 failed, 2 usage, 3 mobilityd does not run"
code() { # EXPECTED COMMAND…
	local expected=$1 got=0
	shift
	"$@" >code.out 2>&1 || got=$?
	[ "$got" -eq "$expected" ] || fail "$* ended with $got, not $expected: $(cat code.out)"
	[ "$expected" -eq 0 ] || [ -s code.out ] || fail "$* said nothing"
}
code 2 ctl agent
code 2 ctl agent nonsense
code 2 ctl agent status --nonsense
code 2 ctl agent protect
code 2 ctl agent enroll 127.0.0.2
code 1 ctl agent resync no-such-disk
code 1 ctl agent unprotect no-such-disk
code 2 appliance
code 2 appliance nonsense
code 2 appliance export
code 1 appliance export no-such-machine latest --format raw "$tmp"
code 1 appliance export "$(machine agent)" 99999 --format raw "$tmp"
code 2 appliance export "$(machine agent)" latest --format vmdk9 "$tmp"
code 1 appliance points no-such-machine
code 0 appliance machines
code 0 appliance disks
code 0 appliance points
code 2 "$bin/mobilityd" --nonsense

note "output that cannot be written is a failure, and is told"
lost() { # COMMAND…
	local got=0
	"$@" >/dev/full 2>lost.out || got=$?
	[ "$got" -eq 1 ] || fail "$* into /dev/full ended with $got"
	grep -q 'standard output cannot be written' lost.out || fail "$* into /dev/full said: $(cat lost.out)"
}
mkdir lost
for command in points machines disks token verify "export $(machine agent) latest --format raw lost"; do
	# shellcheck disable=SC2086 # these are words
	lost appliance $command
done
for command in status 'status --json' explain 'bookmark lost' 'verify a'; do
	# shellcheck disable=SC2086
	lost ctl agent $command
done
stop agent
code 3 ctl agent status
grep -q mobilityd code.out || fail "no hint that mobilityd does not run: $(cat code.out)"
finish
