# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# In a guest: the databases of the test, on two data disks. Sourced, after guest/base.sh.
#   db_mount DISK1 DISK2     DISK1 (ext4) has all three databases, DISK2 (XFS) a tablespace of PostgreSQL
#   db_fill                  what the packages have made is copied there; db_create: the tables
#   db_start, db_stop        PostgreSQL, MariaDB and Redis, by systemd; db_umount
#   pg SQL, my SQL, red COMMAND…

db=/srv/db space=/srv/space

db_mount() {
	mkdir -p $db $space
	mount "$1" $db
	mount "$2" $space
}

# The databases' usual folders are bind mounts of the disk.
db_bind() {
	local name

	for name in postgresql mysql redis; do
		mount --bind $db/$name /var/lib/$name
	done
}

db_umount() {
	umount /var/lib/postgresql /var/lib/mysql /var/lib/redis $db $space
}

db_fill() {
	local name

	for name in postgresql mysql redis; do
		cp -a --sparse=always /var/lib/$name $db/
	done
	chown postgres $space
}

# The rest of their configuration is in apps/etc.
db_configure() {
	sed -i 's/^appendonly no/appendonly yes/; s/^save .*//; s/^port .*/port 6379/; s/^bind .*/bind 127.0.0.1/' /etc/redis/redis.conf
	echo 'save ""' >>/etc/redis/redis.conf
}

db_services=(postgresql@15-main mariadb redis-server)

db_start() {
	db_bind
	systemctl start "${db_services[@]}" || {
		journalctl -n 40 --no-pager
		tail -n 20 /var/log/redis/*.log /var/log/postgresql/*.log
		die "a database does not start"
	}
}

db_stop() {
	systemctl stop "${db_services[@]}"
}

# as_postgres DIR COMMAND…: a program of PostgreSQL, as its owner and in that folder
as_postgres() {
	local dir=$1 command=$2

	shift 2
	setpriv --reuid postgres --regid postgres --init-groups env -C "$dir" "/usr/lib/postgresql/15/bin/$command" "$@"
}

pg() { as_postgres / psql -XAtqw -v ON_ERROR_STOP=1 -h /run/postgresql -d postgres "$@"; }
my() { mariadb -uroot -BN -e "$1"; }
red() { redis-cli -e "$@"; }

# Accounts whose sum never changes, and what has been transferred.
db_create() {
	pg -c "CREATE TABLESPACE other LOCATION '$space'"
	as_postgres / pgbench -q -i -I dtGvp -s "$1" --tablespace=other -h /run/postgresql postgres 2>&1 | tail -n 1
	pg -c "CREATE TABLE ledger (run int, client int, n int, delta int) TABLESPACE pg_default; CREATE EXTENSION amcheck"
	mariadb -uroot <<-'SQL'
		CREATE DATABASE d;
		USE d;
		CREATE TABLE account (id INT PRIMARY KEY, balance BIGINT NOT NULL) ENGINE=InnoDB;
		INSERT INTO account SELECT seq, 1000 FROM seq_1_to_500;
		CREATE TABLE ledger (client INT, n INT, amount INT, PRIMARY KEY (client, n)) ENGINE=InnoDB;
		CREATE TABLE plain (client INT PRIMARY KEY, n INT) ENGINE=Aria TRANSACTIONAL=0;
		CREATE TABLE old (client INT PRIMARY KEY, n INT) ENGINE=MyISAM;
		INSERT INTO plain VALUES (1, 0), (2, 0);
		INSERT INTO old VALUES (1, 0), (2, 0);
		DELIMITER //
		CREATE PROCEDURE transfer(c INT, k INT)
		BEGIN
			DECLARE a, b, x INT;
			SET a = 1 + FLOOR(RAND() * 500), b = 1 + FLOOR(RAND() * 500), x = FLOOR(RAND() * 100);
			START TRANSACTION;
			UPDATE account SET balance = balance - x WHERE id = LEAST(a, b);
			UPDATE account SET balance = balance + x WHERE id = GREATEST(a, b);
			INSERT INTO ledger VALUES (c, k, x);
			COMMIT;
			UPDATE plain SET n = k WHERE client = c;
			UPDATE old SET n = k WHERE client = c;
			SELECT k;
		END //
		DELIMITER ;
	SQL
}
