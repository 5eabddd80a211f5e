#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A disk does not answer, and more of its writes are held than a workqueue runs at a time: writes that are held on another
# disk go on, and when the disk answers again nothing is lost on either.
set -euo pipefail
# shellcheck source=tests/vm/cases/case-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/cases/case-lib.sh"

disks=()
test_images 32M hung other replica0 replica1
case_guest "${disks[@]}" --bin "$(command -v dmsetup)" --bin "$(command -v fio)" --command /guest/hung-disk.sh
case_compare hung replica0
case_compare other replica1
figures="beside $(test_value held) held writes of a disk that did not answer, another's took at most $(test_value other_ms) ms"
pass
