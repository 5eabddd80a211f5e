#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The busy guest of test-agent.sh: the write-order oracle writes to two disks until /run/stop exists.
set -eu
insmod /mobility.ko
oracle format /dev/mob/data1 /dev/mob/data2
oracle write --pause 20000 /dev/mob/data1 /dev/mob/data2 >/run/oracle.log &
writer=$!
echo "writing"
while [ ! -e /run/stop ]; do
	kill -0 $writer || exit 3
	sleep 0.5
done
kill -TERM $writer
wait $writer
cat /run/oracle.log
sync
echo "quiet"
while [ ! -e /run/end ]; do
	sleep 0.5
done
