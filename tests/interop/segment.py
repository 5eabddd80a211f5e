# SPDX-License-Identifier: Apache-2.0
"""Segments as docs/protocol.md describes them, read by nothing but that description.

decode() checks every rule and gives the extents with their uncompressed bytes. Broken says which rule was broken;
its code is the one with which a receiver must refuse (malformed, digest, version, too-large)."""
import hashlib
import struct
import subprocess
import uuid
import zlib

MAGIC = b"MOBSEG\r\n"
HEADER = struct.Struct("<8sHHIQIIQ16sQ")
EXTENT = struct.Struct("<QQQIBBH32s")
TRAILER = 32
SEGMENT_MAX = 16 << 20
EXTENTS_MAX = 65536
DATA_MAX = 1 << 20
DATA, ZERO = 0, 1
NONE, ZLIB, ZSTD = 0, 1, 2
NO_DIGEST = bytes(32)


class Broken(Exception):
    """A rule of the document that something breaks."""

    def __init__(self, text, code="malformed"):
        super().__init__(text)
        self.code = code


def need(condition, text, code="malformed"):
    if not condition:
        raise Broken(text, code)


class Extent:
    """A range of the disk; data is None for zeros."""

    def __init__(self, offset, length, data):
        self.offset, self.length, self.data = offset, length, data

    @property
    def end(self):
        return self.offset + self.length


class Segment:
    def __init__(self, epoch, number, disk, extents, size):
        self.epoch, self.number, self.disk = epoch, number, disk
        self.extents, self.size = extents, size


def zstd_frame_length(b):
    """The length of the zstd frame that b begins with (RFC 8878, 3.1.1)."""
    need(len(b) >= 6 and b[:4] == b"\x28\xb5\x2f\xfd", "not a zstd frame")
    descriptor = b[4]
    single, checksum = descriptor >> 5 & 1, descriptor >> 2 & 1
    need(descriptor & 8 == 0, "a zstd frame with the reserved bit set")
    at = 5 + (0 if single else 1) + (0, 1, 2, 4)[descriptor & 3]
    at += (1 if single else 0, 2, 4, 8)[descriptor >> 6]
    last = False
    while not last:
        need(at + 3 <= len(b), "a zstd frame that is cut off")
        head = int.from_bytes(b[at:at + 3], "little")
        last, kind, size = bool(head & 1), head >> 1 & 3, head >> 3
        need(kind != 3, "a zstd block of the reserved type")
        at += 3 + (1 if kind == 1 else size)
    at += 4 * checksum
    need(at <= len(b), "a zstd frame that is cut off")
    return at


def zstd_all(frames):
    """What the frames decompress to, together: one process for a whole segment."""
    done = subprocess.run(["zstd", "-d", "-q", "-c"], input=b"".join(frames), capture_output=True, check=False)
    need(done.returncode == 0, "zstd: " + done.stderr.decode(errors="replace").strip())
    return done.stdout


def inflate(b, length):
    z = zlib.decompressobj()
    try:
        data = z.decompress(b, length + 1)
    except zlib.error as e:
        raise Broken("zlib: %s" % e) from e
    need(z.eof and not z.unused_data and not z.unconsumed_tail, "not one whole zlib stream")
    return data


def check_header(b):
    need(len(b) <= SEGMENT_MAX, "longer than 16 MiB", "too-large")
    need(len(b) >= HEADER.size + TRAILER, "shorter than header and trailer")
    magic, version, size, flags, epoch, number, count, payload, disk, reserved = HEADER.unpack_from(b)
    need(magic == MAGIC, "wrong magic")
    need(version in (1, 2), "version %d" % version, "version")
    need(size == HEADER.size, "header size %d" % size)
    need(flags == 0 and reserved == 0, "a reserved field of the header is not zero")
    need(1 <= count <= EXTENTS_MAX, "%d extents" % count)
    need(len(b) == HEADER.size + EXTENT.size * count + payload + TRAILER,
         "the length is not what the header adds up to")
    return epoch, number, count, payload, str(uuid.UUID(bytes=disk))


