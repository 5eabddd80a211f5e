#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest; see ../test-window.sh.
set -euo pipefail
# shellcheck source=tests/vm/guest/hold.sh
. /guest/hold.sh
disk=/dev/mob/data1
seconds=4 turn_us=5000 delay_us=1000 limit_us=2000

grep -q '(full)' /sys/kernel/debug/sched/preempt 2>/dev/null || die "this kernel does not preempt everywhere: nothing can be shown"
insmod /mobility.ko
echo "0,0,0,0,0,0,0,$delay_us" >/sys/module/mobility/parameters/test_delay_us
drain attach $disk >/dev/null
# somebody who comes first, again and again, for some milliseconds
interrupter $seconds $turn_us >/tmp/turns &
turns_pid=$!
while kill -0 $turns_pid 2>/dev/null; do
	drain run --epochs 50 $disk=/dev/mob/replica0 >/dev/null
done
wait $turns_pid
boundaries=$(counter module boundaries)
window_us=$(($(counter module boundary_max_ns) / 1000))
[ "$boundaries" -gt 100 ] || die "only $boundaries boundaries were taken"
[ $window_us -gt $((delay_us / 2)) ] || die "no window was open for long: nothing was shown"
[ $window_us -lt $limit_us ] || die "a window was open for $window_us us, since somebody else had the CPU"
drain detach $disk
rmmod mobility
echo "boundaries=$boundaries preempted=$(cat /tmp/turns) window_us=$window_us"
