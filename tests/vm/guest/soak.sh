#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In a busybox guest: see ../soak.sh. Rounds of one minute: filesystems on a partition, LVM, LUKS, md raid0 are
# kept busy while things happen at random: boundaries, kills of the drainer, epochs given up, mkfs,
# trims, volumes that grow, disks that are detached and attached again, and one that is pulled. Every point that
# is not torn is verified with the write-order oracle; at the quiet end of each round every byte is compared.
# usage: soak.sh MINUTES SEED	| soak.sh check
set -euo pipefail
# shellcheck source=tests/vm/guest/load.sh
. /guest/load.sh
# shellcheck source=tests/vm/guest/layers.sh
. /guest/layers.sh

disk=(none /dev/mob/disk1 /dev/mob/disk2 /dev/mob/disk3 /dev/mob/disk4)
replica=(none /dev/mob/replica1 /dev/mob/replica2 /dev/mob/replica3 /dev/mob/replica4)
first_sector=2049
pairs=()
for i in 1 2 3 4; do
	pairs+=("${disk[$i]}=${replica[$i]}")
done
levels=("${disk[@]:1}")
# the oracle's place: the end of disk 1, and the end of the array, seen through its first volume
writers=("${disk[1]}@340M" /dev/mapper/vgm-oracle)

if [ "${1-}" = check ]; then
	status=0
	view_raid0 raid md0 "${replica[3]}" "${replica[4]}"
	view_map oracle vgm-oracle /dev/md0 "$made"
	oracle verify --at-least $progress.before --at-most $progress.after "${replica[1]}@340M" "$made" || status=$?
	view_close oracle raid
	exit $status
fi
minutes=$1 RANDOM=$2
roll() { echo $((RANDOM % $1)); }

# mount points, their devices, their filesystems
places=(/mnt/part /mnt/lvm /mnt/luks /mnt/md)
devices=([0]=/dev/mapper/part1 /dev/mapper/vgl-a /dev/mapper/secret /dev/mapper/vgm-b)

make_stacks() {
	# a partition, 340 MiB, and the oracle's place behind it
	dmsetup create part1 --table "0 $((330 * 2048)) linear ${disk[1]} $first_sector"
	lvm_make "${disk[2]}" vgl a 160M
	lvcreate -qq -y -Wn -Zn -L 100M -n c vgl 2>/dev/null
	luks_make /dev/mapper/vgl-c secret
	md_make md0 0 "${disk[3]}" "${disk[4]}"
	echo 0 >/sys/block/md0/queue/iostats
	lvm_make /dev/md0 vgm oracle 8M
	lvcreate -qq -y -Wn -Zn -L 160M -n b vgm 2>/dev/null
}

