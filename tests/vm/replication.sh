# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# An appliance on the host and the agent in guests: what the demo and test-agent.sh share. Sourced after
# functions.sh, by a script that defines `fail SENTENCE`. The agent's configuration in a guest is /root/m.conf.
#
#   appliance_init             a new appliance in $store, with a token in $vm_build/token
#   appliance_start, _kill     serve on the ports of $store; kill -9
#   appliance COMMAND…         mobility-appliance on $store
#   agent_options              sets the array agent_options: what guest_start needs for the agent
#   agent_start GUEST          mobilityd, and waits until it listens; agent_kill GUEST: kill -9
#   agent_enroll GUEST         with the token of appliance_init
#   agent_ctl GUEST COMMAND…   mobilityctl in the guest
#   agent_bookmark GUEST NAME  a recovery point, waited for as long as the kernel may need
#   agent_status GUEST EXPR    a jq expression of `status --json`
#   agent_wait GUEST S WHAT EXPR   until the expression is true, S seconds at most; tells progress

# shellcheck disable=SC2154
bin=${MOBILITY_BIN:-$top/build/bin}
# shellcheck disable=SC2154
store=$vm_build/appliance
appliance_pid=
# shellcheck disable=SC2034
at_end+=(appliance_kill)	# of test-lib.sh

appliance() {
	"$bin/mobility-appliance" --dir "$store" "$@"
}

appliance_init() {
	rm -rf "$store"
	read -r control_port data_port < <(python3 -c '
import socket
s = [socket.socket() for _ in range(2)]
for x in s:
    x.bind(("127.0.0.1", 0))
print(*(x.getsockname()[1] for x in s))')
	# A guest reaches the host's 127.0.0.1 as 10.0.2.2.
	appliance init --name 10.0.2.2,127.0.0.1 --control "127.0.0.1:$control_port" \
		--data "127.0.0.1:$data_port" >/dev/null
	appliance token --json >"$vm_build/token.json"
	(umask 077 && jq -r .token "$vm_build/token.json" >"$vm_build/token")
	printf '[agent]\nsocket=/run/mobilityd.sock\n[replication]\nresync_window=always\n' >"$vm_build/m.conf"
	: >"$vm_build/appliance.log"
}

appliance_start() {
	local tries=0 ready

	ready=$(grep -c 'control on' "$vm_build/appliance.log" || true)
	"$bin/mobility-appliance" --dir "$store" serve >>"$vm_build/appliance.log" 2>&1 &
	appliance_pid=$!
	until [ "$(grep -c 'control on' "$vm_build/appliance.log")" -gt "$ready" ]; do
		tries=$((tries + 1))
		[ $tries -lt 200 ] || fail "the appliance did not start: $(tail -n 3 "$vm_build/appliance.log")"
		nap 0.1
	done
}

appliance_kill() {
	[ -n "$appliance_pid" ] || return 0
	kill -9 "$appliance_pid" 2>/dev/null || true
	wait "$appliance_pid" 2>/dev/null || true
	appliance_pid=
}

agent_options() {
	# shellcheck disable=SC2034
	agent_options=(--file "$vm_build/m.conf:/root/m.conf" --file "$vm_build/token:/root/token"
		--bin "$bin/mobilityd" --bin "$bin/mobilityctl")
}

agent_start() {
	guest_sh "$1" "rm -f /run/mobilityd.sock; setsid mobilityd --config /root/m.conf >>/run/mobilityd.log 2>&1 & echo \$! >/run/mobilityd.pid"
	guest_sh "$1" "for i in \$(seq 150); do [ -S /run/mobilityd.sock ] && exit; sleep 0.2; done; exit 1" ||
		fail "mobilityd did not start: $(guest_sh "$1" "cat /run/mobilityd.log")"
}

agent_kill() {
	guest_sh "$1" "kill -9 \$(cat /run/mobilityd.pid)"
}

agent_ctl() {
	local guest=$1

	shift
	guest_sh "$guest" "mobilityctl --config /root/m.conf $*"
}

agent_bookmark() {
	agent_ctl "$1" bookmark "$2" --timeout "$((2 * $(vm_patience)))m"
}

agent_enroll() {
	agent_ctl "$1" enroll "10.0.2.2:$control_port" --fingerprint \
		"$(jq -r .fingerprint "$vm_build/token.json")" --token-file /root/token ||
		fail "enrolment: $(guest_sh "$1" "cat /run/mobilityd.log")"
}

agent_status() {
	agent_ctl "$1" status --json | jq -r "$2"
}

agent_wait() {
	local limit=$(($2 * $(vm_patience))) last=$SECONDS
	local end=$((SECONDS + limit))

	# status fails when there are problems, which may be what is waited for
	until [ "$(agent_status "$1" "$4" 2>/dev/null || true)" = true ]; do
		[ $SECONDS -lt $end ] ||
			fail "$3 did not happen in $limit s: $(agent_ctl "$1" status || true) $(guest_sh "$1" "tail -n 5 /run/mobilityd.log")"
		if [ $((SECONDS - last)) -ge 5 ]; then
			last=$SECONDS
			agent_status "$1" '.disks[] | "        \(.name): \(.state), \(.replicated / 1048576 | floor) of \(.size / 1048576 | floor) MiB"' || true
		fi
		nap 1
	done
}

# shellcheck disable=SC2034
all_protected='(.disks | length == 2) and (.disks | all(.state == "protected"))'
