#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Whoever reads an epoch is stopped (SIGSTOP) with all of it unread, and the pool of preserved copies has room for
# 16 granules. Nobody who writes waits for the reader: each writer of the oracle goes on and on. The pool
# stays within its bound, the epoch is torn and is said to be, nothing is lost of it, and as soon as there
# is room again points are points.
set -euo pipefail
# shellcheck source=tests/vm/cases/case-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/case-lib.sh"

points=${POINTS:-$(test_count 20 8)}
disks=()
test_images 4M data1 data2 replica0 replica1
case_args=("$points")
case_guest --tcg multi "${disks[@]}"
case_compare data1 replica0
case_compare data2 replica1
figures="$(test_value blocks) blocks written past a stopped reader, pool at most $(test_value pool) bytes"
pass
