#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs a script in a guest and ends with its status: guest_run of functions.sh as a command.
# usage: run-guest.sh OPTION...		(see functions.sh)
set -euo pipefail
# shellcheck source=tests/vm/functions.sh
. "$(dirname "${BASH_SOURCE[0]}")/functions.sh"
guest_run "$@"
