#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""idempotence.py HOST CONTROL DATA FOLDER STEP STORE: what is sent twice is stored once; what conflicts is refused; what is not committed is
not visible. The steps share what they learn in FOLDER/steps.json; the appliance is killed between them. STORE is its folder, for its size.
"""
import json
import os
import sys
import threading
import uuid

import api

host, control, data, folder, step, store = sys.argv[1:]
m = api.machine_from(folder, host, int(control), int(data))
known_file = folder + "/steps.json"
SIZE = 4 << 20


def journal_bytes():
    return sum(os.path.getsize(os.path.join(base, name)) for base, _, names in os.walk(store)
               for name in names if name.endswith(".mj"))


def refused(answer, status, code):
    assert answer.status == status and answer.code == code, answer


def same(first, second):
    assert (first.status in (200, 201)) and second.status in (200, 201), (first, second)
    assert first.json == second.json, (first, second)


def save(**known):
    with open(known_file, "w", encoding="ascii") as f:
        json.dump(known, f)


def first_step():
    one, two = m.disk("path:/one", SIZE), m.disk("path:/two", SIZE)
    assert m.disk("path:/one", SIZE)["id"] == one["id"], "registered twice, two disks"
    attempt = str(uuid.uuid4())
    opened = m.data("POST", "/v1/epochs", {"attempt": attempt})
    assert opened.status == 201, opened
    epoch = opened.json["epoch"]
    again = m.data("POST", "/v1/epochs", {"attempt": attempt})
    assert again.status == 200 and again.json["epoch"] == epoch, again

    body = api.segment(one["id"], epoch, 0, [(0, b"one" * 512), (65536, 4096)])
    same(m.put(one["id"], epoch, 0, body), m.put(one["id"], epoch, 0, body))
    stored = journal_bytes()
    for _ in range(5):
        m.expect(m.put(one["id"], epoch, 0, body), 200)
    assert journal_bytes() == stored, "the same segment grew the journal"
    zlib_body = api.segment(one["id"], epoch, 0, [(0, b"two" * 512), (65536, 4096)])
    refused(m.put(one["id"], epoch, 0, zlib_body), 409, "conflict")

    # ten at once, the same: stored once
    many = api.segment(two["id"], epoch, 0, [(8192, os.urandom(512 << 10))])
    before, results = journal_bytes(), []

    def put_many():
        mine = api.machine_from(folder, host, int(control), int(data))
        results.append(mine.put(two["id"], epoch, 0, many).status)

    threads = [threading.Thread(target=put_many) for _ in range(10)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results == [200] * 10, results
    assert journal_bytes() - before < 2 * len(many), f"{journal_bytes() - before} bytes for one segment sent ten times"

    # missing segments, in both ways; nothing becomes visible
    m.expect(m.put(one["id"], epoch, 2, api.segment(one["id"], epoch, 2, [(1 << 20, 512)])), 200)
    answer = m.commit(epoch, attempt, [(one, 3), (two, 1)])
    refused(answer, 409, "conflict")
    assert "1" in answer.json["message"], f"the missing segment is not named: {answer}"
    refused(m.commit(epoch, attempt, [(one, 3), (two, 2)]), 409, "conflict")
    assert m.control("GET", "/v1/points").json["points"] == [], "an epoch that is not committed is visible"
    machine = m.data("GET", "/v1/machine").json
    assert machine["epoch"] == 0 and machine["open"] == {"epoch": epoch, "attempt": attempt}, machine
    save(one=one, two=two, epoch=epoch, attempt=attempt, body=body.hex())


def second_step():
    """After a kill -9: the epoch is still open, what was acknowledged is still there."""
    with open(known_file, encoding="ascii") as f:
        known = json.load(f)
    one, two, epoch, attempt = (known[k] for k in ("one", "two", "epoch", "attempt"))
    body = bytes.fromhex(known["body"])
    machine = m.data("GET", "/v1/machine").json
    assert machine["open"] == {"epoch": epoch, "attempt": attempt}, machine
    stored = journal_bytes()
    m.expect(m.put(one["id"], epoch, 0, body), 200)
    assert journal_bytes() == stored, "a segment from before the kill was stored again"
    refused(m.put(one["id"], epoch, 0, api.segment(one["id"], epoch, 0, [(0, b"x" * 512)])), 409, "conflict")
    m.expect(m.put(one["id"], epoch, 1, api.segment(one["id"], epoch, 1, [(2 << 20, b"late" * 1024)], codec=1)), 200)
    bookmark = {"name": "mark", "type": "crash"}
    first = m.commit(epoch, attempt, [(one, 3), (two, 1)], bookmark=bookmark)
    same(first, m.commit(epoch, attempt, [(one, 3), (two, 1)], bookmark=bookmark))
    assert first.json["point"]["id"] == epoch and first.json["point"]["name"] == "mark", first
    known["answer"] = first.json
    save(**known)


def third_step():
    """After another kill -9: the same commit again has the same answer, and another one is refused."""
    with open(known_file, encoding="ascii") as f:
        known = json.load(f)
    one, two, epoch, attempt = (known[k] for k in ("one", "two", "epoch", "attempt"))
    bookmark = {"name": "mark", "type": "crash"}
    again = m.commit(epoch, attempt, [(one, 3), (two, 1)], bookmark=bookmark)
    assert again.status == 200 and again.json == known["answer"], again
    refused(m.commit(epoch, str(uuid.uuid4()), [(one, 3), (two, 1)], bookmark=bookmark), 409, "conflict")
    points = m.control("GET", "/v1/points").json["points"]
    for point in points + [known["answer"]["point"]]:
        point["disks"].sort(key=lambda d: d["disk"])
    assert points == [known["answer"]["point"]], points
    for disk in m.data("GET", "/v1/machine").json["disks"]:
        assert disk["epoch"] == epoch and disk["state"] == "protected" and disk["replicated"] == SIZE, disk

    # an epoch that is abandoned is forgotten; numbers only rise
    second, lost = m.open()
    assert second > epoch
    m.expect(m.put(one["id"], second, 0, api.segment(one["id"], second, 0, [(0, b"LOST" * 128)])), 200)
    third, kept = m.open()
    assert third > second
    stale = api.segment(one["id"], second, 1, [(512, b"LOST" * 128)])
    assert m.put(one["id"], second, 1, stale).status in (400, 409)
    assert m.commit(second, lost, [(one, 1), (two, 0)]).status == 409
    refused(m.commit(third, kept, [(one, 1), (two, 0)]), 409, "conflict")
    m.expect(m.commit(third, kept, [(one, 0), (two, 0)]), 200)

    # digests: zero blocks are zero bytes, others SHA-256 of the block
    answer = m.data("POST", f"/v1/disks/{one['id']}/digests", {"offset": 0, "length": SIZE, "block": 65536})
    assert answer.status == 200 and len(answer.body) == SIZE // 65536 * 32, answer.status
    image = bytearray(SIZE)
    image[0:1536] = b"one" * 512
    image[2 << 20:(2 << 20) + 4096] = b"late" * 1024
    for at in range(0, SIZE, 65536):
        got = answer.body[at // 65536 * 32:][:32]
        block = bytes(image[at:at + 65536])
        wanted = bytes(32) if not any(block) else api.hashlib.sha256(block).digest()
        assert got == wanted, f"digest of the block at {at}"
    with open(folder + "/one.image", "wb") as f:
        f.write(image)

    # fuzzy: kept, and no point; a bookmark that asks for one is told why not
    epoch, attempt = m.open()
    answer = m.commit(epoch, attempt, [(one, 0), (two, 0)], consistency="fuzzy", reason="a test", bookmark={"name": "no", "type": "crash"})
    assert answer.status == 200 and answer.json["point"] is None and len(answer.json["refused"]) > 4, answer
    assert len(m.control("GET", "/v1/points").json["points"]) == 2

    # growing: only the new range is left to resync, and the old point keeps its size
    grown = m.disk("path:/two", SIZE + 65536)
    assert grown["id"] == two["id"] and grown["state"] == "resync" and grown["replicated"] == SIZE, grown

    # deletion twice
    for _ in range(2):
        m.expect(m.control("DELETE", f"/v1/disks/{two['id']}"), 200)
    epoch, attempt = m.open()
    m.expect(m.commit(epoch, attempt, [(one, 0)]), 200)


{"first": first_step, "second": second_step, "third": third_step}[step]()
print(f"{step} step: as the protocol says")
