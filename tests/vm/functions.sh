# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Guests under QEMU, for tests written in bash (`set -euo pipefail`). Source it, then:
#
#   guest_run OPTION...            boots a guest, runs a script in it as root, waits; returns the
#                                  script's status, or 99 if the guest itself failed
#   guest_start NAME OPTION...     the same in the background: at most one guest of a name
#   guest_wait NAME                waits for its end; returns as guest_run does
#   guest_wait_for NAME REGEX [S]  waits (60 s) for a line of the script's output
#   guest_sh NAME COMMAND          runs a command in the running guest; its output and status
#   guest_qmp NAME COMMAND [NAME=VALUE…]  a command to its QEMU: block_resize, device_del, device_add
#   guest_kill NAME                kill -9 of QEMU: the power cut
#   guest_disk FILE SIZE           makes an empty sparse raw image (replaces FILE)
#   build_kmod [KERNEL [FLAVOUR]]  builds the module; prints the path of mobility.ko
#
# OPTIONs:
#   --script FILE          the script (any interpreter that the guest has)
#   --command STRING       instead of a script: a line for sh
#   --kernel KERNEL        as fetch-kernel.sh takes it (default: MOBILITY_KERNEL, else bookworm)
#   --flavour FLAVOUR      cloud-amd64 (default: MOBILITY_FLAVOUR) or amd64
#   --root busybox         no disk, 2 s to boot: the default
#   --root debian          a fresh copy of the Debian root filesystem, ext4, on /dev/vda
#   --root FILE            a raw image of an ext4 or XFS root filesystem, used as it is
#   --disk FILE[:FORMAT[:OPTS]]  a virtio disk (raw; QEMU -drive options), in order: vda.., or vdb..
#                          if there is a root disk. OPTS serial=X makes /dev/mob/X in the guest.
#   --file HOST:GUEST      a file or folder put into the guest (may be repeated)
#   --bin HOST[:GUEST]     a program, to /usr/local/bin; a busybox guest gets its libraries too
#   --smp N (2)  --mem MIB (1024)  --timeout SECONDS (300)
#   --tcg single           one host thread for all CPUs (default multi). For guests that change kernel
#                          text under load, as loading the module does: QEMU may keep a translation
#                          of code that another CPU patches back at that moment, and then trips over
#                          a breakpoint that is gone (rarer since 8.1, commit deba78709a: it drops the
#                          translations before it stores, and another CPU may be translating in between).
#   --allow REGEX          kernel messages that would fail the run but are expected by this test
#   --cache MODE           of the disks (unsafe: the host's page cache outlives a killed QEMU)
#   --machine TYPE         QEMU's (pc; q35 for a kernel that checks itself, which would interpret pc's ACPI tables for minutes).
#                          q35 takes no PCI device while it runs.
#   --append WORDS         more for the kernel's command line
#   --qemu ARG             a further argument of QEMU (may be repeated)
#   --meanwhile FUNCTION   of guest_run: what the host does while the guest runs; the run fails with it
#
# What a run leaves in build/vm/<test>/<guest>/: console.log, output.log (what the script printed),
# and out/: the guest's /out (what the script put there, and dmesg). The script prints to stdout as it goes with
# guest_run; any WARN, BUG, Oops, lockup, hung task or RCU stall in the kernel log fails the run.

# MOBILITY_PATIENCE=N: every limit in time, on the host and in the guests, is N times as long: for a machine that
# has much else to do. Without it 1, or 4 for a kernel that checks itself.

# Debian's programs (scripts/deps.sh) before others of the same names.
PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH
vm_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/nap.sh
. "$vm_dir/../nap.sh"
# shellcheck source=tests/vm/cache.sh
. "$vm_dir/cache.sh"

test_name=${test_name:-$(basename "$0" .sh)}
vm_build=$top/build/vm/$test_name
vm_sockets=$(mktemp -d "${TMPDIR:-/tmp}/mob-vm.XXXXXX")
mkdir -p "$vm_build"
exec {vm_lock}>"$vm_build/.lock"
if ! flock -n "$vm_lock"; then
	echo "waiting for another run of $test_name" >&2
	flock "$vm_lock"
fi
trap guest_cleanup EXIT

