# SPDX-License-Identifier: Apache-2.0
"""The JSON forms of docs/protocol.md: what each member of each body must be.

A form is a dict from member to a check, a function that raises Broken. A request has no member that its form
does not name; an answer may. A check made by opt() accepts a member that is null or left out."""
import json
import re

from segment import Broken, need

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

# status: codes
ERRORS = {400: {"malformed"}, 401: {"no-certificate", "bad-token", "expired-token", "used-token"},
          403: {"not-yours"}, 404: {"not-found"}, 405: {"method"}, 409: {"conflict"},
          411: {"length-required"}, 413: {"too-large"}, 422: {"digest"}, 426: {"version"},
          500: {"internal"}, 503: {"busy"}, 507: {"no-space"}}


def uuid_(v):
    need(isinstance(v, str) and UUID.fullmatch(v), "not a lower-case UUID: %r" % (v,))


def integer(least=0, most=(1 << 63) - 1):
    def check(v):
        need(isinstance(v, int) and not isinstance(v, bool) and least <= v <= most,
             "not an integer from %d to %d: %r" % (least, most, v))
    return check


def text(most=None, least=0):
    def check(v):
        need(isinstance(v, str), "not a string: %r" % (v,))
        need(least <= len(v.encode()) and (most is None or len(v.encode()) <= most), "length of %r" % v)
        need(all(ord(c) >= 0x20 and ord(c) != 0x7f for c in v), "not printable: %r" % v)
    return check


def disk_name(v):
    NAME(v)
    need("/" not in v and not v.startswith("."), "no name for a file: %r" % v)


def disk_size(v):
    integer(512, 1 << 56)(v)
    need(v % 512 == 0, "size %d is not a multiple of 512" % v)


def granule(v):
    integer(512, 1 << 30)(v)
    need(v & (v - 1) == 0, "granule %d is not a power of two" % v)


def pem(kind):
    def check(v):
        need(isinstance(v, str) and v.startswith("-----BEGIN %s-----\n" % kind) and
             v.rstrip("\n").endswith("-----END %s-----" % kind), "not a PEM %s: %.40r" % (kind, v))
    return check


def one_of(*values):
    def check(v):
        need(v in values and isinstance(v, type(values[0])), "not one of %s: %r" % (", ".join(map(str, values)), v))
    return check


def opt(check):
    def maybe(v):
        if v is not None:
            check(v)
    maybe.optional = True
    return maybe


def array(check, most=None):
    def each(v):
        need(isinstance(v, list), "not an array: %r" % (v,))
        need(most is None or len(v) <= most, "%d elements" % len(v))
        for i, x in enumerate(v):
            try:
                check(x)
            except Broken as e:
                raise Broken("[%d]%s" % (i, e)) from e
    return each


def form(members, strict):
    def check(v):
        need(isinstance(v, dict), "not an object: %r" % (v,))
        for name, sub in members.items():
            need(name in v or hasattr(sub, "optional"), ".%s is missing" % name)
            try:
                sub(v.get(name))
            except Broken as e:
                raise Broken(".%s: %s" % (name, e)) from e
        extra = set(v) - set(members) if strict else ()
        need(not extra, "unknown member %s" % ", ".join(extra))
    return check


def request(**members):
    return form(members, True)


def answer(**members):
    return form(members, False)


STATE = one_of("initial", "resync", "protected")
CONSISTENCY = one_of("crash", "application", "fuzzy")
POINT_KIND = one_of("crash", "application")
CSR = pem("CERTIFICATE REQUEST")
CERTIFICATE = pem("CERTIFICATE")
POSITIVE = integer(1)
NAME = text(255, 1)


def disk_object(v):
    answer(id=uuid_, key=NAME, name=disk_name, size=disk_size, granule=granule, state=STATE,
           replicated=integer(), source=text(255), epoch=integer())(v)
    need(v["replicated"] <= v["size"], "replicated is over size")
    need(v["state"] != "protected" or v["replicated"] == v["size"],
         "state %s with %d of %d bytes" % (v["state"], v["replicated"], v["size"]))


POINT = answer(id=POSITIVE, machine=uuid_, epoch=POSITIVE, time=POSITIVE, consistency=POINT_KIND,
               name=opt(text(255)), disks=array(answer(disk=uuid_, size=POSITIVE)))

COMMIT_DISK = request(disk=uuid_, segments=integer(0, 1 << 22), state=STATE, replicated=integer(), source=text(255))

REQUESTS = {
    "enroll": request(token=text(128, 1), hostname=NAME, csr=CSR),
    "renew": request(csr=CSR),
    "disk": request(key=NAME, name=disk_name, size=disk_size, granule=granule),
    "open": request(attempt=uuid_),
    "commit": request(attempt=uuid_, boundary=POSITIVE, consistency=CONSISTENCY, reason=text(511),
                      bookmark=opt(request(name=opt(text(128)), type=POINT_KIND)), disks=array(COMMIT_DISK, 1024)),
    "digests": request(offset=integer(), length=integer(1, 1 << 30), block=integer(65536, 64 << 20)),
}

ANSWERS = {
    "ca": answer(ca=CERTIFICATE),
    "enroll": answer(machine=uuid_, certificate=CERTIFICATE, ca=CERTIFICATE, data_port=integer(1, 65535),
                     expires=POSITIVE),
    "renew": answer(certificate=CERTIFICATE, expires=POSITIVE),
    "disk": disk_object,
    "delete": answer(),
    "machine": answer(machine=uuid_, hostname=NAME, epoch=integer(),
                      open=opt(answer(epoch=POSITIVE, attempt=uuid_)), disks=array(disk_object),
                      last_point=opt(POINT), time=POSITIVE, segment_versions=array(integer(1, 65535)),
                      codecs=array(text(32, 1)),
                      policy=answer(retention_s=integer(), point_interval_s=integer())),
    "open": answer(epoch=POSITIVE),
    "segment": answer(stored=integer()),
    "commit": answer(epoch=POSITIVE, point=opt(POINT), refused=opt(text(None, 1))),
    "points": answer(points=array(POINT)),
    "error": answer(error=text(), message=text(None, 1)),
}


def no_twice(pairs):
    need(len({k for k, _ in pairs}) == len(pairs), "a member is there twice")
    return dict(pairs)


def parse(body):
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=no_twice)
    except ValueError as e:
        raise Broken("not JSON: %s" % e) from e


def check_body(forms, name, body):
    v = parse(body)
    forms[name](v)
    return v


def check_error(status, body, headers):
    """An answer outside 2xx."""
    v = check_body(ANSWERS, "error", body)
    need(v["error"] in ERRORS.get(status, ()), "status %d with the code %s" % (status, v["error"]))
    if status == 503:
        need(headers.get("retry-after", "").isdigit(), "busy without Retry-After")
    return v["error"]
