#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest; see ../test-window.sh.
# usage: window.sh preempted|slow
set -euo pipefail
# shellcheck source=tests/vm/guest/hold.sh
. /guest/hold.sh
disk=/dev/mob/data1 replica=/dev/mob/replica0

window_delay() { echo "0,0,0,0,0,0,0,$1" >/sys/module/mobility/parameters/test_delay_us; }	# MICROSECONDS, at most

# Boundaries as long as somebody runs; sets window_us, the longest window.
boundaries_while() {	# PID
	while kill -0 "$1" 2>/dev/null; do
		drain run --epochs 20 --torn-ok $disk=$replica >/dev/null
	done
	wait "$1" || die "what ran beside the boundaries failed"
	window_us=$(($(counter module boundary_max_ns) / 1000))
}

# Somebody who comes first takes the CPU again and again, for some milliseconds.
preempted() {
	local turn_us=5000 delay_us=1000 limit_us=2000 boundaries

	grep -q '(full)' /sys/kernel/debug/sched/preempt || die "this kernel does not preempt everywhere: nothing can be shown"
	window_delay $delay_us
	interrupter 4 $turn_us >/tmp/turns &
	boundaries_while $!
	boundaries=$(counter module boundaries)
	[ "$boundaries" -gt 100 ] || die "only $boundaries boundaries were taken"
	[ $window_us -gt $((delay_us / 2)) ] || die "no window was open for long: nothing was shown"
	[ $window_us -lt $limit_us ] || die "a window was open for $window_us us, since somebody else had the CPU"
	echo "boundaries=$boundaries preempted=$(cat /tmp/turns) window_us=$window_us"
}

# Windows of up to a second, while another CPU writes.
slow() {
	local delay_us=1000000 limit_us=200000 held_us

	window_delay $delay_us
	fio --output=/tmp/fio --name=w --filename=$disk --ioengine=psync --direct=1 --rw=randwrite --bs=4k --time_based --runtime=12 \
		--thinktime=500 --thread &
	boundaries_while $!
	held_us=$(status_of held_max_us $disk)
	[ $window_us -gt $((limit_us + 50000)) ] || die "no window was open for long ($window_us us): nothing was shown"
	[ "$held_us" -lt $limit_us ] || die "a write was held for $held_us us"
	window_delay 0
	drain run --epochs 1 $disk=$replica
	echo "window_ms=$((window_us / 1000)) held_ms=$((held_us / 1000))"
}

insmod /mobility.ko
drain attach --dirty $disk >/dev/null
"$1"
drain detach $disk
rmmod mobility
