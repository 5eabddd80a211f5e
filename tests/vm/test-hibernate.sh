#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A machine hibernates onto a tracked disk and comes back: its memory, and our bitmaps in it, know nothing of the image that was written
# after they had been saved. The disk is suspect, no epoch that ends is a point, and what differs is found.
set -euo pipefail
# the kernel resumes from its own image at once (test_resume): the same code as after a boot. 6.1 cannot.
export MOBILITY_KERNEL=${MOBILITY_KERNEL:-bookworm/6.12}
# shellcheck source=tests/vm/cases/case-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/cases/case-lib.sh"

disks=()
test_images 640M swap replica0
case_guest --mem 512 --smp 1 --timeout 300 "${disks[@]}" --command /guest/hibernate.sh
figures="$(test_value unseen) granules of the image were written unseen; the disk is suspect"
pass