vm_patience() {		# [KERNEL]
	case ${1:-${MOBILITY_KERNEL-}} in
	kasan|kcsan) echo "${MOBILITY_PATIENCE:-4}" ;;
	*) echo "${MOBILITY_PATIENCE:-1}" ;;
	esac
}

# what no healthy kernel prints
vm_alarms='WARNING:|BUG:|BUG at|Oops|kernel BUG|lockup|INFO: task|blocked for more than'
vm_alarms+='|rcu:? .*(stall|detected)|general protection|Unable to handle|Kernel panic|Call Trace'
vm_alarms+='|KASAN|KFENCE|UBSAN|possible (recursive|circular|irq)|inconsistent lock'
vm_alarms+='|suspicious RCU|list_(add|del) corruption|refcount_t|Bad page|Out of memory|oom-kill'
vm_alarms+='|page allocation (failure|stall)|scheduling while atomic|bad unlock|held lock'
vm_alarms+='|I/O error|EXT4-fs error|XFS .*(orruption|metadata I/O)|JBD2: .*rror'

guest_cleanup() {
	local pidfile

	for pidfile in "$vm_sockets"/*.pid; do
		[ ! -s "$pidfile" ] || kill -9 "$(cat "$pidfile")" 2>/dev/null || true
	done
	rm -rf "$vm_sockets"
}

guest_disk() {
	rm -f "$1"
	truncate -s "$2" "$1"
}

build_kmod() {
	"$vm_dir/build-kmod.sh" "$@" >&2
	"$vm_dir/build-kmod.sh" --path "$@"
}

guest_fail() {		# NAME SENTENCE
	echo "guest $1: $2" >&2
}

# The options of a guest, into the variables of the caller (guest_start).
guest_options() {
	while [ $# -gt 0 ]; do
		[ $# -ge 2 ] || { echo "guest_start: $1 needs a value" >&2; return 2; }
		case $1 in
		--script) script=$2 ;;
		--command) command=$2 ;;
		--kernel) kernel=$2 ;;
		--flavour) flavour=$2 ;;
		--root) root=$2 ;;
		--disk) disks+=("$2") ;;
		--file) files+=("$2") ;;
		--bin) bins+=("$2") ;;
		--smp) smp=$2 ;;
		--tcg) tcg=$2 ;;
		--mem) mem=$2 ;;
		--timeout) limit=$2 ;;
		--allow) allow=$2 ;;
		--cache) disk_cache=$2 ;;
		--append) more_append=$2 ;;
		--machine) machine=$2 ;;
		--qemu) extra+=("$2") ;;
		--meanwhile) meanwhile=$2 ;;
		*) echo "guest_start: unknown option $1" >&2; return 2 ;;
		esac
		shift 2
	done
}

# The libraries of programs, into the tree of a guest that has none
guest_libraries() {	# TREE PROGRAM…
	local tree=$1 libraries

	shift
	mapfile -t libraries < <(ldd "$@" 2>/dev/null | awk '$2 == "=>" { print $3 } $1 ~ /^\// && !/:$/ { print $1 }' | sort -u)
	# from the top: cp looks for the folders of an absolute name below the current one
	[ ${#libraries[@]} -eq 0 ] || (cd / && cp -L --preserve=mode,timestamps --parents -t "$tree" "${libraries[@]#/}")
}

guest_put() {		# HOST GUEST: into the tree that becomes the second initramfs
	[ -d "$inject${2%/*}" ] || mkdir -p "$inject${2%/*}"
	cp -RL --preserve=mode,timestamps -T "$1" "$inject$2"
}

# The initramfs that holds what this run adds; appended to the kernel's own.
guest_inject() {
	local stage=$dir/inject inject pair bin programs=()

	inject=$stage/inject
	rm -rf "$stage"
	mkdir -p "$inject"
	if [ -n "$script" ]; then
		guest_put "$script" /guest-script
	else
		printf '#!/bin/sh\n%s\n' "$command" >"$inject/guest-script"
	fi
	chmod 755 "$inject/guest-script"
	for pair in "${files[@]}"; do
		guest_put "${pair%%:*}" "${pair#*:}"
	done
	for pair in "${bins[@]}"; do
		bin=${pair%%:*}
		case $pair in
		*:*) guest_put "$bin" "${pair#*:}" ;;
		*) guest_put "$bin" "/usr/local/bin/${bin##*/}" ;;
		esac
		programs+=("$bin")
	done
	if [ "$root" = busybox ] && [ ${#programs[@]} -gt 0 ]; then guest_libraries "$inject" "${programs[@]}" || return 1; fi
	(cd "$stage" && find . | cpio -o -H newc -R 0:0 --quiet) >"$dir/inject.cpio"
	rm -rf "$stage"
	cat "$initrd" "$dir/inject.cpio" >"$dir/initrd" || return 1
	rm -f "$dir/inject.cpio"
}

guest_drives() {	# adds the disks to the array args
	local spec file format opts serial n=0

	for spec in "${disks[@]}"; do
		IFS=: read -r file format opts <<<"$spec"
		serial=
		case ,$opts, in *,serial=*)
			serial=${opts##*serial=}
			serial=${serial%%,*}
			opts=,$opts,
			opts=${opts/,serial=$serial,/,}
			opts=${opts#,} opts=${opts%,} ;;
		esac
		args+=(-drive "if=none,id=d$n,file=$file,format=${format:-raw},cache=$disk_cache,discard=unmap${opts:+,$opts}"
			-device "virtio-blk-pci,drive=d$n${serial:+,serial=$serial}")
		n=$((n + 1))
	done
}

guest_port() {		# NAME CHARDEV: adds a port to the array args
	args+=(-chardev "$2,id=$1" -device "virtserialport,chardev=$1,name=mob.$1")
}

guest_start() {
	local name=$1 dir=$vm_build/$1
	local script="" command="" kernel=${MOBILITY_KERNEL:-bookworm}
	local flavour=${MOBILITY_FLAVOUR:-cloud-amd64} root=busybox smp=2 mem=1024 limit=300 allow="" more_append=""
	local tcg=multi machine="" disk_cache=unsafe disks=() files=() bins=() extra=() args append initrd patience
	# shellcheck disable=SC2034
	local RELEASE KERNEL KDIR MODROOT

	shift
	guest_options "$@" || return 2
	case $kernel in
	kasan|kcsan)
		mem=$((mem * 2))	# they remember much
		machine=${machine:-q35} ;;
	esac
	patience=$(vm_patience "$kernel")
	limit=$((limit * patience))
	rm -rf "$dir"
	mkdir -p "$dir/out"
	eval "$("$vm_dir/fetch-kernel.sh" "$kernel" "$flavour")"
	initrd=$("$vm_dir/initrd.sh" "$RELEASE" "$MODROOT") || return 2
	# A look at a clock other than the TSC leaves translated code, and QEMU moves a byte at a time for rep movsb (erms): a guest
	# that does both takes a third more of a processor.
	append="console=ttyS0 loglevel=6 panic=-1 oops=panic mitigations=off tsc=reliable no_timer_check cryptomgr.notests"
	# only the module's accesses are looked at (sanitizer/build.sh), and those at one of so many
	[ "$kernel" != kcsan ] || append+=" kcsan.skip_watch=50"
	# the kernel takes no more than 300 and 60
	append+=" rcupdate.rcu_cpu_stall_timeout=$((patience < 5 ? patience * 60 : 300))"
	append+=" watchdog_thresh=$((patience < 2 ? 30 : 60))"
	append+=" mob.timeout=$limit mob.patience=$patience mob.time=$(date +%s)${more_append:+ $more_append}"
	case $root in
	busybox) ;;
	debian) "$vm_dir/rootfs.sh" --image "$dir/root.img"; disks=("$dir/root.img" "${disks[@]}") ;;
	*) disks=("$root" "${disks[@]}") ;;
	esac
	[ "$root" = busybox ] || append+=" mob.root=/dev/vda"
	guest_inject || return 2
	echo "$allow" >"$dir/allow"

	# shellcheck disable=SC2054
	args=(-machine "${machine:-pc}" -accel "tcg,thread=$tcg" -cpu max,-erms,-fsrm -smp "$smp" -m "$mem" -nodefaults -no-user-config
		-display none -no-reboot -qmp "unix:$vm_sockets/$name.qmp,server=on,wait=off" -kernel "$KERNEL" -initrd "$dir/initrd" -append "$append"
		-serial "file:$dir/console.log" -pidfile "$vm_sockets/$name.pid"
		-netdev user,id=net -device virtio-net-pci,netdev=net,romfile=
		-device virtio-rng-pci -device virtio-serial-pci)
	guest_port output "file,path=$dir/output.log"
	guest_port result "file,path=$dir/result"
	guest_port files "file,path=$dir/files.tar"
	guest_port ctl "socket,path=$vm_sockets/$name.ctl,server=on,wait=off"
	guest_drives
	guest_boot "$name" "$limit" "$((90 * patience))" "${args[@]}" "${extra[@]}"
}

