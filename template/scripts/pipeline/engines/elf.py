"""What a compiled file was made for, read from its headers.

ELF as System V's gABI and the Linux Standard Base describe it: the machine in the file header,
the versions of glibc's symbols that must be there in the section `.gnu.version_r`.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["START", "Binary", "is_binary", "read_binary"]

# How many bytes `is_binary` has to see.
START = 8
_FORMATS = {
    b"\x7fELF": "ELF",
    b"MZ": "PE",
    b"\xfe\xed\xfa\xce": "Mach-O", b"\xce\xfa\xed\xfe": "Mach-O",
    b"\xfe\xed\xfa\xcf": "Mach-O", b"\xcf\xfa\xed\xfe": "Mach-O",
    b"\xca\xfe\xba\xbe": "Mach-O",
}  # fmt: skip
_MACHINES = {
    62: "x86_64",
    183: "arm64",
    3: "x86",
    40: "arm",
    21: "ppc64",
    22: "s390x",
    243: "riscv",
}
_OBJECTS = (2, 3)  # ET_EXEC and ET_DYN: what the system loads; others are for linkers
_NEEDED_VERSIONS = 0x6FFFFFFE  # SHT_GNU_verneed
_WEAK = 2
_HEADER = struct.Struct("<16s2HI3QI6H")
_SECTION = struct.Struct("<2I4Q2I2Q")
_NEED = struct.Struct("<2H3I")
_NEEDED = struct.Struct("<I2H2I")
_GLIBC = re.compile(rb"GLIBC_(\d+)\.(\d+)")
# A linker's mark instead of a number: the format of relocations that glibc reads since 2.36.
_RELATIVE_RELOCATIONS = b"GLIBC_ABI_DT_RELR"
# A "fat" Mach-O file starts like a Java class; that one has its version here, 45 at least.
_MOST_ARCHITECTURES = 20


@dataclass(frozen=True)
class Binary:
    """A compiled file: its format, its machine in Lambda's words, and the glibc it needs.

    `glibc` is (0, 0) when it asks for no version; `problem` says why it could not be read.
    """

    format: str
    machine: str = ""
    glibc: tuple[int, int] = (0, 0)
    problem: str = ""


def is_binary(start: bytes) -> bool:
    """Tell from a file's first bytes whether it may be a program or a library."""
    return start[:4] in _FORMATS or start[:2] in _FORMATS


def read_binary(data: bytes) -> Binary | None:
    """Read a file's headers; None for what no system would load as a program or a library."""
    kind = _FORMATS.get(data[:4]) or _FORMATS.get(data[:2])
    if kind == "PE":
        at = int.from_bytes(data[0x3C:0x40], "little")
        return Binary("PE") if data[at : at + 4] == b"PE\0\0" else None
    if kind == "Mach-O":
        fat = data[:4] == b"\xca\xfe\xba\xbe"
        if fat and int.from_bytes(data[4:8], "big") > _MOST_ARCHITECTURES:
            return None
        return Binary("Mach-O")
    return _read_elf(data) if kind else None


def _read_elf(data: bytes) -> Binary | None:
    try:
        bits, order = data[4], data[5]
        machine, kind = struct.unpack_from("<HH" if order == 1 else ">HH", data, 16)[::-1]
        name = _MACHINES.get(machine, f"machine {machine}")
        if kind not in _OBJECTS:
            return None
        if (bits, order) != (2, 1):
            return Binary("ELF", f"{name} with {'32 bits' if bits == 1 else 'another byte order'}")
        return Binary("ELF", name, max(_glibc_versions(data), default=(0, 0)))
    except (struct.error, IndexError, OverflowError):
        return Binary("ELF", problem="its headers are damaged")


def _glibc_versions(data: bytes) -> Iterator[tuple[int, int]]:
    fields = _HEADER.unpack_from(data)
    start, size, count = fields[6], fields[11], fields[12]
    sections = [_SECTION.unpack_from(data, start + number * size) for number in range(count)]
    for section in sections:
        if section[1] != _NEEDED_VERSIONS:
            continue
        offset, linked = section[4], sections[section[6]]
        names = data[linked[4] : linked[4] + linked[5]]
        for name in _needed_names(data, offset, names):
            if name == _RELATIVE_RELOCATIONS:
                yield 2, 36
            elif match := _GLIBC.match(name):
                yield int(match[1]), int(match[2])


def _needed_names(data: bytes, offset: int, names: bytes) -> Iterator[bytes]:
    """Follow the list of libraries, and each library's list of versions; weak ones may miss."""
    while True:
        _, _, _, first, following = _NEED.unpack_from(data, offset)
        at = offset + first
        while True:
            _, flags, _, name, step = _NEEDED.unpack_from(data, at)
            if not flags & _WEAK:
                yield names[name:].partition(b"\0")[0]
            if not step:
                break
            at += step
        if not following:
            return
        offset += following
