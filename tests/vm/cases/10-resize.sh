#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A disk (loop; virtio-blk and virtio-scsi, resized by QEMU) grows, shrinks and grows again, and one is partitioned
# anew, while it is attached and written to:
# RESIZED is raised, writes past the end as it was attached mark nothing, what lies within it stays
# exact, and reading past the end of a disk that shrank is an error. A larger disk is taken up on line, and
# no mark is lost by that; a smaller one, attached again, is right.
set -euo pipefail
# shellcheck source=tests/vm/cases/case-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/case-lib.sh"
# shellcheck source=tests/vm/cases/plug.sh
. "$(dirname "${BASH_SOURCE[0]}")/plug.sh"

plug_init
case_guest --timeout 400 "${plug_options[@]}"
figures="$(test_value points) points while $(test_value resized) grew"
pass
