#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""isolation.py HOST CONTROL DATA FOLDER_A FOLDER_B: whatever A asks about B is answered exactly as if it did not exist."""
import sys
import uuid

import api

host, control, data, folder_a, folder_b = sys.argv[1:]
a, b = (api.machine_from(f, host, int(control), int(data)) for f in (folder_a, folder_b))
SIZE = 1 << 20

mine = a.disk("path:/shared-name", SIZE)
theirs = b.disk("path:/shared-name", SIZE)
assert mine["id"] != theirs["id"], "one disk for two machines with the same key"
b_epoch = b.whole_epoch([theirs], [[(0, b"B" * 4096)]])
b_open, b_attempt = b.open()
a_epoch, a_attempt = a.open()

for disk_path in ("", "/digests", "/doubt", "/epochs/{e}/segments/0"):
    for method, port, body in (("GET", "control", None), ("GET", "data", None), ("DELETE", "control", None),
                               ("POST", "data", {"offset": 0, "length": 65536, "block": 65536}),
                               ("PUT", "data", "segment")):
        known = {"": ("GET", "DELETE"), "/digests": ("POST",), "/doubt": ("POST",)}.get(disk_path, ("PUT",))
        if method not in known:
            continue
        answers = []
        for disk in (theirs["id"], str(uuid.uuid4())):
            for epoch in (b_open, a_epoch):
                content = api.segment(disk, epoch, 0, [(0, 512)]) if body == "segment" else body
                path = f"/v1/disks/{disk}" + disk_path.format(e=epoch)
                answer = a.request(port, method, path, content)
                assert answer.status == 403 and answer.code == "not-yours", (method, path, answer)
                headers = {k.lower(): v for k, v in answer.headers.items() if k.lower() != "date"}
                # the sentence may name what was asked for, and nothing else may differ
                answers.append((answer.body.replace(disk.encode(), b"ID").replace(str(epoch).encode(), b"E"),
                                {k: v for k, v in headers.items() if k != "content-length"}))
        assert all(x == answers[0] for x in answers), f"{method} {disk_path}: B can be told from nothing: {answers}"

# B's open epoch and attempt mean nothing to A
answer = a.commit(b_open, b_attempt, [(mine, 0)])
assert answer.status in (403, 409), answer
nothing = dict(theirs, id=str(uuid.uuid4()))
foreign, absent = (a.commit(a_epoch, a_attempt, [(mine, 0), (d, 0)]) for d in (theirs, nothing))
assert foreign.status == absent.status and foreign.status in (400, 403, 409), (foreign, absent)
assert foreign.body.replace(theirs["id"].encode(), b"") == absent.body.replace(nothing["id"].encode(), b""), (foreign, absent)
assert a.data("GET", "/v1/machine").json["machine"] != b.data("GET", "/v1/machine").json["machine"]
assert [d["id"] for d in a.control("GET", "/v1/machine").json["disks"]] == [mine["id"]]
assert a.control("GET", "/v1/points").json["points"] == []
assert [p["id"] for p in b.control("GET", "/v1/points").json["points"]] == [b_epoch]

# and B was not touched by any of it
assert b.data("GET", "/v1/machine").json["open"] == {"epoch": b_open, "attempt": b_attempt}
b.expect(b.put(theirs["id"], b_open, 0, api.segment(theirs["id"], b_open, 0, [(4096, b"b" * 512)])), 200)
b.expect(b.commit(b_open, b_attempt, [(theirs, 1)]), 200)

# only enrol and ca are there for nobody
nobody = api.Client(host, int(control), int(data), a.ca)
for port, method, path in (("control", "GET", "/v1/machine"), ("data", "GET", "/v1/machine"), ("control", "POST", "/v1/disks"),
                           ("control", "GET", "/v1/points"), ("control", "POST", "/v1/renew"), ("data", "POST", "/v1/epochs"),
                           ("data", "GET", f"/v1/disks/{theirs['id']}")):
    answer = nobody.request(port, method, path, {} if method == "POST" else None)
    assert answer.status == 401 and answer.code == "no-certificate", (path, answer)
assert nobody.control("GET", "/v1/ca").status == 200

# a renewed certificate is of the same machine, whatever name the request has
csr = api.openssl("req", "-new", "-key", a.key, "-subj", "/CN=" + b.data("GET", "/v1/machine").json["machine"]).decode()
renewed = a.expect(a.control("POST", "/v1/renew", {"csr": csr}), 200)["certificate"]
with open(folder_a + "/renewed.pem", "w", encoding="ascii") as f:
    f.write(renewed)
again = api.Client(host, int(control), int(data), a.ca, folder_a + "/renewed.pem", a.key)
assert again.control("GET", "/v1/machine").json["machine"] == a.control("GET", "/v1/machine").json["machine"]
print("A sees nothing of B")
