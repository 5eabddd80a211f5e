#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A write that takes seconds (dm-delay) is on its way when a boundary is taken. The tracked disks are the slow
# one, the one under it, and another: the epoch does not seal before the write has landed and then has it;
# the disk under it, which the write reaches in the next epoch, has it in that one. Then BOUNDARIES (40)
# points of dependent writes over a slow and a fast disk, each verified on both replicas, and every byte.
set -euo pipefail
# shellcheck source=tests/vm/cases/case-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/case-lib.sh"

boundaries=${BOUNDARIES:-$(test_count 40 10)}
disks=()
test_images 4M data1 data2 replica0 replica1 replica2
case_args=("$boundaries")
case_guest --tcg multi "${disks[@]}" --bin "$(command -v dmsetup)" --timeout $((200 + boundaries * 2))
case_compare data1 replica0
case_compare data1 replica1
case_compare data2 replica2
figures="2 writes of 3 s held their epochs open, $boundaries points verified"
pass
