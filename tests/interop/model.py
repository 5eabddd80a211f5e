# SPDX-License-Identifier: Apache-2.0
"""What an appliance must know after each exchange, by docs/protocol.md alone: machines, disks, the open epoch and its
segments, what is committed. Each method takes one exchange that succeeded and raises Broken where the answer
is not what the document promises. Images hold the last committed epoch."""
import hashlib
import os

import segment as seg
from segment import need

BLOCK = 65536
FANOUT = {1 << 20: BLOCK, 64 << 20: 1 << 20}  # a level of digests, and the one below it


class Disk:
    def __init__(self, machine, folder, v):
        self.machine, self.id, self.key, self.name = machine, v["id"], v["key"], v["name"]
        self.size, self.granule = v["size"], v["granule"]
        self.state, self.replicated, self.source, self.epoch = "initial", 0, "", 0
        self.deleted = False
        self.path = os.path.join(folder, self.id + ".image")
        with open(self.path, "wb") as f:
            f.truncate(self.size)

    def again(self, size):
        """Registered with a key that was there before."""
        need(size >= self.size, "the disk %s shrank and was taken" % self.name)
        if self.deleted:
            self.state, self.replicated = ("resync" if self.epoch else "initial"), 0
        elif size > self.size:
            if self.state == "protected":
                self.replicated = self.size
            self.state = "resync" if self.epoch else "initial"
        self.size, self.deleted = size, False
        os.truncate(self.path, size)

    def compare(self, v):
        """A disk object of the appliance with what we know."""
        for member in ("id", "key", "name", "size", "granule", "state", "replicated", "source", "epoch"):
            need(v[member] == getattr(self, member),
                 "disk %s: %s is %r, not %r" % (self.name, member, v[member], getattr(self, member)))

    def apply(self, segments):
        with open(self.path, "r+b") as f:
            for s in segments:
                seg.apply(s, f)

    def digests(self, offset, length):
        out = []
        with open(self.path, "rb") as f:
            f.seek(offset)
            end = min(offset + length, self.size)
            for at in range(offset, end, BLOCK):
                block = f.read(min(BLOCK, self.size - at))
                out.append(hashlib.sha256(block).digest() if any(block) else bytes(32))
        return b"".join(out)

    def nodes(self, offset, length, level):
        """The digests of a level of the tree."""
        if level == BLOCK:
            return self.digests(offset, length)
        out, below, end = [], FANOUT[level], min(offset + length, self.size)
        for at in range(offset, end, level):
            children = self.nodes(at, min(level, end - at), below)
            out.append(hashlib.sha256(children).digest() if any(children) else bytes(32))
        return b"".join(out)


