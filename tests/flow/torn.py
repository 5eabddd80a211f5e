#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""torn.py HOST CONTROL DATA FOLDER send|check|commit SEED

send: opens an epoch and puts segments from four connections until the appliance dies; every acknowledged segment is noted, with its bytes, in
FOLDER/acknowledged. check: every noted segment is still stored: its conflicting twin is refused (nothing is at that place only if it was lost).
commit: sends what is missing, commits, and writes FOLDER/expected.img.
"""
import http.client
import json
import os
import random
import sys
import threading

import api

host, control, data, folder, step, seed = sys.argv[1:]
SIZE, COUNT = 12 << 20, 96
PIECE = SIZE // COUNT
m = api.machine_from(folder, host, int(control), int(data))
state = folder + "/torn.json"
disk = m.disk("path:/torn", SIZE)


def content(number):
    return random.Random(int(seed) * 1000 + number).randbytes(PIECE)


def body(epoch, number, with_content):
    return api.segment(disk["id"], epoch, number, [(number * PIECE, with_content)])


def send():
    epoch, attempt = m.open()
    with open(state, "w", encoding="ascii") as f:
        json.dump([epoch, attempt], f)
    todo, lock = list(range(COUNT)), threading.Lock()
    random.Random(int(seed)).shuffle(todo)
    acknowledged = open(folder + "/acknowledged", "a", encoding="ascii")

    def worker():
        mine = api.machine_from(folder, host, int(control), int(data))
        while True:
            with lock:
                if not todo:
                    return
                number = todo.pop()
            try:
                if mine.put(disk["id"], epoch, number, body(epoch, number, content(number))).status != 200:
                    return
            except (OSError, http.client.HTTPException):
                return
            with lock:
                acknowledged.write(f"{number}\n")
                acknowledged.flush()

    threads = [threading.Thread(target=worker) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def noted():
    with open(folder + "/acknowledged", encoding="ascii") as f:
        return [int(line) for line in f]


def check():
    with open(state, encoding="ascii") as f:
        epoch, attempt = json.load(f)
    machine = m.data("GET", "/v1/machine").json
    assert machine["open"] == {"epoch": epoch, "attempt": attempt}, machine
    for number in noted():
        answer = m.put(disk["id"], epoch, number, body(epoch, number, bytes(PIECE - 1) + b"x"))
        assert answer.status == 409, f"segment {number} was acknowledged and is lost: {answer}"
    print(f"all {len(noted())} acknowledged segments are there")


def commit():
    with open(state, encoding="ascii") as f:
        epoch, attempt = json.load(f)
    for number in range(COUNT):
        m.expect(m.put(disk["id"], epoch, number, body(epoch, number, content(number))), 200)
    m.expect(m.commit(epoch, attempt, [(disk, COUNT)]), 200)
    with open(folder + "/expected.img", "wb") as f:
        for number in range(COUNT):
            f.write(content(number))
    os.remove(folder + "/acknowledged")


{"send": send, "check": check, "commit": commit}[step]()
