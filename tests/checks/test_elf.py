"""Reading what a compiled file was made for."""

from __future__ import annotations

import importlib.metadata
import re
import struct
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pipeline.function.elf import Binary, is_binary, read_binary

from tests.checks.checks_support import ARM64, I386, PE, X86_64, elf, fat_macho

# Where the file header says where the sections begin, and how long the header of each is.
SECTIONS_AT, SECTION_SIZE = 40, 64
_MANYLINUX = re.compile(r"manylinux_(\d+)_(\d+)_(\w+)")
_OLD_TAGS = {"manylinux2014": (2, 17), "manylinux2010": (2, 12), "manylinux1": (2, 5)}


def _tagged() -> list[tuple[Path, tuple[int, int]]]:
    """Return the compiled files of installed wheels with the glibc that their tags promise."""
    found = []
    for distribution in importlib.metadata.distributions():
        wheel = distribution.read_text("WHEEL") or ""
        promised = [(int(tag[1]), int(tag[2])) for tag in _MANYLINUX.finditer(wheel)]
        promised += [floor for tag, floor in _OLD_TAGS.items() if tag in wheel]
        files = distribution.files or () if promised else ()
        found += [
            (Path(str(file.locate())), max(promised)) for file in files if file.name.endswith(".so")
        ]
    return found


def test_real_files_keep_their_wheels_promise() -> None:
    """Compiled files of manylinux wheels need a glibc, and none newer than the tag says."""
    read = [(read_binary(path.read_bytes()), promised) for path, promised in _tagged()]
    assert len(read) > 10
    for binary, promised in read:
        assert binary is not None
        assert not binary.problem
        assert binary.glibc <= promised
    assert max(binary.glibc for binary, _ in read if binary) > (2, 0)


@pytest.mark.parametrize(
    ("machine", "name"), [(X86_64, "x86_64"), (ARM64, "arm64"), (I386, "x86"), (999, "<unknown>")]
)
def test_the_machine(machine: int, name: str) -> None:
    """The machine is told in Lambda's words, others as people call them."""
    assert read_binary(elf(machine)) == Binary(name)


def test_the_newest_version_counts() -> None:
    """Of all versions of glibc's symbols the highest by number is the one that must be there."""
    binary = read_binary(elf(needs=["GLIBC_2.9", "GLIBC_2.34", "GLIBC_2.2.5", "GLIBCXX_3.4.30"]))
    assert binary == Binary("x86_64", (2, 34))


def test_weak_versions_may_be_missing() -> None:
    """A version that is needed weakly does not stop the loader, so it does not count."""
    assert read_binary(elf(needs=["GLIBC_2.17"], weak=["GLIBC_2.38"])) == Binary("x86_64", (2, 17))


def test_relative_relocations_need_glibc_2_36() -> None:
    """The linker's mark for compact relocations stands for the glibc that introduced them."""
    binary = read_binary(elf(needs=["GLIBC_2.17", "GLIBC_ABI_DT_RELR"]))
    assert binary == Binary("x86_64", (2, 36))


def test_32_bits_are_another_machine() -> None:
    """A file of 32 bits is none of Lambda's machines, whatever its number."""
    assert read_binary(elf(bits=1)) == Binary("x86_64 with 32 bits")


def test_object_files_are_not_loaded() -> None:
    """What only a linker reads cannot be for the wrong machine."""
    assert read_binary(elf(kind=1)) is None


def test_other_systems() -> None:
    """Mach-O and PE are told apart; a Java class and a text that starts like one are neither."""
    assert read_binary(PE) == Binary("Windows")
    assert read_binary(b"\xcf\xfa\xed\xfe" + bytes(28)) == Binary("macOS")
    assert read_binary(fat_macho(2)) == Binary("macOS")
    assert read_binary(fat_macho(65)) is None
    assert read_binary(b"MZ is how this text begins, and nothing else is in it") is None
    assert read_binary(b"plain") is None


@given(st.binary(max_size=400), st.integers(0, 399), st.integers(0, 255))
@example(b"", 47, 128)  # sections that begin beyond what a machine can address
def test_damaged_files_are_read_too(tail: bytes, at: int, byte: int) -> None:
    """Whatever follows the first bytes, the answer is a value and never an exception."""
    whole = bytearray(elf(needs=["GLIBC_2.17", "GLIBC_2.28"]))
    whole[min(at, len(whole) - 1)] = byte
    for data in (bytes(whole), b"\x7fELF" + tail, bytes(whole)[:at]):
        binary = read_binary(data)
        assert binary is None or is_binary(data[:8])


def test_a_truncated_file_is_a_problem() -> None:
    """A library that was cut off is no library without needs: it is told as damaged."""
    whole = elf(needs=["GLIBC_2.17"])
    for size in range(24, len(whole)):
        binary = read_binary(whole[:size])
        assert binary is not None
        assert binary.problem


def test_counts_that_are_too_large_end() -> None:
    """A count that no linker writes, of things that take no room, is not followed for ever."""
    whole = bytearray(elf(needs=["GLIBC_2.17", f"GLIBC_2.{'9' * 5000}"]))
    (first,) = struct.unpack_from("<Q", whole, SECTIONS_AT)
    struct.pack_into("<I", whole, first + 2 * SECTION_SIZE + 44, 2**32 - 1)  # its sh_info
    assert read_binary(bytes(whole)) == Binary("x86_64", (2, 17))
    struct.pack_into("<Q", whole, first + 32, 2**63)  # sh_size of the first: how many there are
    struct.pack_into("<3H", whole, SECTIONS_AT + 18, 0, 0, 0)
    binary = read_binary(bytes(whole))
    assert binary is not None
    assert binary.problem
