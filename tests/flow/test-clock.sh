#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The appliance's clock jumps a day forward and a day back while it serves: no connection, token, lease or recovery point is lost that should
# not be, points go on being spaced by the policy, and every point is right.
# timeout: 180
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/functions.sh"

lib=$(find /usr/lib -name libfaketimeMT.so.1 2>/dev/null | head -n 1)
[ -n "$lib" ] || fail "libfaketime is not installed; scripts/deps.sh check installs it"
if grep -q -e __asan_init -e __tsan_init "$bin/mobility-appliance"; then
	finished=yes
	echo "libfaketime and the sanitizers' runtimes do not go together"
	exit 77
fi
cd "$tmp"
# Only what is asked for the time of day jumps; time-outs go by the monotonic clock, as they do when a real clock is set.
jump() {
	echo "$1" >clock.new
	mv clock.new clock
}
as_told() { LD_PRELOAD=$lib FAKETIME_TIMESTAMP_FILE=$tmp/clock FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 DONT_FAKE_MONOTONIC=1 "$@"; }
appliance() { as_told "$bin/mobility-appliance" --dir "$appliance_dir" "$@"; }
start_appliance() {
	touch appliance.log
	start appliance appliance.log env LD_PRELOAD="$lib" FAKETIME_TIMESTAMP_FILE="$tmp/clock" FAKETIME_NO_CACHE=1 \
		FAKETIME_DONT_FAKE_MONOTONIC=1 DONT_FAKE_MONOTONIC=1 "$bin/mobility-appliance" --dir "$appliance_dir" serve
	until_true 20 "the appliance" grep -q 'control on .*data on ' appliance.log
}
points() { appliance points --json | jq -c '[(.points? // .)[].name]'; }
has() { for name; do jq -e --arg n "$name" 'index($n)' <<<"$(points)" >/dev/null || fail "the point $name is gone: $(points)"; done; }

jump +0
appliance_init
appliance_set policy retention 12h
appliance_set policy policy_interval 200ms
python3 "$flow/image.py" make a 8M random 1
set_up agent 127.0.0.2 a
wait_protected agent
appliance token --json >token.json
mkdir before
bookmark agent before
cp a before/

step() { # NAME OFFSET
	note "$1: the clock is at ${2} from the true one"
	jump "$2"
	python3 "$flow/image.py" edit a "$((seed + ${#1}))" 5
	bookmark agent "$1"
	mkdir "$1"
	cp a "$1/"
	point_equals agent "$1" "$1/a"
	sleep 1 # several rounds of the policy
	has before "$1"
	alive appliance || fail "the appliance ended"
	status agent '.appliance.connected' >/dev/null || fail "the agent is not connected"
}
step a-day-on +86400
step back-again +0
step a-day-before -86400
step right-again +0
has before a-day-on back-again a-day-before right-again
for name in before a-day-on back-again a-day-before right-again; do
	point_equals agent "$name" "$name/a"
done

note "a token that has not expired by the true clock still enrols"
python3 "$flow/enroll.py" "$tmp/late" 127.0.0.2 "$control" "$data" late <token.json >/dev/null || fail "the token was lost"

note "a lease of a command that died before the machine was restarted, as its time tells, goes"
id=$(machine agent)
now=$(date +%s%N)
sqlite3 "$appliance_dir/catalog.db" ".timeout 5000" "insert into lease (machine, until) values ('$id', $((now)))"
gone() { [ "$(sqlite3 "$appliance_dir/catalog.db" ".timeout 5000" 'select count(*) from lease')" = 0 ]; }
until_true 10 "the lease to go" gone
finish
