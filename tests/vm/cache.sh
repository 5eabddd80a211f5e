# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Where the guest tests keep what is downloaded or made once, and how they reach Debian's packages.
# Sourced by the scripts of this folder, which run with `set -euo pipefail`. Sets:
#   top            the top of the tree
#   cache          the cache folder (MOBILITY_CACHE, default: .cache at the top of the tree)
#   debian_mirror  the base address of the Debian mirror (MOBILITY_MIRROR)

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cache=${MOBILITY_CACHE:-$top/.cache}
# shellcheck disable=SC2034
debian_mirror=${MOBILITY_MIRROR:-http://deb.debian.org}
mkdir -p "$cache"

# cache_lock FILE: one filler of a part of the cache at a time; held until the script ends
cache_lock() {
	exec {cache_lock_fd}>"$1"
	flock "$cache_lock_fd"
}

# apt_private DIR: sets the array apt_options so that apt keeps everything in DIR and reads the
# sources.list given on stdin; the machine's own apt is neither read nor changed
apt_private() {
	mkdir -p "$1"/{lists,archives}/partial
	: >"$1/status"
	cat >"$1/sources.list"
	# shellcheck disable=SC2034
	apt_options=(-o "Dir::Etc::sourcelist=$1/sources.list" -o Dir::Etc::sourceparts=/dev/null
		-o "Dir::State=$1" -o "Dir::State::status=$1/status" -o "Dir::State::lists=$1/lists"
		-o "Dir::Cache=$1" -o Acquire::Languages=none -o APT::Sandbox::User=root)
}

# debian_sources SUITE: the lines of a sources.list for that suite, its updates included
debian_sources() {
	local signed='[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]'
	local debian="deb $signed $debian_mirror/debian"
	local security="deb $signed $debian_mirror/debian-security"

	case $1 in
	bullseye) echo "$security bullseye-security main" ;;
	*-backports) echo "$debian ${1%-backports} main"; echo "$debian $1 main" ;;
	sid) echo "$debian sid main" ;;
	*) echo "$debian $1 main"; echo "$security $1-security main" ;;
	esac
}

# make_for SUITE ARGUMENT...: make, with what builds modules for the kernels of SUITE: this machine's
# compiler (older kernels ask for one by a name that it does not have), or a Debian of that suite
make_for() {
	local from=$1

	shift
	case $from in
	bullseye) make CC=gcc "$@" ;;
	bookworm) make "$@" ;;
	*) "$top/tests/vm/toolchain.sh" "$from" make "$@" ;;
	esac
}
