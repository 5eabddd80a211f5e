#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a kernel that looks for data races sees best: writers on three CPUs that meet in the same words of
# the bitmaps, boundaries without a pause, and somebody who looks at everything. For RACE_SECONDS (60).
# --seeded: with a race in the module (seeded-race.patch), which the kernel kcsan has to report: would it see one?
set -euo pipefail
# shellcheck source=tests/vm/cases/case-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../cases/case-lib.sh"

seconds=${RACE_SECONDS:-60}
storm() {
	case_guest --smp 3 --tcg multi --bin "$(command -v fio)" --timeout $((seconds + 300)) \
		--command "/guest/races.sh $seconds"
}

if [ "${1-}" = --seeded ]; then
	[ "${MOBILITY_KERNEL-}" = kcsan ] || fail "only the kernel kcsan sees races"
	export MOBILITY_MUTATION=$vm_dir/sanitizer/seeded-race.patch
	(storm) >"$vm_build/seeded.log" 2>&1 || true
	report=$(grep -aoE 'BUG: KCSAN: data-race in mob_word_set.*' "$vm_build/main/console.log" | sort | uniq -c)
	[ -n "$report" ] || fail "the seeded race was not reported: $(tail -n 1 "$vm_build/main/output.log")"
	figures="seeded and reported:$(head -n 1 <<<"$report" | tr -s ' ')"
else
	storm
	figures="$(test_value writes) writes, $(test_value boundaries) boundaries"
fi
pass
