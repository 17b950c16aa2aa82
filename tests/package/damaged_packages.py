"""Packages of ours, damaged on purpose: every one but those in `FLIPS` has to be refused."""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from pipeline.core.manifest import ZipFacts

from tests.package.crafted_zips import Crafted, craft, moved, second_name

# Kinds whose damage may hit what nobody reads, like a date: then the content must be the same.
FLIPS = ("flip", "flip in function.zip")
NUSPEC = "Acme.Sample.nuspec"
MANIFEST, FUNCTION = "build.json", "function.zip"


class Damaged(NamedTuple):
    """A damaged package: which kind of damage, what exactly, and its bytes."""

    kind: str
    what: str
    data: bytes


def damaged(good: bytes) -> Iterator[Damaged]:
    """Yield about 450 damaged packages, always the same ones, of a good one."""
    dice = random.Random(20_261_123)  # noqa: S311 - the same every time
    yield from _flipped("flip", good, dice, 60)
    yield from _with_gaps("gap", good)
    yield from _cut("cut", good, dice)
    yield from _twice(good)
    yield from _headers(good)
    yield from _names(good)
    yield from _nuspecs(good)
    yield from _manifests(good)
    yield from _functions(good, dice)


def members_of(data: bytes) -> list[Crafted]:
    """Return the members of a zip, each ready to lie; what is deflated stays as it is."""
    found = []
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            name = info.filename.encode()
            start = info.header_offset + 30 + len(name)
            payload = data[start : start + info.compress_size]
            plain = archive.read(info)
            found.append(Crafted(name, plain, info.compress_type, payload=payload))
    return found


def changed(good: bytes, name: str, data: bytes | None) -> bytes:
    """Return a package with one file changed, added, or with None removed."""
    kept = [member for member in members_of(good) if member.name.decode() != name]
    return craft(*kept, *([] if data is None else [Crafted(name.encode(), data, 0)]))


def with_function(good: bytes, function: bytes) -> bytes:
    """Return a package with another function zip, and a manifest that fits its bytes."""
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        document = json.loads(archive.read(MANIFEST))
    facts = document["function_zip"]
    facts |= vars(ZipFacts.of(function, facts["unzipped_size"], facts["files"]))
    return changed(changed(good, FUNCTION, function), MANIFEST, json.dumps(document).encode())


