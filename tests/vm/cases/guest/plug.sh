# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# In the guest: asks QEMU to change its disks, see ../plug.sh. Sourced (bash, `set -euo pipefail`).
#   plug_ask WORD…   what is asked for; it comes about in its own time
plug_asked=0

plug_ask() {
	plug_asked=$((plug_asked + 1))
	echo "host $plug_asked: $*"
}
