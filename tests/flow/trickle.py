#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Machine A announces more bodies than the appliance has memory for, and sends a byte of each now and then.

trickle.py HOST CONTROL DATA FOLDER_A FOLDER_B
B, another machine, must get its segments stored all the while, without being told to come again; and a body that takes longer
than docs/protocol.md allows ends its connection.
"""
import os
import ssl
import sys
import time

import api

SIZE, ALLOWED = 64 << 20, 60


def announce(client, disk, epoch, number, length):
    sock = client.raw("data", timeout=5)
    sock.sendall(f"PUT /v1/disks/{disk}/epochs/{epoch}/segments/{number} HTTP/1.1\r\nHost: x\r\n"
                 f"Content-Length: {length}\r\n\r\n".encode())
    return sock


def trickle(sock):
    """One more byte; False when the connection has ended."""
    try:
        sock.sendall(b"M")
        sock.setblocking(False)
        return sock.recv(1) != b""
    except (ssl.SSLWantReadError, BlockingIOError):
        return True
    except OSError:
        return False
    finally:
        if sock.fileno() >= 0:
            sock.settimeout(5)


def store(client, disk, epoch, number):
    began = time.monotonic()
    content = os.urandom(1 << 20)
    runs = [((number * 4 + i) << 20, content) for i in range(4)]
    client.expect(client.put(disk, epoch, number, api.segment(disk, epoch, number, runs)), 200)
    return time.monotonic() - began


def main():
    host, control, data, folder_a, folder_b = sys.argv[1:]
    a, b = (api.machine_from(f, host, int(control), int(data)) for f in (folder_a, folder_b))
    disk_a, disk_b = (c.disk("path:/disk", SIZE)["id"] for c in (a, b))
    epoch_a, epoch_b = a.open()[0], b.open()[0]
    store(b, disk_b, epoch_b, 0)
    large = [announce(a, disk_a, epoch_a, n, 16 << 20) for n in range(5)]
    small, began = announce(a, disk_a, epoch_a, 9, 1000), time.monotonic()
    number, slowest = 1, 0.0
    while trickle(small):
        assert time.monotonic() - began < ALLOWED + 15, "a body that trickles for ever keeps its connection"
        for sock in large:
            trickle(sock)
        if number < 16:
            slowest = max(slowest, store(b, disk_b, epoch_b, number))
            number += 1
        time.sleep(1)
    lasted = time.monotonic() - began
    assert lasted > ALLOWED - 2, f"the body had {lasted:.0f} s only"
    assert slowest < 10, f"a segment of B took {slowest:.1f} s"
    print(f"ended after {lasted:.0f} s; B's slowest segment {slowest:.2f} s")


if __name__ == "__main__":
    main()
