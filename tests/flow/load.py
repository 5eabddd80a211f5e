#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Many machines at one appliance. Enrols MACHINES over TLS, each with its own key and certificate and a connection that stays
open; SMALL of them commit an epoch of one 64 KiB segment over and over, at first alone, then while BULK others send an initial
replication of 4 MiB segments as fast as they are let. In the end every epoch is committed, and the appliance's digests of every
block are what was sent. Prints one JSON object with what was measured.
"""
import argparse
import concurrent.futures
import hashlib
import http.client
import json
import multiprocessing
import os
import re
import subprocess
import threading
import time

import api

SEGMENT, BLOCK, PAUSE = 4 << 20, api.BLOCK, 0.1
SMALL_DISK, BULK_DISK = 64 << 20, 1 << 36


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def retrying(machine, busy, method, *args):
    """The answer of a request that is repeated as long as the appliance says that it is busy."""
    while True:
        answer = method(machine, *args)
        if answer.status != 503:
            return answer
        busy.append(time.monotonic())
        time.sleep(float(answer.headers["Retry-After"]))


class Small:
    def __init__(self, machine, number):
        self.m, self.number = machine, number
        self.disk = machine.disk("path:/small", SMALL_DISK)
        self.latest, self.times, self.busy = {}, [], []

    def epoch(self, at):
        began = time.monotonic()
        epoch, attempt = self.m.open()
        content = hashlib.sha256(f"{self.number} {epoch}".encode()).digest() * (BLOCK // 32)
        body = api.segment(self.disk["id"], epoch, 0, [(at * BLOCK, content)])
        self.m.expect(retrying(self.m, self.busy, api.Client.put, self.disk["id"], epoch, 0, body), 200)
        sent = time.monotonic()
        self.m.expect(self.m.commit(epoch, attempt, [(self.disk, 1)]), 200)
        self.times.append((began, time.monotonic() - sent, time.monotonic() - began))
        self.latest[at] = hashlib.sha256(content).digest()

    def run(self, until):
        at = 0
        while time.monotonic() < until:
            self.epoch(at % (SMALL_DISK // BLOCK))
            at += 1
            time.sleep(PAUSE)

    def finish(self):
        for at, wanted in self.latest.items():
            check_digests(self.m, self.disk, at * BLOCK, [wanted])


class Bulk:
    """Two connections that send segments of the same content, each to its own place."""

    def __init__(self, machine, folder, args):
        self.machines = [machine, api.machine_from(folder, *args)]
        self.disk = machine.disk("path:/bulk", BULK_DISK)
        self.content = os.urandom(SEGMENT)
        self.digests = [hashlib.sha256(self.content[i:i + BLOCK]).digest() for i in range(0, SEGMENT, BLOCK)]
        self.epoch, self.attempt = machine.open()
        self.lock, self.next = threading.Lock(), 0
        self.acknowledged, self.busy = [], []

    def body(self, number):
        table = b"".join(api.extent(number * SEGMENT + i * BLOCK, BLOCK, i * BLOCK, BLOCK, digest=d)
                         for i, d in enumerate(self.digests))
        head = api.header(self.disk["id"], self.epoch, number, len(self.digests), SEGMENT)
        return api.seal(head + table + self.content)

    def send(self, machine, until):
        while time.monotonic() < until:
            with self.lock:
                number, self.next = self.next, self.next + 1
            answer = retrying(machine, self.busy, api.Client.put, self.disk["id"], self.epoch, number, self.body(number))
            machine.expect(answer, 200)
            with self.lock:
                self.acknowledged.append(time.monotonic())

    def run(self, until):
        in_threads([(self.send, m, until) for m in self.machines])

    def finish(self):
        m = self.machines[0]
        state = {"disk": self.disk["id"], "segments": self.next, "state": "initial", "replicated": self.next * SEGMENT,
                 "source": "scan"}
        assert len(self.acknowledged) == self.next
        m.expect(m.commit(self.epoch, self.attempt, [], disks=[state]), 200)
        for number in range(self.next):
            check_digests(m, self.disk, number * SEGMENT, self.digests)


def check_digests(machine, disk, offset, wanted):
    answer = machine.data("POST", f"/v1/disks/{disk['id']}/digests",
                          {"offset": offset, "length": len(wanted) * BLOCK, "block": BLOCK})
    assert answer.status == 200, answer
    assert answer.body == b"".join(wanted), f"disk {disk['id']} at {offset}: not what was acknowledged"


def in_threads(calls):
    with concurrent.futures.ThreadPoolExecutor(max(len(calls), 1)) as pool:
        for future in [pool.submit(*call) for call in calls]:
            future.result()


def in_process(pipe, make, until, barrier):
    """A process of machines, so that one interpreter's lock is not what is measured."""
    workers = make()
    barrier.wait()
    in_threads([(w.run, until(time.monotonic())) for w in workers])
    barrier.wait()
    in_threads([(w.finish,) for w in workers])
    pipe.send([(getattr(w, "times", None), getattr(w, "acknowledged", None), w.busy) for w in workers])
    pipe.close()


