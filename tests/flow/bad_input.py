#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Sends the appliance everything that docs/protocol.md says it refuses, and what no client would send.

bad_input.py HOST CONTROL DATA FOLDER_A FOLDER_B PID
A and B are two enrolled machines (api.py). A misbehaves; B replicates all the while and must not notice. Each refusal must have the status and
code that the document gives. No answer to A may hold bytes of B. PID is the appliance, for its open files and memory.
"""
import hashlib
import os
import random
import socket
import ssl
import struct
import sys
import threading
import time
import uuid
import zlib

import api

SECRET = b"THE SECRET OF MACHINE B " * 21 + b"12345678"  # 512 bytes
SIZE = 8 << 20
checks = 0
failures = []


def expect(what, answer, status, code=None):
    """One refusal; status may be a set."""
    global checks
    checks += 1
    wanted = status if isinstance(status, set) else {status}
    if answer.status not in wanted:
        failures.append(f"{what}: {answer} instead of {sorted(wanted)}")
    elif code and answer.code != code:
        failures.append(f"{what}: code {answer.code} instead of {code}")
    if b"SECRET OF MACHINE B" in answer.body:
        failures.append(f"{what}: the answer leaks another machine's bytes")


class Neighbour(threading.Thread):
    """Machine B: epochs without pause, each acknowledged; counts them and the slowest."""

    def __init__(self, client):
        super().__init__(daemon=True)
        self.client, self.stopping = client, False
        self.disk = client.disk("path:/neighbour", SIZE)
        self.epochs, self.slowest, self.error = 0, 0.0, None

    def run(self):
        try:
            while not self.stopping:
                started = time.monotonic()
                offset = self.epochs % (SIZE // 512) * 512
                self.client.whole_epoch([self.disk], [[(offset, SECRET)]])
                self.slowest = max(self.slowest, time.monotonic() - started)
                self.epochs += 1
                time.sleep(0.02)
        except Exception as e:  # pylint: disable=broad-except
            self.error = e


def malformed_segments(disk, epoch, other):
    """(what, bytes, status, code) for segment 0 of the disk and epoch."""
    ident, content = disk["id"], random.randbytes(4096)
    digest = hashlib.sha256(content).digest()
    packed = zlib.compress(bytes(4095) + b"x")
    half = hashlib.sha256(bytes(4095) + b"x").digest()

    def seg(extents, payload=b"", count=None, payload_bytes=None, tail=b"", ident=ident, epoch=epoch,
            number=0, **head):
        extents_joined = b"".join(extents)
        return api.seal(api.header(ident, epoch, number, len(extents) if count is None else count,
                                   len(payload) if payload_bytes is None else payload_bytes, **head)
                        + extents_joined + payload + tail)

    one = api.extent(0, 4096, 0, 4096, digest=digest)

    def ext(*args, **more):
        more.setdefault("digest", digest)
        return api.extent(*args, **more)

    zero = bytes(32)
    good = seg([one], content)
    bad = [
        ("magic", seg([one], content, magic=b"MOBSEG\n\n")),
        ("header size", seg([one], content, size=128)),
        ("flags", seg([one], content, flags=1)),
        ("header reserved", seg([one], content, reserved=1 << 63)),
        ("epoch of the path", seg([one], content, epoch=epoch + 1)),
        ("number of the path", seg([one], content, number=1)),
        ("disk of the path", seg([one], content, ident=other)),
        ("unknown disk inside", seg([one], content, ident=str(uuid.uuid4()))),
        ("no extents", seg([])),
        ("no extents, with payload", seg([], content)),
        ("too many extents", seg([one], content, count=65537)),
        ("absurd extent count", seg([one], content, count=0xFFFFFFFF)),
        ("extent count that wraps", seg([one], content, count=0x04000000)),
        ("absurd payload", seg([one], content, payload_bytes=1 << 63)),
        ("payload that wraps", seg([one], content, payload_bytes=(1 << 64) - 64)),
        ("payload longer than the body", seg([one], content, payload_bytes=8192)),
        ("payload shorter than the body", seg([one], content, payload_bytes=4095)),
        ("bytes after the payload", seg([one], content, tail=b"tail")),
        ("empty body", b""),
        ("one byte", b"M"),
        ("header only", good[:64]),
        ("without trailer", good[:-32]),
        ("cut in the payload", good[:3000]),
        ("one byte more", good + b"\0"),
        ("not a segment", random.randbytes(1000)),
        ("text", b"GET / HTTP/1.1\r\n\r\n" * 20),
        ("offset not of a sector", seg([ext(1, 4096, 0, 4096)], content)),
        ("length not of a sector", seg([ext(0, 4095, 0, 4095)], content[:4095])),
        ("length 0", seg([ext(0, 0, 0, 0, digest=hashlib.sha256(b"").digest())])),
        ("zero extent of length 0", seg([ext(0, 0, 0, 0, kind=1, digest=zero)])),
        ("past the end", seg([ext(SIZE, 4096, 0, 4096)], content)),
        ("across the end", seg([ext(SIZE - 512, 4096, 0, 4096)], content)),
        ("far past the end", seg([ext(1 << 62, 4096, 0, 4096)], content)),
        ("offset + length wraps", seg([ext((1 << 64) - 4096, 4096, 0, 4096)], content)),
        ("zero past the end", seg([ext(SIZE - 512, 1 << 62, 0, 0, kind=1, digest=zero)])),
        ("zero that wraps", seg([ext(512, (1 << 64) - 512, 0, 0, kind=1, digest=zero)])),
        ("the same twice", seg([one, ext(0, 4096, 4096, 4096)], content * 2)),
        ("overlapping", seg([one, ext(2048, 4096, 4096, 4096)], content * 2)),
        ("descending", seg([ext(8192, 4096, 0, 4096), ext(0, 4096, 4096, 4096)], content * 2)),
        ("payload_off not the sum", seg([ext(0, 4096, 512, 4096)], content)),
        ("payload_off huge", seg([ext(0, 4096, (1 << 64) - 1, 4096)], content)),
        ("second payload_off", seg([one, ext(4096, 4096, 0, 4096)], content * 2)),
        ("stored_len over payload", seg([ext(0, 4096, 0, 0xFFFFFFFF)], content)),
        ("payload not all used", seg([one], content * 2)),
        ("data over 1 MiB", seg([ext(0, (1 << 20) + 512, 0, (1 << 20) + 512)], bytes((1 << 20) + 512))),
        ("none, stored_len < length", seg([ext(0, 8192, 0, 4096)], content)),
        ("none, stored_len > length", seg([ext(0, 2048, 0, 4096)], content)),
        ("zlib, stored_len 0", seg([ext(0, 4096, 0, 0, codec=1)])),
        ("zlib, stored_len = length", seg([ext(0, 4096, 0, 4096, codec=1)], content)),
        ("zstd, stored_len > length", seg([ext(0, 2048, 0, 4096, codec=2)], content)),
        ("unknown codec", seg([ext(0, 8192, 0, 4096, codec=3)], content)),
        ("codec 255", seg([ext(0, 8192, 0, 4096, codec=255)], content)),
        ("unknown type", seg([ext(0, 4096, 0, 4096, kind=2)], content)),
        ("extent reserved", seg([ext(0, 4096, 0, 4096, reserved=1)], content)),
        ("zero with bytes", seg([ext(0, 4096, 0, 4096, kind=1, digest=zero)], content)),
        ("zero with a codec", seg([ext(0, 4096, 0, 0, kind=1, codec=1, digest=zero)])),
        ("zero with a digest", seg([ext(0, 4096, 0, 0, kind=1)])),
    ]
    cases = [(what, body, 400, "malformed") for what, body in bad]
    # what cannot be unpacked to the promised bytes: either name is right
    unpack = [
        ("zlib that is none", seg([ext(0, 8192, 0, 4096, codec=1)], content)),
        ("zstd that is none", seg([ext(0, 8192, 0, 4096, codec=2)], content)),
        ("zlib cut off", seg([ext(0, 4096, 0, len(packed) - 4, codec=1, digest=half)], packed[:-4])),
        ("zlib of less", seg([ext(0, 8192, 0, len(packed), codec=1, digest=half)], packed)),
        ("zlib of more", seg([ext(0, 2048, 0, len(packed), codec=1, digest=half)], packed)),
        ("zlib with a tail", seg([ext(0, 4096, 0, len(packed) + 3, codec=1, digest=half)], packed + b"abc")),
        ("zlib bomb", seg([ext(0, 512, 0, 500, codec=1, digest=half)],
                          zlib.compress(bytes(400000), 9)[:500].ljust(500, b"\0"))),
    ]
    cases += [(what, body, {400, 422}, None) for what, body in unpack]
    cases += [
        ("version 3", seg([one], content, version=3), 426, "version"),
        ("version 0", seg([one], content, version=0), 426, "version"),
        ("digest of an extent", seg([ext(0, 4096, 0, 4096, digest=bytes(32))], content), 422, "digest"),
        ("digest of zlib's content", seg([ext(0, 4096, 0, len(packed), codec=1)], packed), 422, "digest"),
        ("trailer", good[:-1] + bytes([good[-1] ^ 1]), 422, "digest"),
        ("a flipped payload bit", good[:200] + bytes([good[200] ^ 4]) + good[201:], 422, "digest"),
    ]
    return good, cases


def segments(a, b_disk):
    disk = a.disk("path:/bad", SIZE)
    other = a.disk("path:/other", SIZE)
    epoch, attempt = a.open()
    good, cases = malformed_segments(disk, epoch, other["id"])
    for what, body, status, code in cases:
        expect(f"segment: {what}", a.put(disk["id"], epoch, 0, body), status, code)
    expect("not one of them was stored", a.commit(epoch, attempt, [(disk, 1), (other, 0)]), 409, "conflict")
    expect("good segment", a.put(disk["id"], epoch, 0, good), 200)
    expect("the same again", a.put(disk["id"], epoch, 0, good), 200)
    conflicting = api.segment(disk["id"], epoch, 0, [(0, bytes(range(256)) * 2)])
    expect("other bytes under the same name", a.put(disk["id"], epoch, 0, conflicting), 409, "conflict")
    overlap = api.segment(disk["id"], epoch, 1, [(2048, random.randbytes(4096))])
    expect("overlap with another segment", a.put(disk["id"], epoch, 1, overlap), 409, "conflict")
    for wrong in (epoch - 1, epoch + 1, 0, 1 << 62):
        body = api.segment(disk["id"], wrong, 0, [(0, 512)])
        expect(f"epoch {wrong} that is not open", a.put(disk["id"], wrong, 0, body), {400, 409})
    body = api.segment(b_disk, epoch, 0, [(0, 512)])
    expect("segment for another machine's disk", a.put(b_disk, epoch, 0, body), 403, "not-yours")
    for path in ("segments/-1", "segments/x", "segments/99999999999999999999", "segments/", "segments/0x1"):
        expect(f"path …/{path}", a.data("PUT", f"/v1/disks/{disk['id']}/epochs/{epoch}/{path}", good), {400, 404})
    for path in (disk["id"].upper(), "..", "%2e%2e", "x" * 3000, disk["id"] + "0", "'; drop table disks; --".replace(" ", "+")):
        expect(f"disk {path[:30]}", a.data("PUT", f"/v1/disks/{path}/epochs/{epoch}/segments/2", good),
               {400, 403, 404, 414})
    expect("commit after all of it", a.commit(epoch, attempt, [(disk, 1), (other, 0)]), 200)
    expect("a segment of a committed epoch", a.put(disk["id"], epoch, 1, overlap), {400, 409})
    expect("replay of its segment", a.put(disk["id"], epoch, 0, good), {200, 409})
    none = api.segment(disk["id"], 0, 0, [(0, 512)])
    expect("epoch 0 while none is open", a.put(disk["id"], 0, 0, none), {400, 409})
    expect("commit of epoch 0", a.commit(0, attempt, [(disk, 0), (other, 0)]), {400, 409})
    return disk, other


def bodies(a, disk, other, b_disk):
    """JSON that breaks the document."""
    enough = {"key": "path:/x", "name": "x", "size": 4096, "granule": 4096}
    broken = [b"", b"{", b"null", b"[]", b'"x"', b"{}", b"\xff\xfe", b"{\"key\":\"\xff\"}", b"[" * 100000,
              b'{"key":' * 20000, b'{"key":"path:/x","key":"path:/y","name":"x","size":4096,"granule":4096}',
              b'{"key":"path:/x","name":"x","size":4096,"granule":4096} tail',
              b'{"key":"path:/x","name":"x","size":1e99,"granule":4096}',
              b'{"key":"path:/x","name":"x","size":4096.5,"granule":4096}',
              b'{"key":"path:/x","name":"x","size":99999999999999999999999,"granule":4096}',
              b'{"key":"path:/x\\u0000y","name":"x","size":4096,"granule":4096}']
    for body in broken:
        expect(f"disks: {body[:40]!r}", a.control("POST", "/v1/disks", body), 400, "malformed")
    for change in ({"key": 7}, {"key": ""}, {"key": "k" * 256}, {"key": "a\nb"}, {"name": None}, {"name": "../../etc/x"},
                   {"size": -1}, {"size": 0}, {"size": "4096"}, {"size": (1 << 63)},
                   {"granule": 0}, {"granule": -4096}, {"extra": 1}):
        expect(f"disks: {change}", a.control("POST", "/v1/disks", {**enough, **change}), 400, "malformed")
    expect("disks: smaller than before", a.control("POST", "/v1/disks", {
        "key": disk["key"], "name": disk["name"], "size": SIZE // 2, "granule": disk["granule"]}), 409, "conflict")
    for body in ({}, {"attempt": 7}, {"attempt": "x"}, {"attempt": str(uuid.uuid4()), "more": 1}, {"attempt": None}):
        expect(f"epochs: {body}", a.data("POST", "/v1/epochs", body), 400, "malformed")
    epoch, attempt = a.open()
    both = [(disk, 0), (other, 0)]
    plain = api.commit_body(attempt, both)
    for change in ({"boundary": -1}, {"boundary": "now"}, {"consistency": "perfect"}, {"reason": 7}, {"bookmark": "x"},
                   {"bookmark": {"name": "x"}}, {"bookmark": {"name": 7, "type": "crash"}}, {"bookmark": {"name": "x", "type": "y"}},
                   {"disks": {}}, {"disks": [7]}, {"disks": plain["disks"] + plain["disks"][:1]}, {"extra": True},
                   {"disks": [dict(plain["disks"][0], state="done"), plain["disks"][1]]},
                   {"disks": [dict(plain["disks"][0], segments=-1), plain["disks"][1]]},
                   {"disks": [dict(plain["disks"][0], replicated=SIZE + 512), plain["disks"][1]]},
                   {"disks": [dict(plain["disks"][0], replicated=512), plain["disks"][1]]},
                   {"disks": [dict(plain["disks"][0], source="s" * 256), plain["disks"][1]]},
                   {"attempt": None}):
        expect(f"commit: {str(change)[:80]}", a.commit(epoch, attempt, both, **change), 400, "malformed")
    expect("commit: a missing disk", a.commit(epoch, attempt, both[:1]), {400, 409})
    expect("commit: no disks", a.commit(epoch, attempt, []), {400, 409})
    expect("commit: absurd segments", a.commit(epoch, attempt, [(disk, 1 << 40), (other, 0)]), {400, 409})
    expect("commit: another attempt", a.commit(epoch, str(uuid.uuid4()), both), 409, "conflict")
    expect("commit: another epoch", a.commit(epoch + 1, attempt, both), 409, "conflict")
    foreign = dict(plain["disks"][0], disk=b_disk)
    expect("commit: another machine's disk", a.commit(epoch, attempt, both, disks=plain["disks"] + [foreign]), {400, 403, 409})
    for body in ({}, {"offset": 0, "length": 65536, "block": 4096}, {"offset": 65536, "length": 1 << 20, "block": 1 << 20},
                 {"offset": 0, "length": 65536, "block": 1 << 20}, {"offset": 0, "length": SIZE, "block": 1 << 27},
                 {"offset": 512, "length": 65536, "block": 65536},
                 {"offset": 0, "length": 0, "block": 65536}, {"offset": 0, "length": (1 << 30) + 65536, "block": 65536},
                 {"offset": SIZE, "length": 65536, "block": 65536}, {"offset": -65536, "length": 65536, "block": 65536},
                 {"offset": (1 << 62), "length": 65536, "block": 65536}, {"offset": 0, "length": "1", "block": 65536}):
        expect(f"digests: {body}", a.data("POST", f"/v1/disks/{disk['id']}/digests", body), 400, "malformed")
    for csr in ("", "x", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", 7, None):
        expect(f"renew: {csr!r}", a.control("POST", "/v1/renew", {"csr": csr}), 400, "malformed")
    answer = raw_exchange(a, "control", b"POST /v1/disks HTTP/1.1\r\nHost: x\r\nContent-Length: 33554432\r\n\r\n")
    if not answer.startswith(b"HTTP/1.1 413 ") or b"too-large" not in answer:
        failures.append(f"JSON over its limit: {answer[:200]!r}")


def paths(a):
    for port in ("control", "data"):
        for path in ("/", "/v1", "/v2/machine", "/v1/nothing", "//v1/machine", "/v1/machine/", "/v1/../etc/passwd",
                     "/v1/disks/", "/v1/%00", "/" + "a" * 4000, "/v1/points/1"):
            expect(f"{port} {path[:30]}", a.request(port, "GET", path), {400, 403, 404, 405, 414})
    expect("method", a.control("DELETE", "/v1/machine"), 405, "method")
    expect("method", a.control("PATCH", "/v1/disks", {}), 405, "method")
    expect("method", a.data("GET", "/v1/epochs"), 405, "method")


def misbehaving(a, number=0):
    """A with another source address, so that a limit on connections from one address hits the misuse and not the test's own requests."""
    client = api.Client(a.host, a.ports["control"], a.ports["data"], a.ca, a.certificate, a.key)
    client.source = f"127.0.0.{66 + number}"
    return client


