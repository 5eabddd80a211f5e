#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Application-consistent points of a Debian guest with systemd, whose PostgreSQL (with a tablespace on a second disk), MariaDB and
# Redis are busy; then somebody is killed at a random moment of one, again and again; then the databases are started from every
# point, and everything acknowledged before its boundary is there. No client waited for longer than the window and a second.
#   POINTS    of each kind (1)
#   SCHEDULED more, one a minute, by the clock (0)
#   KILLS     rounds (1), random by SEED
#   SCALE     of pgbench (1)
set -euo pipefail
# shellcheck source=tests/vm/test-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/test-lib.sh"
# shellcheck source=tests/vm/replication.sh
. "$(dirname "${BASH_SOURCE[0]}")/replication.sh"
# shellcheck source=tests/vm/apps/apps.sh
. "$(dirname "${BASH_SOURCE[0]}")/apps/apps.sh"
# shellcheck source=tests/vm/apps/kills.sh
. "$(dirname "${BASH_SOURCE[0]}")/apps/kills.sh"
points=${POINTS:-1}
scale=${SCALE:-1}

appliance_init
appliance_start
apps_boot "$scale"
for ((n = 1; n <= points; n++)); do
	apps_point crash "crash-$n"
	[ "$n" -eq "$points" ] || apps_point application "app-$n"
done
apps_schedule "${SCHEDULED:-0}"
kill_rounds "${KILLS:-1}"
apps_point application app-last
apps_quiet
mapfile -t ids < <(apps_ids ".name != null or ($apps_scheduled)")
apps_expect "${ids[@]}"
guest_kill protected
kills_judge
application=$(apps_ids '.consistency == "application"' | wc -l)
[ "$application" -ge "$points" ] || fail "of $points undisturbed points $application are application-consistent"
apps_recover_all "${ids[@]}"
figures="${#ids[@]} points recovered ($application application-consistent), $(grep -c '^pg' "$vm_build/acknowledged") + $(grep -c '^my' "$vm_build/acknowledged")"
figures+=" transactions, longest wait of a client $longest ms"
pass
