#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Prints the QEMU that guests run in: the one that is installed, or where that is older than version 10 the one of Debian's
# backports, unpacked into the cache as kernels are (fetch-kernel.sh). Version 10 takes a third less of a processor, and
# does not keep translations of kernel text that was changed meanwhile (functions.sh, --tcg).
#
# usage: fetch-qemu.sh [--refresh]
# Chosen once, and then used without the network or another look; so is the installed one where no other could be had, which is
# said once. --refresh chooses again.
# MOBILITY_QEMU: this program instead, whatever it is.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/vm/cache.sh
. "$here/cache.sh"

installed=qemu-system-x86_64
enough=10
packages=(qemu-system-x86 qemu-system-data seabios)

is_new_enough() {	# PROGRAM: by the number before the first dot
	local version

	version=$("$1" --version 2>/dev/null | sed -n 's/^QEMU emulator version \([0-9]*\)\..*/\1/p')
	[ "${version:-0}" -ge $enough ]
}

suite() {
	# shellcheck source=/dev/null
	(. /etc/os-release && echo "${VERSION_CODENAME:?}-backports")
}

# Its firmware lies beside it; the libraries are those of the installed one.
make_command() {	# DIR
	cat >"$1/$installed" <<-'END'
		#!/bin/sh
		dir=$(dirname "$(readlink -f "$0")")/usr
		exec "$dir/bin/qemu-system-x86_64" -L "$dir/share/qemu" -L "$dir/share/seabios" "$@"
	END
	chmod 755 "$1/$installed"
}

unpack() {		# DIR
	local from deb apt=$1/apt

	from=$(suite)
	mkdir "$apt"
	apt_private "$apt" < <(debian_sources "$from")
	apt-get "${apt_options[@]}" -qq update || return
	mkdir "$1/deb"
	(cd "$1/deb" && apt-get "${apt_options[@]}" -qq download "${packages[@]/%//$from}") || return
	for deb in "$1"/deb/*.deb; do
		dpkg -x "$deb" "$1" || return
	done
	rm -rf "$apt" "$1/deb" "$1"/usr/share/{doc,man}
	make_command "$1"
	is_new_enough "$1/$installed"
}

choose() {
	local tmp

	if is_new_enough $installed; then
		ln -sfn "$(command -v $installed)" "$store/chosen"
		return
	fi
	rm -rf "$store"/.new.* "${store:?}/unpacked"
	tmp=$(mktemp -d "$store/.new.XXXXXX")
	chmod 755 "$tmp"
	if unpack "$tmp" >&2; then
		mv -T "$tmp" "$store/unpacked"
		ln -sfn "unpacked/$installed" "$store/chosen"
	else
		rm -rf "$tmp"
		echo "fetch-qemu: no QEMU $enough or newer to be had for this machine: guests run in the installed one, and take longer" >&2
		ln -sfn "$(command -v $installed)" "$store/chosen"
	fi
}

if [ -n "${MOBILITY_QEMU-}" ]; then
	echo "$MOBILITY_QEMU"
	exit
fi
store=$cache/qemu
mkdir -p "$store"
[ "${1-}" != --refresh ] || rm -f "$store/chosen"
if [ ! -x "$store/chosen" ]; then
	cache_lock "$store/.lock"
	[ -x "$store/chosen" ] || choose
fi
echo "$store/chosen"