def raw_exchange(a, port, request, wait=10):
    """Sends bytes; returns what came back until the server closed or fell silent after an answer."""
    answer = b""
    with a.raw(port, timeout=wait) as s:
        try:
            s.sendall(request)
            while True:
                got = s.recv(65536)
                if not got:
                    break
                answer += got
                if b"\r\n\r\n" in answer:
                    s.settimeout(0.5)
        except (OSError, ssl.SSLError):
            pass
    return answer


def raw(a, disk):
    """What no HTTP library sends: refused with the right status, or the connection is closed; never served."""
    global checks
    path = f"/v1/disks/{disk['id']}/epochs/1/segments/0"
    cases = [
        ("no length", f"PUT {path} HTTP/1.1\r\nHost: x\r\n\r\n", {411}),
        ("chunked", f"PUT {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", {411}),
        ("post without length", "POST /v1/epochs HTTP/1.1\r\nHost: x\r\n\r\n", {411}),
        ("length of 2^63", f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 9223372036854775808\r\n\r\n", {400, 413}),
        ("length of 1 TiB", f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 1099511627776\r\n\r\n", {413}),
        ("length of 17 MiB", f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 17825792\r\n\r\n", {413}),
        ("negative length", f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", {400, 413}),
        ("length in words", f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n", {400, 413}),
        ("huge header", "GET /v1/machine HTTP/1.1\r\nHost: x\r\nX-Big: " + "y" * (1 << 20) + "\r\n\r\n", {400, 413, 414, 431}),
        ("many headers", "GET /v1/machine HTTP/1.1\r\nHost: x\r\n" + "".join(f"X-{i}: y\r\n" for i in range(20000)) + "\r\n",
         {400, 413, 431}),
        ("huge request line", "GET /" + "a" * (1 << 20) + " HTTP/1.1\r\nHost: x\r\n\r\n", {400, 413, 414, 431}),
        ("HTTP/3.7", "GET /v1/machine HTTP/3.7\r\nHost: x\r\n\r\n", {400, 505}),
        ("a path that is not UTF-8", "GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", {404}),
        ("no request", "\r\n" * 2000, {400}),
        ("binary", "".join(chr(random.randrange(256)) for _ in range(4000)), {400, 405, 413, 414, 431, 505}),
    ]
    for what, request, allowed in cases:
        answer = raw_exchange(a, "data", request.encode("latin-1"))
        checks += 1
        status = answer.split(b" ", 2)[1] if answer.startswith(b"HTTP/1.") else b""
        if status and int(status) not in allowed:
            failures.append(f"raw, {what}: {answer[:200]!r} instead of {sorted(allowed)}")
        if not status and 411 in allowed:
            failures.append(f"raw, {what}: closed without a status instead of {sorted(allowed)}")


def too_many_disks(a):
    """As many disks as a commit can name, and not one more; those that are there can be registered again."""
    def register(n):
        return a.control("POST", "/v1/disks", {"key": f"path:/many/{n}", "name": f"many{n}", "size": 512, "granule": 512})

    here = len(a.data("GET", "/v1/machine").json["disks"])
    last = register(0)
    for n in range(1, 1024 - here):
        last = register(n)
    expect("as many disks as there may be", last, 200)
    over = register(1024)
    expect("a disk more than there may be", over, 409, "conflict")
    if "end the protection" not in over.json["message"]:
        failures.append(f"no remedy for too many disks: {over}")
    expect("a known disk again", register(0), 200)
    expect("the end of one", a.control("DELETE", f"/v1/disks/{last.json['id']}"), 200)
    expect("a disk in its place", register(1024), 200)
    expect("the one that went comes again", register(1023 - here), 409, "conflict")


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def rss_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(next(line for line in f if line.startswith("VmRSS")).split()[1])


def half_open(a, disk, pid):
    """200 connections at every stage of a request, left lying; then cut."""
    before = open_files(pid)
    held = []
    sources = [misbehaving(a, n) for n in range(8)]
    body = api.segment(disk["id"], 1, 0, [(0, random.randbytes(65536))])
    head = (f"PUT /v1/disks/{disk['id']}/epochs/1/segments/0 HTTP/1.1\r\nHost: x\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode()
    stages = [b"", b"GE", b"GET /v1/machine HTTP/1.1\r\nHos", head, head + body[:30000]]
    for i in range(200):
        port = ("control", "data")[i % 2]
        if i % 6 == 5:  # not even TLS
            held.append(socket.create_connection((a.host, a.ports[port]), 10, (sources[i % 8].source, 0)))
            held[-1].send(b"\x16\x03\x01"[:i % 4])
            continue
        held.append(sources[i % 8].raw(port))
        held[-1].sendall(stages[i % 5])
    time.sleep(2)
    fresh = api.Client(a.host, a.ports["control"], a.ports["data"], a.ca, a.certificate, a.key)
    for port in ("control", "data"):
        started = time.monotonic()
        expect(f"a new connection beside 200 half-open ones ({port})", fresh.request(port, "GET", "/v1/machine"), 200)
        if time.monotonic() - started > 10:
            failures.append(f"beside half-open connections {port} took {time.monotonic() - started:.1f} s")
    for i, s in enumerate(held):
        if i % 2:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    deadline = time.monotonic() + 20
    while open_files(pid) > before + 16 and time.monotonic() < deadline:
        time.sleep(0.2)
    if open_files(pid) > before + 16:
        failures.append(f"half-open connections leave {open_files(pid) - before} files open")


def main():
    host, control, data, folder_a, folder_b, pid = sys.argv[1:]
    a, b = (api.machine_from(f, host, int(control), int(data)) for f in (folder_a, folder_b))
    neighbour = Neighbour(b)
    neighbour.start()
    time.sleep(0.5)
    before = rss_kib(pid)
    disk, other = segments(a, neighbour.disk["id"])
    bodies(a, disk, other, neighbour.disk["id"])
    paths(a)
    raw(a, disk)
    half_open(a, disk, pid)
    too_many_disks(a)
    grown = rss_kib(pid) - before
    if grown > 300 << 10:
        failures.append(f"the appliance grew by {grown} KiB")
    count = neighbour.epochs
    time.sleep(0.5)
    neighbour.stopping = True
    neighbour.join(30)
    if neighbour.error or neighbour.epochs <= count:
        failures.append(f"the neighbour was disturbed after {neighbour.epochs} epochs: {neighbour.error!r}")
    if neighbour.slowest > 10:
        failures.append(f"an epoch of the neighbour took {neighbour.slowest:.1f} s")
    print(f"{checks} bad inputs; the neighbour committed {neighbour.epochs} epochs meanwhile, the slowest in "
          f"{neighbour.slowest:.2f} s; memory grew by {grown} KiB")
    for failure in failures:
        print("wrong:", failure)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
