#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Granules are read through the drain descriptor, then overwritten, and the commit never comes: the epoch is
# closed after it was read, its owner is killed while it reads, and both once more. Every bit of the
# epoch survives, and the next epoch that is committed brings all of it.
set -euo pipefail
# shellcheck source=tests/vm/cases/case-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/case-lib.sh"

disks=()
test_images 8M data1 replica0
case_guest --tcg multi "${disks[@]}"
case_compare data1 replica0
figures="4 epochs failed, every bit came back"
pass
