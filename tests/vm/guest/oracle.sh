#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest: so many points of a busy machine, each verified. See test-oracle.sh.
set -euo pipefail
here=$(dirname "$0")
# shellcheck source=tests/vm/guest/common.sh
. "$here/common.sh"
# shellcheck source=tests/vm/guest/load.sh
. "$here/load.sh"
boundaries=$1
export RECOVER_EVERY=$2

start_load() {
	load_tree /root/tree
	load_tree /data1/tree
	load_tree /data2/tree
	mkdir -p /root/fio /data1/fio
	load_fio /root/fio
	load_fio /data1/fio
	oracle_start "${oracle_disks[@]}"
}

set_up_disks
modprobe -a loop dm-snapshot
insmod /mobility.ko pool_bytes=$((128 << 20))
start_load
load_yield
drain attach --dirty "${disks[@]}"
echo "attached; initial replication"
drain run --epochs 1 "${pairs[@]}"

echo "$boundaries boundaries"
status=0
drain run --epochs "$boundaries" --abort-every 17 --random-order --progress $progress \
	--check "$here/check-point.sh $progress" "${pairs[@]}" >/tmp/drain.log || status=$?
tail -n 3 /tmp/drain.log
[ $status -eq 0 ] || die "drain failed, status $status"
[ "$(value checked "$(tail -n 1 /tmp/drain.log)")" = "$boundaries" ] ||
	die "not every point was verified"

# the same, read without the copies that were preserved: the oracle has to notice
status=0
drain run --epochs 20 --bypass --torn-ok --random-order --read 16 --progress $progress \
	--check "oracle verify ${oracle_replicas[*]}" "${pairs[@]}" >/tmp/bypass.log || status=$?
grep -q '^VIOLATION' /tmp/bypass.log ||
	die "reading around the preserved copies was not noticed: the oracle proves nothing here"
echo "control: without preserved copies, $(grep -c '^VIOLATION' /tmp/bypass.log) violations"

load_stop
oracle_stop
quiesce_disks
drain run --epochs 1 "${pairs[@]}"
expect_clean
drain info
compare_disk 2
drain detach "${disks[@]}"
rmmod mobility
