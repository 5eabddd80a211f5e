#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest, one call each; see kills.sh.
#   strike.sh begin NAME        a point of that name is asked for, in the background
#   strike.sh hit VICTIM WAY    prints the process that was hit; 1 if it was not there
#   strike.sh clean PID         the victim goes on if it was stopped, the point ends; 1 if anything of a set is left, which is told
#   strike.sh result            prints what mobilityctl said of the point
set -euo pipefail
# shellcheck source=tests/vm/guest/base.sh
. /guest/base.sh
# shellcheck source=tests/vm/apps/databases.sh
. /apps/databases.sh

# The process of that name that belongs to a set: the load's own clients are no victims.
find_victim() {		# NAME
	local pid

	case $1 in
	[0-9]*) pgrep -o -f "writers.d/$1 session" ;;
	psql | mariadb | redis-cli)
		for pid in $(pgrep -x "$1"); do
			! grep -qz '^MOBILITY_SET=.' "/proc/$pid/environ" 2>/dev/null || { echo "$pid"; return; }
		done
		return 1
		;;
	*) pgrep -o -x "$1" ;;
	esac
}

# A client of a database lives for a moment only; how long the victim is spared is random.
hit() {			# VICTIM WAY
	local pid

	for _ in {1..100}; do
		pid=$(find_victim "$1") && break || pid=
		nap 0.1
	done
	[ -n "$pid" ] || exit 1
	sleep "$((RANDOM % 2)).$((RANDOM % 10))"
	pid=$(find_victim "$1") || exit 1
	if [ "$2" = OOM ]; then
		echo 1000 >"/proc/$pid/oom_score_adj"
		echo f >/proc/sysrq-trigger
	else
		kill "-$2" "$pid"
	fi
	echo "$pid"
}

left_over() {
	pgrep -af 'writers.d/[0-9].* session' ||
		my "SELECT id, time, info FROM information_schema.processlist WHERE command = 'Sleep' AND time > 3" | grep . ||
		pg -c "SELECT pid, state FROM pg_stat_activity WHERE application_name = 'mobility'" | grep .
}

# Everything may take a little to end, the point first.
clean() {		# PID
	local left

	[ "$1" = 0 ] || kill -CONT "$1" 2>/dev/null || true
	wait_until 300 "the point never ends" test -e /run/point.out
	for _ in {1..50}; do
		systemctl -q is-active vss-shim && ! left=$(left_over) && exit 0
		nap 0.3
	done
	die "left over: ${left:-vss-shim is not there}"
}

case $1 in
begin)
	rm -f /run/point.out
	(status=0; mobilityctl --config /root/m.conf bookmark --app --name "$2" --timeout 2m >/run/point.part 2>&1 || status=$?
		echo "status $status" >>/run/point.part; mv /run/point.part /run/point.out) >/dev/null 2>&1 &
	;;
hit) hit "$2" "$3" ;;
result)
	tr '\n' ' ' </run/point.out
	;;
clean) clean "$2" ;;
esac
