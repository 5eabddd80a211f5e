#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds a small kernel of Debian's source with the kernel's own checkers on, for the guests; called
# by fetch-kernel.sh for the KERNELs kasan and kcsan. Takes 10-20 minutes of two cores, once.
#
# usage: build.sh kasan|kcsan
# Fills $cache/kernels/RELEASE like an unpacked kernel, unless it is there, and prints RELEASE. The
# configuration is allnoconfig, base.config and the file named after the kernel. In kcsan the module
# alone is instrumented: a report is about the module, and everything else is at full speed.
# SANITIZER_JOBS (2) is the -j of make; it runs under nice.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/vm/cache.sh
. "$here/../cache.sh"

die() { echo "sanitizer/build: $*" >&2; exit 1; }

kind=${1-}
case $kind in
kasan|kcsan) ;;
*) die "usage: build.sh kasan|kcsan" ;;
esac
series=6.1
source=$cache/linux-source-$series
store=$cache/kernels

get_source() {
	local tmp

	[ ! -f "$source/Makefile" ] || return 0
	tmp=$(mktemp -d "$cache/.source.XXXXXX")
	apt_private "$tmp/apt" < <(debian_sources bookworm)
	apt-get "${apt_options[@]}" -qq update || die "cannot read the package lists from $debian_mirror"
	(cd "$tmp" && apt-get "${apt_options[@]}" -qq download "linux-source-$series") ||
		die "cannot download linux-source-$series"
	dpkg -x "$tmp"/linux-source-*.deb "$tmp"
	tar -C "$tmp" -xf "$tmp/usr/src/linux-source-$series.tar.xz"
	rm -rf "$source"
	mv "$tmp/linux-source-$series" "$source"
	rm -rf "$tmp"
}

kmake() {
	nice -n 19 make -s -C "$source" O="$out" -j"${SANITIZER_JOBS:-2}" LOCALVERSION= \
		KBUILD_BUILD_TIMESTAMP='1 Jan 2024' "${overrides[@]}" "$@"
}

# what was asked for and did not come about: a dependency is missing
check_config() {
	local line name

	while read -r line; do
		name=${line%%=*}
		case $line in
		CONFIG_*=n) ! grep -q "^$name=" "$out/.config" || die "$name stays set" ;;
		CONFIG_*) grep -qxF "$line" "$out/.config" ||
			die "$line does not hold: $(grep "$name\b" "$out/.config" || echo 'it is not set')" ;;
		esac
	done < <(cat "$here/base.config" "$here/$kind.config")
}

configure() {
	{
		cat "$here/base.config" "$here/$kind.config"
		echo "CONFIG_LOCALVERSION=\"-$kind\""
	} >"$out/asked.config"
	KCONFIG_ALLCONFIG=$out/asked.config kmake allnoconfig
	check_config
}

install_kernel() {	# DIR: as fetch-kernel.sh unpacks one
	kmake INSTALL_MOD_PATH="$1" INSTALL_MOD_STRIP=1 modules_install
	rm -f "$1/lib/modules/$release"/{build,source}
	cp "$out/arch/x86/boot/bzImage" "$1/vmlinuz"
	mkdir -p "$1/usr/src"
	ln -s "$out" "$1/usr/src/linux-headers-$release"
	depmod -b "$1" "$release"
}

build() {		# leaves the kernel in the store, and its release in $release
	get_source
	configure
	release=$(kmake kernelrelease | tail -n 1)
	kmake bzImage modules >"$out/build.log" 2>&1 || {
		tail -n 30 "$out/build.log" >&2
		die "the $kind kernel does not build: $out/build.log"
	}
	rm -rf "${store:?}/$release" "$store/.sanitizer-$kind"
	install_kernel "$store/.sanitizer-$kind"
	mv -T "$store/.sanitizer-$kind" "$store/$release"
}

present() { [ -s "$alias/vmlinuz" ] && [ -s "$out/Module.symvers" ]; }

out=$cache/kernel-$kind
alias=$store/named-$kind-$(cat "$here"/{base,"$kind"}.config | sha256sum | cut -c1-12)
overrides=()
[ "$kind" != kcsan ] || overrides+=(KCSAN_SANITIZE=n)
mkdir -p "$out" "$store"
if ! present; then
	cache_lock "$cache/.lock-sanitizer"
	if ! present; then
		build >&2
		rm -f "$store/named-$kind"-*
		ln -s "$release" "$alias"
	fi
fi
readlink "$alias"
