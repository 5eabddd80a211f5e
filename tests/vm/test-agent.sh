#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Module, agent and appliance together, under the write-order oracle on two disks: the agent and the appliance are killed
# again and again, a disk does not answer for a while, the module is reloaded. Every recovery point, exported, is verified by the oracle; the last one equals the
# disks byte by byte, one of which grew meanwhile; the only full resync is the one with a cause.
set -euo pipefail
# shellcheck source=tests/vm/test-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/test-lib.sh"
# shellcheck source=tests/vm/replication.sh
. "$(dirname "${BASH_SOURCE[0]}")/replication.sh"
rounds=${ROUNDS:-4}

boot() {
	local module

	"$vm_dir/build-tools.sh"
	# shellcheck disable=SC2119
	module=$(build_kmod 2>"$vm_build/kmod.log") || fail "the kernel module does not build"
	guest_disk "$vm_build/data1.img" 96M
	guest_disk "$vm_build/data2.img" 64M
	agent_options
	guest_start main --disk "$vm_build/data1.img:raw:serial=data1" --disk "$vm_build/data2.img:raw:serial=data2" \
		--timeout 420 --file "$module:/mobility.ko" --bin "$top/build/vm/bin/oracle" "${agent_options[@]}" \
		--script "$vm_dir/guest/agent-load.sh"
	guest_wait_for main '^writing' 60 || fail "the guest did not start its writer"
}

point() {	# NAME
	agent_bookmark main "$1" || fail "no recovery point $1: $(guest_sh main "tail -n 5 /run/mobilityd.log")"
}

no_resync() {
	[ "$(agent_status main '[.disks[].resync_cause] | all(. == null)')" = true ] ||
		fail "a resync that nobody asked for: $(agent_status main '.disks[].resync_cause')"
}

kills() {
	local n

	for ((n = 1; n <= rounds; n++)); do
		sleep "0.$((RANDOM % 10))"
		agent_kill main
		if [ $((n % 3)) -eq 0 ]; then
			appliance_kill
			appliance_start
		fi
		agent_start main
		agent_wait main 60 "agreement with the appliance after kill $n" '.appliance.connected'
		no_resync
		[ $((n % 2)) -ne 0 ] || point "kill-$n"
	done
	sleep "0.$((RANDOM % 10))"
	appliance_kill
	sleep 2
	appliance_start
	point appliance
	no_resync
}

throttle() {	# READS WRITES: bytes a second of the second disk, 0: as fast as it goes
	guest_qmp main block_set_io_throttle device=d1 bps=0 "bps_rd=$1" "bps_wr=$2" iops=0 iops_rd=0 iops_wr=0 >"$vm_build/qmp.log" ||
		fail "the disk cannot be throttled: $(cat "$vm_build/qmp.log")"
}

# A disk does not complete its writes, then its reads, for a while: that is what the status says, and all goes on when it does.
hung_disk() {
	throttle 0 1
	agent_wait main 60 "the status of a disk that does not complete writes" '.problems | any(.what | test("have not completed for .* in flight"))'
	throttle 0 0
	agent_wait main 60 "the end of it" '.problems == []'
	guest_sh main "grep -q 'writes before the last boundary have not completed yet' /run/mobilityd.log" || fail "the log does not tell of it"
	throttle 1 0
	agent_wait main 60 "the status of a disk that does not answer" '.problems | any(.what | test("vdb does not answer: a read of it has taken"))'
	throttle 0 0
	agent_wait main 60 "the end of it" '.problems == []'
	no_resync
	point answered
}

# One does not answer, and its protection is ended: the other goes on at once.
without_hung_disk() {
	# The first read of a throttled disk still passes.
	throttle 1 0
	guest_sh main "for at in 100 300 500 700; do dd if=/dev/urandom of=/dev/vdb bs=64k seek=\$at count=1 oflag=direct 2>/dev/null; done"
	agent_wait main 60 "the status of a disk that does not answer" '.problems | any(.what | test("vdb does not answer: a read of it has taken"))'
	agent_ctl main unprotect /dev/vdb || fail "unprotect"
	guest_sh main "dd if=/dev/urandom of=/dev/vda bs=64k seek=100 count=1 oflag=direct 2>/dev/null"
	point alone
	rm -rf "$vm_build/point"
	mkdir "$vm_build/point"
	appliance export guest alone --format raw "$vm_build/point" >/dev/null
	cmp "$vm_build/data1.img" "$vm_build/point/vda.raw" || fail "the point without the disk that does not answer differs from the other disk"
	throttle 0 0
}

