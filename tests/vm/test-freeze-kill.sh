#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Requester, shim, watchdog and writer are killed and stopped at random moments of snapshot sets over ext4, XFS, btrfs and
# a loop device: within the window and one second everything is let go, each time, and no set is called consistent that
# is not. ROUNDS=N, SEED=N.
set -euo pipefail
# shellcheck source=tests/vm/test-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/test-lib.sh"

rounds=${ROUNDS:-12}
seed=${SEED:-$((RANDOM))}
folder=$vm_build/content

disks=()
"$vm_dir/build-tools.sh"
make -s -C "$top" build/bin/vss-shim >"$vm_build/make.log" 2>&1 || fail "vss-shim does not build"
test_images 96M ext4
test_images 320M xfs
test_images 128M btrfs
rm -rf "$folder"
mkdir "$folder"
truncate -s 24M "$folder/loop.img"
mkfs.ext4 -q "$folder/loop.img"
mkfs.ext4 -q -d "$folder" "$vm_build/ext4.img"
mkfs.xfs -q "$vm_build/xfs.img"
mkfs.btrfs -q "$vm_build/btrfs.img"
guest_run --timeout 400 "${disks[@]}" --file "$vm_dir/guest:/guest" --bin "$top/build/vm/bin/freezekill" \
	--bin "$top/build/bin/vss-shim" --command "/guest/freeze-kill.sh $rounds $seed" ||
	fail "seed $seed: $(tail -n 1 "$vm_build/main/output.log")"
figures="$rounds rounds, everything let go after at most $(test_value free_ms) ms, longest write $(test_value write_ms) ms"
pass
