#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A short retention: old points fold into the base and go, the ones that stay are right, exports run beside the folding, and kill -9 at any moment of it
# harms nothing. The journals do not grow for ever.
# timeout: 230
# shellcheck source=tests/flow/functions.sh
source "$(dirname "$0")/functions.sh"

cd "$tmp"
python3 "$flow/image.py" make a 8M mixed 1
appliance_init
appliance_set policy retention 8s
appliance_set policy point_interval 2s
appliance_set policy all_points_for 4s
appliance_set policy policy_interval 200ms
set_up agent 127.0.0.2 a
wait_protected agent
id=$(machine agent)
start_writer a
until_true 20 "the writer to begin" test -s history
points() { appliance points "$id" --json | jq -r '(.points? // .)[].id'; }

# check_points : each point that is listed and still there when it is exported was a state of the disk
checked=0
check_points() {
	local point
	for point in $(points); do
		rm -rf exported
		mkdir exported
		if appliance export "$id" "$point" --format raw exported >export.out 2>&1; then
			was_a_state "$point" exported/a.raw
			checked=$((checked + 1))
		elif points | grep -qx "$point"; then
			fail "point $point is listed and cannot be exported: $(cat export.out)"
		fi
	done
}

end=$((SECONDS + 40))
round=0
# on a slow machine until there is something to be said
while [ "$SECONDS" -lt "$end" ] || { [ "$checked" -lt 10 ] && [ "$SECONDS" -lt $((end + 80)) ]; }; do
	round=$((round + 1))
	ctl agent bookmark --timeout 5s >>bookmark.out 2>&1 || true
	if [ $((round % 2)) -eq 0 ]; then
		kill9 appliance
		start_appliance
		sleep "0.$((RANDOM % 9))"
		kill9 appliance
		start_appliance
	fi
	check_points
done
stop writer
bookmark agent final
point_equals agent final a
note "$round rounds, $checked exports, $(points | wc -l) points at the end"
[ "$checked" -ge 10 ] || fail "only $checked exports succeeded"

note "what is too old has gone from the list, and its space with it"
sleep 9
for n in 1 2 3; do
	python3 "$flow/image.py" edit a $((seed + n)) 3
	bookmark agent "late-$n"
done
oldest=$(appliance points "$id" --json | jq '(.points? // .) | map(.time) | min')
[ $(($(date +%s%N) - oldest)) -lt 40000000000 ] || fail "a point of $((($(date +%s%N) - oldest) / 1000000000)) s is still listed with a retention of 8 s"
few_journals() { [ "$(find "$appliance_dir" -name '*.mj' | wc -l)" -lt 40 ]; }
until_true 20 "journals to be folded" few_journals
[ -n "$(find "$appliance_dir" -name base.img -size +0)" ] || fail "there is no base"
point_equals agent late-3 a
finish
