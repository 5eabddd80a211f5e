#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""application.py HOST CONTROL DATA FOLDER: commits that tell how each writer did; what the points say of it, and what is refused.
"""
import sys

import api

host, control, data, folder = sys.argv[1:]
m = api.machine_from(folder, host, int(control), int(data))
SIZE = 1 << 20
disk = m.disk("path:/app", SIZE)
GOOD = {"name": "20-postgresql", "result": "ok", "text": None, "freeze_us": 1234}


def commit(consistency, reason="", writers=None, name=""):
    epoch, attempt = m.open()
    changes = {} if writers is None else {"writers": writers}
    return m.commit(epoch, attempt, [(disk, 0)], boundary=1700000000000000000 + epoch, consistency=consistency, reason=reason,
                    bookmark={"name": name, "type": "application"}, **changes)


answer = m.expect(commit("application", writers=[GOOD], name="good"), 200)
assert answer["point"]["consistency"] == "application" and answer["point"]["writers"] == [GOOD], answer
assert answer["point"]["reason"] is None, answer
failed = {"name": "20-postgresql", "result": "failed", "text": "late: no answer to freeze", "freeze_us": 5000000}
answer = m.expect(commit("crash", "writer 20-postgresql failed: late", [failed, GOOD], "bad"), 200)
assert answer["point"]["consistency"] == "crash" and answer["point"]["writers"] == [failed, GOOD], answer
answer = m.expect(commit("crash"), 200)
assert answer["point"]["writers"] == [] and answer["point"]["reason"] is None, answer

points = {p["name"]: p for p in m.control("GET", "/v1/points").json["points"]}
assert points["good"]["writers"] == [GOOD] and points["good"]["reason"] is None, points
assert points["bad"]["writers"] == [failed, GOOD], points
assert points["bad"]["reason"] == "writer 20-postgresql failed: late", points

for bad in ("x", [1], [{}], [dict(GOOD, result="well")], [dict(GOOD, name="")], [dict(GOOD, name="x" * 129)],
            [dict(GOOD, text="a\x1b[2J")], [dict(GOOD, name="a\nb")], [dict(GOOD, freeze_us=-1)], [dict(GOOD, more=1)],
            [dict(GOOD, text="x" * 512)], [GOOD] * 129):
    answer = commit("crash", writers=bad)
    assert answer.status == 400 and answer.code == "malformed", (bad, answer)
m.expect(commit("crash", writers=[GOOD] * 128), 200)
