#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The protected machine of `make demo`: an XFS data disk, the kernel module, and a workload that goes on until
# the machine is killed. Every file is written, fsynced, and then told to the host in one line,
#	wrote TIME SHA256 PATH		(TIME: CLOCK_REALTIME in ns after the fsync)
# so that what must be in a recovery point is known outside of the disks. The agent is started by the host.
set -euo pipefail

mkfs.xfs -q -f /dev/vdb
mkdir -p /data /srv/files
mount /dev/vdb /data
mkdir -p /data/files
insmod /mobility.ko
echo ready

write_file() {	# PATH
	local sum

	dd if=/dev/urandom bs=4k count=$((RANDOM % 48 + 1)) status=none >/dev/shm/next
	# what compresses, as most files do
	for ((i = 0; i < 32; i++)); do
		printf '%0.s file of the demo, line %d\n' {1..40} "$i"
	done >>/dev/shm/next
	sum=$(sha256sum </dev/shm/next)
	dd if=/dev/shm/next of="$1" bs=64k conv=fsync status=none
	sync "$(dirname "$1")"
	echo "wrote $(date +%s%N) ${sum%% *} $1"
}

# Overwrites in place, on both disks, what an epoch may still have to read.
overwrite() {	# FILE
	truncate -s 32M "$1"
	while :; do
		dd if=/dev/urandom of="$1" bs=16k count=4 seek=$((RANDOM % 500)) conv=notrunc,fdatasync status=none
		sleep 0.05
	done
}

overwrite /data/overwritten &
overwrite /srv/overwritten &
n=0
while :; do
	n=$((n + 1))
	write_file "/data/files/$n"
	write_file "/srv/files/$n"
	# names and free space change, too
	mv "/data/files/$n" "/data/files/$n.kept" && mv "/data/files/$n.kept" "/data/files/$n"
	[ $((n % 10)) -ne 0 ] || { echo x >/srv/gone && rm /srv/gone; }
	sleep 0.1
done
