#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# How long applications and filesystems are held for an application-consistent point, in guest time, while pgbench, transfers
# in MariaDB and increments in Redis go on; and how long with the naive way, in the same guest: hold the locks while copying.
# Time is the guest's: one CPU, an instruction in each nanosecond that it is busy, whatever else the host does.
# Prints a table and writes build/bench/freeze.json. SETS (60), COPIES (5).
set -euo pipefail
bench=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export test_name=bench-freeze
# shellcheck source=tests/vm/test-lib.sh
. "$bench/../vm/test-lib.sh"
# shellcheck source=tests/vm/replication.sh
. "$bench/../vm/replication.sh"
# shellcheck source=tests/vm/apps/apps.sh
. "$bench/../vm/apps/apps.sh"
# shellcheck source=tests/bench/figures.sh
. "$bench/figures.sh"

appliance_init
appliance_start
apps_boot 1 --tcg single --smp 1 --qemu -icount --qemu shift=0
guest_sh protected "/apps/freeze-bench.sh ${SETS:-60} ${COPIES:-5}" >"$vm_build/values" || fail "$(tail -n 3 "$vm_build/values")"
apps_quiet
guest_kill protected

# the_value KIND P: that quantile of the values of a kind, in ms
the_value() {
	tr -d '\r' <"$vm_build/values" | awk -v k="$1" '$1 == k { printf "%.3f\n", $2 / 1000 }' | quantile "$2"
}

{
	for q in 0.5 0.99 1; do
		name=$(sed 's/^0.5$/median/; s/^0.99$/p99/; s/^1$/longest/' <<<$q)
		row "applications held, $name; locks held while copying" "ms of guest" "$(the_value window $q)" "$(the_value naive $q)" "<= 1.0"
	done
	for q in 0.5 0.99 1; do
		name=$(sed 's/^0.5$/median/; s/^0.99$/p99/; s/^1$/longest/' <<<$q)
		row "a filesystem frozen until thawed, $name" "ms of guest" "$(the_value filesystem $q)" - "$([ $q = 0.99 ] && echo '<= 100' || echo '>= 0')"
	done
	for writer in 20-postgresql 21-mariadb 22-redis; do
		row "$writer: freeze, median" "ms of guest" "$(the_value "freeze-$writer" 0.5)" - ">= 0"
		row "$writer: held, p99" "ms of guest" "$(the_value "held-$writer" 0.99)" - "<= 10000"
	done
	row "sets that were consistent" "of all" "$(awk '$1 == "consistent" { n++; s += $2 } END { print s / n }' <(tr -d '\r' <"$vm_build/values"))" - ">= 1"
} | "$bench/table.py" freeze || fail "a bar is missed"
