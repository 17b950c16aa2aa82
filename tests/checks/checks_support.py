"""Hand-made compiled files, zips and settings for the tests of the pre-flight checks."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.zip.reader import Archive, open_archive
from pipeline.zip.writer import Member, compress, write_zip

X86_64, ARM64, I386 = 62, 183, 3
_HEADER = struct.Struct("<16s2HI3QI6H")
_SECTION = struct.Struct("<2I4Q2I2Q")

PE = b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0"


def elf(
    machine: int = X86_64,
    needs: Sequence[str] = (),
    *,
    weak: Sequence[str] = (),
    kind: int = 3,
    bits: int = 2,
) -> bytes:
    """Return a shared object that needs these versions of one library: `.gnu.version_r` alone.

    `kind` is e_type (3 for a shared object), `bits` EI_CLASS (2 for 64 bits).
    """
    versions = [(name, 0) for name in needs] + [(name, 2) for name in weak]
    names, offsets = b"\0libc.so.6\0", []
    for name, _ in versions:
        offsets.append(len(names))
        names += name.encode() + b"\0"
    need = struct.pack("<2H3I", 1, len(versions), 1, 16, 0)
    for at, (offset, (_, flags)) in enumerate(zip(offsets, versions, strict=True)):
        last = at == len(versions) - 1
        need += struct.pack("<I2H2I", 0, flags, 2, offset, 0 if last else 16)
    names_at, need_at = _HEADER.size, _HEADER.size + len(names)
    sections = _SECTION.pack(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    sections += _SECTION.pack(0, 3, 0, 0, names_at, len(names), 0, 0, 1, 0)
    if versions:
        sections += _SECTION.pack(0, 0x6FFFFFFE, 0, 0, need_at, len(need), 1, 1, 4, 0)
    start = b"\x7fELF" + bytes([bits, 1, 1]) + bytes(9)
    header = _HEADER.pack(
        *(start, kind, machine, 1, 0, 0, need_at + len(need), 0),
        *(_HEADER.size, 0, 0, _SECTION.size, 3 if versions else 2, 1),
    )
    return header + names + need + sections


def fat_macho(architectures: int) -> bytes:
    """Return the start of a Mach-O file for several machines, or of a Java class."""
    return b"\xca\xfe\xba\xbe" + struct.pack(">I", architectures) + bytes(64)


def zip_of(path: Path, files: Mapping[str, bytes]) -> Archive:
    """Write a zip of these files and open it."""
    write_zip(path, [Member(name, 0o644, compress(data)) for name, data in files.items()])
    return open_archive(path)
