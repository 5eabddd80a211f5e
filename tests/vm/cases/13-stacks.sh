#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Nested stacks, tracked at several levels at once: a partition under LUKS under LVM on one disk; a
# partition and a whole disk under md raid0 under LVM on two. raid0 with iostats off passes on the very bio that
# it was given, and Linux 6.1 then hides it from block_bio_queue: a tracker that takes it for one that it
# has counted, or that looks at that tracepoint alone, misses every write of the members. In hook mode and in
# track-only mode: exactly the granules that were written are dirty at each level, the bytes are those that were
# written, points of a busy machine are points at each level, and every byte of the replicas is right.
set -euo pipefail
# shellcheck source=tests/vm/cases/case-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/case-lib.sh"
# shellcheck source=tests/vm/layers.sh
. "$vm_dir/layers.sh"

disks=()
size=(none 24M 13344K 12M)	# the members of the array offer the same
for i in 1 2 3; do
	test_images "${size[$i]}" "disk$i" "replica$i"
done
# The module comes and goes while nothing is written.
case_guest --tcg multi --timeout 240 "${disks[@]}" "${layers_bins[@]}" --bin "$(command -v fio)"
for i in 1 2 3; do
	case_compare "disk$i" "replica$i"
done
figures="$(test_value points) points at five levels, $(test_value torn) epochs torn without the hook"
pass
