# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# What every flow test sources: a temporary folder, daemons, waiting with a deadline, comparing whole images, and an end that
# kills what was started. A test ends with `finish`; it fails when it ends in any other way.
#
#	$tmp			the test's folder
#	$control $data		ports of the appliance on 127.0.0.2 (and of the proxy or tap on 127.0.0.1)
#	an AGENT		a name; its files are in $tmp/AGENT/
set -Eeuo pipefail

# Debian's programs (scripts/deps.sh) before others of the same names.
PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
flow=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$flow/../.." && pwd)
# shellcheck source=tests/nap.sh
. "$flow/../nap.sh"
bin=${MOBILITY_BIN:-$top/build/bin}
test_name=$(basename "$0" .sh)
seed=${FLOW_SEED:-$((RANDOM * 32768 + RANDOM))}
tmp=$(mktemp -d "${TMPDIR:-/tmp}/$test_name.XXXXXX")
export TMPDIR=$tmp PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$flow
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy || true
control=0
data=0
finished=no
declare -A pid_of=()
mounts=()

note() { echo "-- $*"; }

fail() {
	echo "FAILED: $*" >&2
	exit 1
}

# --- the end -------------------------------------------------------------------------------------

sanitizer_reports='(Address|Leak|Thread|UndefinedBehavior)Sanitizer|runtime error:'

keep_evidence() {
	local kept=${FLOW_OUT:-$top/build/flow}/$test_name
	rm -rf "$kept"
	mkdir -p "$kept"
	(cd "$tmp" && find . \( -name '*.log' -o -name '*.json' -o -name '*.conf' -o -name '*.out' \) \
		-size -20M -exec cp --parents -t "$kept" {} +) || true
	echo "seed $seed; evidence in ${kept#"$top"/}"
	for log in "$tmp"/*.log "$tmp"/*/*.log; do
		[ -s "$log" ] || continue
		echo "   --- the end of ${log#"$tmp"/}"
		tail -n 12 "$log" | sed 's/^/   /'
	done
}

at_exit() {
	local status=$? p m
	trap - EXIT ERR
	set +e
	if [ "$status" -eq 0 ] && [ "$finished" = no ]; then
		echo "FAILED: the test ended without reaching its end"
		status=1
	fi
	for p in "${pid_of[@]}"; do
		kill -9 "$p" 2>/dev/null
		wait "$p" 2>/dev/null
	done
	[ "$status" -eq 0 ] || keep_evidence
	for m in "${mounts[@]}"; do
		umount "$m" || umount -l "$m"
	done
	if [ -n "${FLOW_KEEP:-}" ]; then
		echo "kept: $tmp"
	else
		rm -rf "$tmp"
	fi
	exit "$status"
}
trap at_exit EXIT
trap 'echo "FAILED: interrupted" >&2; exit 143' TERM INT
trap 'echo "FAILED: ${BASH_SOURCE[0]##*/}:$LINENO: $BASH_COMMAND" >&2' ERR

# The end of every test: the store is clean, everything stops in an orderly way, no sanitizer said anything.
finish() {
	local name
	appliance verify >"$tmp/verify.out" 2>&1 || fail "verify: $(cat "$tmp/verify.out")"
	for name in "${!pid_of[@]}"; do
		[[ $name != agent* ]] || stop "$name"
	done
	stop appliance
	! grep -rEl --include='*.log' "$sanitizer_reports" "$tmp" || fail "a sanitizer reported something"
	finished=yes
	echo "$test_name: all as it should be"
}

# --- processes -----------------------------------------------------------------------------------

# start NAME LOG COMMAND…
start() {
	local name=$1 log=$2
	shift 2
	"$@" >>"$log" 2>&1 &
	pid_of[$name]=$!
}

alive() { kill -0 "${pid_of[$1]}" 2>/dev/null; }

