# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the shipped writers share: the two ways in which a writer is called, the clock, and conversations with a
# database's own client. Sourced by writers.d/NN-name (bash), which defines
#
#   on_identify          prints "key: value" lines; returns 77 if there is nothing to freeze on this machine
#   on_prepare, on_freeze, on_thaw, on_post   one phase each. They end with `say TEXT` (or nothing) and 0, or with
#                        `return` of `fail TEXT` or `skip TEXT`
#   on_release           gives up every lock and session, whatever the phase; may be called at any time, and twice
#   on_hold              while frozen, every 300 ms: renews what would end by itself
#   mark_statement       a format: the statement by which the client prints the text %s
#
# and ends with `writer_main "$@"`. See mobility-writers(7) for the protocol.
#
# Whatever holds a lock is a connection of a client that this file starts: it reads its statements from a pipe whose
# only writer is this process. It therefore ends, and the server takes its locks back, when this process ends,
# however that happens.

set -u
shopt -s nullglob
export LC_ALL=C HOME=/root
umask 077
trap '' PIPE		# a client that is gone is noticed by what it does not answer

declare -A client_pid=() client_to=() client_from=() client_asked=()
asked=0			# questions so far, for the mark that ends an answer
deadline=0		# of the phase at hand, in ms of the clock below
held_until=0		# ms of that clock: the end of the window, while something is held; else 0
lapsed=no		# was it let go at the end of the window?
phase=none
mark_statement=${mark_statement-}
reply=ok reply_text=

# --- the clock -----------------------------------------------------------------------------------

# Sets now: milliseconds of a clock that nobody sets.
clock() {
	local up

	IFS=' ' read -r up _ </proc/uptime
	now=$((10#${up/./} * 10))
}

# Sets left: milliseconds until this phase has to have answered, 0 at the least.
time_left() {
	clock
	left=$((deadline > now ? deadline - now : 0))
}

# Answering late is being killed without a reason: a tenth of the time, half a second at most, is for the answer.
phase_begins() {
	local all margin

	case $phase in
	prepare) all=${MOBILITY_PREPARE_MS:-60000} ;;
	freeze) all=${MOBILITY_DEADLINE_MS:-5000} ;;
	*) all=1000 ;;
	esac
	margin=$((all / 10 < 500 ? all / 10 : 500))
	clock
	deadline=$((now + all - margin))
	reply=ok
	reply_text=
}

# Sets seconds: MILLISECONDS as a decimal number of them.
in_seconds() {
	printf -v seconds '%d.%03d' $(($1 / 1000)) $(($1 % 1000))
}

# --- answers -------------------------------------------------------------------------------------

say() {		# TEXT: adds to what the phase tells
	reply_text+="${reply_text:+; }$1"
}

fail() {	# TEXT; of several failures each is told
	[ "$reply" = fail ] || reply_text=
	reply=fail
	say "$1"
	return 1
}

skip() {	# TEXT
	reply=skip
	reply_text=$1
	return 1
}

