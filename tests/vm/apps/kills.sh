# shellcheck shell=bash disable=SC2154
# SPDX-License-Identifier: Apache-2.0
# Somebody is killed, stopped, or chosen by the kernel when memory runs out, at a random moment of an application-consistent
# point of the guest "protected". Sourced after apps.sh.
#
#   kill_rounds N       until N were hit; seeded by SEED
#   kills_judge         after apps_quiet: no client of a database waited longer than the window and a second

kill_victims=(mobilityd vss-shim vss-watchdog 20-postgresql 21-mariadb 22-redis psql mariadb redis-cli)
kill_ways=(KILL STOP OOM)
window_s=10		# as configured
slack_s=3		# a guest in emulation may be that late with anything

strike() { guest_sh protected "/apps/strike.sh $*"; }

kill_round() {		# N
	local victim=${kill_victims[RANDOM % ${#kill_victims[@]}]} way=${kill_ways[RANDOM % ${#kill_ways[@]}]} pid

	strike begin "kill-$1"
	pid=$(strike hit "$victim" "$way" | head -n 1) || true
	[ "$way" != STOP ] || sleep $((window_s + 1))
	guest_sh protected "/usr/bin/pgrep -x mobilityd >/dev/null" || agent_start protected
	strike clean "${pid:-0}" >"$vm_build/clean" || fail "round $1, $victim $way: $(cat "$vm_build/clean")"
	agent_wait protected 60 "agreement with the appliance" .appliance.connected
	echo "round $1: $victim ${pid:-was not there} $way: $(strike result)"
	[ -z "$pid" ] || hits=$((hits + 1))
}

# A client of a database may be gone before it is hit: such a round is one too many.
kill_rounds() {
	local n hits=0

	RANDOM=${SEED:-$((SECONDS + $$))}
	for ((n = 1; hits < $1; n++)); do
		[ "$n" -le $(($1 * 2 + 10)) ] || fail "in $n rounds $hits were hit"
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
