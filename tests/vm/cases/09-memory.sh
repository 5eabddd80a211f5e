#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A small machine swaps to a tracked disk while that is written to and drained, until it is out of
# memory and something is killed: nothing stalls, nobody reclaims memory while a write is held, points are right or
# torn, every byte equals, and the disk is not suspect, although the module gets no memory for the writes' contexts
# when memory is out (faults/09-no-slab.patch). With a small reserve the same module carries on, exactly, as far as that goes;
# beyond it SUSPECT is raised and the epoch is torn, and no write fails. EPOCHS (4) are drained each time.
set -euo pipefail
# shellcheck source=tests/vm/cases/case-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/case-lib.sh"

# the module of this run, mutated or not, with the fault on top
cat ${MOBILITY_MUTATION:+"$MOBILITY_MUTATION"} "$vm_dir/cases/faults/09-no-slab.patch" \
	>"$vm_build/09-starved.patch"
"$vm_dir/build-kmod.sh" --patch "$vm_build/09-starved.patch" >"$vm_build/starved.log" 2>&1 || {
	cat "$vm_build/starved.log" >&2
	fail "the starved module does not build"
}
starved=$("$vm_dir/build-kmod.sh" --path --patch "$vm_build/09-starved.patch")

disks=()
test_images 48M data1 replica0
# the kernel tells at length of the process that it kills
allow='invoked oom-killer|memhog: page allocation failure|Out of memory: Killed process [0-9]+ \(memhog\)|oom-kill:.*task=memhog|Call Trace'
case_args=("${EPOCHS:-$(test_count 4 2)}")
case_guest --timeout 400 --mem "$(test_count 256 384)" "${disks[@]}" \
	--file "$starved:/starved.ko" --allow "$allow"
case_compare data1 replica0
figures="$(test_value swapped_mib) MiB swapped out, $(test_value points) points, $(test_value torn_epochs) torn, "
figures+="$(test_value reclaimed) direct reclaims, none for a held write, the longest of which took $(test_value held_max_us) us"
pass
