#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# usage: probe.sh COMPILER-COMMAND PROBE.c...
# Prints features.h: MOB_HAVE_<NAME> for each probe that compiles.
set -eu

compiler=$1
shift

echo "/* Generated from the probes in kmod/compat; do not edit. */"
for probe; do
	name=$(basename "$probe" .c | tr '[:lower:]' '[:upper:]')
	# The command is a list of words by contract.
	# shellcheck disable=SC2086
	if $compiler -DKBUILD_MODNAME=\"probe\" -DMODULE -fsyntax-only \
		-Werror=implicit-function-declaration -Werror=incompatible-pointer-types \
		-Werror=int-conversion "$probe" 2>/dev/null; then
		echo "#define MOB_HAVE_$name 1"
	else
		echo "/* not MOB_HAVE_$name */"
	fi
done
