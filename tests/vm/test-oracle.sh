#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A busy machine with its root disk and two data disks attached: BOUNDARIES (30), under fio and a
# churning tree of files on ext4 and XFS, every one of them verified with the write-order oracle as
# soon as it is complete, and every 15th (RECOVER_EVERY=N: every Nth) also by recovering its
# filesystems. Now and then an epoch is read in part and given up. At the end every byte of the
# disks equals the replicas, compared in the guest and on the host.
set -euo pipefail
# shellcheck source=tests/vm/test-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/test-lib.sh"

boundaries=${BOUNDARIES:-30}
test_disks
test_guest --timeout 900 --mem 1536 --command "/guest/oracle.sh $boundaries ${RECOVER_EVERY:-15}"
test_compare
figures="$boundaries points verified"
pass
