#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# How fast the data path is next to plain copiers, on the same image, in the same run, over the loopback
# of a network namespace of its own (so that its counters are ours alone). The disk is a file that is
# scanned; what only the module can show is in replication-guest.sh. Prints a table and writes build/bench/replication.json.
#
# usage: replication.sh [ROWS…]		BENCH_RUNS (3): the median of so many; ROWS: initial delta export memory growth
# Files are in TMPDIR, or in memory with BENCH_DISK=ram.
# The rows are called by their names.
# shellcheck disable=SC2154,SC2317
if [ -z "${BENCH_NETNS:-}" ]; then
	BENCH_NETNS=1 exec unshare --net --mount -- "$0" "$@"
fi
bench=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# BENCH_DISK=ram: ext4 on a loop device in memory. Reads and flushes take the way through the block layer (and the processor's
# time), but the disk of the day is not what is measured. It is gone with the namespace.
if [ "${BENCH_DISK:-}" = ram ]; then
	export TMPDIR
	TMPDIR=$(mktemp -d)
	backing=$(mktemp /dev/shm/bench.XXXXXX)
	truncate -s 40G "$backing"
	mke2fs -q -F -t ext4 -m 0 -E lazy_itable_init=0,lazy_journal_init=0 "$backing"
	mount -o loop "$backing" "$TMPDIR"
	rm "$backing"
fi
# shellcheck source=tests/flow/functions.sh
source "$bench/../flow/functions.sh"
# shellcheck source=tests/bench/figures.sh
source "$bench/figures.sh"
runs=${BENCH_RUNS:-3}
ip link set lo up
image=$("$bench/image.sh")
size=$(stat -c %s "$image")
rows=$tmp/rows
: >"$rows"

# --- measuring -------------------------------------------------------------------------------------

keep() { row "$@" >>"$rows"; }
wire() { awk '$1 == "lo:" { print $10 }' /proc/self/net/dev; }
now() { date +%s.%N; }
median() { printf '%s\n' "$@" | sort -g | sed -n "$((($# + 1) / 2))p"; }

# Seconds of user and system time that these processes have had so far.
cpu_of() {
	local p
	for p; do
		awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$p/stat"
	done | awk -v hz="$(getconf CLK_TCK)" '{ sum += $1 } END { printf "%.3f", sum / hz }'
}

# The same of a command and all that it waited for: sets cpu and wall.
timed() {
	local began out=$tmp/timed
	began=$(now)
	{ TIMEFORMAT='%U %S'; time "$@" >"$tmp/timed.log" 2>&1; } 2>"$out" || fail "$*: $(tail -n 3 "$tmp/timed.log")"
	wall=$(calc "$(now) - $began")
	cpu=$(tail -n 1 "$out" | awk '{ print $1 + $2 }')
}

# --- the two sides ---------------------------------------------------------------------------------

fresh_pair() {
	stop_pair
	rm -rf "$appliance_dir" "$tmp/agent" "$tmp/appliance.log"
	appliance_init
	# no folding meanwhile, which reads and writes all over again
	appliance_set policy policy_interval 1h
	start_appliance
	agent_config agent agent.log_level=info replication.scan_interval=1h "$@"
	start_agent agent
	enroll agent
}

stop_pair() {
	kill9 agent
	kill9 appliance
}

both() { echo "${pid_of[agent]}" "${pid_of[appliance]}"; }

# The agent's log from here on; logged REGEX waits for a line. To ask for the status again and again would take processor time
# from what is measured.
log_from_here() {
	exec {log_fd}< <(exec tail -c "+$(($(stat -c %s "$tmp/agent/agent.log") + 1))" -f --pid="${pid_of[agent]}" "$tmp/agent/agent.log")
	log_reader=$!
}
logged() {
	local line
	while read -r line <&"$log_fd"; do
		[[ $line =~ $1 ]] || continue
		kill "$log_reader"
		exec {log_fd}<&-
		return 0
	done
	fail "the agent ended"
}

# From the order to protect a disk until every byte of it is durable on the appliance: wall, cpu, bytes.
replicate() {
	local before began sent
	# shellcheck disable=SC2046
	before=$(cpu_of $(both))
	sent=$(wire)
	log_from_here
	began=$(now)
	ctl agent protect "$1" >"$tmp/protect.out" 2>&1 || fail "$(cat "$tmp/protect.out")"
	logged 'is protected: its initial replication is complete'
	wall=$(calc "$(now) - $began")
	# shellcheck disable=SC2046
	cpu=$(calc "$(cpu_of $(both)) - $before")
	bytes=$(($(wire) - sent))
	note "replicated $1: $wall s, CPU $cpu s, $((bytes / 1000000)) MB"
}

