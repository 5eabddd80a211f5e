#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every kernel that the module is made for: is it built without a warning, does it load, in which
# mode, does it give back what was written, and do the cases (cases/run.sh) pass there? A line for
# each kernel as it goes, and a table at the end.
#
# usage: kmatrix.sh [--no-cases] [KERNEL/FLAVOUR...]	KERNEL as fetch-kernel.sh takes it
# CASES (all): the patterns that cases/run.sh gets. Logs: build/vm/kmatrix/.
set -uo pipefail
test_name=kmatrix
# shellcheck source=tests/vm/functions.sh
. "$(dirname "${BASH_SOURCE[0]}")/functions.sh"
cd "$vm_dir" || exit 1

kernels=()
for kernel in bullseye bookworm bookworm/6.12 7.3; do
	kernels+=("$kernel/cloud-amd64" "$kernel/amd64")
done
kernels+=(bookworm/rt-amd64)
cases=1
if [ "${1-}" = --no-cases ]; then cases=""; shift; fi
[ $# -eq 0 ] || kernels=("$@")
read -ra patterns <<<"${CASES-}"
table=()
failed=0

# One kernel; sets build, load, mode, passed to what the table shows.
try() {			# KERNEL FLAVOUR LOG
	local kernel=$1 flavour=$2 log=$3 module

	build=no load=- mode=- passed=-
	# only what is compiled now can warn
	./build-kmod.sh --fresh "$kernel" "$flavour" >"$log" 2>&1 || return 1
	build=yes
	# said of every module that is built outside of the kernel's own tree
	if grep -i warning "$log" | grep -qv pahole; then build=warnings; fi
	module=$(./build-kmod.sh --path "$kernel" "$flavour")
	./build-tools.sh >>"$log" 2>&1 || return 1
	guest_disk "$vm_build/disk.img" 64M
	guest_disk "$vm_build/replica.img" 64M
	load=no
	guest_run --kernel "$kernel" --flavour "$flavour" --tcg single --file "$module:/mobility.ko" \
		--file "$vm_dir/guest:/guest" --bin "$(command -v bash):/bin/bash" \
		--bin "$top/build/vm/bin/drain" --command /guest/smoke.sh \
		--disk "$vm_build/disk.img:raw:serial=disk" \
		--disk "$vm_build/replica.img:raw:serial=replica" >>"$log" 2>&1 || return 1
	cmp -s "$vm_build"/{disk,replica}.img || return 1
	load=yes
	mode=$(sed -n 's/.*\<mode=\([^ ]*\).*/\1/p' "$vm_build/main/output.log" | head -n 1)
	mode=${mode/#1/hook} mode=${mode/#2/track-only}
	[ "$mode" = hook ] || return 1
	[ -n "$cases" ] || return 0
	MOBILITY_KERNEL=$kernel MOBILITY_FLAVOUR=$flavour CASE_LOGS=$log.logs cases/run.sh "${patterns[@]}" >"$log.cases" 2>&1
	passed=$(sed -n 's/^cases: //p' "$log.cases")
	[[ $passed == *", 0 failed" ]]
}

for entry in "${kernels[@]}"; do
	kernel=${entry%/*} flavour=${entry##*/}
	log=$vm_build/${entry//\//_}.log
	if ! release=$(./fetch-kernel.sh "$kernel" "$flavour" | sed -n 's/^RELEASE=//p') ||
		[ -z "$release" ]; then
		table+=("$entry|not fetched|-|-|-|-")
		echo "FAIL kmatrix-$entry cannot be fetched"
		failed=1
		continue
	fi
	start=$SECONDS
	if try "$kernel" "$flavour" "$log"; then
		echo "PASS kmatrix-$release ($((SECONDS - start)) s)"
	else
		echo "FAIL kmatrix-$release build $build, load $load, mode $mode, cases ${passed:--}: $log"
		[ ! -f "$log.cases" ] || grep '^FAIL' "$log.cases" | sed 's/^/    /'
		failed=1
	fi
	table+=("$release|$build|$load|$mode|${passed:--}")
done
rm -f "$vm_build"/*.img
printf '%s\n' 'kernel|build|load|mode|cases' "${table[@]}" | column -t -s '|' -o '  '
[ $failed -eq 0 ]
