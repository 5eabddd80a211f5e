#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A guest with the disks of recovery points, /dev/mob/db-ID and /dev/mob/space-ID each: the databases start from
# them, and what they have is checked. A folder for each point, /points/ID:
#	label       application or crash
#	pg, my, red acknowledged before the boundary: "RUN CLIENT N", "CLIENT N" lines; the last N
#	redo        the position of the writer's checkpoint (application)
# Prints a line for each point; the status is 0 if all hold.
set -euo pipefail
# shellcheck source=tests/vm/guest/base.sh
. /guest/base.sh
# shellcheck source=tests/vm/apps/databases.sh
. /apps/databases.sh
wrong=0

bad() {			# TEXT
	echo "point $point ($label): WRONG: $*"
	wrong=$((wrong + 1))
}

pg_log() { cat /var/log/postgresql/*.log; }
my_log() { journalctl -u mariadb --no-pager -o cat --since "$since"; }

# No older write-ahead log than since the writer's checkpoint is replayed.
check_pg_redo() {
	local start

	start=$(pg_log | sed -n 's/.*redo starts at \([0-9A-F/]*\).*/\1/p' | tail -n 1)
	replayed=${start:-none}
	[ "$label" = application ] || return 0
	[ -n "$start" ] || start=$(cat "/points/$point/redo")
	[ "$(pg -c "SELECT '$start'::pg_lsn >= '$(cat "/points/$point/redo")'::pg_lsn")" = t ] ||
		bad "PostgreSQL replays from $start, before the checkpoint $(cat "/points/$point/redo")"
}

check_pg() {
	local sums missing

	check_pg_redo
	sums=$(pg -c "SELECT count(DISTINCT s), min(s) FROM (SELECT sum(abalance) FROM pgbench_accounts UNION ALL SELECT sum(tbalance) FROM
		pgbench_tellers UNION ALL SELECT sum(bbalance) FROM pgbench_branches UNION ALL SELECT coalesce(sum(delta), 0) FROM pgbench_history
		UNION ALL SELECT coalesce(sum(delta), 0) FROM ledger) x(s)")
	[ "${sums%|*}" = 1 ] || bad "PostgreSQL's balances do not agree"
	missing=$({ echo "CREATE TEMP TABLE acked (run int, client int, n int); COPY acked FROM STDIN (DELIMITER ' ');"; cat "/points/$point/pg"
		echo '\.'; echo "SELECT count(*) FROM (SELECT * FROM acked EXCEPT SELECT run, client, n FROM ledger) x;"; } | pg)
	[ "$missing" = 0 ] || bad "$missing acknowledged transactions of PostgreSQL are missing"
	as_postgres / pg_amcheck -h /run/postgresql --heapallindexed \
		-d postgres >/tmp/amcheck 2>&1 || bad "pg_amcheck: $(head -n 3 /tmp/amcheck)"
}

check_my() {
	local missing tables decided n=0

	my_log >/out/mariadb-"$point".log
	[ "$(my "SELECT SUM(balance) FROM d.account")" = 500000 ] || bad "MariaDB's balances do not sum up"
	{ echo "CREATE TEMPORARY TABLE d.acked (client INT, n INT, PRIMARY KEY (client, n));"
		[ ! -s "/points/$point/my" ] || { echo "INSERT INTO d.acked VALUES"; sed 's/\(.*\) \(.*\)/(\1, \2),/; $s/,$/;/' "/points/$point/my"; }
		echo "SELECT COUNT(*) FROM d.acked LEFT JOIN d.ledger USING (client, n) WHERE ledger.n IS NULL;"; } >/tmp/acked.sql
	missing=$(mariadb -uroot -BN </tmp/acked.sql)
	[ "$missing" = 0 ] || bad "$missing acknowledged transactions of MariaDB are missing"
	tables=$(my "CHECK TABLE d.account, d.ledger, d.plain, d.old EXTENDED")
	if [ "$label" = application ]; then
		# neither repaired, nor found open, and no commit in doubt between engine and binary log
		[ "$(grep -c 'status.OK' <<<"$tables")" = "$(wc -l <<<"$tables")" ] || bad "CHECK TABLE: ${tables//$'\n'/; }"
		! decided=$(grep -iE '(^|[^-])prepared transaction|marked as crashed' /out/mariadb-"$point".log) || bad "MariaDB had to decide about commits: ${decided//$'\n'/; }"
		while [ $n -lt 2 ]; do
			n=$((n + 1))
			[ "$(my "SELECT COUNT(*) FROM d.ledger WHERE client = $n AND n > (SELECT n FROM d.plain WHERE client = $n) + 1")" = 0 ] ||
				bad "a table without transactions is behind"
		done
	else
		[ "$(grep -E '^d\.(account|ledger)' <<<"$tables" | grep -vc 'status.OK')" = 0 ] || bad "CHECK TABLE: ${tables//$'\n'/; }"
	fi
}

# What ext4 leaves of an append that was not synced, here as after a power cut, is a tail of zeros, at which Redis
# refuses to start until its tool has cut it off.
mend_red() {
	redis-check-aof --fix $db/redis/appendonlydir/appendonly.aof.manifest <<<y >/tmp/check-aof 2>&1 || bad "redis-check-aof: $(tail -n 1 /tmp/check-aof)"
}

check_red() {
	local n

	n=$(red GET n)
	[ "$label" != application ] || [ "${n:-0}" -ge "$(cat "/points/$point/red")" ] || bad "Redis has ${n:-nothing}, $(cat "/points/$point/red") was acknowledged"
}

check_point() {
	label=$(cat "/points/$point/label")
	since=$(date '+%F %T')
	rm -f /var/log/postgresql/*.log
	mount "/dev/mob/db-$point" $db || { bad "ext4 does not mount"; return; }
	mount "/dev/mob/space-$point" $space || { bad "XFS does not mount"; return; }
	[ "$label" = application ] || mend_red
	db_start
	check_pg
	check_my
	check_red
	db_stop
	db_umount
	echo "point $point ($label): checked; replay from $replayed; acknowledged: $(wc -l <"/points/$point/pg") PostgreSQL," \
		"$(wc -l <"/points/$point/my") MariaDB, $(cat "/points/$point/red") Redis"
}

mkdir -p $db $space
db_configure
for dir in /points/*; do
	point=${dir##*/}
	check_point
done
[ $wrong -eq 0 ]