make_certificates() {
	local d=$tmp/tls
	mkdir "$d"
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ca -keyout "$d/ca-key.pem" -out "$d/ca-cert.pem"
	openssl req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout "$d/server-key.pem" -out "$d/server.csr"
	openssl x509 -req -days 2 -in "$d/server.csr" -CA "$d/ca-cert.pem" -CAkey "$d/ca-key.pem" \
		-extfile <(echo subjectAltName=DNS:localhost) -CAcreateserial -out "$d/server-cert.pem"
	cp "$d/server-cert.pem" "$d/client-cert.pem"
	cp "$d/server-key.pem" "$d/client-key.pem"
}

# nbdcopy of the image into a sparse file behind nbdkit over TLS, not flushed: wall, cpu, bytes; durable, the time with a flush of
# the file after it.
nbd_copy() {
	local nbd_port pid before sent began
	[ -d "$tmp/tls" ] || make_certificates >"$tmp/tls.log" 2>&1 || fail "$(cat "$tmp/tls.log")"
	new_port nbd_port
	rm -f "$tmp/nbd.img"
	truncate -s "$size" "$tmp/nbd.img"
	nbdkit --foreground --exit-with-parent --ipaddr 127.0.0.1 --port "$nbd_port" --tls=require \
		--tls-certificates="$tmp/tls" file "$tmp/nbd.img" >"$tmp/nbdkit.log" 2>&1 &
	pid=$!
	pid_of[nbdkit]=$pid
	until_true 10 nbdkit bash -c "</dev/tcp/127.0.0.1/$nbd_port"
	before=$(cpu_of "$pid")
	sent=$(wire)
	began=$(now)
	timed nbdcopy "$image" "nbds://localhost:$nbd_port/?tls-certificates=$tmp/tls"
	cpu=$(calc "$cpu + $(cpu_of "$pid") - $before")
	bytes=$(($(wire) - sent))
	sync "$tmp/nbd.img"
	durable=$(calc "$(now) - $began")
	kill9 nbdkit
	rm -f "$tmp/nbd.img"
	note "nbdcopy: $wall s, durable after $durable s, CPU $cpu s, $((bytes / 1000000)) MB"
}

