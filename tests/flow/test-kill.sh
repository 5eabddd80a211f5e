#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# kill -9 of agent and of appliance, alternately, at 200 random moments, from the initial replication on and under continuing edits.
# In the end source and latest point are equal, and every point that the appliance lists was a state of the disk.
# timeout: 360
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/functions.sh"

kills=200
RANDOM=$((seed % 32768))
cd "$tmp"
python3 "$flow/image.py" make a 12M mixed "$seed"
agent_config agent replication.scan_interval=1s network.stall_timeout=3s
set_up agent 127.0.0.2 a
start_writer a

for kill in $(seq $kills); do
	sleep "0.$(printf %03d $((RANDOM % 200)))"
	if [ $((kill % 2)) -eq 0 ]; then
		alive agent || fail "the agent ended by itself before kill $kill"
		kill9 agent
		start_agent agent
	else
		alive appliance || fail "the appliance ended by itself before kill $kill"
		kill9 appliance
		[ $((RANDOM % 8)) -ne 0 ] || sleep 0.3 # the agent sees it gone
		start_appliance
	fi
	# now and then enough rest to get somewhere
	[ $((kill % 25)) -ne 0 ] || sleep 2
done
wait_protected agent 60
sleep 3
stop writer
bookmark agent final
point_equals agent final a

id=$(machine agent)
mapfile -t points < <(appliance points "$id" --json | jq -r '(.points? // .)[].id')
for point in "${points[@]}"; do
	export_point "$id" "$point" exported
	was_a_state "$point" exported/a.raw
done
note "$kills kills, ${#points[@]} points, $(wc -l <history) states of the disk: all points are right"
[ "${#points[@]}" -ge 2 ] || fail "hardly a point in all this time"
finish