def check_place(offset, length, end, disk_size):
    need(offset % 512 == 0 and length % 512 == 0, "not a multiple of 512")
    need(length > 0, "a length of 0")
    need(offset >= end, "not ascending, or an overlap")
    need(offset + length < 1 << 64, "past the end of any disk")
    need(disk_size is None or offset + length <= disk_size, "past the end of the disk")


def check_kind(kind, codec, length, stored, digest):
    need(kind in (DATA, ZERO), "type %d" % kind)
    if kind == ZERO:
        need(stored == 0 and codec == NONE and digest == NO_DIGEST,
             "zeros with stored bytes, a codec or a digest")
        return
    need(length <= DATA_MAX, "data of over 1 MiB")
    need(codec in (NONE, ZLIB, ZSTD), "codec %d" % codec)
    if codec == NONE:
        need(stored == length, "codec none and stored_len is not the length")
    else:
        need(0 < stored < length, "compressed to %d of %d bytes" % (stored, length))


def read_table(b, count, payload, disk_size):
    """(offset, length, kind, codec, digest, stored bytes) of each extent."""
    start, end, used, table = HEADER.size + EXTENT.size * count, 0, 0, []
    for i in range(count):
        fields = EXTENT.unpack_from(b, HEADER.size + EXTENT.size * i)
        offset, length, payload_off, stored, kind, codec, reserved, digest = fields
        try:
            need(reserved == 0, "a reserved field is not zero")
            check_place(offset, length, end, disk_size)
            check_kind(kind, codec, length, stored, digest)
            need(payload_off == used, "payload_off is not where its bytes begin")
        except Broken as e:
            raise Broken("extent %d: %s" % (i, e), e.code) from e
        table.append((offset, length, kind, codec, digest, b[start + used:start + used + stored]))
        end = offset + length
        used += stored
    need(used == payload, "the stored_len do not add up to the payload")
    return table


def unpack(table):
    """The uncompressed bytes of each extent, None for zeros."""
    frames = [stored for _, _, _, codec, _, stored in table if codec == ZSTD]
    for frame in frames:
        need(zstd_frame_length(frame) == len(frame), "not one whole zstd frame")
    plain, at = (zstd_all(frames) if frames else b""), 0
    for _, length, kind, codec, _, stored in table:
        if codec == ZSTD:
            yield plain[at:at + length]
            at += length
        elif kind == ZERO:
            yield None
        else:
            yield inflate(stored, length) if codec == ZLIB else stored
    need(at == len(plain), "zstd data of another length than the extents'")


def trailer(b):
    """The SHA-256 that belongs at the end: of all before it, or, since version 2, of header and table."""
    version, count = struct.unpack_from("<H", b, 8)[0], struct.unpack_from("<I", b, 28)[0]
    end = len(b) - TRAILER if version == 1 else HEADER.size + EXTENT.size * count
    return hashlib.sha256(b[:end]).digest()


def decode(b, disk_size=None):
    epoch, number, count, payload, disk = check_header(b)
    need(trailer(b) == b[-TRAILER:], "wrong SHA-256 in the trailer", "digest")
    table, extents = read_table(b, count, payload, disk_size), []
    for i, ((offset, length, _, _, digest, _), data) in enumerate(zip(table, unpack(table), strict=True)):
        if data is not None:
            need(len(data) == length, "extent %d: decompresses to %d bytes" % (i, len(data)))
            need(hashlib.sha256(data).digest() == digest, "extent %d: wrong SHA-256" % i, "digest")
        extents.append(Extent(offset, length, data))
    return Segment(epoch, number, disk, extents, len(b))


def write_zeros(image, offset, length):
    chunk = bytes(1 << 20)
    image.seek(offset)
    while length:
        length -= image.write(chunk[:length])


def apply(segment, image):
    """Write a segment to an image, a file opened for reading and writing."""
    for x in segment.extents:
        if x.data is None:
            write_zeros(image, x.offset, x.length)
        else:
            image.seek(x.offset)
            image.write(x.data)
