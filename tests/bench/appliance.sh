#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# appliance.sh: 200 machines enrolled, 50 of them sending, over TLS on this machine (tests/flow/load.py). Client and appliance share the
# processors. Writes build/bench/appliance.json.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=$(mktemp)
trap 'rm -f "$out"' EXIT
LOAD_MACHINES=200 LOAD_BULK=40 LOAD_SMALL=10 LOAD_SECONDS=${LOAD_SECONDS:-15} LOAD_OUT=$out timeout 900 tests/flow/test-load.sh >build/bench-appliance.log 2>&1 ||
	{
		tail -n 30 build/bench-appliance.log >&2
		exit 1
	}
jq -r '
	["peak memory, 200 machines, 50 sending", "MiB", .peak_mib, "-", "<= 256"],
	["fairness of 40 in bulk (Jain)", "index", .jain, "-", ">= 0.9"],
	["40 in bulk together", "MiB/s", .bulk_mib_s, "-", ">= 1"],
	["commit of 10 small, p50, bulk against alone", "ms", .commit_mixed.p50, .commit_alone.p50, "<= 20"],
	["commit of 10 small, p99, bulk against alone", "ms", .commit_mixed.p99, .commit_alone.p99, "<= 20"],
	["epoch of 10 small, p50, bulk against alone", "ms", .epoch_mixed.p50, .epoch_alone.p50, "<= 20"],
	["epoch of 10 small, p99, bulk against alone", "ms", .epoch_mixed.p99, .epoch_alone.p99, "<= 20"]
	| map(tostring) | join("\t")' "$out" | python3 tests/bench/table.py appliance
