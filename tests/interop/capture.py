# SPDX-License-Identifier: Apache-2.0
"""Recorded exchanges between an agent and an appliance (tests/flow/README.md has the form of a capture), each
checked against docs/protocol.md: path, listener, certificate, status, bodies, and what the answer must be after all
that came before."""
import json
import os
import re
import subprocess

import rules
from model import Machine
from segment import Broken, decode, need

ID = "([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
NUMBER = "(0|[1-9][0-9]*)"
BOTH, CONTROL, DATA = ("control", "data"), ("control",), ("data",)

# method, path, listeners, certificate needed, name, statuses of success
PATHS = [(method, re.compile(path), listeners, certificate, name, statuses)
         for method, path, listeners, certificate, name, statuses in [
             ("GET", "/v1/ca", CONTROL, False, "ca", (200,)),
             ("POST", "/v1/enroll", CONTROL, False, "enroll", (201,)),
             ("POST", "/v1/renew", CONTROL, True, "renew", (200,)),
             ("POST", "/v1/disks", CONTROL, True, "register", (200,)),
             ("GET", "/v1/disks/" + ID, BOTH, True, "disk", (200,)),
             ("DELETE", "/v1/disks/" + ID, CONTROL, True, "delete", (200,)),
             ("GET", "/v1/machine", BOTH, True, "machine", (200,)),
             ("POST", "/v1/epochs", DATA, True, "open", (200, 201)),
             ("PUT", "/v1/disks/%s/epochs/%s/segments/%s" % (ID, NUMBER, NUMBER), DATA, True, "segment", (200,)),
             ("POST", "/v1/epochs/%s/commit" % NUMBER, DATA, True, "commit", (200,)),
             ("GET", "/v1/points", CONTROL, True, "points", (200,)),
             ("POST", "/v1/disks/%s/digests" % ID, DATA, True, "digests", (200,)),
         ]]


def read(folder, name):
    with open(os.path.join(folder, name), "rb") as f:
        return f.read()


def head(raw):
    lines = raw.decode("ascii").split("\r\n")
    need(lines[-2:] == ["", ""], "a head without its empty line")
    headers = {}
    for line in lines[1:-2]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return lines[0].split(" ", 2), headers


class Exchange:
    def __init__(self, folder):
        self.name = os.path.basename(folder)
        (self.method, self.path, version), self.headers = head(read(folder, "request.head"))
        (answer_version, status, _), self.answer_headers = head(read(folder, "answer.head"))
        need(version == answer_version == "HTTP/1.1", "not HTTP/1.1")
        self.status = int(status)
        self.body, self.answer = read(folder, "request.body"), read(folder, "answer.body")
        self.meta = json.loads(read(folder, "meta.json"))


def subject_of(pem):
    done = subprocess.run(["openssl", "x509", "-noout", "-subject", "-nameopt", "RFC2253"],
                          input=pem.encode(), capture_output=True, check=False)
    need(done.returncode == 0, "openssl cannot read the certificate")
    return done.stdout.decode().strip()


