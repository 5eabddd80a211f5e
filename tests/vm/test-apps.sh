#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Application-consistent points of a Debian guest with systemd, whose PostgreSQL (with a tablespace on a second disk), MariaDB and
# Redis are busy; then the databases are started from the points, and everything acknowledged before the boundary is there.
#   POINTS    of each kind (1)
#   RECOVER   all, or how many of each kind are recovered (1)
set -euo pipefail
# shellcheck source=tests/vm/test-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/test-lib.sh"
# shellcheck source=tests/vm/replication.sh
. "$(dirname "${BASH_SOURCE[0]}")/replication.sh"
# shellcheck source=tests/vm/apps/apps.sh
. "$(dirname "${BASH_SOURCE[0]}")/apps/apps.sh"
trap apps_end EXIT
points=${POINTS:-1}
scale=${SCALE:-1}

apps_end() {
	local status=$?

	set +e
	appliance_kill
	(exit $status)
	test_end
}

appliance_init
appliance_start
apps_boot "$scale"
for ((n = 1; n <= points; n++)); do
	[ -n "${NO_APP-}" ] || apps_point application "app-$n"
	apps_point crash "crash-$n"
done
apps_quiet
apps_expect
guest_kill protected
mapfile -t ids < <(apps_ids '.name != null')
apps_recover "${ids[@]}"
figures="${#ids[@]} points recovered, $(grep -c '^pg' "$vm_build/acknowledged") + $(grep -c '^my' "$vm_build/acknowledged") transactions"
pass