# QEMU's processors are threads that race: now and then one trips over an assertion of QEMU's own (iotlb_to_section, physmem.c).
guest_qemu() {		# of guest_boot
	local status=0

	timeout -k 5 "$limit" "$qemu" "$@" </dev/null || status=$?
	case $status in
	134|139) echo $status >"$dir/aborted" ;;
	esac
	return $status
}

# QEMU in the background, until the guest is about to begin its script. A boot changes kernel text, too (--tcg above): one that hangs
# there, trips over a breakpoint that is gone, or whose QEMU aborts, where nothing of a test has begun, is begun again.
guest_boot() {		# NAME LIMIT BOOT-LIMIT ARGUMENT...
	local name=$1 dir=$vm_build/$1 limit=$2 boot_limit=$3 tries status qemu

	shift 3
	qemu=$("$vm_dir/fetch-qemu.sh") || return
	for tries in 1 2 3; do
		rm -f "$dir/aborted"
		guest_qemu "$@" >"$dir/qemu.log" 2>&1 {vm_lock}>&- &
		echo $! >"$dir/job"
		status=0
		guest_up "$dir" "$boot_limit" || status=$?
		[ $status -ne 0 ] && [ "$tries" -lt 3 ] || return 0
		[ ! -e "$dir/console.log" ] || mv "$dir/console.log" "$dir/console-$tries.log"
		case $status in
		2) guest_fail "$name" "its kernel ran into a breakpoint of QEMU's (--tcg): booted again (console-$tries.log)" ;;
		3) guest_fail "$name" "QEMU aborted: booted again ($(head -n 1 "$dir/qemu.log"))" ;;
		*) guest_fail "$name" "its kernel was not up after $boot_limit s: booted again (console-$tries.log)" ;;
		esac
		kill -9 "$(cat "$vm_sockets/$name.pid" 2>/dev/null)" 2>/dev/null || true
		guest_forget "$name"
	done
}

