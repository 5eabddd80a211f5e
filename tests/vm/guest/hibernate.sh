#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest; see ../test-hibernate.sh.
set -euo pipefail
# shellcheck source=tests/vm/guest/base.sh
. /guest/base.sh
disk=/dev/mob/swap replica=/dev/mob/replica0
SUSPECT=1

[ -w /sys/power/disk ] || die "this kernel cannot hibernate"
insmod /mobility.ko
mkswap $disk >/dev/null
drain attach --dirty $disk >/dev/null
drain run --epochs 1 $disk=$replica >/dev/null
swapon $disk
drain run --epochs 1 $disk=$replica >/dev/null
echo test_resume >/sys/power/disk
echo disk >/sys/power/state
[ "$(status_of events $disk)" = $SUSPECT ] || die "nothing is suspected after a hibernation: events $(status_of events $disk)"
! drain run --epochs 1 $disk=$replica >/tmp/drain.log || die "the epoch in which the machine hibernated is a point"
grep -q 'torn: the machine hibernated' /tmp/drain.log || die "torn for another reason: $(tail -n 1 /tmp/drain.log)"
swapoff $disk
drain run --epochs 1 --torn-ok $disk=$replica >/dev/null
unseen=$(value differing_granules "$(drain diff $disk=$replica)")
[ "$unseen" -gt 0 ] || die "no write was missed: nothing was shown"
drain detach $disk
rmmod mobility
echo "unseen=$unseen"
