#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Without the hook (as when somebody else owns the function) the module only tracks: a point is
# refused or it is right, and at the end every byte equals.
set -euo pipefail
# shellcheck source=tests/vm/test-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/test-lib.sh"

test_disks
test_guest --timeout 300 --command "/guest/torn.sh 2 mode=track-only"
test_compare
figures="$(test_value torn) of 10 epochs torn"
pass
