#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the fuzzers' seeds to tests/fuzz/seeds: small valid inputs of every kind, and some with one fault.

The result is committed; run this again only when a format changes."""
import hashlib
import json
import os
import struct
import subprocess
import zlib

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "seeds")
ID = "01234567-89ab-4def-8012-3456789abcde"
TEXT = (b"replication of a disk, epoch by epoch. " * 60)[:2048]


def save(kind, name, data):
    folder = os.path.join(TOP, kind)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as f:
        f.write(data)


def zstd(data):
    return subprocess.run(["zstd", "-q", "-c", "--no-check"], input=data, stdout=subprocess.PIPE,
                          check=True).stdout


def extent(offset, data, codec):
    stored = {0: lambda d: d, 1: zlib.compress, 2: zstd}[codec](data)
    return offset, len(data), 0, codec, hashlib.sha256(data).digest(), stored


def zeros(offset, length):
    return offset, length, 1, 0, bytes(32), b""


def segment(extents, epoch=7, number=0, version=1):
    table, payload = b"", b""
    for offset, length, kind, codec, digest, stored in extents:
        table += struct.pack("<QQQIBBH32s", offset, length, len(payload), len(stored), kind, codec, 0,
                             digest)
        payload += stored
    head = struct.pack("<8sHHIQIIQ16sQ", b"MOBSEG\r\n", version, 64, 0, epoch, number, len(extents),
                       len(payload), bytes.fromhex(ID.replace("-", "")), 0)
    body = head + table + payload
    return body + hashlib.sha256(body if version == 1 else head + table).digest()


def segments():
    plain = extent(0, bytes(range(256)) * 2, 0)
    save("segment", "plain", segment([plain]))
    save("segment", "zeros", segment([zeros(0, 1 << 30)]))
    save("segment", "zlib", segment([extent(4096, TEXT, 1)]))
    save("segment", "zstd", segment([extent(8192, TEXT, 2)]))
    save("segment", "all", segment([plain, zeros(512, 4096), extent(8192, TEXT, 2),
                                    extent(65536, TEXT, 1), zeros(1 << 20, 512)], 1 << 40, 9))
    save("segment", "table-trailer", segment([plain, extent(8192, TEXT, 2)], version=2))
    save("segment", "version", segment([plain], version=3))
    save("segment", "overlap", segment([plain, zeros(0, 512)]))
    save("segment", "end", segment([zeros((1 << 40) - 512, 512)]))
    bad = bytearray(segment([extent(0, TEXT, 2)]))
    bad[64 + 32] ^= 1
    bad[-32:] = hashlib.sha256(bad[:-32]).digest()
    save("segment", "digest", bytes(bad))


def bodies():
    commit = {"attempt": ID, "boundary": 1769854830000000000, "consistency": "crash", "reason": "",
              "bookmark": {"name": "before the update", "type": "crash"},
              "disks": [{"disk": ID, "segments": 3, "state": "protected", "replicated": 1 << 30,
                         "source": "kmod:" + ID + ":17"},
                        {"disk": ID.replace("0", "1"), "segments": 0, "state": "initial",
                         "replicated": 0, "source": "scan"}]}
    for name, body in {
        "enroll": {"token": "a-token", "hostname": "web1", "csr": "-----BEGIN CERTIFICATE REQUEST-----\n"},
        "renew": {"csr": "-----BEGIN CERTIFICATE REQUEST-----\n"},
        "disk": {"key": "serial:abc", "name": "vda", "size": 1 << 30, "granule": 65536},
        "open": {"attempt": ID},
        "commit": commit,
        "commit-fuzzy": dict(commit, bookmark=None, consistency="fuzzy", reason="torn epoch"),
        "digests": {"offset": 65536, "length": 1 << 20, "block": 65536},
        "types": {"a": [1, 2.5, -3, True, False, None, {}, []], "b": "\u00e9\U0001f600\\\"", "c": 1,
                  "d": True, "e": None, "f": {"g": []}},
    }.items():
        save("json", name, json.dumps(body).encode())
    save("json", "twice", b'{"attempt":"x","attempt":"y"}')
    save("json", "deep", b'{"a":' + b"[" * 60 + b"]" * 60 + b"}")


def configurations():
    for name, lines in {
        "all": ["# a comment", "[agent]", "text = name", "path = /var/lib/x", "", "[replication]", "number = 16",
                "size = 64M", "time = 500ms", "[network]", "flag = yes ; inline", "choice = kmod"],
        "indented": ["[agent]", "  text: abc", "\tpath=/x\r"],
        "section": ["[agnet]", "text = ab"],
        "twice": ["[agent]", "text = ab", "text = cd"],
        "syntax": ["[agent", "text"],
        "range": ["[replication]", "number = 17"],
        "units": ["[replication]", "size = 4KiB", "time = 5m"],
    }.items():
        save("conf", name, "".join(line + "\n" for line in lines).encode())


segments()
bodies()
configurations()
