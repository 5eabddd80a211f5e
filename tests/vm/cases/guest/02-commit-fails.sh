#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest: see 02-commit-fails.sh on the host.
set -euo pipefail
# shellcheck source=tests/vm/guest/common.sh
. /guest/common.sh
# shellcheck source=tests/vm/guest/hold.sh
. /guest/hold.sh
disk=/dev/mob/data1 pair=/dev/mob/data1=/dev/mob/replica0
# what is read in vain goes here, so that the replica has only what a commit brought
lost=$disk=/tmp/lost

scribble() {		# FIRST COUNT: granules
	dd if=/dev/urandom of=$disk bs=4k seek="$1" count="$2" oflag=direct conv=notrunc 2>/dev/null
}

dirty_is() {		# COUNT
	dirty=$(value dirty_granules "$(drain status $disk)")
	[ "$dirty" = "$1" ]
}

# All of COUNT granules must be dirty soon: giving bits back takes a moment.
expect_dirty() {	# COUNT WHEN
	local end=$((SECONDS + 10 * patience))

	until dirty_is "$1"; do
		[ $SECONDS -lt $end ] ||
			die "$2, the bits were not given back: $dirty of $1 granules are dirty"
		sleep 0.05
	done
	echo "$2: $dirty granules are dirty, as they must be"
}

insmod /mobility.ko
scribble 0 2048
drain attach --dirty $disk
drain run --epochs 1 $pair
dirty_is 0 || die "$dirty granules are dirty of an idle disk"

# 64 granules; read; half of them and 8 others overwritten; closed without a commit
scribble 100 64
hold_start --until read $lost
hold_wait read
scribble 100 32
scribble 1000 8
dirty_is 40 || die "with 40 granules overwritten since the boundary, $dirty are dirty"
hold_release
expect_dirty 72 "an epoch was closed after it had been read"

# the same bits again, and more; killed in the midst of reading
scribble 500 64
hold_start --until read --delay 20000 --read 4 --random-order $lost
hold_wait reading
sleep 0.5
hold_kill
expect_dirty 136 "its owner was killed while it read the epoch"

# twice in a row with nothing written in between, and something overwritten that was not read yet
hold_start --until read $lost
hold_wait read
hold_release
expect_dirty 136 "the next epoch was closed too"
hold_start --until sealed $lost
hold_wait sealed
scribble 500 64
hold_kill
expect_dirty 136 "the owner of a sealed epoch was killed"

drain run --epochs 1 $pair
dirty_is 0 || die "$dirty granules are dirty after the commit"
[ "$(value failed_writes "$(drain status $disk)")" = 0 ] || die "a write failed"
drain detach $disk
rmmod mobility
