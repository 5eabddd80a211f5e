#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In a guest with one CPU that executes one instruction in each nanosecond of its time (-icount), with the module, and agent and appliance on its loopback: a delta of a tracked disk next to rsync, and the RPO under
# steady small writes over a link of 20 ms. Prints "value NAME NUMBER" lines. See ../replication-guest.sh.
#
# usage: replication.sh RUNS SECONDS
set -euo pipefail
runs=$1			# of each measurement
seconds=$2		# of steady writes
disk=$(realpath /dev/mob/data)
copy=$(realpath /dev/mob/copy)
block=65536

figure() { echo "value $1 $2"; }
since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.3f", b - a }'; }
wire() { awk '$1 == "lo:" { print $10 }' /proc/net/dev; }
ctl() { mobilityctl --config /run/m.conf "$@"; }
state() { ctl status --json 2>/dev/null | jq -r "$1"; }

until_state() {		# SECONDS WHAT EXPRESSION
	local tries=$(($1 * 2))

	until [ "$(state "$3" || true)" = true ]; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || { echo "not in time: $2" >&2; ctl status >&2; tail -n 20 /run/*.log >&2; exit 1; }
		sleep 0.5
	done
}

agent() {		# MIN_EPOCH_INTERVAL
	printf '[agent]\nsocket=/run/mobilityd.sock\nlog_level=debug\n[replication]\nresync_window=always\nsource=kmod\nmin_epoch_interval=%s\n' \
		"$1" >/run/m.conf
	rm -f /run/mobilityd.sock
	mobilityd --config /run/m.conf >>/run/mobilityd.log 2>&1 &
	agent=$!
	until [ -S /run/mobilityd.sock ]; do sleep 0.2; done
}

both_sides() {
	local token

	ip link set lo up
	mkdir -p /run/store
	mount /dev/mob/store /run/store
	mobility-appliance --dir /run/store/a init --name 127.0.0.1 --control 127.0.0.1:7443 --data 127.0.0.1:7444 >/dev/null
	mobility-appliance --dir /run/store/a serve >/run/appliance.log 2>&1 &
	until grep -qs 'ready:' /run/appliance.log; do sleep 0.2; done
	token=$(mobility-appliance --dir /run/store/a token --json)
	jq -r .token <<<"$token" | ctl enroll 127.0.0.1:7443 --fingerprint "$(jq -r .fingerprint <<<"$token")" --token-file - >/dev/null
	ctl protect "$disk" >/dev/null
	until_state 900 "initial replication" '.disks | length > 0 and all(.state == "protected")'
}

# Random data in 1 % of the blocks; sets changed, the bytes of them.
change() {		# SEED
	local count n

	count=$(($(blockdev --getsize64 "$disk") / block))
	# shellcheck disable=SC2017
	changed=$((count / 100 * block))
	awk -v seed="$1" -v count="$count" 'BEGIN {
		srand(seed)
		for (left = int(count / 100); left; ) {
			n = int(rand() * count)
			if (!(n in seen)) { seen[n] = 1; print n; left-- }
		}
	}' | while read -r n; do
		dd if=/dev/urandom of="$disk" bs=$block count=1 seek="$n" conv=notrunc,fsync 2>/dev/null
	done
}

# From the order until a recovery point has all that was written since the last one.
delta() {		# N
	local began sent

	change "$1"
	sent=$(wire)
	began=$EPOCHREALTIME
	ctl bookmark "delta-$1" --timeout 10m >/dev/null
	figure delta "$(since "$began")"
	figure delta_wire "$(($(wire) - sent))"
	figure delta_payload "$changed"
	began=$EPOCHREALTIME
	rsync --inplace --no-whole-file --copy-devices --write-devices "$disk" "$copy"
	figure rsync "$(since "$began")"
	cmp "$disk" "$copy"
}

# What was lost if the machine ended now, for each 10 ms between two times: the age of the newest boundary that is committed.
rpo() {			# FIRST LAST
	sqlite3 -separator ' ' /run/store/a/catalog.db 'select committed_at, time from point order by committed_at' |
		awk -v first="$1" -v last="$2" '
		{ committed[NR] = $1; boundary[NR] = $2 }
		END {
			n = 1
			for (t = first; t < last; t += 1e7) {
				while (n < NR && committed[n + 1] <= t)
					n++
				printf "value rpo %.0f\n", t - boundary[n]
			}
		}'
}

steady() {
	local writer first last

	kill -TERM "$agent"
	wait "$agent"
	agent 1s
	until_state 60 "the connection" .appliance.connected
	# A packet as large as the loopback's does not fit a new connection's window.
	ip link set lo mtu 1500
	tc qdisc add dev lo root netem delay 20ms limit 10000
	ping -c 2 127.0.0.1 | awk -F/ '/^round-trip/ { print "value rtt " $4 }'
	fio --name=steady --filename="$disk" --rw=randwrite --bs=4k --rate=1m --direct=1 --ioengine=psync --size=256M \
		--time_based --runtime=$((seconds + 10)) --thread --disk_util=0 --allow_file_create=0 --output=/run/fio.out &
	writer=$!
	sleep 5
	first=${EPOCHREALTIME/./}000
	sleep "$seconds"
	last=${EPOCHREALTIME/./}000
	wait "$writer"
	awk '/WRITE: bw=/ { print "writer " $0 }' /run/fio.out
	rpo "$first" "$last"
	grep -h committed /run/mobilityd.log | tail -n 5
}

# Now, while nothing goes on: see --tcg in tests/vm/functions.sh.
insmod /mobility.ko
insmod /sch_netem.ko
dd if="$disk" of="$copy" bs=1M 2>/dev/null
agent 1h # what is written waits for a bookmark
both_sides
for ((i = 0; i < runs; i++)); do
	delta "$i"
done
steady
ctl status