# 0: it is up, or has ended, of which guest_wait tells; 1: it hangs; 2: it met a breakpoint that nobody has set any more; 3: QEMU
# aborted
guest_up() {		# DIR LIMIT
	local end=$((SECONDS + $2)) up="" gone="" job said

	job=$(cat "$1/job")
	while :; do
		said=""
		kill -0 "$job" 2>/dev/null || gone=1
		[ ! -e "$1/console.log" ] || IFS= read -rd '' said <"$1/console.log" || true
		[[ $said != *'guest-runner: up'* ]] || up=1
		[[ $said != *'int3: 0000'* ]] || return 2
		[ -z "$up" ] || return 0
		if [ -n "$gone" ]; then
			[ ! -e "$1/aborted" ] || return 3
			return 0
		fi
		[ $SECONDS -lt $end ] || break
		nap 0.1
	done
	[[ $said == *'guest-init: the kernel is up'* ]]
}

guest_wait() {
	local dir=$vm_build/$1 qemu=0 status=99 alarms

	wait "$(cat "$dir/job")" || qemu=$?
	rm -f "$dir/initrd" "$vm_sockets/$1".*
	[ ! -s "$dir/files.tar" ] || tar -C "$dir/out" -xf "$dir/files.tar" 2>/dev/null ||
		guest_fail "$1" "what it put into /out arrived incomplete"
	rm -f "$dir/files.tar"
	alarms=$(guest_alarms "$1")
	if [ -s "$dir/result" ]; then
		status=$(sed -n 's/^exit //p' "$dir/result")
		[ "$status" -eq 0 ] || guest_fail "$1" "the script ended with status $status"
	elif [ $qemu -eq 124 ]; then
		guest_fail "$1" "timed out"
	else
		guest_fail "$1" "ended without a result (QEMU status $qemu): $(cat "$dir/qemu.log")"
	fi
	if [ -n "$alarms" ]; then
		guest_fail "$1" "kernel messages: $alarms"
		guest_traces "$1" >&2
		status=99
	fi
	if [ "$status" -ne 0 ]; then
		echo "--- the end of $dir/console.log" >&2
		tail -n 40 "$dir/console.log" >&2
	fi
	return "$status"
}