class Machine:
    def __init__(self, ident):
        self.id = ident
        self.disks = {}
        self.used = 0  # the largest epoch number so far
        self.committed = 0
        self.last_commit = None  # (attempt, request, answer)
        self.open = None  # (epoch, attempt)
        self.stored = {}  # disk: {number: (body digest, Segment)}
        self.points = {}

    def protected(self):
        return {d.id: d for d in self.disks.values() if not d.deleted}

    # --- disks

    def register(self, asked, got, folder):
        need(got["key"] == asked["key"] and got["size"] == asked["size"], "another disk than was asked for")
        known = [d for d in self.disks.values() if d.key == asked["key"]]
        if known:
            known[0].again(asked["size"])
            known[0].name, known[0].granule = asked["name"], asked["granule"]
            known[0].compare(got)
        else:
            need(got["id"] not in self.disks, "two keys for one disk")
            self.disks[got["id"]] = Disk(self.id, folder, got)
            self.disks[got["id"]].compare(got)

    def disk(self, ident):
        need(ident in self.disks, "%s is no disk of machine %s" % (ident, self.id))
        return self.disks[ident]

    # --- epochs

    def open_epoch(self, attempt, epoch, status):
        if status == 200:
            need(self.open == (epoch, attempt), "200 for an attempt that is not the open one")
            return
        need(not self.open or self.open[1] != attempt, "a second epoch for the same attempt")
        need(epoch > self.used, "epoch %d is not larger than %d, which was used" % (epoch, self.used))
        self.used, self.open, self.stored = epoch, (epoch, attempt), {}

    def check_open(self, epoch):
        need(self.open and self.open[0] == epoch, "epoch %d is not the open one" % epoch)

    def put(self, disk, epoch, number, body, answer):
        s = seg.decode(body, self.disk(disk).size)
        need((s.disk, s.epoch, s.number) == (disk, epoch, number), "the segment is not that of the path")
        self.check_open(epoch)
        need(answer["stored"] == len(body), "stored is %d, the segment has %d bytes" % (answer["stored"], len(body)))
        mine, digest = self.stored.setdefault(disk, {}), hashlib.sha256(body).digest()
        if number in mine:
            need(mine[number][0] == digest, "other bytes for a stored segment were taken")
            return
        self.no_overlap(mine, s)
        mine[number] = (digest, s)

    @staticmethod
    def no_overlap(mine, s):
        ranges = sorted((x.offset, x.end) for _, other in mine.values() for x in other.extents)
        ranges = sorted(ranges + [(x.offset, x.end) for x in s.extents])
        for (_, end), (begin, _) in zip(ranges, ranges[1:]):
            need(begin >= end, "two segments of an epoch overlap at %d" % begin)

    def commit(self, epoch, asked, got):
        need(got["epoch"] == epoch, "the answer names epoch %d" % got["epoch"])
        if epoch == self.committed and self.last_commit[0] == asked["attempt"]:
            need(self.last_commit[1] == asked, "the same commit with other content was taken")
            need(self.last_commit[2] == got, "the same commit got another answer")
            return
        self.check_open(epoch)
        need(self.open[1] == asked["attempt"], "the attempt is not the one that opened the epoch")
        self.check_commit_disks(asked["disks"])
        for d in asked["disks"]:
            self.commit_disk(epoch, d)
        self.check_point(epoch, asked, got)
        self.committed, self.open, self.stored = epoch, None, {}
        self.last_commit = (asked["attempt"], asked, got)

    def check_commit_disks(self, disks):
        names = [d["disk"] for d in disks]
        need(len(set(names)) == len(names), "a disk is named twice")
        need(set(names) == set(self.protected()), "disks are not the protected disks of the machine")
        for d in disks:
            mine = self.stored.get(d["disk"], {})
            missing = [n for n in range(d["segments"]) if n not in mine]
            need(not missing, "segment %s of disk %s was never stored" % (missing[:1], d["disk"]))
            need(len(mine) == d["segments"], "more segments of disk %s are stored than committed" % d["disk"])
            size = self.disk(d["disk"]).size
            need(d["replicated"] <= size, "replicated is over size")
            need(d["state"] != "protected" or d["replicated"] == size, "protected, but not all of it")

    def commit_disk(self, epoch, asked):
        d = self.disk(asked["disk"])
        d.apply(s for _, s in self.stored.get(d.id, {}).values())
        d.state, d.replicated = asked["state"], asked["replicated"]
        d.source, d.epoch = asked["source"], epoch

    def check_point(self, epoch, asked, got):
        whole = asked["disks"] and all(d["state"] == "protected" for d in asked["disks"])
        point, bookmark = got.get("point"), asked.get("bookmark")
        need((point is not None) == bool(asked["consistency"] != "fuzzy" and whole),
             "a point although it cannot be one, or none although it is")
        if bookmark and not point:
            need(got.get("refused"), "a bookmark that was not made, without a reason")
        if not point:
            return
        need(point["id"] == point["epoch"] == epoch and point["machine"] == self.id, "the point is of another epoch")
        need(point["consistency"] == asked["consistency"], "the point's consistency")
        need(point["time"] == asked["boundary"], "the point's time is not the boundary's")
        need(point.get("name") == ((bookmark or {}).get("name") or None), "the point's name")
        need({d["disk"]: d["size"] for d in point["disks"]} ==
             {d["disk"]: self.disk(d["disk"]).size for d in asked["disks"]}, "the point's disks")
        self.points[epoch] = point

    # --- questions

    def compare(self, got):
        need(got["machine"] == self.id, "another machine")
        need(got["epoch"] == self.committed, "epoch is %d, not %d" % (got["epoch"], self.committed))
        is_open = got.get("open")
        need((is_open and (is_open["epoch"], is_open["attempt"])) == self.open, "open is %r" % (is_open,))
        need({d["id"] for d in got["disks"]} == set(self.protected()), "the disks of the machine")
        for d in got["disks"]:
            self.disk(d["id"]).compare(d)
        newest = max(self.points) if self.points else None
        last = got.get("last_point")
        need((last and last["id"]) == newest, "last_point is %r, not %r" % (last and last["id"], newest))

    def check_points(self, points):
        ids = [p["id"] for p in points]
        need(ids == sorted(ids, reverse=True) and len(set(ids)) == len(ids), "not newest first")
        for p in points:
            need(p == self.points.get(p["id"]), "point %d is not as it was committed" % p["id"])

    def check_digests(self, disk, asked, body):
        level = asked["block"]
        need(level == BLOCK or level in FANOUT, "no such level of digests")
        need(asked["offset"] % level == 0, "offset is not a multiple of the block")
        end, size = asked["offset"] + asked["length"], self.disk(disk).size
        need(end <= size, "a range past the end of the disk")
        need(end == size or end % level == 0, "length is not a multiple of the block")
        need(body == self.disk(disk).nodes(asked["offset"], asked["length"], level),
             "the digests are not those of the last committed epoch")