def phase(makers, seconds):
    """Runs each maker's workers in a process of its own; their results, and when the phase began."""
    barrier = multiprocessing.Barrier(len(makers) + 1)
    running = []
    for make in makers:
        mine, theirs = multiprocessing.Pipe()
        process = multiprocessing.Process(target=in_process, args=(theirs, make, lambda now: now + seconds, barrier))
        process.start()
        theirs.close()
        running.append((process, mine))
    barrier.wait(600)
    began = time.monotonic()
    barrier.wait(600)
    results = [pipe.recv() for _, pipe in running]
    for process, _ in running:
        process.join()
        assert process.exitcode == 0, process.exitcode
    return results, began


def peak_memory(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1)) / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("host", "folder", "program", "store"):
        parser.add_argument(name)
    for name in ("control", "data", "pid", "machines", "bulk", "small", "seconds"):
        parser.add_argument("--" + name, type=int, required=True)
    a = parser.parse_args()
    ports = (a.host, a.control, a.data)

    def enrol(i):
        token = subprocess.run([a.program, "--dir", a.store, "token", "--json"], check=True, capture_output=True).stdout
        m = api.enroll(f"{a.folder}/{i}", *ports, json.loads(token), f"host-{i}")
        m.expect(m.data("GET", "/v1/machine"), 200)
        return m

    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        idle = list(pool.map(enrol, range(a.machines)))
    enrolled = time.monotonic() - began
    machine = lambda i: api.machine_from(f"{a.folder}/{i}", *ports)
    small = lambda: [Small(machine(i), i) for i in range(a.small)]

    def bulk(part):
        return lambda: [Bulk(machine(i), f"{a.folder}/{i}", ports)
                        for i in range(a.small + part, a.small + a.bulk, 2)]

    (alone,), _ = phase([small], a.seconds)
    (mixed, *senders), start = phase([small, bulk(0), bulk(1)], a.seconds)
    # every machine's connection of the beginning is still served, or was ended in an orderly way and is opened again
    for m in idle:
        m.expect(m.data("GET", "/v1/machine"), 200)
    bytes_of = [SEGMENT * sum(at <= start + a.seconds for at in acknowledged)
                for sender in senders for _, acknowledged, _ in sender]
    out = {"enrolled": a.machines, "bulk_machines": a.bulk, "seconds": a.seconds, "enrol_s": enrolled, "bulk_mib_s": sum(bytes_of) / a.seconds / 2**20,
           "bulk_least_mib": min(bytes_of) / 2**20, "bulk_most_mib": max(bytes_of) / 2**20,
           "jain": sum(bytes_of)**2 / (len(bytes_of) * sum(b * b for b in bytes_of)) if any(bytes_of) else 0,
           "busy_bulk": sum(len(b) for s in senders for _, _, b in s), "busy_small": sum(len(b) for _, _, b in mixed),
           "peak_mib": peak_memory(a.pid)}
    for name, result in (("alone", alone), ("mixed", mixed)):
        for at, what in ((1, "commit"), (2, "epoch")):
            values = [t[at] * 1000 for times, _, _ in result for t in times]
            out[f"{what}_{name}"] = {"n": len(values), "p50": percentile(values, .5), "p99": percentile(values, .99)}
        out[f"fewest_{name}"] = min(len(times) for times, _, _ in result)
    print(json.dumps(out))


if __name__ == "__main__":
    try:
        main()
    except (http.client.HTTPException, OSError) as error:
        raise SystemExit(f"load.py: {error!r}") from error