# SIGTERM must be an orderly end: exit status 0 within 20 s (a sanitizer build is slow).
stop() {
	local name=$1 pid=${pid_of[$1]:-} status=0 i
	[ -n "$pid" ] || return 0
	kill -TERM "$pid" 2>/dev/null || fail "$name had already ended"
	for ((i = 0; i < 200; i++)); do
		kill -0 "$pid" 2>/dev/null || break
		nap 0.1
	done
	! kill -0 "$pid" 2>/dev/null || fail "$name is still there 20 s after SIGTERM"
	wait "$pid" || status=$?
	unset "pid_of[$name]"
	[ "$status" -eq 0 ] || fail "$name ended with $status after SIGTERM"
}

kill9() {
	local pid=${pid_of[$1]:-}
	[ -n "$pid" ] || return 0
	kill -9 "$pid" 2>/dev/null || true
	wait "$pid" 2>/dev/null || true
	unset "pid_of[$1]"
}

# until_true SECONDS WHAT COMMAND… : waits until the command succeeds
until_true() {
	local deadline=$((SECONDS + $1)) what=$2
	shift 2
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$deadline" ] || fail "waited in vain for: $what"
		nap 0.1
	done
}

# Sets the variable to a port that nobody listens on, and that no other test is given. Below the ephemeral range.
new_port() {
	local counter=/tmp/mobility-flow-port
	local port
	port=$(flock "$counter.lock" python3 - "$counter" <<-'PYTHON'
		import random, socket, sys
		try:
		    last = int(open(sys.argv[1]).read())
		except (OSError, ValueError):
		    last = random.randrange(20000, 30000)
		while True:
		    last = last + 1 if 20000 <= last < 30000 else 20000
		    try:
		        for host in ("127.0.0.1", "127.0.0.2"):
		            with socket.socket() as s:
		                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
		                s.bind((host, last))
		        break
		    except OSError:
		        pass
		open(sys.argv[1], "w").write(str(last))
		print(last)
	PYTHON
	)
	printf -v "$1" %s "$port"
}

# --- the appliance -------------------------------------------------------------------------------

appliance_dir=$tmp/appliance

appliance() { "$bin/mobility-appliance" --dir "$appliance_dir" "$@"; }

appliance_init() {
	new_port control
	new_port data
	appliance init --name 127.0.0.2,127.0.0.1,localhost \
		--control "127.0.0.2:$control" --data "127.0.0.2:$data" >"$tmp/init.out" 2>&1 ||
		fail "init: $(cat "$tmp/init.out")"
}

# appliance_set SECTION KEY VALUE, before it starts
appliance_set() {
	local file=$appliance_dir/appliance.conf
	sed -i "/^$2 *=/d" "$file"
	grep -q "^\[$1\]" "$file" || printf '\n[%s]\n' "$1" >>"$file"
	sed -i "/^\[$1\]/a $2 = $3" "$file"
}

# until_serving [BYTES] : until the appliance says so, behind the first BYTES of its log
until_serving() {
	local follower ready=""
	exec {follower}< <(exec tail -c "+$((${1:-0} + 1))" -s 0.1 -f --pid "${pid_of[appliance]}" "$tmp/appliance.log")
	if timeout 20 grep -qm 1 'control on .*data on ' <&"$follower"; then ready=1; fi
	kill $! 2>/dev/null || true
	exec {follower}<&-
	alive appliance || fail "the appliance ended: $(tail -n 3 "$tmp/appliance.log")"
	[ -n "$ready" ] || fail "the appliance is not ready after 20 s"
}

start_appliance() {
	local before
	touch "$tmp/appliance.log"
	before=$(stat -c %s "$tmp/appliance.log")
	start appliance "$tmp/appliance.log" "$bin/mobility-appliance" --dir "$appliance_dir" serve
	until_serving "$before"
}

# --- proxy and tap -------------------------------------------------------------------------------

