#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest: the module loads, says its mode, and what was written is in the replica. See kmatrix.sh.
set -euo pipefail

insmod /mobility.ko
drain info
drain attach --dirty /dev/mob/disk
dd if=/dev/urandom of=/dev/mob/disk bs=64k count=256 oflag=direct conv=notrunc 2>/dev/null
drain run --epochs 1 /dev/mob/disk=/dev/mob/replica
dd if=/dev/urandom of=/dev/mob/disk bs=4k seek=9000 count=500 oflag=direct conv=notrunc 2>/dev/null
drain run --epochs 1 /dev/mob/disk=/dev/mob/replica
drain detach /dev/mob/disk
rmmod mobility
