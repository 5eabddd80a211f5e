#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A long storm in one guest: see guest/soak.sh. Prints the seed, a line each round, and a summary.
# environment: MINUTES (30), SEED (random; the same seed chooses the same actions)
set -euo pipefail
test_name=soak
# shellcheck source=tests/vm/test-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/test-lib.sh"
# shellcheck source=tests/vm/layers.sh
. "$vm_dir/layers.sh"
minutes=${MINUTES:-30}
seed=${SEED:-$RANDOM}
# 352 MiB: the smallest XFS, and room for the oracle behind it
size=(none 352M 288M 160M 160M)

"$vm_dir/build-tools.sh"
test_module
disks=()
for i in 1 2 3 4; do
	for name in disk replica; do
		guest_disk "$vm_build/$name$i.img" "${size[$i]}"
		disks+=(--disk "$vm_build/$name$i.img:raw:serial=$name$i")
	done
done
guest_disk "$vm_build/hotplug.img" 32M
echo "soak: $minutes minutes, seed $seed"
# what a disk that is pulled with writes in flight may say
guest_run --mem 1536 --timeout $((minutes * 120 + 600)) "${disks[@]}" --file "$module:/mobility.ko" \
	--qemu -device --qemu virtio-scsi-pci,id=scsi --qemu -device --qemu scsi-hd,bus=scsi.0,drive=hotplug \
	--qemu -drive --qemu "if=none,id=hotplug,file=$vm_build/hotplug.img,format=raw,cache=unsafe" \
	--allow 'I/O error, dev sd|Buffer I/O error on dev sd|rejecting I/O' \
	--file "$vm_dir/guest:/guest" --bin "$top/build/vm/bin/oracle" --bin "$top/build/vm/bin/drain" \
	--bin "$top/build/vm/bin/churn" --bin "$(command -v bash):/bin/bash" "${layers_bins[@]}" \
	--bin "$(command -v fio)" --bin "$(command -v mkfs.btrfs)" --bin "$(command -v mkfs.xfs)" --bin "$(command -v resize2fs)" \
	--bin "$(command -v lvm):/usr/local/bin/lvs" --command "/guest/soak.sh $minutes $seed" ||
	fail "seed $seed: $(grep -av '^oracle:' "$vm_build/main/output.log" | tail -n 1)"
for i in 1 2 3 4; do
	[ "$(sha256sum <"$vm_build/disk$i.img")" = "$(sha256sum <"$vm_build/replica$i.img")" ] ||
		fail "seed $seed: disk$i and its replica differ"
done
figures="seed $seed, $(sed -n 's/^soaked: //p' "$vm_build/main/output.log" | tr -d '\r')"
pass
