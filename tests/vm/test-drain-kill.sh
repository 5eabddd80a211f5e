#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Whoever drains is killed with kill -9, again and again, in the first epoch and in later ones, and
# stopped for a while. Nothing is lost: at the end every byte equals; and nobody who writes waits.
set -euo pipefail
# shellcheck source=tests/vm/test-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/test-lib.sh"

kills=${KILLS:-20}
test_disks
test_guest --timeout 400 --command "/guest/drain-kill.sh $kills"
test_compare
figures="$((kills + 2)) kills"
pass