# Nobody begins with the image in the page cache: a disk in use is not there either, but for the files on it. BENCH_CACHE=warm: as it comes.
# With a FILE this one alone is not.
cold() {
	[ "${BENCH_CACHE:-cold}" = cold ] || return 0
	sync
	if [ $# -gt 0 ]; then
		dd if="$1" iflag=nocache count=0 status=none
	else
		echo 3 >/proc/sys/vm/drop_caches
	fi
}

# --- the rows --------------------------------------------------------------------------------------

row_initial() {
	local our_wall=() our_cpu=() our_wire=() off_wall=() nbd_wall=() nbd_cpu=() nbd_wire=() nbd_durable=() disk_wall=()
	local digests=() codecs=() i
	# The first to touch memory that the machine's host has to find pays for it: nobody who is measured.
	nbd_copy
	for ((i = 0; i < runs; i++)); do
		fresh_pair
		cold
		replicate "$image"
		our_wall+=("$wall") our_cpu+=("$cpu") our_wire+=("$bytes")
		fresh_pair replication.compression=none
		cold
		replicate "$image"
		off_wall+=("$wall")
		stop_pair
		rm -rf "$appliance_dir"
		cold
		nbd_copy
		nbd_wall+=("$wall") nbd_cpu+=("$cpu") nbd_wire+=("$bytes") nbd_durable+=("$durable")
		flush_alone "${our_wire[-1]}"
		disk_wall+=("$wall")
		alone
		digests+=("$digest_cpu") codecs+=("$codec_cpu")
	done
	keep "initial replication, durable; nbdcopy TLS" s "$(median "${our_wall[@]}")" "$(median "${nbd_wall[@]}")" "<= 1.0"
	keep "  bytes on the wire" MB "$(calc "$(median "${our_wire[@]}") / 1e6")" \
		"$(calc "$(median "${nbd_wire[@]}") / 1e6")" "<= 0.45"
	keep "  CPU of both ends" s "$(median "${our_cpu[@]}")" "$(median "${nbd_cpu[@]}")" "<= 1.5"
	keep "the same, compression off" s "$(median "${off_wall[@]}")" "$(median "${nbd_wall[@]}")" "<= 0.8"
	keep "(both durable: initial replication; nbdcopy TLS and its flush)" s "$(median "${our_wall[@]}")" "$(median "${nbd_durable[@]}")" ">= 0"
	keep "(the same, compression off)" s "$(median "${off_wall[@]}")" "$(median "${nbd_durable[@]}")" ">= 0"
	keep "(CPU of digests and compression alone; of nbdcopy in all)" s \
		"$(calc "$(median "${digests[@]}") + $(median "${codecs[@]}")")" "$(median "${nbd_cpu[@]}")" ">= 0"
	keep "(CPU of digests alone; of nbdcopy in all)" s "$(median "${digests[@]}")" "$(median "${nbd_cpu[@]}")" ">= 0"
	keep "(the store's disk alone: as many bytes, flushed)" s "$(median "${disk_wall[@]}")" - ">= 0"
}

# As many bytes as were sent, written to the same disk and flushed: what nothing that is durable on arrival can be faster than.
flush_alone() {
	timed dd if="$image" of="$tmp/flushed" bs=1M count=$(($1 >> 20)) conv=fdatasync
	rm "$tmp/flushed"
}

# The processor time of digests at both ends, and of the weakest compression and its reversal, with nothing around them.
alone() {
	read -r _ digest_cpu _ codec_cpu < <("$top/build/bench/floor" "$image") || fail "floor failed"
}

# Random data in 1 % of the 64 KiB blocks of $1; sets changed, the bytes of them.
change() {
	changed=$(python3 - "$1" "$2" <<-'PYTHON'
		import os, random, sys
		block = 65536
		rng = random.Random(int(sys.argv[2]))
		with open(sys.argv[1], "r+b") as f:
		    count = os.fstat(f.fileno()).st_size // block
		    for n in rng.sample(range(count), count // 100):
		        f.seek(n * block)
		        f.write(rng.randbytes(block))
		    os.fsync(f.fileno())
		print(count // 100 * block)
	PYTHON
	)
}

epoch_of() { status_json agent | jq -r .machine.epoch; }

# One scan of the disk, until it is committed: the bookmark asks for it. wall, bytes.
scan_once() {
	local began sent
	sent=$(wire)
	began=$(now)
	bookmark agent "$1" 600
	wall=$(calc "$(now) - $began")
	bytes=$(($(wire) - sent))
}

row_delta() {
	local disk=$tmp/disk.img copy=$tmp/copy.img our_wall=() our_wire=() peer=() i
	cp --sparse=always "$image" "$disk"
	cp --sparse=always "$image" "$copy"
	fresh_pair
	replicate "$disk"
	for ((i = 0; i < runs; i++)); do
		change "$disk" "$i"
		cold
		scan_once "delta-$i"
		our_wall+=("$wall") our_wire+=("$bytes")
		cold
		timed rsync --inplace --no-whole-file "$disk" "$copy"
		peer+=("$wall")
	done
	keep "delta of 1 % by a scan (two readings); rsync" s "$(median "${our_wall[@]}")" "$(median "${peer[@]}")" ">= 0"
	keep "  bytes on the wire; payload" MB "$(calc "$(median "${our_wire[@]}") / 1e6")" "$(calc "$changed / 1e6")" "<= 1.02"
	our_wall=() our_wire=() peer=()
	for ((i = 0; i < runs; i++)); do
		change "$disk" "1$i"
		cold
		resync_once
		our_wall+=("$wall") our_wire+=("$bytes")
		cold
		timed rsync --inplace --no-whole-file "$disk" "$copy"
		peer+=("$wall")
	done
	keep "resync, 1 % changed; rsync --inplace" s "$(median "${our_wall[@]}")" "$(median "${peer[@]}")" "<= 0.5"
	keep "  bytes on the wire; payload + 0.2 %" MB "$(calc "$(median "${our_wire[@]}") / 1e6")" \
		"$(calc "($changed + 0.002 * $size) / 1e6")" "<= 1.0"
	row_resync_same "$disk"
	rm -f "$disk" "$copy"
}

# From the order until the disk is protected again: wall, bytes.
resync_once() {
	local began sent
	sent=$(wire)
	log_from_here
	began=$(now)
	ctl agent resync disk.img >"$tmp/resync.out" 2>&1 || fail "$(cat "$tmp/resync.out")"
	logged 'is protected: its resynchronisation is complete'
	wall=$(calc "$(now) - $began")
	bytes=$(($(wire) - sent))
}

halves() {
	local half=$((size / 2 / 1048576))
	dd if="$1" bs=1M count="$half" status=none | sha256sum &
	dd if="$1" bs=1M skip="$half" status=none | sha256sum
	wait $!
}

row_resync_same() {
	local disk=$1 ours=() peer=() read before i
	for ((i = 0; i < runs; i++)); do
		before=$(awk '/^read_bytes/ { print $2 }' "/proc/${pid_of[appliance]}/io")
		cold "$disk"
		resync_once
		ours+=("$wall")
		read=$(($(awk '/^read_bytes/ { print $2 }' "/proc/${pid_of[appliance]}/io") - before))
		cold "$disk"
		timed halves "$disk"
		peer+=("$wall")
	done
	keep "resync, nothing changed: rate; sha256sum, 2 cores" MB/s "$(calc "$size / 1e6 / $(median "${ours[@]}")")" \
		"$(calc "$size / 1e6 / $(median "${peer[@]}")")" ">= 0.8"
	keep "  read by the appliance from its disk" MB "$(calc "$read / 1e6")" - "<= 1"
}

# An export is durable when it ends.
durable_copy() { cp --sparse=always "$1" "$2" && sync "$2"; }

row_export() {
	local ours=() peer=() id i
	fresh_pair
	replicate "$image"
	bookmark agent base 600
	id=$(machine agent)
	for ((i = 0; i < runs; i++)); do
		rm -rf "$tmp/exported"
		mkdir "$tmp/exported"
		cold
		timed appliance export "$id" base --format raw "$tmp/exported"
		ours+=("$wall")
		cold
		timed durable_copy "$image" "$tmp/exported/copy"
		peer+=("$wall")
	done
	rm -rf "$tmp/exported"
	keep "export of a point: rate; cp and sync" MB/s "$(calc "$size / 1e6 / $(median "${ours[@]}")")" \
		"$(calc "$size / 1e6 / $(median "${peer[@]}")")" ">= 0.7"
}

row_memory() {
	fresh_pair
	replicate "$image"
	truncate -s 15T "$tmp/huge.img" # the most that ext4 lets a file have is just below 16 TiB
	replicate_huge
	keep "agent memory, peak, a 15 TiB sparse disk" MiB \
		"$(calc "$(awk '/^VmHWM/ { print $2 }' "/proc/${pid_of[agent]}/status") / 1024")" - "<= 96"
	rm -f "$tmp/huge.img"
}

replicate_huge() {
	ctl agent protect "$tmp/huge.img" >"$tmp/protect.out" 2>&1 || fail "$(cat "$tmp/protect.out")"
	wait_protected agent 3600
}

row_growth() {
	local gib w=() c=() walls cpus i
	for gib in 1 4 16; do
		truncate -s "${gib}G" "$tmp/grown.img"
		python3 - "$image" "$tmp/grown.img" "$gib" <<-'PYTHON'
			import sys
			source, out, gib = open(sys.argv[1], "rb"), open(sys.argv[2], "r+b"), int(sys.argv[3])
			for n in range(gib * 8):	# each eighth of a GiB: 64 MiB of files, then nothing
			    source.seek((n % 16) * (64 << 20) + (64 << 20))
			    out.seek(n << 27)
			    out.write(source.read(64 << 20))
		PYTHON
		walls=() cpus=()
		for ((i = 0; i < runs; i++)); do
			fresh_pair
			cold
			replicate "$tmp/grown.img"
			walls+=("$wall") cpus+=("$cpu")
			stop_pair
			rm -rf "$appliance_dir"
		done
		w+=("$(calc "$(median "${walls[@]}") / $gib")")
		c+=("$(calc "$(median "${cpus[@]}") / $gib")")
		rm -f "$tmp/grown.img"
	done
	keep "cost growth: wall of a GiB, 16 GiB; 4 GiB" s "${w[2]}" "${w[1]}" "<= 1.1"
	keep "  CPU of a GiB, 16 GiB; 4 GiB" s "${c[2]}" "${c[1]}" "<= 1.1"
	keep "  wall of a GiB, 4 GiB; 1 GiB" s "${w[1]}" "${w[0]}" "<= 1.1"
	keep "  CPU of a GiB, 4 GiB; 1 GiB" s "${c[1]}" "${c[0]}" "<= 1.1"
}

[ $# -gt 0 ] || set -- initial delta export memory growth
for what; do
	"row_$what"
done
stop_pair
finished=yes
# A missed bar is an answer, not a failure of which evidence is to be kept.
trap - EXIT
status=0
"$bench/table.py" replication <"$rows" || status=$?
rm -rf "$tmp"
exit "$status"
