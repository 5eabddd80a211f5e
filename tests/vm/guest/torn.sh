#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest: preserved copies have next to no room, or are not made at all. See test-torn.sh and
# test-track-only.sh.
# usage: torn.sh WANTED-MODE MODULE-PARAMETER...
set -euo pipefail
# shellcheck source=tests/vm/guest/common.sh
. "$(dirname "$0")/common.sh"
# shellcheck source=tests/vm/guest/load.sh
. "$(dirname "$0")/load.sh"
wanted_mode=$1
shift
verify="oracle verify --at-least $progress.before --at-most $progress.after ${oracle_replicas[*]}"

set_up_disks
insmod /mobility.ko "$@"
oracle_pause=1000 oracle_start "${oracle_disks[@]}"
load_tree /root/tree
load_tree /data1/tree
load_tree /data2/tree
load_yield
drain attach --dirty "${disks[@]}"
info=$(drain info)
[ "$(value mode "$info")" = "$wanted_mode" ] || die "mode $wanted_mode was expected: $info"

# under load, with a slow reader: points may be lost, a wrong one may not be shown
drain run --epochs 1 --torn-ok "${pairs[@]}"
drain run --epochs 10 --torn-ok --random-order --delay 200 --progress $progress \
	--check "$verify" "${pairs[@]}" | tee /tmp/slow.log
summary=$(tail -n 1 /tmp/slow.log)
[ "$(value torn "$summary")" -gt 0 ] || die "no epoch was torn, so nothing was shown: $summary"
[ "$(value torn_epochs "$(drain info)")" -ge "$(value torn "$summary")" ] ||
	die "the module does not count its torn epochs: $(drain info)"

# and with (almost) nobody writing, points are taken again
load_stop
kill -STOP $oracle_pid
sync
drain run --epochs 3 --torn-ok --progress $progress --check "$verify" "${pairs[@]}" |
	tee /tmp/quiet.log
summary=$(tail -n 1 /tmp/quiet.log)
[ "$(value checked "$summary")" -gt 0 ] || die "no point could be taken of idle disks: $summary"
kill -CONT $oracle_pid
oracle_stop

quiesce_disks
drain run --epochs 1 --torn-ok "${pairs[@]}"
expect_clean
drain info
echo "slow reader: $(tail -n 1 /tmp/slow.log)"
drain detach "${disks[@]}"
rmmod mobility
