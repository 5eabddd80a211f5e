#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest: many points while every race window of the module is wide open. See test-delays.sh.
# usage: delays.sh BOUNDARIES
set -euo pipefail
here=$(dirname "$0")
# shellcheck source=tests/vm/guest/common.sh
. "$here/common.sh"
# shellcheck source=tests/vm/guest/load.sh
. "$here/load.sh"
boundaries=$1
delayed=(/dev/nullb0 /dev/nullb1)
# disks and replicas are in memory: nothing but the delays takes time
copies=(/tmp/replica1 /tmp/replica2)
pairs=("${delayed[0]}=${copies[0]}" "${delayed[1]}=${copies[1]}")
# in the order of kmod/testdelay.h: epoch read, marked, old content read, copy visible, drain
# read, drain looked for a copy, completed, window open, granule to preserve found
read -ra delays <<<"${DELAYS:-3000 3000 3000 3000 2000 2000 3000 30000 3000}"
threads=direct:512,direct:4096,vector:1536,nowait:3584,aio:5120,direct:3072,direct:16384,direct:9216
verify="exec oracle verify --at-least $progress.before --at-most $progress.after ${copies[*]}"

delay() {		# MICROSECONDS...: the longest at each point
	echo "$*" | tr ' ' , >/sys/module/mobility/parameters/test_delay_us
}

# One disk completes its writes in a softirq, the other some time later in a timer.
make_disk() {		# NUMBER IRQMODE
	null_blk "nullb$1" size=2 memory_backed=1 blocksize=512 irqmode="$2" completion_nsec=50000
}

make_disk 0 1
make_disk 1 2
insmod /mobility.ko pool_bytes=$((64 << 20)) || die "the module does not load"
oracle format --threads $threads --rows 6 "${delayed[@]}"
oracle_pause=8000 oracle_write "${delayed[@]}"
load_yield
drain attach --dirty "${delayed[@]}"
truncate -s "$(blockdev --getsize64 "${delayed[0]}")" "${copies[@]}"
drain run --epochs 1 "${pairs[@]}"
delay "${delays[@]}"
# half of the writes that are held in an open window do not wait for its end
echo 2 >/sys/module/mobility/parameters/test_impatient

start=$EPOCHREALTIME
status=0
drain run --epochs "$boundaries" --abort-every 17 --random-order --read 4 \
	--progress $progress --check "$verify" "${pairs[@]}" >/tmp/drain.log || status=$?
taken=$((${EPOCHREALTIME/./} - ${start/./}))
summary=$(tail -n 1 /tmp/drain.log)
echo "$summary"
if [ $status -ne 0 ]; then
	grep -av 'oracle: consistent' /tmp/drain.log | head -n 20
	die "a point is wrong, or was not taken: $(grep -a '^VIOLATION\|^drain: ' /tmp/drain.log |
		head -n 1)"
fi
[ "$(value checked "$summary")" = "$boundaries" ] || die "not every point was verified"
info=$(drain info)
echo "$info"
preserved=0
for disk in "${delayed[@]}"; do
	preserved=$((preserved + $(value preserved_granules "$(drain status "$disk")")))
done
[ $((preserved * 4)) -ge "$boundaries" ] ||
	die "only $preserved copies were made for $boundaries points: nothing was exercised"

# the same, read without the copies that were preserved: the oracle has to notice
drain run --epochs 20 --bypass --torn-ok --random-order --read 4 --delay 300 \
	--check "oracle verify ${copies[*]}" "${pairs[@]}" >/tmp/bypass.log || true
grep -aq '^VIOLATION' /tmp/bypass.log ||
	die "reading around the preserved copies was not noticed: the oracle proves nothing here"

delay 0 0 0 0 0 0 0 0 0
oracle_stop
drain run --epochs 1 "${pairs[@]}"
for i in 0 1; do
	cmp <(dd if="${delayed[$i]}" bs=1M iflag=direct 2>/dev/null) "${copies[$i]}" ||
		die "the replica of ${delayed[$i]} differs"
	[ "$(value dirty_granules "$(drain status "${delayed[$i]}")")" = 0 ] ||
		die "${delayed[$i]} is dirty after the last epoch"
done
drain detach "${delayed[@]}"
rmmod mobility
echo "delays: boundaries=$boundaries preserved=$preserved seconds=$((taken / 1000000))" \
	"per_minute=$((boundaries * 60000000 / taken))"
