#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A boot of the machine in cases 05, 06, 07: writes to the root disk, if it has one, before the module loads,
# as any boot does; then loads it, and leaves the rest to the host until /run/end exists.
set -eu
modprobe ext4 || true
mkdir -p /state
mount -t ext4 /dev/mob/state /state
cat /proc/sys/kernel/random/boot_id >>/early-writes
dd if=/dev/urandom of=/early-random bs=64k count=4 conv=fsync status=none
insmod /mobility.ko
echo "ready"
while [ ! -e /run/end ]; do
	sleep 0.2
done
kill "$(cat /run/mobilityd.pid)" 2>/dev/null || true
tries=0
until umount /state 2>/dev/null || [ $tries -eq 20 ]; do
	tries=$((tries + 1))
	sleep 0.5
done
[ ! -e /run/unmount ] || umount "$(cat /run/unmount)"
sync
mount -o remount,ro / 2>/dev/null || true
