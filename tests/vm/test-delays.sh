#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The race windows of the module, held open: a build of it that waits for a random time at each
# point where the order of events matters (kmod/testdelay.h), and of whose held writes half do not wait for
# the end of an open closing window; two small disks in memory that the write-order oracle overwrites all the
# time, and a slow reader in random order. Every point is verified as soon as it is complete.
# BOUNDARIES=10000 (make check-delays) takes so many instead of some hundreds; DELAYS="US..." are the longest
# waits, in the order of kmod/testdelay.h.
set -euo pipefail
# shellcheck source=tests/vm/test-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/test-lib.sh"

boundaries=${BOUNDARIES:-300}
"$vm_dir/build-tools.sh"
test_build_module delays
module=$built
status=0
guest_run --smp 3 --timeout $((240 + boundaries)) --file "$module:/mobility.ko" \
	--file "$vm_dir/guest:/guest" --bin "$top/build/vm/bin/oracle" --bin "$top/build/vm/bin/drain" \
	--bin "$(command -v bash):/bin/bash" \
	--command "DELAYS='${DELAYS-}' /guest/delays.sh $boundaries" || status=$?
[ $status -eq 0 ] ||
	fail "guest status $status: $(grep -av '^oracle:' "$vm_build/main/output.log" | tail -n 1)"
figures="$(test_value boundaries) points verified, $(test_value preserved) copies preserved, "
figures+="$(test_value per_minute) points a minute"
pass
