# shellcheck shell=bash disable=SC2016,SC2154
# SPDX-License-Identifier: Apache-2.0
# Somebody is killed, stopped, or chosen by the kernel when memory runs out, at a random moment of an application-consistent
# point of the guest "protected". Sourced after apps.sh.
#
#   kill_rounds N       rounds; seeded by SEED
#   kills_judge         after apps_quiet: no client of a database waited longer than the window and a second

kill_victims=(mobilityd vss-shim vss-watchdog 20-postgresql 21-mariadb 22-redis psql mariadb redis-cli)
kill_ways=(KILL STOP OOM)
window_s=10		# as configured
slack_s=3		# a guest in emulation may be that late with anything

# In the guest: the process of that name that belongs to a set. The load's own clients are no victims.
kill_find='find_victim() { case $1 in [0-9]*) p=$(pgrep -o -f "writers.d/$1 session") ;; psql|mariadb|redis-cli)
	for p in $(pgrep -x "$1"); do grep -qz "^MOBILITY_SET=." /proc/$p/environ && break; p=; done ;; *) p=$(pgrep -o -x "$1") ;; esac; echo "$p"; };'

kill_strike() {		# VICTIM WAY
	local how

	case $2 in
	OOM) how='echo 1000 >/proc/$p/oom_score_adj; echo f >/proc/sysrq-trigger' ;;
	*) how="kill -$2 \$p" ;;
	esac
	guest_sh protected "$(tr '\n' ' ' <<<"$kill_find") p=\$(find_victim $1); [ -n \"\$p\" ] || exit 1; $how; echo \$p"
}

# Everybody is there again, no session of a writer is left.
kill_clean_up() {	# PID
	guest_sh protected "kill -CONT $1 2>/dev/null; true"
	guest_sh protected 'for i in $(seq 100); do pgrep -f "writers.d/[0-9].* session" >/dev/null || exit 0; sleep 0.2; done; exit 1' ||
		fail "a writer is left over: $(guest_sh protected 'pgrep -af "writers.d/"')"
	guest_sh protected 'pgrep -x mobilityd >/dev/null' || agent_start protected
	guest_sh protected 'for i in $(seq 100); do systemctl -q is-active vss-shim && exit 0; sleep 0.2; done; exit 1' ||
		fail "vss-shim is not there again: $(guest_sh protected "journalctl -u vss-shim -n 10 --no-pager")"
	[ "$(guest_sh protected "mariadb -uroot -BN -e \"SELECT COUNT(*) FROM information_schema.processlist WHERE time > 3 AND command = 'Sleep'\"")" = 0 ] ||
		fail "a session of MariaDB is left over"
	[ "$(guest_sh protected ". /guest/base.sh; . /apps/databases.sh; pg -c \"SELECT count(*) FROM pg_stat_activity WHERE application_name = 'mobility'\"")" = 0 ] ||
		fail "a session of PostgreSQL is left over"
	agent_wait protected 60 "agreement with the appliance" .appliance.connected
}

kill_round() {		# N
	local victim=${kill_victims[RANDOM % ${#kill_victims[@]}]} way=${kill_ways[RANDOM % ${#kill_ways[@]}]} pid

	guest_sh protected "(mobilityctl --config /root/m.conf bookmark --app --name kill-$1 --timeout 2m >/run/kill.out 2>&1; echo status \$? >>/run/kill.out) >/dev/null 2>&1 &"
	sleep "$((RANDOM % 5)).$((RANDOM % 10))"
	if ! pid=$(kill_strike "$victim" "$way"); then
		echo "round $1: $victim was not there"
		pid=
	fi
	sleep $((window_s + 1))
	kill_clean_up "${pid:-0}"
	guest_sh protected 'for i in $(seq 300); do grep -q ^status /run/kill.out && exit 0; sleep 0.4; done; exit 1' || fail "round $1: the bookmark never ends"
	echo "round $1: $victim $way: $(guest_sh protected "tail -n 2 /run/kill.out" | tr '\n' ' ')"
}

kill_rounds() {
	local n

	RANDOM=${SEED:-$((SECONDS + $$))}
	for ((n = 1; n <= $1; n++)); do
		kill_round "$n"
	done
}

# The longest time between two acknowledgements of a client, from what it told. pgbench begins anew every few seconds,
# which is a gap of its own.
kills_judge() {
	longest=$(tr -d '\r' <"$vm_build/protected/output.log" | awk '
		$1 == "my" && NF == 4 { c = "my" $2; t = substr($4, 1, 13) }
		$1 == "red" && NF == 3 { c = "red"; t = substr($3, 1, 13) }
		$1 == "my" || $1 == "red" { if (c in last && t - last[c] > worst) worst = t - last[c]; last[c] = t }
		END { print worst + 0 }')
	echo "the longest time that a client waited: $longest ms"
	[ "$longest" -le $(((window_s + 1 + slack_s) * 1000)) ] || fail "a client waited for $longest ms"
}
