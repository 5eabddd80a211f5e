#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Writers that hang, fail, print garbage, fill their output, leave a daemon, or die, in each phase; filesystems that somebody else
# has frozen, that are read-only, full, or whose disk is gone: the right label each, with a clear reason, and nothing stays held.
set -euo pipefail
# shellcheck source=tests/vm/test-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/test-lib.sh"

disks=()
make -s -C "$top" build/bin/vss-shim >"$vm_build/make.log" 2>&1 || fail "vss-shim does not build"
test_images 64M ext4
test_images 320M xfs
mkfs.ext4 -q "$vm_build/ext4.img"
mkfs.xfs -q "$vm_build/xfs.img"
guest_run --timeout 400 "${disks[@]}" --bin "$top/build/bin/vss-shim:/usr/sbin/vss-shim" --bin "$(command -v mkfs.ext4)" \
	--allow 'I/O error|EXT4-fs error|JBD2: .*rror' --script "$vm_dir/guest/nasty-writers.sh" ||
	fail "$(tail -n 1 "$vm_build/main/output.log")"
figures="$(test_value cases) cases"
pass
