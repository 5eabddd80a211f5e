# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The cases in which a protected machine goes down and comes back: agent in guests, appliance on the host
# (replication.sh), the agent's state on a disk of its own that outlives the boots. Sourced by 05, 06, 07.
#
# The module's bitmaps end with the kernel, so after any boot each disk is suspect as a whole: it is
# resynchronised by checksum, and says why. MOBILITY_BIN: the programs of a changed agent (mutate.sh).
#
#   reboot_boot GUEST SCRIPT OPTION…   a busybox guest with the module and the agent; SCRIPT of guest/
#   reboot_protect GUEST DISK          enrols, protects, waits until it is protected, takes a point
#   reboot_agent GUEST CONTENT…        starts the agent after a boot: it has to say that DISK is
#                                      resynchronised, and why, before it is protected again
#   reboot_equal IMAGE EXPORTED        the newest point against the disk, byte by byte

# shellcheck source=tests/vm/cases/case-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/case-lib.sh"
# shellcheck source=tests/vm/replication.sh
. "$vm_dir/replication.sh"

reboot_init() {
	"$vm_dir/build-tools.sh"
	test_module
	guest_disk "$vm_build/state.img" 16M
	mke2fs -q -t ext4 -L mob-state "$vm_build/state.img"
	appliance_init
	printf '[agent]\nstate_dir=/state/mobility\n' >>"$vm_build/m.conf"
	appliance_start
}

# The state's disk comes last; guest/reboot.sh mounts it by its serial number.
reboot_boot() {
	local guest=$1 script=$2

	shift 2
	agent_options
	guest_start "$guest" --tcg single "$@" --disk "$vm_build/state.img:raw:serial=state" \
		--timeout 300 --file "$module:/mobility.ko" --file "$vm_dir/cases/guest:/cases" \
		--bin "$top/build/vm/bin/oracle" "${agent_options[@]}" --command "/cases/$script"
	guest_wait_for "$guest" '^ready' 120 || fail "the guest $guest did not come up"
}

reboot_down() {		# GUEST: asks its script to end, waits for the machine to power off
	guest_sh "$1" "touch /run/end"
	guest_wait "$1" || fail "guest status $?"
}

protected='(.disks | length == 1) and (.disks | all(.state == "protected"))'

reboot_protect() {
	agent_start "$1"
	agent_enroll "$1" >/dev/null
	agent_ctl "$1" protect "$2" || fail "protect $2"
	agent_wait "$1" 120 "initial replication" "$protected"
	agent_bookmark "$1" before || fail "no recovery point"
	[ "$(agent_status "$1" '.disks[0].resync_cause')" = null ] ||
		fail "a resync before anything happened: $(agent_status "$1" '.disks[0].resync_cause')"
}

reboot_agent() {	# GUEST CAUSE
	local points said

	points=$(reboot_points)
	agent_start "$1"
	agent_wait "$1" 60 "agreement with the appliance" '.appliance.connected'
	agent_wait "$1" 120 "protection after the boot" "$protected"
	said=$(guest_sh "$1" "cat /run/mobilityd.log" | grep 'is resynchronised by checksum' || true)
	[ -n "$said" ] || fail "after the boot the agent took the disk for clean ($(reboot_points) points, $points before)"
	[[ $said == *": $2"* ]] || fail "the cause of the resync is not '$2': $said"
	[ "$(guest_sh "$1" "cat /run/mobilityd.log" | grep -c 'is resynchronised by checksum')" = 1 ] ||
		fail "more than one resync: $said"
	echo "${said##*mobilityd: }"
}

reboot_points() {
	appliance points --json | jq 'if type == "object" then .points else . end | length'
}

reboot_equal() {
	local newest

	newest=$(appliance points --json | jq 'if type == "object" then .points else . end | map(.id) | max')
	rm -rf "$vm_build/point"
	mkdir "$vm_build/point"
	appliance export guest "$newest" --format raw "$vm_build/point" >"$vm_build/export.log" || fail "export"
	cmp "$vm_build/$1.img" "$vm_build/point/$2.raw" >"$vm_build/cmp.log" 2>&1 ||
		fail "the point after the boot differs from the disk: $(cat "$vm_build/cmp.log")"
	appliance verify >/dev/null || fail "stored digests do not match"
	figures="$(stat -c %s "$vm_build/$1.img") bytes equal"
}
