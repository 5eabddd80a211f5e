#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a shell command in a running guest, over the socket of its mob.ctl port.

usage: guestctl.py SOCKET COMMAND

Prints what the command prints and ends with its status; 125 if the guest does not answer.
One command at a time; the next caller waits its turn.
"""
import fcntl
import os
import socket
import sys

WAIT_SECONDS = 600


def run(path, command):
    request = os.urandom(8).hex()
    end = ("\n@%s " % request).encode()
    seen = b""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(WAIT_SECONDS)
        sock.connect(path)
        sock.sendall(("%s %s\n" % (request, command)).encode())
        while end not in seen or not seen.endswith(b"\n"):
            data = sock.recv(65536)
            if not data:
                raise OSError("the guest went away")
            seen += data
    output, status = seen.split(end, 1)
    sys.stdout.buffer.write(output)
    sys.stdout.flush()
    return int(status)


def main():
    if len(sys.argv) != 3 or "\n" in sys.argv[2]:
        sys.exit("usage: guestctl.py SOCKET COMMAND (one line)")
    path, command = sys.argv[1:]
    try:
        with open(path + ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return run(path, command)
    except OSError as error:
        print("guestctl: %s: %s" % (path, error), file=sys.stderr)
        return 125


if __name__ == "__main__":
    sys.exit(main())