guest_alarms() {	# NAME: the kernel messages that fail the run
	local dir=$vm_build/$1 allow

	allow=$(cat "$dir/allow")
	cat "$dir/console.log" "$dir/out/dmesg" 2>/dev/null | tr -d '\r' | grep -aE "$vm_alarms" |
		{ if [ -n "$allow" ]; then grep -avE "$allow"; else cat; fi } | sort -u | head -20 || true
}

# Says which, if QEMU itself failed some guest of this test: it aborted, or the kernel met a breakpoint that nobody has set any more
# (--tcg; the kernel's own handler knows those that are set).
guest_emulator_failed() {
	local aborted

	for aborted in "$vm_build"/*/aborted; do
		[ -e "$aborted" ] || continue
		echo "QEMU aborted: $(head -n 1 "${aborted%/*}/qemu.log")"
		return 0	# in a trap (test-lib.sh) a bare return has the status from before it
	done
	grep -aqs 'int3: 0000' "$vm_build"/*/console.log || return 1
	echo "a guest ran into a breakpoint of QEMU's (--tcg)"
}

guest_traces() {	# NAME: the first call traces of its kernel, each on one line
	tr -d '\r' <"$vm_build/$1/console.log" | awk '
		/(BUG|WARNING|INFO|RIP):/ { sub(/^\[[ 0-9.]*\] */, ""); about = about " " $0 }
		/Call Trace:/ { inside = 1; line = ""; next }
		inside && /[a-z_]\+0x/ { sub(/^\[[ 0-9.]*\] */, ""); if ($1 != "?") line = line " < " $1 }
		inside && /<\/TASK>/ {
			print "trace:" substr(about, 1, 400) line; about = ""; inside = 0
			if (++n == 6) exit
		}'
}

guest_run() {
	local status=0 failed=0 follower meanwhile=""

	guest_start main "$@" || return
	touch "$vm_build/main/output.log"
	tail -n +1 -s 0.1 -f --pid "$(cat "$vm_build/main/job")" "$vm_build/main/output.log" 2>/dev/null &
	follower=$!
	[ -z "$meanwhile" ] || "$meanwhile" || failed=99
	guest_wait main || status=$?
	wait "$follower" || true
	[ "$status" -ne 0 ] || status=$failed
	return "$status"
}

guest_wait_for() {
	local dir=$vm_build/$1 limit=$((${3:-60} * $(vm_patience)))
	local end=$((SECONDS + limit)) job

	job=$(cat "$dir/job")
	until grep -aqE "$2" "$dir/output.log" 2>/dev/null; do
		if ! kill -0 "$job" 2>/dev/null; then
			guest_fail "$1" "ended before it said '$2'"
			return 1
		elif [ $SECONDS -ge $end ]; then
			guest_fail "$1" "did not say '$2' in $limit s"
			return 1
		fi
		nap 0.2
	done
}

guest_sh() {
	"$vm_dir/guestctl.py" "$vm_sockets/$1.ctl" "$2"
}

guest_qmp() {
	local name=$1

	shift
	"$vm_dir/qmp.py" "$vm_sockets/$name.qmp" "$@"
}

guest_stop() {		# NAME: it can be booted again
	kill -9 "$(cat "$vm_sockets/$1.pid")"
	guest_forget "$1"
}

guest_forget() {
	wait "$(cat "$vm_build/$1/job")" 2>/dev/null || true
	rm -f "$vm_sockets/$1".*
}

guest_kill() {
	guest_stop "$1"
	rm -f "$vm_build/$1/initrd"
}
