#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Requester, shim, watchdog and writer are killed and stopped at random moments of snapshot sets over ext4, XFS, btrfs and
# a loop device: within the window and one second everything is let go, each time, and no set is called consistent that
# is not. ROUNDS=N, SEED=N.
set -euo pipefail
# shellcheck source=tests/vm/test-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/test-lib.sh"

rounds=${ROUNDS:-8}
seed=${SEED:-$((RANDOM))}

"$vm_dir/build-tools.sh"
make -s -C "$top" build/bin/vss-shim >"$vm_build/make.log" 2>&1 || fail "vss-shim does not build"
# Time in the guest is a count of instructions, and its disks are memory: a busy host makes nobody late.
guest_run --timeout 900 --smp 1 --tcg single --qemu -icount --qemu shift=0,sleep=off --file "$vm_dir/guest:/guest" \
	--bin "$top/build/vm/bin/freezekill" --bin "$top/build/bin/vss-shim" --bin "$(command -v mkfs.ext4)" \
	--bin "$(command -v mkfs.xfs)" --bin "$(command -v mkfs.btrfs)" --command "/guest/freeze-kill.sh $rounds $seed" ||
	fail "seed $seed: $(tail -n 1 "$vm_build/main/output.log")"
figures="$rounds rounds, everything let go after at most $(test_value free_ms) ms, longest write $(test_value write_ms) ms"
pass
