"""The lines of a stored file, plain or gzip, in bounded memory."""

from __future__ import annotations

import zlib
from codecs import utf_8_decode
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 31  # zlib's code for "a gzip header, the largest window"
_CHUNK = 128 * 1024
_GZIP_CHUNK = 16 * 1024
# A file without line ends must not fill the memory. No request that a load balancer takes makes
# a line nearly as long as this.
_LONGEST_LINE = 1024 * 1024


class ByteStream(Protocol):
    """What is needed of a file or of an S3 body."""

    def read(self, amt: int, /) -> bytes:
        """Return up to `amt` bytes, none at the end."""
        ...


class BrokenFileError(Exception):
    """The file is damaged or not there in full."""


def read_lines(stream: ByteStream) -> Iterator[list[str]]:
    r"""Yield the lines in lists of a few hundred, empty lines included, line ends cut off.

    The first two bytes decide whether the file is gzip, not its name. Bytes that are not UTF-8
    become `\xNN`, as load balancers write them. A line of more than a megabyte comes in pieces, the
    same ones at each reading. Raises BrokenFileError when the gzip data is damaged or cut short.
    """
    rest = b""
    for chunk in _plain_chunks(stream):
        rest += chunk
        while len(rest) > _LONGEST_LINE and rest.find(b"\n", 0, _LONGEST_LINE + 1) < 0:
            # Up to the last whole character: the other half of one that is cut follows.
            piece, taken = utf_8_decode(rest[:_LONGEST_LINE], "backslashreplace")
            yield [piece]
            rest = rest[taken:]
        whole, end, start = rest.rpartition(b"\n")
        if end:
            yield _decoded(whole)
            rest = start
    if rest:
        yield _decoded(rest)


def _decoded(lines: bytes) -> list[str]:
    text = lines.decode("utf-8", errors="backslashreplace")
    if "\r" in text:  # asked first: to look for two characters takes as long as all the rest here
        text = text.replace("\r\n", "\n").removesuffix("\r")
    # Only \n ends a line: str.splitlines would also cut at U+2028, \x0b and others.
    return text.split("\n")


def _plain_chunks(stream: ByteStream) -> Iterator[bytes]:
    start = b""
    while len(start) < len(_GZIP_MAGIC) and (more := stream.read(_GZIP_CHUNK)):
        start += more
    if start.startswith(_GZIP_MAGIC):
        yield from _unzipped(start, stream)
        return
    while start:
        yield start
        start = stream.read(_CHUNK)


def _unzipped(data: bytes, stream: ByteStream) -> Iterator[bytes]:
    unzip = zlib.decompressobj(_GZIP_WINDOW)
    try:
        while data or (data := stream.read(_GZIP_CHUNK)):
            if unzip.eof:  # a gzip file may be several, one after another, and then zeros
                if not (data := data.lstrip(b"\0")):
                    continue
                if not data.startswith(_GZIP_MAGIC[:1]):
                    message = "after the gzip data comes something that is neither gzip nor zeros"
                    raise BrokenFileError(message)
                unzip = zlib.decompressobj(_GZIP_WINDOW)
            # Gzip can grow a thousandfold: no more than a chunk of it at a time.
            if plain := unzip.decompress(data, _CHUNK):
                yield plain
            data = unzip.unused_data if unzip.eof else unzip.unconsumed_tail
        while not unzip.eof and (plain := unzip.decompress(b"", _CHUNK)):
            yield plain
    except zlib.error as error:
        message = f"damaged gzip data: {error}"
        raise BrokenFileError(message) from error
    if not unzip.eof:
        message = "the gzip data is cut short"
        raise BrokenFileError(message)
