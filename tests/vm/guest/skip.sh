#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The guest of test-skip.sh: an ext4 and an XFS filesystem in which files come and go until /run/stop exists. Leaves the
# digests of all files in /run/files. `skip.sh compare DISK` checks the filesystems of a replica against them.
# shellcheck disable=SC3028,SC3040 # busybox has RANDOM and pipefail
set -euo pipefail
disk=/dev/mob/data1

part() { echo "$(readlink -f "$1")$2"; }

digests() {	# DIR
	(cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum)
}

# Journals are replayed by the mount, then nothing may be wrong.
check() {	# DISK
	blockdev --rereadpt "$1"
	sleep 1
	mkdir -p /r1 /r2
	mount -t ext4 "$(part "$1" 1)" /r1
	mount -t xfs -o nouuid "$(part "$1" 2)" /r2
	digests /r1 >/run/replica-ext4
	digests /r2 >/run/replica-xfs
	umount /r1 /r2
	e2fsck -fn "$(part "$1" 1)"
	xfs_repair -n "$(part "$1" 2)"
}

if [ "${1-}" = check ]; then
	check "$2"
	exit
elif [ "${1-}" = compare ]; then
	check "$2"
	diff /run/files-ext4 /run/replica-ext4
	diff /run/files-xfs /run/replica-xfs
	exit
fi

cp "$0" /run/skip.sh
insmod /mobility.ko
modprobe ext4
modprobe xfs
mkdir -p /ext4 /xfs
mount -t ext4 "$(part $disk 1)" /ext4
mount -t xfs "$(part $disk 2)" /xfs
# In use, and nothing is swapped out: what the host reads of it stays as it was made.
echo 0 >/proc/sys/vm/swappiness
swapon "$(part $disk 3)"
n=0
echo "writing"
while [ ! -e /run/stop ]; do
	n=$((n + 1))
	for dir in /ext4 /xfs; do
		dd if=/dev/urandom of="$dir/$((n % 7))" bs=64k count=$((RANDOM % 32 + 1)) status=none
		rm -f "$dir/$(((n + 3) % 7))"
		for i in 1 2 3; do
			echo "$n $i" >"$dir/small$((RANDOM % 200))"
		done
	done
	[ $((n % 5)) -ne 0 ] || sync
done
sync
digests /ext4 >/run/files-ext4
digests /xfs >/run/files-xfs
sync
echo "quiet $n rounds"
while [ ! -e /run/end ]; do
	sleep 0.5
done
