#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every call that the module's descriptors offer, at random, from several threads, with and without
# privileges, while the disks are written to, the module being loaded and unloaded under the load:
# answers are what the manual in uapi.h says, refusals are refused, nothing is left at the end, and
# the kernel has nothing to say.
#
# SEED=N repeats the choices of a run (not its interleaving). MINUTES=N: that long, instead of about
# half a minute. With MOBILITY_KERNEL=kasan allocations fail at random, too, and leaks are looked for.
set -euo pipefail
# shellcheck source=tests/vm/test-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/test-lib.sh"

seed=${SEED:-$RANDOM}
rounds=${ROUNDS:-3} seconds=8
if [ -n "${MINUTES-}" ]; then
	seconds=20
	rounds=$((MINUTES * 60 / (seconds + 10) + 1))
fi
# What fails on demand is told by the allocator at length, but no alarm: not on the slow console.
allow="" append=""
if [ "${MOBILITY_KERNEL-}" = kasan ]; then
	allow='vmalloc error|page allocation failure|Call Trace'
	append="loglevel=4"
fi
"$vm_dir/build-tools.sh"
test_module
guest_disk "$vm_build/data1.img" 64M
guest_disk "$vm_build/data2.img" 96M
status=0
guest_run --tcg single --allow "$allow" --append "$append" --timeout $((rounds * (seconds + 60) * 2 + 120)) \
	--disk "$vm_build/data1.img:raw:serial=data1" --disk "$vm_build/data2.img:raw:serial=data2" \
	--file "$module:/mobility.ko" --file "$vm_dir/guest:/guest" \
	--bin "$(command -v bash):/bin/bash" --bin "$top/build/vm/bin/ioctlfuzz" \
	--command "/guest/ioctl-fuzz.sh $seed $rounds $seconds" || status=$?
[ $status -eq 0 ] || fail "guest status $status: $(tail -n 1 "$vm_build/main/output.log"): $(
	grep -a '^ioctlfuzz: ' "$vm_build/main/output.log" | tail -n 1) (seed $seed)"
figures=$(grep -a '^seed=' "$vm_build/main/output.log" | tail -n 1)
pass
