#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# How long applications and filesystems are held for an application-consistent point, in guest time, while pgbench, transfers
# in MariaDB and increments in Redis go on; and how long with the naive way, in the same guest: hold the locks while copying.
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
trap 'appliance_kill; test_end' EXIT

appliance_init
appliance_start
apps_boot 1
guest_sh protected "/apps/freeze-bench.sh ${SETS:-60} ${COPIES:-5}" >"$vm_build/values" || fail "$(tail -n 3 "$vm_build/values")"
apps_quiet
guest_kill protected

# quantile KIND P: of the values of a kind, in microseconds; 1 is the largest
quantile() {
	tr -d '\r' <"$vm_build/values" | awk -v k="$1" '$1 == k { print $2 }' | sort -n |
		awk -v p="$2" '{ v[NR] = $1 } END { i = int(NR * p + 0.999999); printf "%.3f", v[i < 1 ? 1 : i] / 1000 }'
}
row() { printf '%s\t%s\t%s\t%s\t%s\n' "$@"; }

{
	for q in 0.5 0.99 1; do
		name=$(sed 's/^0.5$/median/; s/^0.99$/p99/; s/^1$/longest/' <<<$q)
		row "applications held, $name; locks held while copying" "ms of guest" "$(quantile window $q)" "$(quantile naive $q)" "<= 1.0"
	done
	for q in 0.5 0.99 1; do
		name=$(sed 's/^0.5$/median/; s/^0.99$/p99/; s/^1$/longest/' <<<$q)
		row "a filesystem frozen until thawed, $name" "ms of guest" "$(quantile filesystem $q)" - "$([ $q = 0.99 ] && echo '<= 100' || echo '>= 0')"
	done
	for writer in 20-postgresql 21-mariadb 22-redis; do
		row "$writer: freeze, median" "ms of guest" "$(quantile "freeze-$writer" 0.5)" - ">= 0"
		row "$writer: held, p99" "ms of guest" "$(quantile "held-$writer" 0.99)" - "<= 10000"
	done
	row "sets that were consistent" "of all" "$(awk '$1 == "consistent" { n++; s += $2 } END { print s / n }' <(tr -d '\r' <"$vm_build/values"))" - ">= 1"
} | "$bench/table.py" freeze
