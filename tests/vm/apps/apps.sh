# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# A guest with systemd and busy databases on two protected disks, and one that starts them from recovery points.
# Sourced after test-lib.sh and replication.sh.
#
#   apps_boot SCALE [OPTION…]   the guest "protected": module, agent, shim and load; all disks are protected
#   apps_point KIND NAME        a point of that kind: crash or application
#   apps_schedule N             N points by the clock, one a minute, whatever they turn out to be
#   apps_quiet                  the load ends, everything acknowledged is known to the host
#   apps_expect ID…             what these points have to hold: $vm_build/points/ID/ (see recovered.sh)
#   apps_recover_all ID…        starts the databases from each of these points, two guests at a time
#   apps_recover GUEST ID…      boots that guest with these points' disks; what it finds is printed
#   apps_ids CONDITION          ids of the points for which the jq condition holds

# shellcheck disable=SC2154
apps_guest=(--mem 2048
	--append "net.ifnames=0 systemd.unit=guest-runner.service systemd.show_status=0 systemd.mask=systemd-update-utmp.service"
	--file "$vm_dir/apps/prepare-root:/prepare-root" --file "$vm_dir/guest:/guest" --file "$vm_dir/apps:/apps"
	--file "$vm_dir/apps/etc:/etc")

# shellcheck disable=SC2154
apps_boot() {
	local scale=$1

	shift
	# shellcheck disable=SC2119
	module=$(build_kmod 2>"$vm_build/kmod.log") || fail "the kernel module does not build"
	"$vm_dir/rootfs.sh" --apps --image "$vm_build/root.img"
	guest_disk "$vm_build/db.img" 640M
	guest_disk "$vm_build/space.img" 320M
	agent_options
	agent_options+=(--file "$vm_build/vss-shim.conf:/etc/mobility/vss-shim.conf" --file "$top/vss-shim/writers.d:/usr/lib/mobility/writers.d" --file "$top/vss-shim/writer.sh:/usr/lib/mobility/writer.sh"
		--bin "$bin/vss-shim:/usr/sbin/vss-shim" --file "$top/packaging/systemd/vss-shim.service:/etc/systemd/system/vss-shim.service")
	printf '#!/bin/sh\nexec /apps/load.sh %s\n' "$scale" >"$vm_build/load"
	# a saturated guest in emulation looks for its databases for longer
	printf '[freeze]\nidentify=100s\nprepare=5m\npost=2m\n' >"$vm_build/vss-shim.conf"
	guest_start protected --root "$vm_build/root.img" --disk "$vm_build/db.img:raw:serial=db" \
		--disk "$vm_build/space.img:raw:serial=space" "${apps_guest[@]}" --file "$module:/mobility.ko" \
		"${agent_options[@]}" --script "$vm_build/load" --timeout 7000 --allow 'Out of memory|oom-kill|Call Trace' "$@"
	guest_wait_for protected '^ready' 900 || fail "the databases do not start: $(tail -n 5 "$vm_build/protected/output.log")"
	guest_sh protected "systemctl start vss-shim" || fail "vss-shim: $(guest_sh protected "journalctl -u vss-shim -n 10 --no-pager")"
	agent_start protected
	agent_enroll protected
	agent_ctl protected protect /dev/vdb /dev/vdc || fail "protect"
	agent_wait protected 900 "initial replication" "$all_protected"
}

# An emulated guest may be too slow for the window, and its point is crash-consistent then: once more.
apps_point() {		# KIND NAME
	local try

	for try in 1 2 3; do
		case $1 in
		crash) agent_ctl protected bookmark "$2" --timeout 5m ;;
		application) agent_ctl protected bookmark --app --name "$2" --timeout 5m ;;
		esac && return
		guest_sh protected "tail -n 5 /run/mobilityd.log; mobilityctl --config /root/m.conf writers" >"$vm_build/refused"
		cat "$vm_build/refused"
		grep -q 'it was late' "$vm_build/refused" || break
	done
	fail "no recovery point $2 in $try tries: $(tail -n 4 "$vm_build/refused")"
}

apps_scheduled='.name == null and (.writers | length > 0)'

apps_restart() {	# SED-COMMAND for the agent's configuration
	agent_kill protected
	guest_sh protected "sed -i '$1' /root/m.conf"
	agent_start protected
}

apps_schedule() {
	local end=$((SECONDS + $1 * 180))

	[ "$1" -gt 0 ] || return 0
	apps_restart 's/^.replication.$/&\napp_consistent_interval=1m/'
	until apps_points && [ "$(apps_ids "$apps_scheduled" | wc -l)" -ge "$1" ]; do
		[ $SECONDS -lt $end ] || fail "$(apps_ids "$apps_scheduled" | wc -l) of $1 points a minute came in $(($1 * 3)) minutes"
		sleep 5
	done
	# a minute from one preparation to the next, which takes more or less long
	jq -e "[.[] | select($apps_scheduled) | .time] | max - min >= (length - 1) * 60e9 - 30e9" \
		"$vm_build/points.json" >/dev/null || fail "the points of the schedule are less than a minute apart"
	apps_restart '/^app_consistent_interval/d'
}

