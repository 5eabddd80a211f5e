#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Gets a packaged Debian kernel (image, modules, headers) into the cache, unpacked, without
# touching this machine's packages or package lists.
#
# usage: fetch-kernel.sh [--refresh] [KERNEL [FLAVOUR]]
#   KERNEL   a suite (bookworm), a series (6.1), both (bookworm/6.12), or a full release
#            (6.1.0-56); default: bookworm. kasan, kcsan: see sanitizer/build.sh
#   FLAVOUR  cloud-amd64 (default), amd64 or rt-amd64
#
# Prints five assignments, to be read with eval:
#   RELEASE=  what uname -r says in the guest
#   KERNEL=   the bootable image
#   KDIR=     what `make kmod KDIR=` wants
#   MODROOT=  the folder that holds lib/modules/RELEASE, with modules.dep
#   SUITE=    the Debian suite that it was built in
#
# Once fetched, a kernel is used from the cache without the network; --refresh looks for a newer one.
# MOBILITY_CACHE overrides the cache folder, MOBILITY_MIRROR the base address of the Debian mirror.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/vm/cache.sh
. "$here/cache.sh"

die() { echo "fetch-kernel: $*" >&2; exit 1; }

# the suite that carries a kernel series as its main one
suite_of_series() {
	case $1 in
	5.10|5.10.*) echo bullseye ;;
	6.1|6.1.*) echo bookworm ;;
	6.12|6.12.*) echo trixie ;;
	7.3|7.3.*) echo trixie-backports ;;
	7.*) echo sid ;;
	*) die "no suite is known for kernel $1: say SUITE/$1" ;;
	esac
}

# the newest release of SERIES (may be empty: whatever the suite's metapackage names) and FLAVOUR
find_release() {
	local series=$1 flavour=$2 name

	if [ -z "$series" ]; then
		name=$(apt-cache "${apt_options[@]}" show "linux-image-$flavour" 2>/dev/null |
			sed -n 's/^Depends: linux-image-\([^ ,]*\).*/\1/p' | sort -V | tail -1)
	else
		name=$(apt-cache "${apt_options[@]}" pkgnames linux-image- |
			sed -n "s/^linux-image-\(${series}[.+-].*\)\$/\1/p" |
			grep -E "^[0-9][^-]*(-[0-9]+)?-$flavour\$" | sort -V | tail -1)
	fi
	[ -n "$name" ] || die "no linux-image of series '${series:-any}', flavour $flavour in $suite"
	echo "$name"
}

# the packages of a release: image and headers, and the linux-* packages that these are split over
find_packages() {
	local release=$1 queue="linux-image-$1 linux-headers-$1" seen=" " package

	while [ -n "$queue" ]; do
		read -r package queue <<<"$queue"
		[ -n "$package" ] || break
		case $seen in *" $package "*) continue ;; esac
		seen="$seen$package "
		echo "$package"
		queue="$queue $(apt-cache "${apt_options[@]}" show --no-all-versions "$package" |
			sed -n 's/^Depends: //p' | tr ',' '\n' | awk '{ print $1 }' |
			grep -E '^linux-(headers|kbuild|modules|binary|image|base)-' | tr '\n' ' ' || true)"
	done
	[ "$seen" != " " ] || die "no package for $release"
}

unpack() {		# RELEASE DIR: fills DIR
	local release=$1 dir=$2 packages deb headers

	mapfile -t packages < <(find_packages "$release")
	mkdir "$dir/deb"
	(cd "$dir/deb" && apt-get "${apt_options[@]}" -qq \
		download "${packages[@]}") || die "cannot download ${packages[*]}"
	for deb in "$dir"/deb/*.deb; do
		dpkg -x "$deb" "$dir"
	done
	rm -rf "$dir/deb" "${dir:?}/usr/share"
	[ -d "$dir/lib" ] || ln -s usr/lib "$dir/lib"

	# everything relative, so that the cache may be moved or copied
	headers=$dir/usr/src/linux-headers-$release
	# shellcheck disable=SC2016
	sed -i 's|/usr/src/|$(dir $(lastword $(MAKEFILE_LIST)))../|' "$headers/Makefile"
	rm -f "$dir/lib/modules/$release"/{build,source}
	ln -s "../../../usr/src/linux-headers-$release" "$dir/lib/modules/$release/build"
	depmod -b "$dir" "$release"
	if [ -e "$dir/boot/vmlinuz-$release" ]; then
		ln -s "boot/vmlinuz-$release" "$dir/vmlinuz"
	else
		ln -s "lib/modules/$release/vmlinuz" "$dir/vmlinuz"
	fi
	[ -s "$dir/vmlinuz" ] || die "linux-image-$release holds no vmlinuz"
}

describe() {
	printf 'RELEASE=%q\nKERNEL=%q\nKDIR=%q\nMODROOT=%q\nSUITE=%q\n' "$1" "$store/$1/vmlinuz" \
		"$store/$1/usr/src/linux-headers-$1" "$store/$1" "${suite%-backports}"
}

fetch() {		# resolves and unpacks; the last line is the release
	local apt tmp release

	apt=$(mktemp -d "$store/.apt.XXXXXX")
	apt_private "$apt" < <(debian_sources "$suite")
	apt-get "${apt_options[@]}" -qq update || die "cannot read the package lists of $suite from $debian_mirror"
	release=$(find_release "$series" "$flavour")
	if ! complete "$release"; then
		rm -rf "${store:?}/$release"
		tmp=$(mktemp -d "$store/.new.XXXXXX")
		chmod 755 "$tmp"
		unpack "$release" "$tmp"
		mv -T "$tmp" "$store/$release"
	fi
	rm -rf "$apt"
	ln -sfn "$release" "$store/$alias"
}

# a kernel whose modules somebody has cleaned away is fetched again
complete() {		# RELEASE
	local modules=$store/$1/lib/modules/$1

	[ -e "$modules/$(head -n 1 "$modules/modules.dep" 2>/dev/null | cut -d: -f1)" ] &&
		[ -e "$modules/modules.order" ]
}

store=$cache/kernels
refresh=
if [ "${1-}" = --refresh ]; then refresh=1; shift; fi
[ $# -le 2 ] || die "usage: fetch-kernel.sh [--refresh] [SUITE | SERIES | SUITE/SERIES [FLAVOUR]]"
wanted=${1:-bookworm}
flavour=${2:-cloud-amd64}
case $wanted in
kasan|kcsan)
	suite=bookworm
	release=$("$here/sanitizer/build.sh" "$wanted")
	describe "$release"
	exit ;;
*/*) suite=${wanted%%/*} series=${wanted#*/} ;;
[0-9]*) series=${wanted%-"$flavour"} suite=$(suite_of_series "${series%%-*}") ;;
*) suite=$wanted series= ;;
esac

alias=named-$suite${series:+_$series}-$flavour
mkdir -p "$store"
present() { complete "$(readlink "$store/$alias" || echo none)"; }

# what is there is used without waiting for somebody who fetches another one
if [ -n "$refresh" ] || ! present; then
	cache_lock "$store/.lock"
	if [ -n "$refresh" ] || ! present; then
		rm -rf "$store"/.apt.* "$store"/.new.*
		fetch
	fi
fi
describe "$(readlink "$store/$alias")"
