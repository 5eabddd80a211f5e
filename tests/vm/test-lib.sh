# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the tests of the kernel module share. Sourced by test-*.sh, which print one line for their
# result, "PASS name[: figures]" or "FAIL name reason", and end with 0 or 1; with 75 if QEMU itself has failed (pool.sh).

# shellcheck source=tests/vm/functions.sh
. "$(dirname "${BASH_SOURCE[0]}")/functions.sh"

reason="ended early"
at_end=()	# functions that end what runs beside the guests
trap test_end EXIT

test_end() {
	local status=$? end

	set +e
	for end in "${at_end[@]}"; do
		"$end"
	done
	guest_cleanup
	[ $status -ne 0 ] || return 0
	echo "FAIL $test_name $reason"
	! guest_emulator_failed || exit 75
}

fail() {		# SENTENCE
	reason=$*
	exit 1
}

# How many times a test repeats what it does: a kernel that checks itself needs fewer, as it sees what
# goes wrong without harm, and takes five to ten times as long for each.
test_count() {		# USUALLY SANITIZER
	case ${MOBILITY_KERNEL-} in
	kasan|kcsan) echo "$2" ;;
	*) echo "$1" ;;
	esac
}

figures=""		# what was measured, for the line that says PASS
pass() {
	rm -f "$vm_build"/*.img
	echo "PASS $test_name${figures:+: $figures}"
}

# Images $vm_build/NAME.img, disks of that serial number; adds their options to the array disks.
test_images() {		# SIZE NAME...
	local size=$1 name

	shift
	for name; do
		guest_disk "$vm_build/$name.img" "$size"
		disks+=(--disk "$vm_build/$name.img:raw:serial=$name")
	done
}

# Busybox with its applets, and the folders that a root has to have.
busybox_root() {	# DIR
	local applet

	rm -rf "$1"
	mkdir -p "$1"/{bin,root,tmp,out,mnt}
	cp /bin/busybox "$1/bin/"
	for applet in $(busybox --list); do
		[ "$applet" = busybox ] || ln -s busybox "$1/bin/$applet"
	done
}

test_name_of_disk=(root data1 data2)

# The root disk, two data disks, and an empty replica of each (see guest/common.sh).
test_disks() {
	local i

	"$vm_dir/build-tools.sh"
	"$vm_dir/rootfs.sh" --image "$vm_build/root.img"
	truncate -s 464M "$vm_build/root.img"
	guest_disk "$vm_build/data1.img" 336M
	guest_disk "$vm_build/data2.img" 80M
	for i in 0 1 2; do
		guest_disk "$vm_build/replica$i.img" \
			"$(stat -c %s "$vm_build/${test_name_of_disk[$i]}.img")"
	done
}

# Sets built: a module that is built now, the shipped one or one with test delays, with the changes of MOBILITY_MUTATION (a
# patch, see cases/mutate.sh).
test_build_module() {	# shipped|delays
	local options=()

	[ "$1" = shipped ] || options=(--define MOBILITY_TEST_DELAYS)
	built=$(build_kmod ${MOBILITY_MUTATION:+--patch "$MOBILITY_MUTATION"} "${options[@]}" 2>"$vm_build/kmod.log") || {
		cat "$vm_build/kmod.log" >&2
		fail "the kernel module does not build"
	}
}

# The module that guests get, unless the test has set it: the shipped one.
test_module() {
	[ -z "${module-}" ] || return 0
	test_build_module shipped
	module=$built
}

test_guest() {		# OPTION...: a Debian guest with these disks
	test_guest_on "$vm_build/root.img" "$@"
}

test_guest_on() {	# ROOT OPTION...: a guest with the data disks, the module, and the guests' scripts
	local root=$1 disk options=() status=0

	shift
	test_module
	for disk in data1 data2 replica0 replica1 replica2; do
		options+=(--disk "$vm_build/$disk.img:raw:serial=$disk")
	done
	guest_run --root "$root" "${options[@]}" --file "$module:/mobility.ko" \
		--file "$vm_dir/guest:/guest" --bin "$top/build/vm/bin/oracle" \
		--bin "$top/build/vm/bin/drain" --bin "$top/build/vm/bin/churn" "$@" || status=$?
	[ $status -eq 0 ] ||
		fail "guest status $status: $(grep -av '^oracle:' "$vm_build/main/output.log" | tail -n 1)"
}

# Every byte of the disks against the replicas, from outside of the guest.
test_compare() {
	local i source replica

	for i in 0 1 2; do
		source=$(sha256sum <"$vm_build/${test_name_of_disk[$i]}.img")
		replica=$(sha256sum <"$vm_build/replica$i.img")
		[ "$source" = "$replica" ] ||
			fail "${test_name_of_disk[$i]}: sha256 ${source%% *}, its replica ${replica%% *}"
		echo "${test_name_of_disk[$i]}: sha256 ${source%% *}, as its replica"
	done
}

test_value() {		# NAME: of NAME=… in the last line of the script's output that has it
	grep -a "\<$1=" "$vm_build/main/output.log" | tail -n 1 | sed "s/.*\<$1=\([^ ]*\).*/\1/"
}
