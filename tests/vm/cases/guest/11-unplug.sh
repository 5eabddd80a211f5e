#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest: disks come and go.
set -euo pipefail
# shellcheck source=tests/vm/guest/base.sh
. /guest/base.sh
# shellcheck source=tests/vm/cases/guest/plug.sh
. /cases/plug.sh
GONE=4
same=""

is_gone() { [ ! -e "/sys/block/$1" ]; }
in_flight() { [ "$(awk '{ print $9 }' "/sys/block/$1/stat")" -gt 0 ]; }
dev_of() { cat "/sys/block/$1/dev"; }

nullb=/sys/kernel/config/nullb/nullb0
plug_nullb0() {
	null_blk nullb0 size=8 memory_backed=1 queue_mode=2 irqmode=2 completion_nsec=30000000
}
unplug_nullb0() { rmdir $nullb; }

plug_vda() { plug_ask plug virtio; }
unplug_vda() { plug_ask unplug virtio; }

# sda is one of scsi_debug first, then one of QEMU
plug_sda() {
	if [ -d /sys/module/scsi_debug ]; then
		echo 1 >/sys/bus/pseudo/drivers/scsi_debug/add_host
	else
		plug_ask plug scsi
	fi
}
unplug_sda() {
	if [ -d /sys/module/scsi_debug ]; then
		echo 1 >/sys/block/sda/device/delete
		wait_until 60 "sda is still there" is_gone sda
		echo -1 >/sys/bus/pseudo/drivers/scsi_debug/add_host
	else
		plug_ask unplug scsi
	fi
}

# DISK: attached, watched, drained and written to, and then it goes
lose_disk() {
	local disk=$1 watcher drainer writer

	truncate -s "$(blockdev --getsize64 "/dev/$disk")" /tmp/replica
	drain attach --dirty "/dev/$disk" >/dev/null
	drain run --epochs 1 "/dev/$disk=/tmp/replica" >/dev/null
	diskwatch 0 $((60 * patience)) "/dev/$disk" >/tmp/watch 2>&1 &
	watcher=$!
	wait_until 60 "diskwatch does not start" grep -q watching /tmp/watch
	fio --output=/tmp/fio --name=load --filename="/dev/$disk" --ioengine=libaio --iodepth=16 --direct=1 \
		--rw=randwrite --bs=4k --size=8M --time_based --runtime=600 --thread >/dev/null 2>&1 &
	writer=$!
	drain run --epochs 0 --torn-ok --read 16 --delay 1000 "/dev/$disk=/tmp/replica" >/tmp/drain 2>&1 &
	drainer=$!
	wait_until 60 "nothing is in flight" in_flight "$disk"
	sleep 0.3
	"unplug_$disk"
	wait_until 60 "$disk is still there" is_gone "$disk"
	wait $watcher || die "who holds the attachment of $disk was not told: $(tail -n 1 /tmp/watch)"
	grep -q "^events=$GONE .*hangup=1" /tmp/watch ||
		die "no GONE event for $disk, but: $(tail -n 1 /tmp/watch)"
	! wait $writer || die "writing to $disk did not fail, so it was not gone"
	kill -TERM $drainer 2>/dev/null || true	# without a disk there is nothing to drain
	wait $drainer || true
	drain info | grep -q ' disks=0 ' || die "$disk is gone and attached: $(drain info)"
}

# DISK: the next one of that name
find_disk() {
	local disk=$1 before=$2

	"plug_$disk"
	wait_until 60 "no new $disk" test -b "/dev/$disk"
	[ "$(dev_of "$disk")" = "$before" ] || die "the new $disk has another dev_t: it was $before"
	same+="${same:+,}$disk"
	! drain status "/dev/$disk" >/dev/null 2>&1 || die "the new $disk is attached already"
	drain attach "/dev/$disk" >/dev/null || die "the new $disk cannot be attached"
	[ "$(status_of dirty_granules "/dev/$disk")" = 0 ] || die "the new $disk has bits of the old one"
	[ "$(status_of events "/dev/$disk")" = 0 ] || die "the new $disk has events of the old one"
	blkio write "/dev/$disk" 8192 8192 7
	[ "$(status_of dirty_granules "/dev/$disk")" = 2 ] || die "a write to the new $disk is not tracked"
	drain detach "/dev/$disk"
}

lose_and_find() {	# DISK
	local before

	before=$(dev_of "$1")
	lose_disk "$1"
	find_disk "$1" "$before"
}

modprobe sd_mod || true
modprobe scsi_debug dev_size_mb=8 delay=0 ndelay=30000000
wait_until 60 "no sda" test -b /dev/sda
plug_nullb0
insmod /mobility.ko
lose_and_find nullb0
lose_and_find sda
rmmod scsi_debug || die "scsi_debug cannot be unloaded: a disk is still held"
wait_until 60 "the sda of scsi_debug is still there" is_gone sda
modprobe virtio_scsi || true
plug_sda
wait_until 60 "no sda of QEMU" test -b /dev/sda
lose_and_find sda
# a kernel without PCI hotplug has nothing to take the disk away with
if [ -n "$(ls /sys/bus/pci/slots 2>/dev/null)" ]; then
	lose_and_find vda
fi
plug_ask end
rmmod mobility || die "the module cannot be unloaded"
rmdir $nullb
rmmod null_blk || die "null_blk cannot be unloaded: a disk is still held"
echo "same=$same"
