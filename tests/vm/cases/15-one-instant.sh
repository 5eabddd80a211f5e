#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A boundary is one instant on two disks: BOUNDARIES (150) points of writes that depend on one another across
# them, each verified with the write-order oracle. Then the owner of an epoch is killed (-9) in each of
# its states, closing (with a slow write in flight, dm-delay), sealed, reading: another boundary can be taken
# within a second (of the slow write's end, where there is one), the bits are given back, and the next
# epoch has them.
set -euo pipefail
# shellcheck source=tests/vm/cases/case-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/case-lib.sh"

boundaries=${BOUNDARIES:-$(test_count 150 25)}
disks=()
test_images 4M data1 data2 data3 replica0 replica1 replica2
case_args=("$boundaries")
case_guest --tcg multi --smp 3 "${disks[@]}" --bin "$(command -v dmsetup)" --timeout $((240 + boundaries))
case_compare data1 replica0
case_compare data2 replica1
case_compare data3 replica2
figures="$boundaries points verified; a boundary after a kill in closing, sealed, reading took "
figures+="$(test_value closing_ms), $(test_value sealed_ms), $(test_value reading_ms) ms"
pass
