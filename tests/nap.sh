# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# nap SECONDS: sleeps without a process, of which each costs some 10 ms of a processor on a virtual machine. For tests that wait
# by looking again and again. Sourced.
exec {nap_fd}<> <(:)
nap() {
	read -rt "$1" -u "$nap_fd" || true
}
