#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What the module costs, in instructions, next to what a kernel has itself (dm-snapshot, dm-era), all
# in one boot of a guest under -icount: null_blk, fio psync, 4 KiB random writes over 256 MiB. Prints a
# table and writes build/bench/kmod.json. About 10 minutes.
#
# usage: kmod.sh	BENCH_IOS (60000): writes of each measurement
set -euo pipefail
bench=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export test_name="bench-kmod"
# shellcheck source=tests/vm/functions.sh
. "$bench/../vm/functions.sh"
# shellcheck source=tests/bench/figures.sh
. "$bench/figures.sh"

"$vm_dir/build-tools.sh"
# shellcheck disable=SC2119
module=$(build_kmod 2>"$vm_build/kmod.log") || { cat "$vm_build/kmod.log" >&2; exit 1; }
# the processor and the QEMU of FACTS.md's figures: rep movsb counts as an instruction a byte
MOBILITY_QEMU=${MOBILITY_QEMU:-qemu-system-x86_64} guest_run --tcg single --smp 1 --mem 3072 --timeout 2400 --qemu -icount --qemu shift=0,sleep=off --qemu -cpu --qemu max \
	--file "$module:/mobility.ko" --file "$bench/guest:/bench" --file "$vm_dir/guest:/guest" --bin "$top/build/vm/bin/drain" \
	--bin "$top/build/vm/bin/boundary" --bin "$(command -v bash):/bin/bash" --bin "$(command -v fio)" \
	--bin "$(command -v dmsetup)" --command "/bench/kmod.sh ${BENCH_IOS:-60000}"

declare -A v
while read -r _ name number; do
	v[$name]=$number
done < <(grep -a '^value ' "$vm_build/main/output.log")

absent() { calc "(${v[before.$1]} + ${v[after.$1]}) / 2"; }
added() { calc "${v[$1]} - ${v[base]}"; }

{
	row "write to a disk that is not attached: added" instructions "$(added other)" - "<= 150"
	row "write to an attached disk: added" instructions "$(added tracked)" - "<= 300"
	row "the same, the granule clean so far: added" instructions "$(added tracked_first)" - "<= 300"
	row "write elsewhere, an epoch sealed: added" instructions "$(added elsewhere)" - "<= 450"
	row "first overwrite of a sealed granule: added" instructions "$(added overwrite)" - "<= 12000"
	row "the same, dm-snapshot (persistent, 4 KiB)" instructions "$(added overwrite)" \
		"$(added dm_snapshot.overwrite)" "<= 0.5"
	row "second overwrite, and plain tracking" instructions "${v[overwrite_again]}" "${v[tracked]}" "<= 1.01"
	row "second overwrite: added; dm-snapshot" instructions "$(added overwrite_again)" \
		"$(added dm_snapshot.overwrite_again)" "<= 1.0"
	row "tracking: added; dm-era, marked before" instructions "$(added tracked)" "$(added dm_era.tracked)" "<= 1.0"
	row "tracking, granule clean: added; dm-era" instructions "$(added tracked_first)" \
		"$(added dm_era.tracked_first)" "<= 1.0"
	row "1 MiB sequential write; module absent" instructions "${v[tracked.write_1m]}" "$(absent write_1m)" "<= 1.02"
	row "4 KiB random read; module absent" instructions "${v[tracked.read]}" "$(absent read)" "<= 1.02"
	row "boundary, 16 disks: window that holds writes" us "$(calc "${v[window_ns]} / 1000")" - "<= 50"
	row "boundary, 16 disks: the longest call" us "$(calc "${v[boundary_max_ns]} / 1000")" - "<= 50"
	row "boundary, 16 disks: added to the longest write" us \
		"$(calc "(${v[write_max_ns]} - ${v[quiet_max_ns]}) / 1000")" - "<= 50"
	row "64 disks of 32 TiB attached" disks "${v[attached]}" - ">= 64"
	row "their bitmaps; the bound" MiB "$(calc "${v[bitmaps]} / 1048576")" \
		"$(calc "${v[bitmaps_bound]} / 1048576")" "<= 1.0"
} | "$bench/table.py" kmod