# start_proxy ADDRESS : listens there
start_proxy() {
	local from=$1 built=$top/build/flow/bin
	mkdir -p "$built"
	if [ ! "$built/proxy" -nt "$flow/proxy.c" ]; then
		"${CC:-gcc}" -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Werror \
			-o "$built/proxy.$$" "$flow/proxy.c"
		mv "$built/proxy.$$" "$built/proxy"
	fi
	mkfifo "$tmp/proxy.fifo"
	start proxy "$tmp/proxy.log" "$built/proxy" --control "$tmp/proxy.fifo" \
		--stats "$tmp/proxy.json" --seed "$seed" \
		"$from" "$control" 127.0.0.2 "$control" "$from" "$data" 127.0.0.2 "$data"
	until_true 5 "the proxy" grep -q ready "$tmp/proxy.log"
}

proxy() {
	alive proxy || fail "the proxy ended: $(cat "$tmp/proxy.log")"
	printf '%s\n' "$*" >"$tmp/proxy.fifo"
}

# proxy_stat NAME
proxy_stat() {
	rm -f "$tmp/proxy.json"
	proxy stats
	until_true 5 "the proxy's counts" test -e "$tmp/proxy.json"
	jq ".$1" "$tmp/proxy.json"
}

# start_tap CAPTURE_DIR [PROGRAM] : tap.py, or another that stands inside TLS like it
start_tap() {
	start tap "$tmp/tap.log" python3 "$flow/${2:-tap.py}" --appliance "$appliance_dir" --capture "$1" \
		--control "127.0.0.1:$control" "127.0.0.2:$control" \
		--data "127.0.0.1:$data" "127.0.0.2:$data"
	until_true 20 "${2:-the tap}" grep -q ready "$tmp/tap.log"
}

# --- agents --------------------------------------------------------------------------------------

