"""What a compiled file was made for, read from its headers: its system, machine and glibc."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from elftools.elf.elffile import ELFFile

# How many bytes `is_binary` has to see.
START = 8
_ELF, _PE, _FAT = b"\x7fELF", b"MZ", b"\xca\xfe\xba\xbe"
_MACH_O = (b"\xfe\xed\xfa\xce", b"\xce\xfa\xed\xfe", b"\xfe\xed\xfa\xcf", b"\xcf\xfa\xed\xfe", _FAT)
_LAMBDAS_MACHINES = {"EM_X86_64": "x86_64", "EM_AARCH64": "arm64"}
# What the system loads; others are for linkers.
_LOADED = ("ET_EXEC", "ET_DYN")
_WEAK = 2
_GLIBC = re.compile(r"GLIBC_(\d{1,4})\.(\d{1,4})(?!\d)")
# A linker's mark instead of a number: the format of relocations that glibc reads since 2.36.
_RELATIVE_RELOCATIONS = "GLIBC_ABI_DT_RELR"
# No linker writes as many; a damaged count may be four billion.
_MOST_SECTIONS, _MOST_VERSIONS = 10_000, 1_000
# A "fat" Mach-O file starts like a Java class; that one has its version here, 45 at least.
_MOST_ARCHITECTURES = 20


@dataclass(frozen=True)
class Binary:
    """A compiled file: its machine in Lambda's words, or its system, and the glibc it needs.

    `glibc` is (0, 0) when it asks for no version; `problem` says why it could not be read.
    """

    machine: str
    glibc: tuple[int, int] = (0, 0)
    problem: str = ""


_DAMAGED = Binary("", problem="its headers are damaged")


def is_binary(start: bytes) -> bool:
    """Tell from a file's first bytes whether it may be a program or a library."""
    return start.startswith((_ELF, _PE, *_MACH_O))


def read_binary(data: bytes) -> Binary | None:
    """Read a file's headers; None for what no system would load as a program or a library."""
    if data.startswith(_ELF):
        return _read_elf(data)
    if data.startswith(_PE):
        at = int.from_bytes(data[0x3C:0x40], "little")
        return Binary("Windows") if data[at : at + 4] == b"PE\0\0" else None
    if data.startswith(_FAT) and int.from_bytes(data[4:8], "big") > _MOST_ARCHITECTURES:
        return None
    return Binary("macOS") if data.startswith(_MACH_O) else None


def _read_elf(data: bytes) -> Binary | None:
    # Most functions have nothing compiled in them.
    from elftools.common.exceptions import ELFError  # noqa: PLC0415
    from elftools.elf.elffile import ELFFile  # noqa: PLC0415

    try:
        elf = ELFFile(io.BytesIO(data))
        name = _LAMBDAS_MACHINES.get(elf["e_machine"]) or elf.get_machine_arch()
        if elf["e_type"] not in _LOADED:
            return None
        if elf.elfclass != 64:  # noqa: PLR2004 - bits
            return Binary(f"{name} with {elf.elfclass} bits")
        if elf.num_sections() > _MOST_SECTIONS:
            return _DAMAGED
        return Binary(name, max(_glibc_versions(elf), default=(0, 0)))
    except (ELFError, OverflowError):
        return _DAMAGED


def _glibc_versions(elf: ELFFile) -> Iterator[tuple[int, int]]:
    sections: Iterator[Any] = elf.iter_sections("SHT_GNU_verneed")
    needed = (
        version
        for section in sections
        for _, versions in section.iter_versions()
        for version in versions
    )
    for version in islice(needed, _MOST_VERSIONS):
        # The loader does without the weak ones.
        if version["vna_flags"] & _WEAK:
            continue
        if version.name == _RELATIVE_RELOCATIONS:
            yield 2, 36
        elif match := _GLIBC.match(version.name):
            yield int(match[1]), int(match[2])
