#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest: ioctlfuzz on three disks, then whatever the module has left behind. See
# test-ioctl-fuzz.sh.
# usage: ioctl-fuzz.sh SEED ROUNDS SECONDS [OPTION...]
set -euo pipefail
# shellcheck source=tests/vm/guest/base.sh
. /guest/base.sh
seed=$1 rounds=$2 seconds=$3
shift 3

# in kB
percpu() { awk '$1 == "Percpu:" { print $2 }' /proc/meminfo; }

quiet_faults() {	# allocations that may sleep fail as well, without a message
	local fault

	for fault in failslab fail_page_alloc; do
		echo 0 >/sys/kernel/debug/$fault/verbose
		echo N >/sys/kernel/debug/$fault/ignore-gfp-wait
	done
}

# what is written to it stays in memory: not so large that a long run fills it
null_blk nullb0 size=64 memory_backed=1 discard=1
faults=()
if [ -d /sys/kernel/debug/failslab ]; then
	quiet_faults
	faults=(--faults)
fi
ulimit -c 0

run() { ioctlfuzz "$@" "$seed" "$rounds" "$seconds" /mobility.ko /dev/mob/data1 /dev/mob/data2 /dev/nullb0; }

# one life first, for what the kernel allocates once
ioctlfuzz "$seed" 1 1 /mobility.ko /dev/mob/data1 /dev/mob/data2 /dev/nullb0 >/dev/null ||
	die "the first round failed (seed $seed)"
before=$(percpu)
run "${faults[@]}" "$@" || die "the calls of seed $seed found an error"
[ ! -e /sys/module/mobility ] || die "the module is still loaded (seed $seed)"
! grep -E 'mob_[a-z_]+\+|\[mobility\]' /proc/vmallocinfo || die "vmalloc areas are left (seed $seed)"
sleep 1
after=$(percpu)
[ "$after" -le $((before + 256)) ] || die "per-cpu memory grew from $before to $after kB (seed $seed)"
