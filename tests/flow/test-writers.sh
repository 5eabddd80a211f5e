#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 240
# The shipped writers with a real PostgreSQL (a primary that archives, and its standby), MariaDB and Redis: what a freeze holds, and
# that nothing holds it any longer than the session lives, however it ends; the databases' own backup history; locks that are not to
# be had; servers that are absent, or go away.
# The processor may be busy with others: bounds of time are generous here, but far below what blocks.
set -Eeuo pipefail
if [ -z "${WRITERS_NAMESPACE-}" ]; then
	WRITERS_NAMESPACE=yes exec unshare --mount --net --pid --fork --kill-child --mount-proc "$0"
fi
# shellcheck source=tests/flow/functions.sh
. "$(dirname "$0")/functions.sh"
# shellcheck source=tests/flow/writers.sh
. "$(dirname "$0")/writers.sh"
chmod 711 "$tmp"
ip link set lo up
mkdir -p /etc/redis /etc/mobility
mount -t tmpfs redis /etc/redis
mount -t tmpfs mobility /etc/mobility
chmod 755 /etc/redis

# --- nothing there -------------------------------------------------------------------------------

test_absent() {
	local w status
	for w in "$writers"/*; do
		status=0
		identify "${w##*/}" || status=$?
		[ $status -eq 77 ] || fail "${w##*/} identify without a server: $status"
		session "${w##*/}"
		expect prepare 'skip no *'
		session_ends
	done
	status=0
	"$writers/20-postgresql" nonsense 2>/dev/null || status=$?
	[ $status -eq 64 ] || fail "a call that there is not: $status"
}

# --- PostgreSQL ----------------------------------------------------------------------------------

pg_history() {
	pg 5401 "SELECT archived_count, last_archived_wal, failed_count FROM pg_stat_archiver"
	pg 5401 "SELECT pg_walfile_name(pg_current_wal_lsn()), pg_is_in_recovery()"
	ls "$tmp/pg/archive"
}

pg_sessions() { [ "$(pg 5401 "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'mobility'")" = "$1" ]; }

# A standby without a new checkpoint record of its primary keeps its old one: that is all it can do.
test_postgres() {
	local before redo at
	identify 20-postgresql || fail "identify: $?"
	grep -qx 'instances: 2' <<<"$identity" || fail "not two clusters: $identity"
	pg 5401 "INSERT INTO t SELECT generate_series(1, 20000)"
	before=$(pg_history)
	session 20-postgresql
	expect prepare 'ok *'
	redo=$(sed -n "s,.*$tmp/pg/one: checkpoint at \([^ ]*\) .*,\1,p" <<<"$reply")
	at=$("${as_postgres[@]}" "$pg_bin/pg_controldata" "$tmp/pg/one" | sed -n "s/.*REDO location: *//p")
	[ "${redo:-none}" = "$at" ] || fail "the checkpoint told is not that of pg_controldata: '$reply', $at"
	[[ $reply == *"$tmp/pg/two: checkpoint at "* ]] || fail "nothing of the standby: $reply"
	pg 5401 "INSERT INTO t VALUES (1)"
	expect freeze 'ok *at*at*'
	pg_sessions 1 || fail "no session is held over the freeze"
	pg 5401 "INSERT INTO t VALUES (2)"
	expect thaw ok
	expect post ok
	session_ends
	until_true 5 "the end of the writer's sessions" pg_sessions 0
	[ "$(pg_history)" = "$before" ] || fail "archive or backup history changed: $(pg_history), before: $before"
	[ ! -e "$tmp/pg/one/backup_label" ] || fail "a backup was begun"
	for way in input group leader term abort; do
		session 20-postgresql
		expect prepare 'ok *'
		expect freeze 'ok *'
		end_by $way
		until_true 5 "the end of the writer's sessions after $way" pg_sessions 0
	done
}

# The checkpointer is stopped: a checkpoint that does not end.
test_postgres_late() {
	local checkpointer
	checkpointer=$(pg 5401 "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")
	kill -STOP "$checkpointer"
	session 20-postgresql 2000 1000 1500
	timed expect prepare "fail *one: no checkpoint: *"
	kill -CONT "$checkpointer"
	[ "$took" -le 8000 ] || fail "the failure took $took ms"
	session_ends
	until_true 5 "the end of the writer's sessions" pg_sessions 0
}

