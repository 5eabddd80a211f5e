# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Real databases in $tmp, and writer sessions driven by hand, for test-writers.sh. Sourced after functions.sh, by a test that runs in
# process, mount and network namespaces of its own: the writers find the servers of this test, and nobody else's.
#
#   start_postgres, start_mariadb [OPTION…], start_redis NAME PORT [PASSWORD] [SETTING…]
#   start_false KIND WHERE USER [COMM], end_false   one that is none, and what it is told in $tmp/told
#   pg PORT SQL, my SQL, red PORT COMMAND…   one question, the answer on stdout
#   identify WRITER           its output in $identity, its status as status
#   session WRITER [WINDOW_MS [FREEZE_MS [PREPARE_MS]]]   starts one: $writer is its process group
#   tell PHASE [SECONDS]      sends a phase, the answer is in $reply
#   expect PHASE PATTERN      the same; the answer has to match
#   session_ends              its input is closed; it has to exit with 0

# shellcheck disable=SC2154
writers=$top/vss-shim/writers.d
pg_bin=$(echo /usr/lib/postgresql/*/bin)
writer=

# --- servers -------------------------------------------------------------------------------------

as_postgres=(env -C / setpriv --reuid postgres --regid postgres --init-groups)
as_redis=(env -C / setpriv --reuid redis --regid redis --init-groups)

# shellcheck disable=SC2154
pg() { "${as_postgres[@]}" "$pg_bin/psql" -XAtqw -h "$tmp/pg" -p "$1" -d postgres -c "$2"; }

start_cluster() { # NAME PORT
	start "$1" "$tmp/$1.log" "${as_postgres[@]}" "$pg_bin/postgres" -D "$tmp/pg/$1" -p "$2" -k "$tmp/pg" -c listen_addresses= \
		-c shared_buffers=16MB -c fsync=off
	until_true 20 "cluster $1" pg "$2" 'SELECT 1'
}

# A primary that archives, with a tablespace, on 5401, and its standby on 5402.
start_postgres() {
	install -d -o postgres "$tmp/pg" "$tmp/pg/archive" "$tmp/pg/space" "$tmp/pg/space2"
	"${as_postgres[@]}" "$pg_bin/initdb" -D "$tmp/pg/one" -A peer --no-sync >"$tmp/initdb.log"
	printf '%s\n' "archive_mode = on" "archive_command = 'cp %p $tmp/pg/archive/%f'" >>"$tmp/pg/one/postgresql.conf"
	start_cluster one 5401
	pg 5401 "CREATE TABLESPACE other LOCATION '$tmp/pg/space'"
	pg 5401 "CREATE TABLE t (n int) TABLESPACE other"
	"${as_postgres[@]}" "$pg_bin/pg_basebackup" -h "$tmp/pg" -p 5401 -D "$tmp/pg/two" -R -c fast --no-sync \
		-T "$tmp/pg/space=$tmp/pg/space2" 2>"$tmp/basebackup.log"
	start_cluster two 5402
}

my() { mariadb --no-defaults -uroot -S "$tmp/my/sock" -BN -e "$1"; }

make_mariadb() {
	install -d -o mysql "$tmp/my"
	TMPDIR=$tmp/my mariadb-install-db --no-defaults --user=mysql --datadir="$tmp/my/data" --auth-root-authentication-method=socket \
		--skip-test-db --innodb-log-file-size=8M >"$tmp/install-db.log" 2>&1
}

start_mariadb() {
	start mariadb "$tmp/mariadb.log" mariadbd --no-defaults --user=mysql --datadir="$tmp/my/data" --socket="$tmp/my/sock" \
		--tmpdir="$tmp/my" --skip-networking --log-bin=bin --innodb-buffer-pool-size=16M --innodb-log-file-size=8M \
		--innodb-flush-log-at-trx-commit=2 "$@"
	until_true 20 "MariaDB" my 'SELECT 1'
}

red() { redis-cli -e -h "${red_host:-127.0.0.1}" -p "$@"; }

# start_redis NAME PORT PASSWORD SETTING… (a word or more, as in its configuration file)
start_redis() {
	local name=$1 port=$2 password=$3
	shift 3
	install -d -o redis "$tmp/$name"
	printf '%s\n' "port $port" "bind ${red_host:-127.0.0.1}" "dir $tmp/$name" ${password:+"requirepass \"$password\""} "$@" >"/etc/redis/$name.conf"
	start "$name" "$tmp/$name.log" "${as_redis[@]}" redis-server "/etc/redis/$name.conf"
	REDISCLI_AUTH=$password until_true 10 "Redis $name" red "$port" ping
}

# start_false KIND WHERE USER [COMM]: a program of that user which is called like a server of that kind (or COMM), listens at WHERE (a
# path in $tmp/false, or 127.0.0.1:PORT), and writes what it is told to $tmp/told
start_false() {
	install -d -o "$3" "$tmp/false"
	install -m 666 /dev/null "$tmp/told"
	start false "$tmp/false.log" python3 "$flow/false_server.py" "$1" "$2" "$tmp/told" "$3" ${4:+"$4"}
	until_true 10 "the false server" grep -qs listening "$tmp/false.log"
}

end_false() {
	kill9 false
	rm -f "$tmp/false/sock" "$tmp/false.log"
}

# --- writers -------------------------------------------------------------------------------------

identify() { # WRITER
	local status=0
	# shellcheck disable=SC2034
	identity=$(env -i PATH="$PATH" LC_ALL=C HOME=/ MOBILITY_DEADLINE_MS=10000 "$writers/$1" identify 2>>"$tmp/identify.log") || status=$?
	return $status
}

session() {
	local both
	[ -e "$tmp/phases" ] || mkfifo "$tmp/phases" "$tmp/answers"
	exec {both}<>"$tmp/phases" {answers}<>"$tmp/answers"
	env -i PATH="$PATH" LC_ALL=C HOME=/ MOBILITY_SET=test MOBILITY_WINDOW_MS="${2:-10000}" MOBILITY_DEADLINE_MS="${3:-5000}" \
		MOBILITY_PREPARE_MS="${4:-20000}" setsid "$writers/$1" session <"$tmp/phases" >"$tmp/answers" 2>>"$tmp/$1.log" {both}>&- {answers}>&- &
	writer=$!
	exec {phases}>"$tmp/phases" {both}>&-
}

tell() {
	printf '%s\n' "$1" >&"$phases"
	IFS= read -r -t "${2:-20}" -u "$answers" reply || fail "no answer to $1 in ${2:-20} s"
}

expect() { # PHASE PATTERN [SECONDS]
	tell "$1" "${3:-20}"
	# shellcheck disable=SC2053
	[[ $reply == $2 ]] || fail "$1: '$reply', not '$2'"
}

group_alive() { kill -0 -- "-$writer" 2>/dev/null; }
group_gone() { ! group_alive; }

session_closed() {
	exec {phases}>&- {answers}<&-
}

session_ends() {
	local status=0
	session_closed
	until_true 5 "the writer's end after its input ended" group_gone
	wait "$writer" || status=$?
	[ $status -eq 0 ] || fail "the writer ended with $status"
}

# The ends of a session that nobody ordered. end_by WAY
end_by() {
	case $1 in
	input) session_closed ;;
	group) kill -KILL -- "-$writer" ;;
	leader) kill -KILL "$writer" ;;
	term) kill -TERM "$writer" ;;
	abort) expect abort ok ;;
	esac
	[ "$1" = input ] || session_closed
	until_true 5 "the end of every process after $1" group_gone
	wait "$writer" 2>/dev/null || true
}

# milliseconds that a command takes: sets took
timed() {
	local before=${EPOCHREALTIME/./}
	"$@"
	# shellcheck disable=SC2034
	took=$(((${EPOCHREALTIME/./} - before) / 1000))
}