# A disk grows under the load, and is written to where it is new before anybody has noticed: the agent takes up what was
# added, and nothing else is read again.
grow_disk() {
	local old=$((96 << 20)) new=$((128 << 20))

	guest_qmp main block_resize device=d0 size=$new >"$vm_build/qmp.log" || fail "the disk cannot be resized: $(cat "$vm_build/qmp.log")"
	guest_sh main "until dd if=/dev/urandom of=/dev/vda bs=1M seek=110 count=8 oflag=direct 2>/dev/null; do sleep 0.1; done"
	agent_wait main 60 "the new size of the disk" "(.disks[0].size == $new) and $all_protected"
	guest_sh main "grep -q 'grew from $old to $new bytes' /run/mobilityd.log && grep -q 'resynchronisation from $old of $new bytes on' /run/mobilityd.log" ||
		fail "the log does not tell of the growth: $(guest_sh main "tail -n 5 /run/mobilityd.log")"
	! guest_sh main "grep 'resynchronised by checksum' /run/mobilityd.log" || fail "the disk that grew was read again"
	no_resync
	guest_sh main "dd if=/dev/urandom of=/dev/vda bs=1M seek=120 count=4 oflag=direct 2>/dev/null"
	point grown
}

reload_module() {
	local unchanged stop="killall -STOP oracle" go="killall -CONT oracle" reload

	agent_kill main
	# The writer pauses while kernel text changes (--tcg in functions.sh), and writes in between.
	reload="$stop; rmmod mobility && $go && sleep 0.5 && $stop && insmod /mobility.ko && $go"
	guest_sh main "$reload" ||
		fail "the module cannot be reloaded"
	agent_start main
	agent_wait main 60 "agreement with the appliance" '.appliance.connected'
	agent_wait main 120 "the resync" "$all_protected"
	[ "$(guest_sh main "grep -c 'resynchronised by checksum: the kernel module was reloaded' /run/mobilityd.log" | head -n 1)" = 2 ] ||
		fail "the cause of the resync of both disks is not in the log: $(guest_sh main "tail -n 5 /run/mobilityd.log")"
	unchanged=$(agent_status main .totals.unchanged_bytes)
	[ "$unchanged" -gt $((64 << 20)) ] || fail "the resync sent what was equal: $unchanged bytes unchanged"
	point reloaded
}

# Name and image of each recovery point, against the oracle.
verify_points() {
	local id n=0

	appliance verify || fail "stored digests do not match"
	appliance points --json >"$vm_build/points.json"
	for id in $(jq -r 'if type == "object" then .points else . end | .[] | .id' "$vm_build/points.json"); do
		rm -rf "$vm_build/point"
		mkdir "$vm_build/point"
		appliance export guest "$id" --format raw "$vm_build/point" >"$vm_build/export.log" || fail "export of point $id"
		"$top/build/vm/bin/oracle" verify "$vm_build/point/vda.raw" "$vm_build/point/vdb.raw" >"$vm_build/verify.log" ||
			fail "point $id is not what it says: $(tail -n 2 "$vm_build/verify.log")"
		n=$((n + 1))
	done
	[ $n -ge $((rounds / 2 + 4)) ] || fail "only $n recovery points"
	echo "$n recovery points verified by the oracle"
}

appliance_init
appliance_start
boot
agent_start main
agent_enroll main
agent_ctl main protect /dev/vda /dev/vdb || fail "protect"
# the first kill comes in the middle of the initial replication
sleep 1
agent_kill main
agent_start main
agent_wait main 120 "initial replication" "$all_protected"
no_resync
kills
hung_disk
grow_disk
reload_module
guest_sh main "touch /run/stop"
guest_wait_for main '^quiet' 30 || fail "the writer did not end"
point last
verify_points
for n in 1 2; do
	disk=$(tr 12 ab <<<"vd$n")
	appliance export guest last --format raw "$vm_build/point" >/dev/null
	cmp "$vm_build/data$n.img" "$vm_build/point/$disk.raw" || fail "the last point of $disk differs from the disk"
done
without_hung_disk
agent_ctl main status || fail "status is not healthy at the end"
guest_sh main "touch /run/end"
guest_wait main || fail "guest status $?"
pass