class Checker:
    """Walks through the exchanges in the order of their answers."""

    def __init__(self, folder):
        self.folder = folder  # for the images
        self.machines = {}
        self.counts = {}
        self.tokens = {}
        self.segments = self.bytes = 0

    def machine(self, x):
        ident = x.meta["client"]
        need(ident in self.machines, "machine %s was never enrolled" % ident)
        return self.machines[ident]

    # --- one method for each name of PATHS; args are the groups of the path

    def do_ca(self, x):
        rules.check_body(rules.ANSWERS, "ca", x.answer)

    def do_enroll(self, x):
        asked = rules.check_body(rules.REQUESTS, "enroll", x.body)
        got = rules.check_body(rules.ANSWERS, "enroll", x.answer)
        need(subject_of(got["certificate"]) == "subject=CN=" + got["machine"], "the subject is not CN=machine")
        before = self.tokens.setdefault(asked["token"], (asked["csr"], got))
        need(before == (asked["csr"], got), "a token was used twice")
        self.machines.setdefault(got["machine"], Machine(got["machine"]))

    def do_renew(self, x):
        rules.check_body(rules.REQUESTS, "renew", x.body)
        got = rules.check_body(rules.ANSWERS, "renew", x.answer)
        need(subject_of(got["certificate"]) == "subject=CN=" + x.meta["client"], "a certificate for another machine")

    def do_register(self, x):
        asked = rules.check_body(rules.REQUESTS, "disk", x.body)
        got = rules.check_body(rules.ANSWERS, "disk", x.answer)
        self.machine(x).register(asked, got, self.folder)

    def do_disk(self, x, disk):
        self.machine(x).disk(disk).compare(rules.check_body(rules.ANSWERS, "disk", x.answer))

    def do_delete(self, x, disk):
        need(rules.check_body(rules.ANSWERS, "delete", x.answer) == {}, "the answer is not {}")
        self.machine(x).disk(disk).deleted = True

    def do_machine(self, x):
        self.machine(x).compare(rules.check_body(rules.ANSWERS, "machine", x.answer))

    def do_open(self, x):
        asked = rules.check_body(rules.REQUESTS, "open", x.body)
        got = rules.check_body(rules.ANSWERS, "open", x.answer)
        self.machine(x).open_epoch(asked["attempt"], got["epoch"], x.status)

    def do_segment(self, x, disk, epoch, number):
        need(x.headers.get("content-type") == "application/octet-stream", "the segment's Content-Type")
        got = rules.check_body(rules.ANSWERS, "segment", x.answer)
        self.machine(x).put(disk, int(epoch), int(number), x.body, got)
        self.segments += 1
        self.bytes += len(x.body)

    def do_commit(self, x, epoch):
        asked = rules.check_body(rules.REQUESTS, "commit", x.body)
        got = rules.check_body(rules.ANSWERS, "commit", x.answer)
        self.machine(x).commit(int(epoch), asked, got)

    def do_points(self, x):
        self.machine(x).check_points(rules.check_body(rules.ANSWERS, "points", x.answer)["points"])

    def do_digests(self, x, disk):
        asked = rules.check_body(rules.REQUESTS, "digests", x.body)
        need(x.answer_headers.get("content-type") == "application/octet-stream", "the digests' Content-Type")
        self.machine(x).check_digests(disk, asked, x.answer)

    # --- what holds for all

    def refused(self, x, name, args):
        """An error is told in the right form, and nothing that keeps the document is called malformed."""
        code = rules.check_error(x.status, x.answer, x.answer_headers)
        if code not in ("malformed", "digest", "version", "too-large"):
            return
        form = {"register": "disk"}.get(name, name)
        try:
            if name == "segment":
                decode(x.body, self.machine(x).disk(args[0]).size)
            elif form in rules.REQUESTS:
                need(len(x.body) <= (64 << 10 if name in ("enroll", "renew") else 1 << 20), "too large")
                rules.check_body(rules.REQUESTS, form, x.body)
        except Broken:
            return
        raise Broken("refused as %s, but nothing is wrong with it" % code)

    def find(self, x):
        known = [(p, p[1].fullmatch(x.path)) for p in PATHS if p[1].fullmatch(x.path)]
        for path, match in known:
            if path[0] == x.method:
                return path, match.groups()
        wanted = 405 if known else 404
        need(x.status in (wanted, 401, 403), "%s %s: status %d, not %d" % (x.method, x.path, x.status, wanted))
        return None, ()

    def common(self, x, path):
        _, _, listeners, certificate, name, statuses = path
        need(x.meta["tls"] == "TLSv1.3", "not TLS 1.3")
        need("transfer-encoding" not in x.headers, "a request body without Content-Length")
        need(int(x.headers.get("content-length", 0)) == len(x.body), "the request's Content-Length")
        if not 200 <= x.status < 300:
            return
        need(x.status in statuses, "status %d" % x.status)
        need(x.meta["listener"] in listeners, "%s on the %s listener" % (name, x.meta["listener"]))
        need(not certificate or x.meta["client"], "done without a client certificate")

    def one(self, folder):
        x = Exchange(folder)
        path, args = self.find(x)
        if not path:
            rules.check_error(x.status, x.answer, x.answer_headers)
            return
        self.common(x, path)
        name = path[4]
        if 200 <= x.status < 300:
            getattr(self, "do_" + name)(x, *args)
            self.counts[name] = self.counts.get(name, 0) + 1
        else:
            self.refused(x, name, args)
            self.counts["refused"] = self.counts.get("refused", 0) + 1

    def all(self, folder):
        names = sorted(n for n in os.listdir(folder) if n.isdigit())
        need(names, "no exchange in %s" % folder)
        for n in names:
            try:
                self.one(os.path.join(folder, n))
            except (Broken, OSError, ValueError, KeyError) as e:
                raise Broken("exchange %s: %s: %s" % (n, type(e).__name__, e)) from e
        return len(names)

    def place_images(self, out):
        """Move each disk's image to OUT/MACHINE/DISK.raw."""
        for m in self.machines.values():
            os.makedirs(os.path.join(out, m.id), exist_ok=True)
            for d in m.disks.values():
                target = os.path.join(out, m.id, d.name + ".raw")
                need(not os.path.exists(target), "%s exists: two disks of one name?" % target)
                os.rename(d.path, target)