def _read(good: bytes, name: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        return archive.read(name)


def _flipped(kind: str, good: bytes, dice: random.Random, count: int) -> Iterator[Damaged]:
    """Change a byte of a header: local, central, or the last one."""
    headers = [at for mark in (b"PK\3\4", b"PK\1\2", b"PK\5\6") for at in _places(good, mark)]
    for _ in range(count):
        at = dice.choice(headers) + dice.randrange(46)
        if at < len(good):
            bad = bytearray(good)
            bad[at] ^= dice.randrange(1, 256)
            yield Damaged(kind, f"byte {at}", bytes(bad))


def _places(data: bytes, mark: bytes) -> list[int]:
    return [at for at in range(len(data)) if data.startswith(mark, at)]


def _with_gaps(kind: str, good: bytes) -> Iterator[Damaged]:
    """Put bytes where none belong, with all offsets made right again."""
    other = craft(Crafted(b"evil.txt", b"evil"))
    for what, junk in (("a byte", b"\0"), ("a zip", other), ("sixteen bytes", bytes(16))):
        yield Damaged(kind, f"{what} in front, offsets as they were", junk + good)
        yield Damaged(kind, f"{what} at the end", good + junk)
        for at in range(len(members_of(good)) + 1):
            yield Damaged(kind, f"{what} before member {at}", moved(good, at, junk))
    start = good.rindex(b"PK\5\6")
    yield Damaged(kind, "before the end record", good[:start] + b"\0" + good[start:])
    comment = good[:-2] + struct.pack("<H", len(other) + 4) + other + b"more"
    yield Damaged(kind, "a zip in the comment", comment)


def _cut(kind: str, good: bytes, dice: random.Random) -> Iterator[Damaged]:
    for _ in range(10):
        at, size = dice.randrange(len(good)), dice.randrange(1, 40)
        yield Damaged(kind, f"ends at {at}", good[:at])
        yield Damaged(kind, f"{size} bytes less at {at}", good[:at] + good[at + size :])


def _twice(good: bytes) -> Iterator[Damaged]:
    members = members_of(good)
    for member in members:
        what = member.name.decode()
        other = Crafted(member.name, b"other", 0)
        yield Damaged("twice", f"{what}, the same", craft(*members, member))
        yield Damaged("twice", f"{what}, another", craft(other, *members))
        yield Damaged("twice", f"{what} in capitals", craft(*members, _named(member, str.swapcase)))


def _named(member: Crafted, change: Callable[[str], str]) -> Crafted:
    return replace(member, name=change(member.name.decode()).encode())


def _headers(good: bytes) -> Iterator[Damaged]:
    """Let one header lie, or ask for what no reader here does."""
    lies: dict[str, dict[str, Any]] = {
        "encrypted": {"flags": 1},
        "strongly encrypted": {"flags": 0x41},
        "an unknown method": {"method": 12},
        "zip64 size": {"size": 0xFFFFFFFF},
        "zip64 offset": {"offset": 0xFFFFFFFF},
        "another local size": {"local_size": 3},
        "another local name": {"local_name": b"evil.txt"},
        "another checksum": {"crc": 1},
        "a link": {"mode": 0o120777},
        "another disk": {"disk": 1},
        "sizes that do not follow": {"flags": 8, "local_flags": 0},
    }
    for name in (NUSPEC, FUNCTION):
        for what, lie in lies.items():
            members = [
                replace(member, **lie) if member.name.decode() == name else member
                for member in members_of(good)
            ]
            yield Damaged("header", f"{name}: {what}", craft(*members))
    for tail in (bytes(12), b"PK\7\x08" + bytes(12), bytes(11), bytes(17)):
        member = Crafted(b"streamed.txt", flags=8)
        bad = moved(craft(member, *members_of(good)), 1, tail)
        yield Damaged("header", f"{len(tail)} bytes that are no sizes", bad)


def _names(good: bytes) -> Iterator[Damaged]:
    names = {
        "out": b"../evil",
        "out, encoded": b"%2e%2e/evil",
        "out and in": b"a/../../evil",
        "absolute": b"/tmp/evil",
        "absolute, encoded": b"%2Ftmp%2Fevil",
        "drive": b"C:/evil",
        "backslash": b"..\\evil",
        "backslash, encoded": b"a%5Cb",
        "null": b"a\0b",
        "null, encoded": b"a%00b",
        "escape": b"a\x1bb",
        "empty part": b"a//b",
        "dot": b"./a",
        "nothing": b"",
        "no UTF-8": b"%ff",
        "half a pair": b"%ed%a0%80",
        "deep": b"a/" * 70 + b"b",
        "very deep": b"a/" * 500 + b"b",
        "long": b"a" * 256,
        "very long": b"/".join([b"a" * 200] * 8),
        "below a file": b"deploy.py/x",
        "a manifest in capitals": b"BUILD.json",
    }
    for what, name in names.items():
        yield Damaged("name", what, craft(*members_of(good), Crafted(name, b"x", 0)))
    yield Damaged("name", "a second one for others", second_name(good, b"evil.py"))


def _nuspecs(good: bytes) -> Iterator[Damaged]:
    spec = _read(good, NUSPEC)
    ids = ("../../x", "..", "a/b", "a\\b", "C:x", "a..b", "-a", "a b", "", "A" * 101, "Acme.Other")
    versions = ("../../x", "..", "1/2", "", "1.2.3.4.5", "v1", "1.0-", "9" * 200, "2.0.8")
    for value in ids:
        text = spec.replace(b"<id>Acme.Sample<", f"<id>{value}<".encode())
        yield Damaged("nuspec", f"id {value[:9]!r}", changed(good, NUSPEC, text))
    for value in versions:
        text = spec.replace(b"<version>2.0.7<", f"<version>{value}<".encode())
        yield Damaged("nuspec", f"version {value[:9]!r}", changed(good, NUSPEC, text))
    texts = {
        "none": None,
        "empty": b"",
        "null": spec.replace(b"A sample", b"\0"),
        "a document type": b"<!DOCTYPE a []>" + spec,
        "deep": b"<a>" * 100_000,
        "no end": spec[:-9],
        "id twice": spec.replace(b"<id>", b"<id>x</id><id>"),
        "many elements": spec.replace(
            b"<id>", b"".join(b"<a%d/>" % number for number in range(6_000)) + b"<id>x</id><id>"
        ),
    }
    for what, data in texts.items():
        yield Damaged("nuspec", what, changed(good, NUSPEC, data))
    yield Damaged("nuspec", "two", changed(good, "Other.nuspec", spec))


def _manifests(good: bytes) -> Iterator[Damaged]:
    document = json.loads(_read(good, MANIFEST))

    def edited(path: tuple[str, ...], value: Any) -> bytes:
        copy = json.loads(json.dumps(document))
        place = copy
        for part in path[:-1]:
            place = place[part]
        if value is _GONE:
            del place[path[-1]]
        else:
            place[path[-1]] = value
        return changed(good, MANIFEST, json.dumps(copy).encode())

    parts: list[tuple[str, ...]] = [(key,) for key in document]
    for path in [*parts, *(("function", key) for key in document["function"])]:
        # Manifests of older libraries have none, which is no damage.
        older = path == ("function", "handler_file")
        for value in (None, 7, ["x"]) if older else (_GONE, None, 7, ["x"]):
            yield Damaged("manifest", f"{path} {value!r}", edited(path, value))
    hostile: dict[tuple[str, ...], tuple[Any, ...]] = {
        ("package_id",): ("../../x", "/x", "Acme.Other", "", "a\0b"),
        ("version",): ("../../x", "/x", "2.0.8", "", "..", "1\n2"),
        ("function", "name"): ("../x", "a b", "", "x" * 65, "a\x1b[2J"),
        ("function", "handler"): ("", "a b", "a\nb", "x" * 129),
        ("function", "runtime"): ("", "python 3", "../x"),
        ("function", "environment"): ({"A=B": "x"}, {"AB": "\0"}, {"": ""}),
        ("function", "description"): ("a\0b", "\ud800"),
        ("source", "commit"): ("--output=/tmp/evil", "", "a/b", "x" * 65),
        ("source", "branch"): ("a\nb", "\x1b[2J"),
        ("environments",): ({"a\nb": {}}, {"CI": 7}, {"CI": {"region": 7}}),
        ("function_zip", "sha256"): ("0" * 64, "x", ""),
        ("function_zip", "code_sha256"): ("", "A" * 43 + "="),
        ("function_zip", "size"): (0, -1, 10**18, 10**400, 1.5, True),
        ("function_zip", "files"): (0, -1, 10**18),
        ("function_zip", "unzipped_size"): (0, -1, 10**18),
    }
    for path, values in hostile.items():
        for value in values:
            what = "a number of 400 digits" if value == 10**400 else repr(value)[:30]
            yield Damaged("manifest", f"{path} {what}", edited(path, value))
    text = _read(good, MANIFEST)
    texts = {
        "none": None,
        "empty": b"",
        "a list": b"[]",
        "a text": b'"x"',
        "cut": text[:-5],
        "deep lists": b"[" * 200_000,
        "deep objects": b'{"a":' * 200_000,
        "deep inside": text.replace(
            b'"branch"', b'"x": ' + b"[" * 900 + b"]" * 900 + b', "branch"'
        ),
        "not a number": text.replace(b'"schema": 1', b'"schema": NaN'),
        "infinite": text.replace(b'"schema": 1', b'"schema": 1e999'),
        "a key twice": text.replace(b'"schema": 1', b'"schema": 1, "schema": 1'),
        "another schema": text.replace(b'"schema": 1', b'"schema": 2'),
        "no UTF-8": text.replace(b"main", b"ma\xffn"),
        "UTF-16": text.decode().encode("utf-16"),
        "vast": text + b" " * (17 << 20),
    }
    for what, data in texts.items():
        yield Damaged("manifest", what, changed(good, MANIFEST, data))


_GONE = object()


def _functions(good: bytes, dice: random.Random) -> Iterator[Damaged]:
    """Damage the function zip; but for the first ones the manifest fits its bytes."""
    function = _read(good, FUNCTION)
    other = craft(Crafted(b"acme/handler.py", b"def handle(event, context): evil\n"))
    for what, data in {"another": other, "none": None, "empty": b"", "no zip": b"x"}.items():
        yield Damaged("function.zip", what, changed(good, FUNCTION, data))
    members = members_of(function)
    for what, data in {
        "no zip": b"hello",
        "no files": craft(),
        "a member more": craft(*members, Crafted(b"evil.py", b"x", 0)),
        "a member less": craft(*members[1:]),
        "a name that leads out": craft(*members, Crafted(b"../evil.py", b"x", 0)),
        "a link": craft(*members, Crafted(b"link", b"/etc/passwd", 0, mode=0o120777)),
        "encrypted": craft(replace(members[0], flags=1), *members[1:]),
        "another checksum": craft(replace(members[0], crc=1), *members[1:]),
    }.items():
        yield Damaged("function.zip", f"{what}, known to the manifest", with_function(good, data))
    for bad in _with_gaps("", function):
        yield Damaged("gap in function.zip", bad.what, with_function(good, bad.data))
    for bad in _cut("", function, dice):
        yield Damaged("cut in function.zip", bad.what, with_function(good, bad.data))
    for bad in _flipped("", function, dice, 20):
        yield Damaged("flip in function.zip", bad.what, with_function(good, bad.data))
