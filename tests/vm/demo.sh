#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The main job, from protecting a busy machine to booting it again after its sudden end. Ends with a table;
# the status is 0 only if all of it held. Everything is left in build/vm/demo/.
set -euo pipefail
test_name=demo
# shellcheck source=tests/vm/functions.sh
. "$(dirname "${BASH_SOURCE[0]}")/functions.sh"
# shellcheck source=tests/vm/replication.sh
. "$(dirname "${BASH_SOURCE[0]}")/replication.sh"
trap demo_end EXIT

began=$SECONDS
step="preparing"

say() {
	step=$1
	printf '%4d s  %s\n' $((SECONDS - began)) "$1"
}

demo_end() {
	local status=$?

	appliance_kill
	guest_cleanup
	if [ $status -ne 0 ]; then
		echo "the demo failed at: $step (logs: ${vm_build#"$top"/}/)"
		tail -n 15 "$vm_build/appliance.log" "$vm_build/protected/output.log" 2>/dev/null || true
	fi
}

fail() {
	echo "FAILED: $*" >&2
	exit 1
}

boot_protected() {
	"$vm_dir/rootfs.sh" --image "$vm_build/root.img"
	guest_disk "$vm_build/data.img" 384M
	guest_start protected --root "$vm_build/root.img" --disk "$vm_build/data.img:raw:serial=demo-data" \
		--mem 1024 --timeout 900 --file "$module:/mobility.ko" "${agent_options[@]}" \
		--script "$vm_dir/guest/demo-workload.sh"
	guest_wait_for protected '^wrote ' 120 || fail "the guest's workload did not start"
}

take_points() {
	local n

	for n in 1 2 3; do
		agent_bookmark protected "demo-$n" || fail "recovery point demo-$n"
		sleep 4
	done
}

# What the module and the agent counted, and the guest's clock against ours, while they can still be asked.
last_words() {
	agent_ctl protected status || true
	agent_status protected . >"$vm_build/status.json"
	guest_clock_ahead=$(($(guest_sh protected "/usr/bin/date +%s%N" | tr -dc 0-9) - $(date +%s%N)))
}

export_newest() {
	mkdir -p "$vm_build/images"
	appliance points --json >"$vm_build/points.json"
	point=$(jq -c 'if type == "object" then .points else . end | max_by(.id)' "$vm_build/points.json")
	point_time=$(jq -r .time <<<"$point")
	points=$(jq 'if type == "object" then .points else . end | length' "$vm_build/points.json")
	machine=$(jq -r .machine <<<"$point")
	appliance export "$machine" "$(jq -r .id <<<"$point")" --format raw "$vm_build/images"
}

# Everything fsynced before the boundary of the point, by the guest's own clock.
make_ledger() {
	tr -d '\r' <"$vm_build/protected/output.log" |
		awk -v t="$point_time" '$1 == "wrote" && NF == 4 && $2 + 0 < t + 0 { print $3 "  " $4 }' >"$vm_build/ledger"
	[ -s "$vm_build/ledger" ] || fail "no file was written before the newest point"
}

check_root() {
	e2fsck -E journal_only -p "$vm_build/images/vda.raw" >"$vm_build/e2fsck.log" 2>&1 ||
		fail "the journal of the root filesystem does not replay: $(tail -n 2 "$vm_build/e2fsck.log")"
	e2fsck -fn "$vm_build/images/vda.raw" >>"$vm_build/e2fsck.log" 2>&1 ||
		fail "fsck finds errors: $(tail -n 5 "$vm_build/e2fsck.log")"
}

boot_recovered() {
	guest_start recovered --root "$vm_build/images/vda.raw" --disk "$vm_build/images/vdb.raw" \
		--timeout 300 --file "$vm_build/ledger:/ledger" --script "$vm_dir/guest/demo-recovered.sh"
	guest_wait_for recovered 'booted from the recovered root disk' 120 || fail "the recovered machine does not boot"
	recovered_at=$(date +%s%N)
	guest_wait recovered || fail "the recovered machine: $(tail -n 3 "$vm_build/recovered/output.log" 2>/dev/null)"
	grep -a '^recovered machine:' "$vm_build/recovered/output.log" | sed 's/^/        /'
}

seconds() {	# of NANOSECONDS
	awk -v ns="$1" 'BEGIN { printf "%.1f s", ns / 1e9 }'
}

table() {
	local s=$vm_build/status.json

	echo
	printf '%-34s %s\n' "recovery points" "$points" \
		"bytes replicated (on the disks)" "$(jq .totals.data_bytes "$s")" \
		"bytes on the wire" "$(jq .totals.sent_bytes "$s")" \
		"ratio" "$(jq '.totals.sent_bytes / .totals.data_bytes * 1000 | round / 1000' "$s")" \
		"zero bytes that stayed at home" "$(jq .totals.zero_bytes "$s")" \
		"RPO at the kill" "$(seconds $((killed_at + guest_clock_ahead - point_time)))" \
		"time to recover (export to boot)" "$(seconds $((recovered_at - recovery_began)))" \
		"longest time a write was held" "$(jq '.module.held_max_ns / 1e6 * 100 | round / 100' "$s") ms ($(jq .module.held_writes "$s") held)" \
		"torn epochs" "$(jq .module.torn_epochs "$s") of $(jq .module.boundaries "$s")" \
		"files checked in the newest point" "$(wc -l <"$vm_build/ledger")" \
		"the demo took" "$((SECONDS - began)) s"
}

say "preparing: kernel, root filesystem, module (downloads the first time)"
# shellcheck disable=SC2119
module=$(build_kmod 2>"$vm_build/kmod.log") || fail "the module does not build: $(tail -n 5 "$vm_build/kmod.log")"
say "an appliance starts on the host"
rm -rf "$vm_build/images"
appliance_init
appliance_start
say "a guest boots: root on ext4, data on XFS, a workload that writes and fsyncs files"
agent_options
boot_protected
say "it enrols with a token, and both disks are protected while the workload runs"
agent_start protected
agent_enroll protected
agent_ctl protected protect /dev/vda /dev/vdb || fail "protect"
say "initial replication"
agent_wait protected 600 "initial replication" "$all_protected"
say "deltas flow; three recovery points are taken"
take_points
last_words
say "the guest is killed with no warning"
killed_at=$(date +%s%N)
guest_kill protected
recovery_began=$(date +%s%N)
say "the newest recovery point is exported"
export_newest
make_ledger
say "fsck of the recovered root disk"
check_root
say "a second guest boots from the recovered disks"
boot_recovered
say "every stored digest is verified"
appliance verify || fail "verify found damage"
table
echo "PASS demo"
