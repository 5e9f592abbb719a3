"""Reads records from the pages of a damaged SQLite file, without SQLite.

SQLite reads a table from its root page down, and gives up at a page that it cannot use. This module looks at
each page by itself, as https://www.sqlite.org/fileformat.html describes it. A record that it finds may be
damaged or out of date: the caller has to tell.
"""

from __future__ import annotations

import mmap
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

_HEADER_BYTES = 100  # of the file, at the beginning of its first page
# The first byte of a page of a table or an index. A leaf contains records, the others point to leaves.
_TABLE_LEAF, _TABLE_INTERIOR, _INDEX_PAGES = 0x0D, 0x05, (0x02, 0x0A)
_PAGE_SIZES = (4096, 1024, 2048, 8192, 16384, 32768, 65536, 512)  # the usual one first
_INTEGER_BYTES = (0, 1, 2, 3, 4, 6, 8)  # by the type in a record's header
_FLOAT, _ZERO, _ONE, _FIRST_BLOB = 7, 8, 9, 12

Content = bytes | mmap.mmap
Value = int | float | str | bytes | None


class Record(NamedTuple):
    """A row of a table. A text that is not UTF-8 is returned as bytes."""

    rowid: int
    values: tuple[Value, ...]


class _Unreadable(Exception):
    """Raised when bytes are not a record."""


def records(content: Content, lengths: Collection[int]) -> list[Record]:
    """Return the records with these numbers of values that are found in the content of a SQLite file."""
    sizes = sorted(_PAGE_SIZES, key=lambda size: size != _stated_page_size(content))
    found: list[Record] = []
    for size in sizes:
        found = list(_Pages(content, size, lengths).records())
        if found:
            break
    return found


def _stated_page_size(content: Content) -> int:
    """Return the page size that the header states. It may be damaged."""
    size = int.from_bytes(bytes(content[16:18]), "big")
    return 65536 if size == 1 else size


