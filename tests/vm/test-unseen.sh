#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Without the hook, a driver that sends its bios on to the disk below in silence (md faulty, bcache) has a write seen at its
# completion only. An epoch into whose image it got before is torn: a point that is shown is right.
set -euo pipefail
# shellcheck source=tests/vm/cases/case-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/cases/case-lib.sh"

case_guest --command /guest/unseen.sh
figures="$(test_value unseen)"
pass