# agent_config AGENT [SECTION.KEY=VALUE…]
agent_config() {
	local agent=$1 setting
	local -A sections=([agent]="" [replication]="" [network]="")
	shift
	mkdir -p "$tmp/$agent"
	for setting in "agent.state_dir=$tmp/$agent/state" "agent.socket=$tmp/$agent/sock" \
		agent.log_level=debug replication.source=scan replication.scan_interval=1s replication.resync_window=always \
		network.connect_timeout=3s network.stall_timeout=5s "$@"; do
		# a later setting replaces an earlier one of the same key
		local section=${setting%%.*} rest=${setting#*.}
		sections[$section]=$(sed "/^${rest%%=*}=/d" <<<"${sections[$section]}")$'\n'$rest
	done
	for section in agent replication network; do
		printf '[%s]\n' "$section"
		sed '/^$/d' <<<"${sections[$section]}"
	done >"$tmp/$agent/mobility.conf"
}

ctl() {
	local agent=$1
	shift
	"$bin/mobilityctl" --config "$tmp/$agent/mobility.conf" "$@"
}

# status ends with 1 when it tells of a problem, a warning too; that is an answer all the same
status_json() {
	local answer
	answer=$(ctl "$1" status --json 2>"$tmp/$1/status.out") || [ $? -eq 1 ] || return 2
	[ -n "$answer" ] || {
		cat "$tmp/$1/status.out" >&2
		return 1
	}
	printf '%s\n' "$answer"
}

agent_ready() {
	alive "$1" || fail "$1 ended: $(tail -n 3 "$tmp/$1/agent.log")"
	[ -S "$tmp/$1/sock" ] && status_json "$1"
}

# $tmp/NAME.so, for LD_PRELOAD, from NAME.c beside this file.
build_preload() {	# NAME
	"${CC:-gcc}" -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -O2 -shared -fPIC -Wall -Wextra -Werror -o "$tmp/$1.so" "$flow/$1.c" -ldl
}

start_agent() {
	[ -e "$tmp/$1/mobility.conf" ] || agent_config "$1"
	start "$1" "$tmp/$1/agent.log" "$bin/mobilityd" --config "$tmp/$1/mobility.conf"
	until_true 20 "$1 to answer" agent_ready "$1"
}

# enroll AGENT [ADDRESS] : through the proxy or tap with 127.0.0.1
enroll() {
	local agent=$1 address=${2:-127.0.0.2} token
	token=$(appliance token --json)
	jq -r .token <<<"$token" | ctl "$agent" enroll "$address:$control" \
		--fingerprint "$(jq -r .fingerprint <<<"$token")" --token-file - \
		>>"$tmp/$agent/enroll.out" 2>&1 || fail "enroll: $(cat "$tmp/$agent/enroll.out")"
}

# status AGENT JQ-EXPRESSION
status() { status_json "$1" | jq -re "$2"; }

# wait_for AGENT SECONDS JQ-EXPRESSION : until it is true
wait_for() {
	local agent=$1 deadline=$((SECONDS + $2)) last
	until last=$(status_json "$agent" 2>&1) && jq -e "$3" <<<"$last" >/dev/null 2>&1; do
		if [ "$SECONDS" -ge "$deadline" ]; then
			printf '%s\n' "$last" >"$tmp/$agent/last-status.json"
			fail "$agent: not within $2 s: $3; status: $(jq -c . <<<"$last" 2>/dev/null || echo "$last")"
		fi
		nap 0.2
	done
}

wait_protected() { wait_for "$1" "${2:-60}" '(.disks | length > 0) and all(.disks[]; .state == "protected")'; }

machine() { status "$1" .machine.id; }

# bookmark AGENT NAME [SECONDS] : takes a point, which must become one
bookmark() {
	ctl "$1" bookmark "$2" --timeout "${3:-60}s" >>"$tmp/$1/bookmark.out" 2>&1 ||
		fail "bookmark $2: $(tail -n 3 "$tmp/$1/bookmark.out")"
}

# The usual beginning: an appliance (initialised here unless the test did it), one enrolled agent, the files protected. set_up AGENT ADDRESS FILE…
set_up() {
	local agent=$1 address=$2
	shift 2
	[ -e "$appliance_dir/appliance.conf" ] || appliance_init
	start_appliance
	start_enrolled "$agent" "$address"
	protect "$agent" "$@"
}

# The same with a program that stands inside TLS between the two (start_tap), and nothing protected: set_up_inside AGENT CAPTURE_DIR PROGRAM
set_up_inside() {
	appliance_init
	start_appliance
	start_tap "$2" "$3"
	start_enrolled "$1" 127.0.0.1
}

# start_enrolled AGENT ADDRESS
start_enrolled() {
	start_agent "$1"
	enroll "$1" "$2"
}

# protect AGENT FILE…
protect() {
	local agent=$1
	shift
	ctl "$agent" protect "$@" >>"$tmp/$agent/protect.out" 2>&1 ||
		fail "protect: $(cat "$tmp/$agent/protect.out")"
}

# --- a writer whose every state is known ----------------------------------------------------------

# start_writer FILE : random edits in bursts until `stop writer`; $tmp/history has the digest of every state that the file ever had
start_writer() {
	start writer "$tmp/writer.log" python3 "$flow/image.py" run "$1" "$seed" "$tmp/history"
	until_true 20 "the writer" test -s "$tmp/history"
}

# was_a_state POINT IMAGE
was_a_state() {
	grep -qx "$(digest_of "$2")" "$tmp/history" || fail "point $1 was never a state of the disk"
}

# --- comparing -----------------------------------------------------------------------------------

digest_of() { sha256sum <"$1" | cut -d' ' -f1; }

# export_point MACHINE POINT OUTDIR
export_point() {
	rm -rf "$3"
	mkdir "$3"
	appliance export "$1" "$2" --format raw "$3" >"$3.out" 2>&1 || fail "export $2: $(cat "$3.out")"
}

# point_equals AGENT POINT FILE… : each file, under its own name, is what the point has
point_equals() {
	local id point=$2 file
	id=$(machine "$1")
	shift 2
	export_point "$id" "$point" "$tmp/exported"
	for file; do
		[ "$(digest_of "$file")" = "$(digest_of "$tmp/exported/$(basename "$file").raw")" ] ||
			fail "point $point is not $(basename "$file"): $(cmp "$file" "$tmp/exported/$(basename "$file").raw" 2>&1 | head -n 1)"
	done
	rm -rf "$tmp/exported"
}