answer_phase() {
	local text=${reply_text//[[:space:]]/ }

	text=${text//[^[:print:]]/?}
	text=${text:0:480}
	printf '%s%s\n' "$reply" "${text:+ $text}" >&"$answers"
}

# --- clients -------------------------------------------------------------------------------------

# Opens a pipe: pipe_r and pipe_w, each end on its own, so that the reader sees an end when the writer is gone.
open_pipe() {
	local both

	exec {both}<> <(:)
	# shellcheck disable=SC2093
	exec {pipe_r}<"/dev/fd/$both" {pipe_w}>"/dev/fd/$both" {both}>&-
}

# client_start NAME COMMAND…: a client that reads statements from stdin, one a line, and prints answers as they come.
client_start() {
	local name=$1 to_r to_w from_r from_w pipe_r pipe_w

	shift
	open_pipe && to_r=$pipe_r to_w=$pipe_w
	open_pipe && from_r=$pipe_r from_w=$pipe_w
	(
		trap - PIPE TERM
		exec <&"$to_r" >&"$from_w" 2>&1
		for fd in "${client_to[@]}" "$to_r" "$to_w" "$from_r" "$from_w" "$answers"; do
			exec {fd}>&-
		done
		exec "$@"
	) &
	client_pid[$name]=$!
	client_to[$name]=$to_w
	client_from[$name]=$from_r
	exec {to_r}<&- {from_w}>&-
}

# client_ask NAME STATEMENT…: the statements are sent, client_wait has the answer. mark_statement, a format that the
# writer sets, makes the client print a text.
client_ask() {
	local name=$1 mark

	shift
	asked=$((asked + 1))
	client_asked[$name]="end-of-answer-$asked"
	# shellcheck disable=SC2059
	printf -v mark "$mark_statement" "${client_asked[$name]}"
	printf '%s\n' "$@" "$mark" >&"${client_to[$name]}" || true
}

# client_wait NAME: sets answer (lines). Returns 1 with a reason in answer if the client ended, or gave no answer in time.
client_wait() {
	local name=$1 line='' status seconds

	answer=
	time_left
	in_seconds $((left + 1))	# 0 would only look
	while :; do
		status=0
		IFS= read -r -t "$seconds" -u "${client_from[$name]}" line || status=$?
		if [ "$status" -gt 128 ]; then
			answer="no answer within the time for this phase${answer:+: $answer}"
			return 1
		elif [ "$status" -ne 0 ]; then
			answer=${answer:-the connection was lost}
			return 1
		elif [ "$line" = "${client_asked[$name]}" ]; then
			return 0
		fi
		answer+="${answer:+$'\n'}$line"
	done
}

# An end in good order is that of its input; one that is busy is killed: the server notices either.
client_end() {		# NAME
	local name=$1 to from pid=${client_pid[$1]-}

	[ -n "$pid" ] || return 0
	to=${client_to[$name]} from=${client_from[$name]}
	unset "client_pid[$name]" "client_to[$name]" "client_from[$name]"
	exec {to}>&- {from}<&-
	kill -TERM "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
}

clients_end() {
	local name

	for name in "${!client_pid[@]}"; do
		client_end "$name"
	done
}

# --- processes of this machine -------------------------------------------------------------------

# find_servers NAME…: sets servers to the processes of these names that are not in a container of their own. What a server forks
# to save (Redis does) has its name, too, and is none.
find_servers() {
	local IFS=' ' file comm name pid parent mine all=()

	servers=()
	mine=$(readlink /proc/self/ns/pid)
	for file in /proc/[0-9]*/comm; do
		{ read -r comm <"$file"; } 2>/dev/null || continue
		for name; do
			[ "$comm" = "$name" ] || continue
			pid=${file//[!0-9]/}
			[ "$(readlink "/proc/$pid/ns/pid")" != "$mine" ] || all+=("$pid")
		done
	done
	for pid in "${all[@]}"; do
		{ read -r _ _ _ parent _ <"/proc/$pid/stat"; } 2>/dev/null || continue
		[[ " ${all[*]} " == *" $parent "* ]] || servers+=("$pid")
	done
}

# reachable PID PATH: the path of a socket of that process, also if it has a /tmp of its own, where another's may have that path in ours
reachable() {
	if [ "$2" -ef "/proc/$1/root$2" ]; then
		echo "$2"
	else
		echo "/proc/$1/root$2"
	fi
}

# Sets uid to the one user that a process belongs to; "" if it has the rights of several (set-uid), or is gone.
process_user() {	# PID
	local IFS=$' \t' key real others

	uid=
	while read -r key real others; do
		[ "$key" = Uid: ] || continue
		[ "${others//[[:space:]]/ }" != "$real $real $real" ] || uid=$real
		return 0
	done < <(cat "/proc/$1/status" 2>/dev/null)
}

# The sockets that a process listens on, and that it or root made: "unix PATH" and "tcp ADDRESS:PORT" lines, an address by which
# it is reached from here. The kernel's list may leave one out when others come and go while it is read: one that begins like this is
# looked for three times.
listening() {		# PID [BEGINNING]
	local sockets

	for _ in 1 2 3; do
		sockets=$(listening_now "$1")
		[[ $'\n'$sockets != *$'\n'"${2:-}"?* ]] || break
		sleep 0.1
	done
	[ -z "$sockets" ] || echo "$sockets"
}

listening_now() {	# PID
	local -A owned=()
	local inode maker uid address port

	process_user "$1"
	while read -r inode maker; do
		[ "$maker" != 0 ] && [ "$maker" != "$uid" ] || owned[$inode]=1
	done < <(find "/proc/$1/fd" -lname 'socket:*' -exec stat -L -c '%i %u' {} + 2>/dev/null)
	while read -r _ _ _ flags _ _ inode path; do
		[ "$flags" != 00010000 ] || [ -z "${owned[$inode]-}" ] || [[ $path != /* ]] || echo "unix $path"
	done < <(cat /proc/net/unix)
	while read -r _ address _ state _ _ _ _ _ inode _; do
		[[ $state == 0A && -n ${owned[$inode]-} ]] || continue
		port=$((16#${address##*:}))
		readable_address "${address%:*}"
		echo "tcp $address:$port"
	done < <(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null)
}

# Sets address from the kernel's: hexadecimal words, each with its last byte first. For "any" it is this machine's own.
readable_address() {	# HEX
	local i word words=()

	case $1 in
	00000000) address=127.0.0.1 && return ;;
	00000000000000000000000000000000) address=::1 && return ;;
	esac
	for ((i = 0; i < ${#1}; i += 8)); do
		word=${1:i:8}
		words+=("${word:6:2}${word:4:2}" "${word:2:2}${word:0:2}")
	done
	printf -v address '%s:' "${words[@]}"
	address=${address%:}
	[ ${#1} -ne 8 ] || printf -v address '%d.%d.%d.%d' "0x${1:6:2}" "0x${1:4:2}" "0x${1:2:2}" "0x${1:0:2}"
}

# --- whom a password is told ---------------------------------------------------------------------

# The accounts whose servers may have it, besides root: those that the writer knows (accounts), and those that its configuration
# (conf_file) names in its section [mobility].
accounts=()
conf_file=

configured_accounts() {
	[ ! -f "$conf_file" ] ||
		sed -n '/^[[:space:]]*\[/h; /=/{G; s/^[[:space:]]*accounts[[:space:]]*=\(.*\)\n[[:space:]]*\[mobility\].*/\1/p}' "$conf_file" | tr ',' ' '
}

may_be_told() {		# UID
	local IFS=$' \t\n' account named

	[ -n "$1" ] || return 1
	read -r -d '' -a named < <(configured_accounts)
	for account in root "${accounts[@]}" "${named[@]}"; do
		[ "$1" != "$account" ] && [ "$1" != "$(id -u "$account" 2>/dev/null)" ] || return 0
	done
	return 1
}

refuse_user() {		# PID UID
	local user=${2:-"several users"} name

	name=$(cat "/proc/$1/comm" 2>/dev/null)
	[ -z "$2" ] || user="user $(id -nu "$2" 2>/dev/null || echo "$2")"
	fail "process $1 ($name) of $user is not told the password: end it, or name its user as accounts in section [mobility] of $conf_file"
}

# Anybody may call a program like a server, or listen where one did: 0 if this process is a server of an account above, and what is
# connected to at that "unix PATH" or "tcp ADDRESS:PORT" is it; else the phase fails.
is_believed() {		# PID SOCKET
	local uid path

	process_user "$1"
	may_be_told "$uid" || {
		refuse_user "$1" "$uid"
		return
	}
	listening "$1" "${2%?}" | grep -qxF -e "$2" || { fail "$2: process $1 does not listen there any more"; return; }
	[[ $2 == unix* ]] || return 0
	path=$(reachable "$1" "${2#unix }")
	case $(stat -L -c %u "$path" 2>/dev/null) in
	0 | "$uid") ;;
	*) fail "$path: it is not the socket of process $1 any more" ;;
	esac
}

on_hold() {
	:
}

# --- the two calls -------------------------------------------------------------------------------

run_phase() {
	phase_begins
	case $phase in
	thaw)
		on_thaw
		[ $lapsed = no ] || fail "it was let go at the end of the window, before the thaw"
		;;
	prepare | freeze | post) "on_$phase" ;;
	abort) on_release ;;
	*) fail "there is no phase '$phase'" ;;
	esac
	held_until=0
	[ "$reply" != ok ] || [ "$phase" != freeze ] ||
		held_until=$((deadline - ${MOBILITY_DEADLINE_MS:-5000} + ${MOBILITY_WINDOW_MS:-10000}))
	answer_phase
	# what failed holds nothing any more
	[ "$reply" = ok ] || on_release
}

# Nobody says thaw, or anything: the window is over, or the shim is gone.
let_go() {
	local IFS=$' \t\n'	# a signal may come while a line is read

	phase=abort
	phase_begins
	on_release
	held_until=0
	lapsed=yes
	phase=
}

# Sets phase to the next line of input; 1 at its end.
next_phase() {
	local part status

	phase=
	while :; do
		status=0
		if [ $held_until -eq 0 ]; then
			IFS= read -r part || status=$?
		else
			IFS= read -r -t 0.3 part || status=$?
		fi
		phase+=$part
		[ $status -ne 0 ] || return 0
		[ $status -gt 128 ] || return 1
		clock
		if [ $now -ge $held_until ]; then
			let_go
		else
			on_hold
		fi
	done
}

writer_main() {
	case ${1-} in
	identify)
		on_identify
		exit
		;;
	session)
		# what a client prints by mistake must not be taken for an answer
		exec {answers}>&1 1>&2
		trap 'let_go; exit 143' TERM INT HUP
		while next_phase; do
			run_phase
		done
		let_go
		;;
	*)
		echo "usage: ${0##*/} identify|session (see mobility-writers(7))" >&2
		exit 64
		;;
	esac
}