apps_points() {
	appliance points --json | jq 'if type == "object" then .points else . end' >"$vm_build/points.json"
}

apps_quiet() {
	guest_sh protected "touch /run/stop"
	guest_wait_for protected '^quiet' 120 || fail "the load did not end: $(tail -n 5 "$vm_build/protected/output.log")"
	apps_points
}

apps_ids() {		# CONDITION
	jq -r ".[] | select($1) | .id" "$vm_build/points.json"
}

# pgbench dates its transactions by what two clocks differed by when it began: interrupted between the two it dates all of a run
# early, by 22 ms once, as the times in the server's log showed. What it dates so shortly before a boundary may have come after it.
pg_early_ns=500000000

# From what the guest told, what was acknowledged before each boundary, by the guest's own clock.
apps_expect() {
	local id time dir

	rm -rf "$vm_build/points"
	tr -d '\r' <"$vm_build/protected/output.log" >"$vm_build/acknowledged"
	for id; do
		dir=$vm_build/points/$id
		mkdir -p "$dir"
		jq -r ".[] | select(.id == $id) | .consistency" "$vm_build/points.json" >"$dir/label"
		apps_redo "$id" >"$dir/redo"
		time=$(jq -r ".[] | select(.id == $id) | .time" "$vm_build/points.json")
		# no arithmetic on 19 digits: all times have as many, and compare as text
		awk -v t="t$time" -v pg="t$((time - pg_early_ns))" -v dir="$dir" '
			BEGIN { red = 0; printf "" >(dir "/pg"); printf "" >(dir "/my") }
			$1 == "pg" && NF == 5 && ("t" $5) < pg { print $2, $3, $4 >(dir "/pg") }
			$1 == "my" && NF == 4 && ("t" $4) < t { print $2, $3 >(dir "/my") }
			$1 == "red" && NF == 3 && ("t" $3) < t && $2 > red { red = $2 }
			END { print red + 0 >(dir "/red") }' "$vm_build/acknowledged"
	done
}

# The checkpoint of the point's freeze, as the writer told it in the agent's record.
apps_redo() {		# ID
	jq -r ".[] | select(.id == $1) | tostring" "$vm_build/points.json" | grep -oE 'checkpoint at [0-9A-F]+/[0-9A-F]+' | head -n 1 | sed 's/.* //' || true
}

# A few points at a time: each is two disks of the guest. A guest uses little more than one processor for it.
apps_recover_all() {
	local n jobs=()

	if [ $# -le 4 ]; then
		apps_recover recovered "$@"
		return
	fi
	for n in 0 1; do
		apps_recover_some "$n" "$@" &
		jobs+=($!)
	done
	wait "${jobs[0]}" || fail "$(cat "$vm_build/recovered-0.reason")"
	wait "${jobs[1]}" || fail "$(cat "$vm_build/recovered-1.reason")"
}

# Every other four, as a job of its own, which leaves its reason in a file if it fails.
apps_recover_some() {	# 0|1 ID…
	local n guest=recovered-$1 skip=$((4 * $1))

	shift
	# shellcheck disable=SC2064
	trap "echo \"\$reason\" >'$vm_build/$guest.reason'" EXIT
	for ((n = skip; n < $#; n += 8)); do
		apps_recover "$guest" "${@:n + 1:4}"
	done
}

apps_recover() {
	local guest=$1 id disks=() options=() status=0 dir=$vm_build/$1

	shift
	for id; do
		rm -rf "$dir-$id"
		mkdir -p "$dir-$id"
		appliance export guest "$id" --format raw "$dir-$id" >>"$dir-export.log" || fail "export of point $id"
		disks+=(--disk "$dir-$id/vdb.raw:raw:serial=db-$id" --disk "$dir-$id/vdc.raw:raw:serial=space-$id")
		options+=(--file "$vm_build/points/$id:/points/$id")
	done
	"$vm_dir/rootfs.sh" --apps --image "$dir.img"
	guest_start "$guest" --root "$dir.img" "${disks[@]}" "${apps_guest[@]}" "${options[@]}" --timeout 2400 \
		--script "$vm_dir/apps/recovered.sh"
	guest_wait "$guest" || status=$?
	grep -a '^point ' "$dir/output.log" || true
	for id; do
		rm -rf "$dir-$id"
		grep -qa "^point $id .*: checked" "$dir/output.log" || status=1
	done
	[ $status -eq 0 ] || fail "$guest: $(grep -a WRONG "$dir/output.log" | head -n 3; tail -n 1 "$dir/output.log")"
}
