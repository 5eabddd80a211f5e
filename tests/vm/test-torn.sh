#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The pool of preserved copies is tiny and much is overwritten: epochs are torn, and are said to be;
# those that are not are points; no write fails or stalls, and at the end every byte equals.
set -euo pipefail
# shellcheck source=tests/vm/test-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/test-lib.sh"

test_disks
test_guest --timeout 300 --command "/guest/torn.sh 1 pool_bytes=65536"
test_compare
figures="$(test_value torn) of 10 epochs torn"
pass
