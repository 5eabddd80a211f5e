#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A kernel in which the submission function cannot be hooked, or in which the compiler inlined it: mode=hook refuses to
# load, auto goes on with tracking only, both say why; and an owner that comes later does not take the hook away.
set -euo pipefail
# shellcheck source=tests/vm/test-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/test-lib.sh"

"$vm_dir/build-tools.sh"
test_build_module delays
test_build=$built
test_module
owner=$("$vm_dir/build-module.sh" "$vm_dir/hookowner" 2>"$vm_build/owner.log") ||
	fail "hookowner does not build: $(tail -n 1 "$vm_build/owner.log")"
guest_disk "$vm_build/disk.img" 32M
guest_disk "$vm_build/replica.img" 32M
status=0
guest_run --tcg single --file "$module:/mobility.ko" --file "$test_build:/test-build.ko" --file "$owner:/hookowner.ko" \
	--file "$vm_dir/guest:/guest" --bin "$(command -v bash):/bin/bash" \
	--bin "$top/build/vm/bin/drain" --command /guest/hook-owner.sh \
	--disk "$vm_build/disk.img:raw:serial=disk" \
	--disk "$vm_build/replica.img:raw:serial=replica" || status=$?
[ $status -eq 0 ] || fail "guest status $status: $(tail -n 1 "$vm_build/main/output.log")"
pass
