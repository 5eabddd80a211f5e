#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest; see ../test-attach-inflight.sh. The disk takes one write a second.
set -euo pipefail
# shellcheck source=tests/vm/guest/base.sh
. /guest/base.sh
disk=/dev/mob/slow replica=/tmp/replica
writes=16

dd if=/dev/urandom of=/tmp/new bs=4k count=$writes status=none
for ((i = 0; i < writes; i++)); do
	dd if=/tmp/new of=$disk bs=4k count=1 skip=$i seek=$((i * 16)) oflag=direct conv=notrunc status=none &
done
until [ "$(awk '{ print $2 }' /sys/block/vda/inflight)" -ge $((writes - 2)) ]; do
	sleep 0.05
done
insmod /mobility.ko
truncate -s "$(blockdev --getsize64 $disk)" $replica
drain attach --dirty $disk >/dev/null
drain run --epochs 1 $disk=$replica >/dev/null
late=$(awk '{ print $2 }' /sys/block/vda/inflight)
wait
[ "$late" -gt 0 ] || die "no write was in flight any more after the first epoch: nothing was shown"
[ "$(value writes "$(drain status $disk)")" = 0 ] || die "the writes came after the attachment: nothing was shown"
drain run --epochs 1 $disk=$replica >/dev/null
differing=$(value differing_granules "$(drain diff $disk=$replica)")
[ "$differing" = 0 ] || die "$differing writes from before the attachment are lost"
echo "late=$late"