# Anybody may call a program postgres, and lead its postmaster.pid elsewhere: nothing is read that its owner may not read.
test_postgres_false() {
	local false=$tmp/false
	install -d -o nobody "$false"
	cp "$(command -v sleep)" "$false/postgres"
	setpriv --reuid nobody --regid nogroup --clear-groups env -C "$false" ./postgres 60 &
	printf '%s\n' $! x x 5432 "$tmp/secret" >"$tmp/secret"
	chmod 600 "$tmp/secret"
	ln -s "$tmp/secret" "$false/postmaster.pid"
	until_true 5 "the false server" test "$(cat /proc/$!/comm)" = postgres
	identify 20-postgresql || [ $? -eq 77 ] || fail "identify of a false server: $?"
	[[ $identity != *instances* ]] || fail "a file of root's was read for another user: $identity"
	mkfifo "$tmp/fifo"
	chmod 644 "$tmp/fifo"
	ln -sf "$tmp/fifo" "$false/postmaster.pid"
	timed identify 20-postgresql || [ $? -eq 77 ] || fail "identify of a false server: $?"
	[ "$took" -le 15000 ] || fail "a pipe was waited for: $took ms"
	kill $!
	wait $! || true
}

test_postgres_gone() {
	session 20-postgresql
	expect prepare 'ok *'
	kill -QUIT "${pid_of[two]}"
	wait "${pid_of[two]}" || true
	unset "pid_of[two]"
	expect freeze "fail *two: gone since it was prepared*"
	session_ends
	session 20-postgresql
	expect prepare 'ok *'
	expect freeze 'ok *'
	kill -QUIT "${pid_of[one]}"
	wait "${pid_of[one]}" || true
	unset "pid_of[one]"
	expect thaw "fail *one: gone before the thaw*"
	session_ends
}

# It crashed and has recovered by itself: it is there, and is not what was held.
test_postgres_begins_anew() {
	local backend
	session 20-postgresql
	expect prepare 'ok *'
	expect freeze 'ok *'
	backend=$(pg 5401 "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'")
	kill -KILL "$backend"
	until_true 20 "the cluster after its crash" pg 5401 'SELECT 1'
	expect thaw "fail *one: gone before the thaw*"
	session_ends
}

# --- programs that are called like servers -------------------------------------------------------

