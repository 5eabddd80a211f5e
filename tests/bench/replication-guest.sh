#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What replication.sh cannot show on its host, in one guest that has the module and both ends: a delta of a tracked disk
# next to rsync of the same change, and the RPO under steady small writes (1 MB/s) over a link that delays every packet
# by 20 ms. Time is the guest's: one CPU, an instruction in each nanosecond, whatever else the host does. The disk is the
# beginning of the benchmark's image. Prints a table and writes build/bench/replication-guest.json.
#
# usage: replication-guest.sh	BENCH_RUNS (3); BENCH_SECONDS (60) of steady writes; BENCH_MIB (256)
set -euo pipefail
bench=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export test_name=bench-replication
# shellcheck source=tests/vm/functions.sh
. "$bench/../vm/functions.sh"
# shellcheck source=tests/bench/figures.sh
. "$bench/figures.sh"
bin=${MOBILITY_BIN:-$top/build/bin}

image=$("$bench/image.sh")
# shellcheck disable=SC2119
module=$(build_kmod 2>"$vm_build/kmod.log") || { cat "$vm_build/kmod.log" >&2; exit 1; }
eval "$("$vm_dir/fetch-kernel.sh" bookworm)"
netem=$(find "$MODROOT/lib/modules/$RELEASE" -name sch_netem.ko)
rm -f "$vm_build"/*.img
dd if="$image" of="$vm_build/data.img" bs=1M count="${BENCH_MIB:-256}" conv=sparse status=none
truncate -s "${BENCH_MIB:-256}M" "$vm_build/data.img"
guest_disk "$vm_build/copy.img" "${BENCH_MIB:-256}M"
guest_disk "$vm_build/store.img" 3G
mke2fs -q -F -t ext4 -m 0 "$vm_build/store.img"
guest_run --tcg single --smp 1 --mem 2048 --timeout 2400 --kernel bookworm --qemu -icount --qemu shift=0,sleep=off \
	--disk "$vm_build/data.img:raw:serial=data" --disk "$vm_build/copy.img:raw:serial=copy" --disk "$vm_build/store.img:raw:serial=store" \
	--file "$module:/mobility.ko" --file "$netem:/sch_netem.ko" --file "$bench/guest:/bench" \
	--bin "$bin/mobilityd" --bin "$bin/mobilityctl" --bin "$bin/mobility-appliance" --bin "$(command -v bash):/bin/bash" \
	--bin "$(command -v fio)" --bin "$(command -v rsync)" --bin "$(command -v jq)" --bin "$(command -v sqlite3)" --bin "$(command -v tc)" --bin "$(command -v ip)" \
	--command "/bench/replication.sh ${BENCH_RUNS:-3} ${BENCH_SECONDS:-60}"
rm -f "$vm_build"/*.img

# the_value NAME P: that quantile of the values of a name
the_value() {
	tr -d '\r' <"$vm_build/main/output.log" | awk -v k="$1" '$1 == "value" && $2 == k && $3 != "null" { print $3 }' | quantile "$2"
}

{
	row "delta of 1 %, tracked; rsync --inplace" "s of guest" "$(the_value delta 0.5)" "$(the_value rsync 0.5)" "<= 0.1"
	row "  bytes on the wire; payload" MB "$(calc "$(the_value delta_wire 0.5) / 1e6")" "$(calc "$(the_value delta_payload 0.5) / 1e6")" "<= 1.02"
	row "RPO, 1 MB/s over a 20 ms link, p50" "s of guest" "$(calc "$(the_value rpo 0.5) / 1e9")" - "<= 1.5"
	row "  p99" "s of guest" "$(calc "$(the_value rpo 0.99) / 1e9")" - "<= 3"
	row "  the link's round trip" "ms of guest" "$(the_value rtt 0.5)" - ">= 20"
} | "$bench/table.py" replication-guest
