#!/bin/sh
# shellcheck shell=dash disable=SC2016
# SPDX-License-Identifier: Apache-2.0
# In a busybox guest; see ../test-nasty-writers.sh. Each case is a set of vss-shim that somebody spoils: the label has to be
# right, the reason clear, and afterwards everything can be written and nothing of the set runs.
set -eu
writer=/etc/mobility/writers.d/20-nasty
cases=0

die() { echo "$case: $*"; exit 1; }

set_up() {
	modprobe -a ext4 xfs
	modprobe sd_mod || true # built in, where it is not a module
	modprobe scsi_debug dev_size_mb=64
	mkdir -p /mnt/ext4 /mnt/xfs /etc/mobility/writers.d /run/mobility-shim
	mount -t ext4 /dev/mob/ext4 /mnt/ext4
	mount -t xfs /dev/mob/xfs /mnt/xfs
	printf '[freeze]\nwindow=2s\nprepare=1s\npost=2s\n' >/etc/mobility/vss-shim.conf
}

# a_writer: stdin has the body, in which answer PHASE-ANSWER is known; identify is its own
a_writer() {
	{
		printf '#!/bin/sh\n[ "$1" != identify ] || { printf "name: Nasty\\ninstances: 1\\ndeadline: 700\\n"; exit 0; }\n'
		cat
	} >$writer
	chmod 755 $writer
}

# The phases in order; what a case does differently stands in front, as a "case" of its own.
the_rest='while read -r phase; do nasty "$phase" || echo ok; done'

written() {		# MOUNT: a write goes through at once
	timeout 3 sh -c "echo x >$1/written && sync $1/written" || die "$1 cannot be written afterwards"
}

# The files of /proc of what a writer left; the search does not find itself.
left_over() { grep -lsaE '20-nast[y]|sleep.9876[5]' /proc/[0-9]*/cmdline; }

no_processes() {
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		left_over >/dev/null || return 0
		sleep 0.3
	done
	die "left over: $(left_over)"
}

# run_set CASE true|false PATTERN: its label, and what its report has to say
run_set() {
	case=$1
	report=$(vss-shim run --json --anyway -- true 2>&1 >/dev/null) || true
	echo "$report" | grep -q "\"consistent\": *$2" || die "not consistent=$2: $report"
	echo "$report" | grep -qE "$3" || die "the report does not say '$3': $report"
	no_processes
	cases=$((cases + 1))
	echo "$case: consistent=$2: $(echo "$report" | sed -n 's/.*"reason": *\("[^"]*"\|null\).*/\1/p' | head -n 1)"
}

both_written() {
	written /mnt/ext4
	written /mnt/xfs
}

nasty_writers() {
	for phase in prepare freeze thaw; do
		a_writer <<-END
			nasty() { [ \$1 = $phase ] && sleep 98765; }
			$the_rest
		END
		run_set "hangs in $phase" false '"text": *"(it was late|[a-z]*: .*late)'
		a_writer <<-END
			nasty() { [ \$1 = $phase ] && echo fail the disk is not enough; }
			$the_rest
		END
		run_set "fails in $phase" false 'writer 20-nasty failed: .*the disk is not enough'
		a_writer <<-END
			nasty() { [ \$1 = $phase ] && printf 'what\\001ever\\n'; }
			$the_rest
		END
		run_set "garbage in $phase" false 'writer 20-nasty failed: '
		a_writer <<-END
			nasty() { [ \$1 = $phase ] && exit 0; }
			$the_rest
		END
		run_set "dies in $phase" false 'writer 20-nasty failed: '
		a_writer <<-END
			nasty() { [ \$1 = $phase ] && kill -9 \$\$; }
			$the_rest
		END
		run_set "is killed in $phase" false 'writer 20-nasty failed: '
		a_writer <<-END
			nasty() { [ \$1 = $phase ] && yes; }
			$the_rest
		END
		run_set "fills its output in $phase" false 'writer 20-nasty failed: '
	done
	a_writer <<-END
		nasty() { [ \$1 = freeze ] && { yes | head -c 400000 >&2; echo ok; }; }
		$the_rest
	END
	run_set "fills its log" true '"result": *"ok"'
	a_writer <<-END
		nasty() { [ \$1 = prepare ] && { setsid sleep 98765 </dev/null >/dev/null 2>&1 & echo ok; }; }
		$the_rest
	END
	run_set "leaves a daemon" true '"result": *"ok"'
	a_writer <<-END
		nasty() { [ \$1 = prepare ] && echo skip there is nothing; }
		$the_rest
	END
	run_set "has nothing to do" true '"result": *"skipped"'
	a_writer <<-END
		nasty() { false; }
		$the_rest
	END
	chmod 777 $writer
	run_set "can be changed by anybody" false 'can be written by others'
	chmod 755 $writer
	run_set "is a good one" true '"result": *"ok"'
	rm $writer
	both_written
}

filesystems() {
	fsfreeze --freeze /mnt/xfs
	run_set "frozen by somebody else" false '/mnt/xfs'
	# no signal ends who waits for a frozen filesystem
	(echo x >/mnt/xfs/frozen && touch /tmp/was-written) &
	sleep 1
	[ ! -e /tmp/was-written ] || die "what somebody else froze was thawed"
	fsfreeze --unfreeze /mnt/xfs
	wait $!
	both_written
	mount -o remount,ro /mnt/xfs
	run_set "read-only" true '"mount": *"/mnt/ext4"'
	mount -o remount,rw /mnt/xfs
	dd if=/dev/zero of=/mnt/ext4/full bs=64k 2>/dev/null && die "not full"
	run_set "full" true '"mount": *"/mnt/ext4"'
	rm /mnt/ext4/full
	both_written
	disk=$(ls -d /sys/bus/pseudo/drivers/scsi_debug/adapter0/host*/target*/*/block/*)
	disk=${disk##*/}
	mkfs.ext4 -q "/dev/$disk"
	mkdir -p /mnt/gone
	mount -t ext4 "/dev/$disk" /mnt/gone
	echo x >/mnt/gone/unwritten
	echo 1 >"/sys/block/$disk/device/delete"
	run_set "its disk is gone" false '/mnt/gone'
	both_written
}

set_up
nasty_writers
filesystems
echo "cases=$cases"
