# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the cases share. Sourced by NN-name.sh, which ends like every test in a line "PASS name" or
# "FAIL name reason" (test-lib.sh). Its part in the guest is guest/NN-name.sh.

# shellcheck source=tests/vm/test-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../test-lib.sh"

# A busybox guest with bash, the module (/mobility.ko), the scripts of guests (/guest), those of the
# cases (/cases) and the tools; runs /cases/NN-name.sh with the arguments in the array case_args,
# or what --command or --script says. The case fails with the last line that it printed. Most cases
# load the module while something runs: one host thread (--tcg in functions.sh), two cases side by side.
case_args=()
case_guest() {		# OPTION...
	local status=0 tool tools=()

	"$vm_dir/build-tools.sh"
	for tool in "$vm_dir"/cases/tools/*.c; do
		tools+=(--bin "$top/build/vm/bin/$(basename "$tool" .c)")
	done
	test_module
	guest_run --tcg single --file "$module:/mobility.ko" --file "$vm_dir/guest:/guest" \
		--file "$vm_dir/cases/guest:/cases" --bin "$top/build/vm/bin/oracle" \
		--bin "$top/build/vm/bin/drain" --bin "$top/build/vm/bin/churn" \
		--bin "$(command -v bash):/bin/bash" "${tools[@]}" \
		--command "/cases/$test_name.sh ${case_args[*]}" "$@" || status=$?
	[ $status -eq 0 ] || fail "$(case_reason $status)"
}

case_reason() {		# STATUS
	local last

	last=$(grep -av -e '^oracle:' -e '^drain: committed' "$vm_build/main/output.log" | tail -n 1)
	[ "$1" -ne 99 ] || last="the guest itself failed: $(guest_alarms main | head -n 1) (last said: $last)"
	echo "$last"
}

# Every byte of SOURCE and REPLICA, images in $vm_build, from outside of the guest.
case_compare() {	# SOURCE REPLICA
	local source replica

	source=$(sha256sum <"$vm_build/$1.img")
	replica=$(sha256sum <"$vm_build/$2.img")
	[ "$source" = "$replica" ] || fail "$1 and its replica differ: ${source%% *}, ${replica%% *}"
	echo "$1: sha256 ${source%% *}, as its replica"
}
