#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Writers that overlap one another on two disks, in every size, while boundaries are taken one after
# another: BOUNDARIES (600) epochs are committed, and every 23rd is given up in the midst. In the end
# every byte of the disks equals the replicas. BOUNDARIES=100000 is the long run.
set -euo pipefail
# shellcheck source=tests/vm/cases/case-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/case-lib.sh"

boundaries=${BOUNDARIES:-$(test_count 600 60)}
disks=()
test_images 4M data1 data2 replica0 replica1
case_args=("$boundaries")
case_guest --tcg multi "${disks[@]}" --bin "$(command -v fio)" --timeout $((240 + boundaries / 2))
case_compare data1 replica0
case_compare data2 replica1
figures="$boundaries epochs, $(test_value writes) overlapping writes, "
figures+="$(test_value per_minute) epochs a minute"
pass
