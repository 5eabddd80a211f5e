#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest: somebody else owns the submission function, ftrace is off, or nobody calls the function. See test-hook-owner.sh.
set -euo pipefail
# shellcheck source=tests/vm/guest/base.sh
. /guest/base.sh
owned="another module or livepatch owns the submission function"

says() { dmesg | tail -n 5 | grep -qF "$1" || die "the kernel log does not say '$1': $(dmesg | tail -n 2)"; }
module=/mobility.ko
refused() {		# SENTENCE PARAMETER...
	local sentence=$1

	shift
	! insmod $module "$@" 2>/dev/null || die "the module loads with $* though: $sentence"
	[ ! -e /dev/mobility ] || die "a refused module leaves its device"
	says "$sentence"
	[[ $sentence != *mode=hook* ]] || says "mode=auto would track only"
	says "without the module the agent scans the disks"
}

round() {		# MODE: what was written arrives; of this mode
	local info

	info=$(drain info)
	echo "$info"
	[[ $info == mode=$1\ * ]] || die "mode $1 was expected: $info"
	drain attach --dirty /dev/mob/disk
	dd if=/dev/urandom of=/dev/mob/disk bs=64k count=64 oflag=direct conv=notrunc 2>/dev/null
	drain run --epochs 1 /dev/mob/disk=/dev/mob/replica
	dd if=/dev/urandom of=/dev/mob/disk bs=4k seek=3000 count=100 oflag=direct conv=notrunc 2>/dev/null
	drain run --epochs 1 /dev/mob/disk=/dev/mob/replica
	cmp /dev/mob/disk /dev/mob/replica || die "the replica differs in mode $1"
	drain detach /dev/mob/disk
}

function=submit_bio_noacct_nocheck
grep -q " $function\$" /proc/kallsyms || function=submit_bio_noacct

insmod /hookowner.ko function=$function
refused "mode=hook is not possible: $owned" mode=hook
insmod /mobility.ko
says "track-only: $owned"
round 2
[[ $(drain info) == *"reason='$owned'" ]] || die "the reason is not told: $(drain info)"
rmmod mobility
rmmod hookowner

# a kernel that was compiled otherwise: blk_start_plug() calls nothing of it
module=/test-build.ko
caller=submit_bio_noacct
[ $function = submit_bio_noacct_nocheck ] || caller=submit_bio
inlined="$caller() of this kernel does not call $function(): it was inlined"
refused "mode=hook is not possible: $inlined" mode=hook test_caller=blk_start_plug
insmod $module test_caller=blk_start_plug
says "track-only: $inlined"
round 2
rmmod mobility
module=/mobility.ko

# whoever comes second is refused, and the hook goes on
insmod /mobility.ko mode=hook
! insmod /hookowner.ko function=$function 2>/dev/null || die "the function has two owners"
! echo 0 2>/dev/null >/proc/sys/kernel/ftrace_enabled || die "ftrace can be switched off under the hook"
round 1
rmmod mobility

echo 0 >/proc/sys/kernel/ftrace_enabled
refused "ftrace is switched off: set the sysctl kernel.ftrace_enabled to 1"
refused "ftrace is switched off: set the sysctl kernel.ftrace_enabled to 1" mode=track-only
echo 1 >/proc/sys/kernel/ftrace_enabled
insmod /mobility.ko mode=hook
round 1
rmmod mobility
