#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A page cache is written back over granules that are not drained, on a slow disk whose block layer lets few such writes
# through at a time (wbt) and a direct one, as databases write their logs, at once. Held, a direct one must not wait for the others, and
# one that a task waits for (fdatasync), throttled as well, not behind all of them: the task stands in line behind one of the write-back,
# also where the same lane would fall to both (a test build has all tasks look at one first).
# On a disk with 200 requests a second, what a flusher writes back must not be read before it; behind what a task syncs it is held until
# the point is given up (hold_ms).
set -euo pipefail
# shellcheck source=tests/vm/cases/case-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/cases/case-lib.sh"

test_build_module delays
test_build=$built
case_guest --file "$test_build:/test-build.ko" --bin "$(command -v fio)" --command /guest/held-order.sh
figures="$(test_value direct_ms) ms for a direct write, $(test_value synced_ms) ms for a synchronous one, beside a write-back of $(test_value back_ms) ms; "
figures+="$(test_value flusher_direct_ms) beside a flusher's $(test_value flusher_ms); $(test_value bound_direct_ms) where it is held for 500 at most"
pass
