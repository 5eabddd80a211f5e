#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A disk grows, is partitioned anew, shrinks and grows again while it is attached and written to:
# RESIZED is raised, writes past the end as it was attached mark nothing, what lies within it stays
# exact, and reading past the end of a disk that shrank is an error. Attached again, all of it is right.
set -euo pipefail
# shellcheck source=tests/vm/cases/case-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/case-lib.sh"

case_guest --timeout 300
figures="$(test_value checked) points while it grew"
pass