# false_told WRITER WHERE: the password is kept from one of nobody's, which is named with what can be done about it; and it is told
# one whose user the configuration names, or this would show nothing.
false_told() {
	local name=$1 kind=${1#*-} conf=/etc/mobility/writer-${1#*-}.conf where=$2
	start_false "$kind" "$where" nobody
	identify "$name" || fail "$name does not see the false server: $?"
	session "$name"
	expect prepare "fail process * of user nobody is not told the password: end it, or name its user as accounts * $conf"
	session_ends
	[ ! -s "$tmp/told" ] || fail "a false server was told: $(cat "$tmp/told")"
	printf '\n[other]\naccounts = nobody\n[mobility]\n# accounts = nobody\naccounts = daemon\n' >>"$conf"
	session "$name"
	expect prepare "fail process * is not told the password: *"
	session_ends
	[ ! -s "$tmp/told" ] || fail "a false server was told: $(cat "$tmp/told")"
	printf 'accounts=daemon, nobody\n' >>"$conf"
	session "$name" 10000 5000 15000
	tell prepare
	end_by group
	grep -q 'pass word' "$tmp/told" || fail "a server of a user who is named was not told: $reply"
	end_false
	rm "$conf"
}

test_false() {
	printf '[client]\nuser=shim\npassword="pass word"\n' >/etc/mobility/writer-mariadb.conf
	false_told 21-mariadb "$tmp/false/sock"
	printf 'requirepass "pass word"\nport 7007\nunixsocket %s\n' "$tmp/false/sock" >/etc/redis/false.conf
	false_told 22-redis 127.0.0.1:7007
	false_told 22-redis "$tmp/false/sock"
	rm /etc/redis/false.conf
}

# Somebody else's socket is where that of a server was.
test_mariadb_replaced() {
	mv "$tmp/my/sock" "$tmp/my/kept"
	printf '[client]\nuser=shim\npassword="pass word"\n' >/etc/mobility/writer-mariadb.conf
	start_false mariadb "$tmp/false/sock" nobody nobodys
	mv "$tmp/false/sock" "$tmp/my/sock"
	session 21-mariadb
	expect prepare "fail *my/sock: it is not the socket of process * any more"
	session_ends
	end_false
	[ ! -s "$tmp/told" ] || fail "who put a socket in a server's place was told: $(cat "$tmp/told")"
	mv "$tmp/my/kept" "$tmp/my/sock"
	rm /etc/mobility/writer-mariadb.conf
}

# --- MariaDB -------------------------------------------------------------------------------------

my_sessions() { [ "$(my "SELECT count(*) FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND user = 'root'")" = "$1" ]; }
my_free() { timeout 2 mariadb --no-defaults -uroot -S "$tmp/my/sock" -e "INSERT INTO d.t VALUES (0, now(6))"; }
my_history() { my "SHOW MASTER STATUS; SHOW BINARY LOGS; SELECT variable_value FROM information_schema.global_status WHERE variable_name = 'Binlog_commits'"; }

# A commit waits: it is not done after half a second, and it is after the release.
my_held() {
	my "INSERT INTO d.t VALUES (7, now(6))" {phases}>&- &
	held=$!
	sleep 0.5
	kill -0 $held 2>/dev/null || fail "a commit went through while the server was frozen"
}

my_released() { # WHAT SECONDS
	until_true "$2" "the commit after $1" eval "! kill -0 $held"
	wait $held || fail "the commit that waited failed after $1"
	my_free || fail "commits still wait after $1"
	until_true 5 "the end of the writer's sessions after $1" my_sessions 0
}

my_round() { # WAY
	session 21-mariadb 5000 3000
	expect prepare ok
	[ "$1" != prepared ] || { my_free || fail "a commit waits in prepare"; end_by group; my_free; return; }
	expect freeze 'ok *commits are held'
	my_held
	if [ "$1" = thaw ]; then
		expect thaw 'ok *commits were held for *'
		my_released thaw 5
		expect post ok
		session_ends
	else
		end_by "$1"
		my_released "$1" 5
	fi
}

test_mariadb() {
	local before way
	identify 21-mariadb || fail "identify: $?"
	grep -qx 'instances: 1' <<<"$identity" || fail "not one server: $identity"
	before=$(my_history)
	session 21-mariadb
	expect prepare ok
	expect freeze 'ok *'
	expect thaw 'ok *'
	expect post ok
	session_ends
	[ "$(my_history)" = "$before" ] || fail "the binary log changed: $(my_history), before: $before"
	for way in "$@"; do
		my_round "$way"
	done
}

# Nobody says thaw: the writer lets go at the end of the window, the server itself if the writer is stopped.
test_mariadb_window() {
	session 21-mariadb 1500 1000
	expect prepare ok
	expect freeze 'ok *'
	my_held
	my_released "the end of the window" 5
	expect thaw 'fail *let go at the end of the window*'
	session_ends
	session 21-mariadb 1500 1000
	expect prepare ok
	expect freeze 'ok *'
	my_held
	kill -STOP -- "-$writer"
	my_released "the server's own limit" 6
	kill -CONT -- "-$writer"
	expect thaw 'fail *'
	session_ends
}

# blocked_by SQL PHASE PATTERN [THEN [SECONDS]]: a session that has something done, keeps it, and runs THEN for so long; the phase fails with
# that reason, in time
blocked_by() {
	local blocker
	mkfifo "$tmp/blocker"
	mariadb --no-defaults -uroot -S "$tmp/my/sock" <"$tmp/blocker" >"$tmp/blocker.out" --unbuffered &
	blocker=$!
	exec {to_blocker}>"$tmp/blocker"
	rm "$tmp/blocker"
	printf '%s;\nSELECT "has it";\n%s;\n' "$1" "${4:-SELECT 1}" >&"$to_blocker"
	until_true 5 "the blocking session" grep -q 'has it' "$tmp/blocker.out"
	sleep "${5:-0.2}"
	session 21-mariadb 10000 4000 4000
	[ "$2" = prepare ] || expect prepare ok
	timed expect "$2" "$3"
	[ "$took" -le 15000 ] || fail "'$reply' took $took ms"
	note "$reply ($took ms)"
	session_ends
	exec {to_blocker}>&-
	kill "$blocker" 2>/dev/null || true
	wait "$blocker" 2>/dev/null || true
	# the server looks every 5 s whether who asked it to sleep is still there
	until_true 15 "the end of all sessions" my_sessions 0
	my_free || fail "commits wait after a freeze that failed"
}

test_mariadb_locks() {
	blocked_by "BACKUP STAGE START" prepare "fail *: not granted in time*"
	blocked_by "LOCK TABLES d.plain WRITE" prepare "fail *: not granted in time*"
	blocked_by "SELECT 1" freeze "fail *BACKUP STAGE *: not granted in time*" \
		"INSERT INTO d.plain SELECT SLEEP(60)"
}

test_mariadb_lost() {
	session 21-mariadb
	expect prepare ok
	expect freeze 'ok *'
	my "KILL $(my "SELECT id FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND user = 'root'")"
	expect thaw "fail *the lock was lost before the thaw*"
	session_ends
}

# A password of its own file; never among the arguments.
test_mariadb_password() {
	my "CREATE USER shim@localhost IDENTIFIED BY 'secret'; GRANT RELOAD, PROCESS, CONNECTION ADMIN ON *.* TO shim@localhost"
	printf '[client]\nuser=shim\npassword=secret\n' >/etc/mobility/writer-mariadb.conf
	session 21-mariadb
	expect prepare ok
	[ "$(my "SELECT count(*) FROM information_schema.processlist WHERE user = 'shim'")" = 1 ] || fail "not the user of the file"
	! cat /proc/[0-9]*/cmdline | grep -qa '[s]ecret' || fail "the password is among the arguments of a process"
	expect freeze 'ok *'
	expect thaw 'ok *'
	session_ends
	rm /etc/mobility/writer-mariadb.conf
}

# The way of servers that know no backup stages.
test_tables() {
	stop mariadb
	start_mariadb --version=5.7.44-old
	test_mariadb thaw group leader input
	blocked_by "LOCK TABLES d.t WRITE" freeze "fail *FLUSH TABLES WITH READ LOCK: not granted in time*"
	blocked_by "SELECT 1" prepare "fail *would wait too long: statement * of root has run for *" "SELECT SLEEP(60)" 4.5
}

# --- Redis ---------------------------------------------------------------------------------------

export REDISCLI_AUTH=pass\ word
red_held() {
	red 7001 SET key "$1" >/dev/null {phases}>&- &
	held=$!
	sleep 0.5
	kill -0 $held 2>/dev/null || fail "a write went through while Redis was frozen"
}

red_released() { # WHAT SECONDS
	until_true "$2" "the write after $1" eval "! kill -0 $held"
	wait $held || fail "the write that waited failed after $1"
}

# A server that talks to its own address alone, while somebody else has the port of the loopback.
test_redis_beside() {
	red_host=127.0.0.3 start_redis beside 7005 'pass word'
	start_false redis 127.0.0.1:7005 nobody nobodys
	session 22-redis
	expect prepare 'ok *127.0.0.3:7005: *'
	expect freeze ok
	expect thaw ok
	session_ends
	end_false
	[ ! -s "$tmp/told" ] || fail "who listens beside a server was told: $(cat "$tmp/told")"
	kill9 beside
}

# It ends after it was found; whoever takes its place is not told the password again.
test_redis_replaced() {
	start_redis replaced 7006 'pass word' 'appendonly yes' 'save ""'
	session 22-redis
	expect prepare 'ok *7006: append-only file*'
	kill9 replaced
	start_false redis 127.0.0.1:7006 nobody nobodys
	expect freeze 'fail *'
	session_ends
	end_false
	grep -q PAUSE "$tmp/told" || fail "nobody talked to who took the place: this shows nothing"
	! grep -q 'pass word' "$tmp/told" || fail "who took a server's place was told the password"
}

test_redis() {
	local way dump
	identify 22-redis || fail "identify: $?"
	grep -qx 'instances: 3' <<<"$identity" || fail "not three servers: $identity"
	dump=$(env -u REDISCLI_AUTH redis-cli -e -p 7002 INFO persistence | sed -n 's/^rdb_saves:\([0-9]*\).*/\1/p')
	for way in thaw input group leader term abort; do
		session 22-redis 6000 2000
		expect prepare 'ok *7001: append-only file*'
		[[ $reply == *"7002: a dump was made"* && $reply == *"7003: keeps nothing on disk"* ]] || fail "prepare: $reply"
		red 7001 SET "before-$way" 1 >/dev/null
		expect freeze 'ok *7001: writes wait'
		grep -qa "before-$way" "$tmp"/log/appendonlydir/*.incr.aof || fail "an acknowledged write is not in the append-only file"
		red_held "$way"
		if [ $way = thaw ]; then
			sleep 2 # the pause is renewed
			kill -0 $held 2>/dev/null || fail "the pause of writes ended before the thaw"
			expect thaw ok
			expect post ok
			session_ends
		else
			end_by $way
		fi
		red_released $way 5
	done
	[ "$(env -u REDISCLI_AUTH redis-cli -e -p 7002 INFO persistence | sed -n 's/^rdb_saves:\([0-9]*\).*/\1/p')" -eq $((dump + 6)) ] ||
		fail "not a dump for each session"
}

test_redis_stopped() {
	session 22-redis 6000 2000
	expect prepare 'ok *'
	expect freeze 'ok *'
	red_held stopped
	kill -STOP -- "-$writer"
	red_released "the end of its pause" 5
	kill -CONT -- "-$writer"
	expect thaw 'fail *the pause of writes was *'
	session_ends
}

# What saves in the background has its server's name, and is not another one.
test_redis_saves() {
	local key child
	for key in 1 2 3 4 5 6 7 8 9; do red 7001 SET "slow-$key" 1 >/dev/null; done
	red 7001 CONFIG SET rdb-key-save-delay 10000000 >/dev/null
	red 7001 BGSAVE >/dev/null
	identify 22-redis || fail "identify: $?"
	grep -qx 'instances: 3' <<<"$identity" || fail "not three servers while one saves: $identity"
	session 22-redis
	expect prepare 'ok *7001: append-only file*'
	end_by abort
	read -r child _ <"/proc/${pid_of[log]}/task/${pid_of[log]}/children" || true # no newline ends it
	kill -KILL "$child"
}

# The port on which the nodes of a cluster talk is not for clients.
test_redis_cluster() {
	start_redis cluster 7004 '' 'cluster-enabled yes' 'appendonly yes' 'save ""'
	session 22-redis
	expect prepare 'ok *7004: append-only file*'
	expect freeze 'ok *'
	expect thaw ok
	expect post ok
	session_ends
	kill9 cluster
}

test_redis_gone() {
	session 22-redis
	expect prepare 'ok *'
	kill9 log
	expect freeze 'fail *7001: *'
	session_ends
	kill9 dump
	kill9 plain
}

# --- all -----------------------------------------------------------------------------------------

test_absent
test_postgres_false
test_false
note "no server: nothing to do, and nothing told to who is called like one"
make_mariadb &
making=$!
start_postgres
test_postgres
test_postgres_late
test_postgres_begins_anew
test_postgres_gone
note "PostgreSQL: checkpoints of a primary and a standby"
start_redis log 7001 'pass word' 'appendonly yes' 'save ""'
start_redis dump 7002 '' 'save 3600 1'
start_redis plain 7003 '' 'save ""'
test_redis
test_redis_stopped
test_redis_saves
test_redis_gone
test_redis_cluster
test_redis_beside
test_redis_replaced
note "Redis: append-only file, dump, neither"
wait $making || fail "mariadb-install-db: $(tail -n 3 "$tmp/install-db.log")"
start_mariadb
my "CREATE DATABASE d; CREATE TABLE d.t (n int, at datetime(6)) ENGINE=InnoDB; CREATE TABLE d.plain (n int) ENGINE=MyISAM"
test_mariadb thaw prepared input group leader term abort
test_mariadb_window
test_mariadb_locks
test_mariadb_lost
test_mariadb_password
test_mariadb_replaced
note "MariaDB: backup stages"
test_tables
note "MariaDB: read lock"
finished=yes
echo "$test_name: all as it should be"