make_fs() {		# NUMBER
	local types=(ext4 ext4 btrfs)

	[ "$1" -ne 0 ] || types=(xfs ext4 btrfs)
	type=${types[$(roll ${#types[@]})]}
	case $type in
	ext4)	mke2fs -q -F -t ext4 "${devices[$1]}" ;;
	xfs)	mkfs.xfs -q -f "${devices[$1]}" ;;
	btrfs)	mkfs.btrfs -q -f --mixed "${devices[$1]}" >/dev/null ;;
	esac
	mount -t "$type" "${devices[$1]}" "${places[$1]}"
	fs[$1]=$type
}

# a filesystem's load: a tree of files, and now and then fio
start_place() {		# NUMBER
	load_pids=()
	load_tree "${places[$1]}/tree"
	if [ "$(roll 3)" -eq 0 ]; then
		mkdir -p "${places[$1]}/fio"
		fio --output=/dev/null --directory="${places[$1]}/fio" --time_based --runtime=3600 --size=8M --rate_iops=20 \
			--randrepeat=0 --ignore_error=,ENOSPC, --name=direct --ioengine=libaio --iodepth=4 --direct=1 --rw=randwrite --bs=4k \
			--name=cached --ioengine=psync --fsync=10 --rw=randwrite --bs=16k &
		load_pids+=($!)
	fi
	pids[$1]="${load_pids[*]}"
}

stop_place() {		# NUMBER: whatever it was told, its writes must not fail; checked by their filesystem
	local pid status

	read -ra load_pids <<<"${pids[$1]}"
	load_ready
	for pid in "${load_pids[@]}"; do
		kill -TERM "$pid" 2>/dev/null || true
		status=0
		wait "$pid" || status=$?
		[ $status -eq 0 ] || [ $status -eq 128 ] || die "a load on ${places[$1]} (${fs[$1]}) failed, status $status"
	done
	pids[$1]=""
}

# --- what happens ---------------------------------------------------------------------------------

do_points() {
	drain run --epochs $(($(roll 4) + 1)) --torn-ok --random-order --delay "$(roll 400)" --read $((16 << $(roll 4))) \
		--progress $progress --check "$0 check" "${pairs[@]}" >/tmp/points || { tail -n 20 /tmp/points; die "a point is wrong"; }
	count points "$(value checked "$(tail -n 1 /tmp/points)")"
	count torn "$(value torn "$(tail -n 1 /tmp/points)")"
}

do_kill() {		# the drainer, with an epoch open
	local pid

	drain run --epochs 0 --torn-ok --random-order --read 16 --delay 500 "${pairs[@]}" >/dev/null 2>&1 &
	pid=$!
	sleep "0.$(roll 10)"
	kill -KILL $pid
	wait $pid || true
	count kills 1
}

do_abort() {
	drain run --epochs 2 --abort-every 2 --torn-ok --random-order "${pairs[@]}" >/dev/null
	count aborts 1
}

do_trim() {
	local n

	n=$(roll 4)
	fstrim "${places[$n]}" 2>/dev/null || true	# LUKS does not pass it on
	count trims 1
}

do_mkfs() {
	local n

	n=$(roll 4)
	stop_place "$n"
	umount "${places[$n]}"
	make_fs "$n"
	start_place "$n"
	count mkfs 1
}

do_grow() {		# the volume, and its filesystem if that is ext4; back to its size with the next mkfs
	[ "$(lvs --noheadings --nosuffix --units m -o lv_size vgm/b | cut -d. -f1)" -lt 260 ] || return 0
	lvextend -qq -L +8M vgm/b 2>/dev/null
	[ "${fs[3]}" != ext4 ] || resize2fs /dev/mapper/vgm-b >/dev/null 2>&1 || die "the grown filesystem cannot be resized"
	count grown 1
}

do_reattach() {		# what is written meanwhile is not tracked: all of it is dirty afterwards
	local n

	n=$(($(roll 4) + 1))
	drain detach "${disk[$n]}" >/dev/null
	sleep "0.$(roll 10)"
	drain attach --dirty "${disk[$n]}" >/dev/null
	drain run --epochs 1 --torn-ok "${pairs[@]}" >/dev/null
	count reattached 1
}

do_hotplug() {		# a disk of its own: pulled with writes in flight and an epoch open, and put back
	local pid name

	name=$(basename "$(readlink -f /sys/block/sd*)")
	drain attach --dirty "/dev/$name" >/dev/null
	(while [ -b "/dev/$name" ] && dd if=/dev/zero of="/dev/$name" bs=4k count=2000 oflag=direct; do :; done) \
		>/dev/null 2>&1 &
	pid=$!
	sleep "0.$(roll 10)"
	echo 1 >"/sys/block/$name/device/delete"
	wait $pid || true
	drain run --epochs 1 --torn-ok "${pairs[@]}" >/dev/null
	[ -b "/dev/$name" ] || rm -f "/dev/$name"	# the file that a late dd has made
	echo "- - -" >/sys/class/scsi_host/host0/scan
	until ls /sys/block/sd* >/dev/null 2>&1; do sleep 0.1; done
	count pulled 1
}

# --- rounds ---------------------------------------------------------------------------------------

declare -A counts
count() { counts[$1]=$((${counts[$1]:-0} + $2)); }

quiet() {		# nobody writes; every byte
	local n

	for n in "${!places[@]}"; do
		stop_place "$n"
		umount "${places[$n]}"
	done
	oracle_stop >/dev/null || die "a write of the oracle failed"
	drain run --epochs 1 --torn-ok "${pairs[@]}" >/dev/null
	for n in "${pairs[@]}"; do
		[ "$(value differing_granules "$(drain diff "$n")")" = 0 ] || die "the replica of ${n%=*} differs"
	done
	for n in "${levels[@]}"; do
		[ "$(value events "$(drain status "$n")")" = 0 ] || die "$n has events: $(drain status "$n")"
	done
	count compared 1
}

round() {
	local n end actions=(points points points kill abort trim mkfs grow reattach hotplug)

	oracle_pause=20000 oracle_start "${writers[@]}" >/dev/null
	for n in "${!places[@]}"; do
		make_fs "$n"
		start_place "$n"
	done
	end=$((SECONDS + 50))
	while [ $SECONDS -lt $end ]; do
		"do_${actions[$(roll ${#actions[@]})]}"
	done
	quiet
	echo "minute $((SECONDS / 60)): $(summary)"
}

summary() {
	local key

	for key in points torn compared kills aborts reattached pulled mkfs trims grown; do
		echo -n "$key=${counts[$key]:-0} "
	done
}

modprobe -a ext4 xfs btrfs loop virtio_scsi sd_mod || true
layers_init "${replica[@]:1}"
make_stacks
mkdir -p "${places[@]}"
fs=() pids=()
insmod /mobility.ko pool_bytes=$((64 << 20))
drain attach --dirty "${levels[@]}" >/dev/null
drain run --epochs 1 "${pairs[@]}" >/dev/null
SECONDS=0
while [ $SECONDS -lt $((minutes * 60)) ]; do
	round
done
drain info
drain detach "${levels[@]}"
vgchange -qq -an vgm
cryptsetup close secret
rmmod mobility
echo "soaked: seconds=$SECONDS $(summary)"