class _Pages:
    def __init__(self, content: Content, size: int, lengths: Collection[int]) -> None:
        self._content = content
        self._size = size
        self._lengths = lengths
        self._count = -(-len(content) // size)

    def records(self) -> Iterator[Record]:
        for number in range(self._count):
            page = self._page(number)
            start = _HEADER_BYTES if number == 0 else 0
            yield from self._records_of_page(page, start)

    def _page(self, number: int) -> bytes:
        page = bytes(self._content[number * self._size : (number + 1) * self._size])
        return page.ljust(self._size, b"\0")  # the last page of a file that was cut short

    def _records_of_page(self, page: bytes, start: int) -> Iterator[Record]:
        """Yield the records to which a page points. If some cannot be read, look for records everywhere."""
        is_intact = page[start] in (_TABLE_LEAF, *_INDEX_PAGES) or self._is_interior(page, start)
        if page[start] == _TABLE_LEAF:
            found: list[Record] = []
            for offset in _cell_offsets(page, start):
                try:
                    record = self._record(page, offset)
                except _Unreadable:
                    is_intact = False
                    continue
                if len(record.values) in self._lengths:
                    found.append(record)
            yield from found
        if not is_intact:
            yield from self._records_anywhere(page, range(start, self._size - 4))

    def _is_interior(self, page: bytes, start: int) -> bool:
        """Return whether a page points to other pages, and not a leaf of which one bit was flipped."""
        if page[start] != _TABLE_INTERIOR:
            return False
        pointers = [start + 8, *_cell_offsets(page, start, header_bytes=12)]
        children = [int.from_bytes(page[pointer : pointer + 4], "big") for pointer in pointers]
        return all(1 < child <= self._count for child in children)

    def _records_anywhere(self, page: bytes, offsets: Iterable[int]) -> Iterator[Record]:
        for offset in offsets:
            try:
                record = self._record(page, offset, only=self._lengths)
            except _Unreadable:
                continue
            if len(record.values) in self._lengths:
                yield record

    def _record(self, page: bytes, offset: int, *, only: Collection[int] = ()) -> Record:
        """Return the record at an offset. With `only`, give up early unless it has so many values."""
        length, position = _varint(page, offset)
        rowid, position = _varint(page, position)
        if not 0 < length <= len(self._content) or rowid <= 0:
            raise _Unreadable
        if only:
            header_length, _ = _varint(page, position)
            # Each value takes at least one byte of the header.
            if not min(only) < header_length <= length or header_length > 10 * max(only):
                raise _Unreadable
        payload = self._payload(page, position, length)
        return Record(rowid, tuple(_values(payload)))

    def _payload(self, page: bytes, position: int, length: int) -> bytes:
        """Return a record's bytes, of which a page contains only a part if there are many."""
        max_local = self._size - 35
        if length <= max_local:
            local = length
        else:
            min_local = (self._size - 12) * 32 // 255 - 23
            local = min_local + (length - min_local) % (self._size - 4)
            if local > max_local:
                local = min_local
        payload = page[position : position + local]
        if len(payload) < local:
            raise _Unreadable
        if length == local:
            return payload
        parts, missing = [payload], length - local
        (next_page,) = _unpack(">I", page, position + local)
        while missing > 0:
            if not 1 < next_page <= self._count:
                raise _Unreadable
            overflow = self._page(next_page - 1)
            parts.append(overflow[4 : 4 + missing])
            missing -= len(parts[-1])
            (next_page,) = _unpack(">I", overflow, 0)
        return b"".join(parts)


def _cell_offsets(page: bytes, start: int, *, header_bytes: int = 8) -> Sequence[int]:
    """Return the offsets at which a page's cells begin. They may be impossible."""
    (count,) = struct.unpack_from(">H", page, start + 3)
    count = min(count, (len(page) - start - header_bytes) // 2)
    return struct.unpack_from(f">{count}H", page, start + header_bytes)


def _values(payload: bytes) -> Iterator[Value]:
    header_length, position = _varint(payload, 0)
    if header_length > len(payload):
        raise _Unreadable
    types = []
    while position < header_length:
        type_, position = _varint(payload, position)
        types.append(type_)
    if position != header_length:
        raise _Unreadable
    for type_ in types:
        value, position = _value(payload, position, type_)
        yield value
    if position != len(payload):
        raise _Unreadable


def _value(payload: bytes, position: int, type_: int) -> tuple[Value, int]:
    """Return the value of this type at a position, and the position after it."""
    if type_ in (_ZERO, _ONE):
        return type_ - _ZERO, position
    if type_ == _FLOAT:
        return _unpack(">d", payload, position)[0], position + 8
    if type_ < _FIRST_BLOB:
        if type_ >= len(_INTEGER_BYTES):
            raise _Unreadable
        size = _INTEGER_BYTES[type_]
    else:
        size = (type_ - _FIRST_BLOB) // 2
    content = payload[position : position + size]
    if len(content) < size:
        raise _Unreadable
    if type_ < _FIRST_BLOB:
        return int.from_bytes(content, "big", signed=True) if size else None, position + size
    return _text(content) if type_ % 2 else content, position + size


def _text(content: bytes) -> str | bytes:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content


def _varint(content: bytes, position: int) -> tuple[int, int]:
    """Return the integer of 1 to 9 bytes at a position, and the position after it."""
    value = 0
    for index in range(9):
        if position + index >= len(content):
            raise _Unreadable
        byte = content[position + index]
        if index == 8:
            return (value << 8) | byte, position + 9
        value = (value << 7) | (byte & 0x7F)
        if byte < 0x80:
            return value, position + index + 1
    raise _Unreadable


def _unpack(form: str, content: bytes, position: int) -> tuple[int, ...]:
    try:
        return struct.unpack_from(form, content, position)
    except struct.error:
        raise _Unreadable from None
