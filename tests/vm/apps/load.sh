#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The protected guest of the tests with databases: pgbench, transfers in MariaDB, and increments in Redis, until
# /run/stop exists. Each transaction that was acknowledged is told to the host, outside of the protected disks:
#	pg RUN CLIENT N TIME      my CLIENT N TIME      red N TIME
# TIME: CLOCK_REALTIME in ns, when its client knew. usage: load.sh SCALE
set -euo pipefail
# shellcheck source=tests/vm/guest/base.sh
. /guest/base.sh
# shellcheck source=tests/vm/apps/databases.sh
. /apps/databases.sh

set_up() {
	mke2fs -q -t ext4 -E lazy_itable_init=0,lazy_journal_init=0 /dev/mob/db
	mkfs.xfs -q /dev/mob/space
	db_mount /dev/mob/db /dev/mob/space
	db_fill
	db_configure
	db_start
	db_create "$1"
	insmod /mobility.ko
}

# pgbench writes its log when a run ends; so runs are short.
pgbench_runs() {
	local run=0 logs=/run/pgbench

	install -d -o postgres $logs
	cat >$logs/script <<-'SQL'
		\set n :n + 1
		\set aid random(1, 100000 * :scale)
		\set bid random(1, 1 * :scale)
		\set tid random(1, 10 * :scale)
		\set delta random(-5000, 5000)
		BEGIN;
		UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
		UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid;
		UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = :bid;
		INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP);
		INSERT INTO ledger VALUES (:run, :client_id, :n, :delta);
		END;
	SQL
	while [ ! -e /run/stop ]; do
		run=$((run + 1))
		as_postgres $logs pgbench -n -c 2 -T 5 -R 30 -f script -D "scale=$scale" -D "run=$run" -D n=0 \
			-l --log-prefix="run$run" -h /run/postgresql postgres >$logs/out 2>&1 || { cat $logs/out; echo "pgbench failed"; return 1; }
		# the client's transactions in order: the number in the log counts them
		cat $logs/run$run.* | awk -v run=$run '{ n[$1]++; printf "pg %d %d %d %d%06d000\n", run, $1, n[$1], $5, $6 }'
		rm $logs/run$run.*
	done
}

transfers() {		# CLIENT
	local client=$1 n=0 k

	coproc mariadb -uroot -BN --unbuffered d
	while [ ! -e /run/stop ]; do
		n=$((n + 1))
		echo "CALL transfer($client, $n);" >&"${COPROC[1]}"
		read -r k <&"${COPROC[0]}" || { echo "MariaDB's client $client ended"; return 1; }
		echo "my $client $k ${EPOCHREALTIME/./}000"
		nap 0.05
	done
}

increments() {
	local n

	coproc redis-cli
	while [ ! -e /run/stop ]; do
		echo "INCR n" >&"${COPROC[1]}"
		read -r n <&"${COPROC[0]}" || { echo "Redis' client ended"; return 1; }
		[ -z "${n//[0-9]/}" ] || { echo "Redis answers: $n"; return 1; }
		echo "red $n ${EPOCHREALTIME/./}000"
		nap 0.02
	done
}

scale=${1:-1}
set_up "$scale"
echo ready
pgbench_runs &
clients=($!)
for client in 1 2; do
	transfers $client &
	clients+=($!)
done
increments &
clients+=($!)
for client in "${clients[@]}"; do
	wait "$client" || die "a client of the databases failed"
done
echo quiet
until [ -e /run/end ]; do
	sleep 0.5
done
