#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""One command to the QEMU of a running guest, over its monitor's socket (QMP).

usage: qmp.py SOCKET COMMAND [NAME=VALUE...]

Values that are whole numbers are sent as numbers. Ends with 0, or with 1 and the error on stderr.
"""
import json
import re
import socket
import sys


def answer(stream):
    """The next answer; what comes in between are events."""
    for line in stream:
        reply = json.loads(line)
        if "return" in reply or "error" in reply:
            return reply
    raise OSError("the guest went away")


def argument(pair):
    name, value = pair.split("=", 1)
    return name, int(value) if re.fullmatch("[0-9]+", value) else value


def main():
    if len(sys.argv) < 3 or not all("=" in pair for pair in sys.argv[3:]):
        sys.exit("usage: qmp.py SOCKET COMMAND [NAME=VALUE...]")
    request = {"execute": sys.argv[2], "arguments": dict(map(argument, sys.argv[3:]))}
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(60)
            sock.connect(sys.argv[1])
            stream = sock.makefile("rw")
            stream.readline()  # the greeting
            for step in ({"execute": "qmp_capabilities"}, request):
                print(json.dumps(step), file=stream, flush=True)
                reply = answer(stream)
    except OSError as error:
        sys.exit("qmp: %s: %s" % (sys.argv[1], error))
    if "error" in reply:
        sys.exit("qmp: %s: %s" % (sys.argv[2], reply["error"]["desc"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
