#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Writes that fail, wholly and in part (dm-flakey's error_writes on the second half of a disk, dm-error), while
# boundaries are taken. What failed is dirty in the epoch that is active when it fails, although the one
# that it was submitted in has it too: the device may still do such a write later, and here it does. Failed
# writes are counted, a read error gives no wrong epoch, and in the end the replica equals the source,
# read through the recovered device. No message of the kernel is expected.
set -euo pipefail
# shellcheck source=tests/vm/cases/case-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/case-lib.sh"

disks=()
test_images 8M data1 replica0
case_guest --tcg multi "${disks[@]}" --bin "$(command -v dmsetup)" --bin "$(command -v fio)"
case_compare data1 replica0
figures="$(test_value failed) failed writes over $(test_value epochs) boundaries"
pass
