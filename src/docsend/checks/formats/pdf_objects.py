"""Objects of a PDF file (ISO 32000-1, 7.3): parsing values, and finding objects by their number.

Objects are found by the last cross-reference table, or else by searching for their head, such as "12 0 obj",
because such tables are often wrong, and viewers open such files all the same. Everything is bounded: the
length of a value, its depth, and the bytes that are decompressed.
"""

from __future__ import annotations

import itertools
import re
import zlib
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

# Bounds on blanks and digits keep each search linear: without them, a long run of digits or blanks would be
# scanned again from each position in it.
BLANK = rb"[\0\t\n\f\r ]"
REFERENCE = rb"(\d{1,10})" + BLANK + rb"{1,16}(\d{1,5})" + BLANK + rb"{1,16}R\b"
_NUMBERED_HEAD = re.compile(rb"(?<!\d)(\d{1,10})" + BLANK + rb"{1,16}\d{1,5}" + BLANK + rb"{1,16}obj\b")
HEAD = re.compile(rb"(?<!\d)\d{1,10}" + BLANK + rb"{1,16}\d{1,5}" + BLANK + rb"{1,16}obj\b")
# ISO 32000-1, 7.3.8.1. Some programs write CR alone, which is not allowed, and others double it.
STREAM = re.compile(rb"\bstream(?:\r{0,2}\n|\r)")
STARTXREF = re.compile(rb"startxref" + BLANK + rb"{1,64}(\d{1,20})(?!\d)")

_MAX_VALUE_BYTES = 256 * 1024
_MAX_DEPTH = 32
# How often the head of an object may be the end of another one's, as in "12 0 obj" and "112 0 obj".
_MAX_LONGER_NUMBERS = 64
_MAX_OBJECT_STREAMS = 1_000
_INDEX_BYTES = 16 * 1024  # of each object stream that are decompressed at first
_MAX_INFLATED_BYTES = 32 * 2**20  # of all object streams of a file together
_MAX_PARSED_BYTES = 384 * 1024  # of all objects of a file together
_MAX_INDEX_BYTES = 4 * 2**20  # of the indexes of all object streams of a file together
_MAX_INDEXED_OBJECTS = 200_000
_MAX_SEARCHES = 16  # through the whole file; for more objects, an index of all heads is faster
_MAX_DIGITS = 10
_SMALL_BYTES = 8 * 1024
_MAX_SUBSECTIONS = 32  # of a cross-reference table that are looked at
_ENTRY_BYTES = 20
_OFFSET_DIGITS = 10

_TOKEN = re.compile(
    rb"(?:[\0\t\n\f\r ]|%[^\r\n]*[\r\n])*"
    rb"(?:(?P<open><<|\[)|(?P<close>>>|\])|(?P<name>/[^\0\t\n\f\r ()<>\[\]{}/%]*)|(?P<string>\()"
    rb"|<(?P<hex>[0-9A-Fa-f\0\t\n\f\r ]*)>"
    rb"|(?P<object>\d{1,10})[\0\t\n\f\r ]{1,16}(?P<generation>\d{1,5})[\0\t\n\f\r ]{1,16}R\b"
    rb"|(?P<number>[+-]?(?:\d{1,20}(?:\.\d{0,20})?|\.\d{1,20}))|(?P<word>[A-Za-z]{1,12}))"
)
_STRING_PART = re.compile(rb"[()\\]")
_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}
_FIRST = re.compile(rb"/First" + BLANK + rb"{0,16}(\d{1,8})\b")
_FLATE = re.compile(
    rb"/Filter"
    + BLANK
    + rb"{0,16}(?:\["
    + BLANK
    + rb"{0,16})?/(?:FlateDecode|Fl)\b"
    + BLANK
    + rb"{0,16}[]/>]"
)
_TABLE = re.compile(BLANK + rb"{0,4}xref" + BLANK + rb"{1,4}")
_SUBSECTION = re.compile(rb"(\d{1,10}) (\d{1,10})" + BLANK + rb"{1,3}")
_OBJECT_STREAM = re.compile(rb"/Type" + BLANK + rb"{0,16}/ObjStm\b")


class Reference(NamedTuple):
    """An indirect reference to another object."""

    number: int
    generation: int


class Name(bytes):
    """A name, without its slash."""

    __slots__ = ()


Value: TypeAlias = "bytes | Name | int | float | bool | Reference | list[Value] | dict[bytes, Value] | None"


def parse(content: bytes, position: int = 0) -> Value:
    """Return the value that starts at `position`. Raise ValueError if it is malformed or too long."""
    value, _ = _Parser(content[position : position + _MAX_VALUE_BYTES]).parse_value(0, 0)
    return value


class _Parser:
    def __init__(self, text: bytes) -> None:
        self._text = text

    def parse_value(self, position: int, depth: int) -> tuple[Value, int]:
        """Return the value at `position` and the position behind it."""
        return self._parse_from(self._token(position), depth)

    def _parse_from(self, token: re.Match[bytes], depth: int) -> tuple[Value, int]:
        """Return the value that begins with a token, and the position behind it."""
        kind, end = token.lastgroup, token.end()
        if kind == "open" and depth < _MAX_DEPTH:
            is_dictionary = token["open"] == b"<<"
            items, end = self._parse_items(end, depth + 1)
            return (dict(_pairs(items)) if is_dictionary else items), end
        if kind == "string":
            return self._parse_string(end)
        return _simple_value(token), end

    def _token(self, position: int) -> re.Match[bytes]:
        token = _TOKEN.match(self._text, position)
        if token is None:
            raise ValueError("not a value")
        return token

    def _parse_items(self, position: int, depth: int) -> tuple[list[Value], int]:
        items: list[Value] = []
        while (token := self._token(position)).lastgroup != "close":
            item, position = self._parse_from(token, depth)
            items.append(item)
        return items, token.end()

    def _parse_string(self, position: int) -> tuple[bytes, int]:
        """Return a literal string (7.3.4.2), whose opening parenthesis is before `position`."""
        parts: list[bytes] = []
        depth = 1
        while True:
            part = _STRING_PART.search(self._text, position)
            if part is None:
                raise ValueError("the string does not end")
            parts.append(self._text[position : part.start()])
            position = part.end()
            if part[0] == b"\\":
                text, position = self._parse_escape(position)
                parts.append(text)
                continue
            depth += 1 if part[0] == b"(" else -1
            if depth == 0:
                return b"".join(parts), position
            parts.append(part[0])

    def _parse_escape(self, position: int) -> tuple[bytes, int]:
        following = self._text[position : position + 3]
        if octal := re.match(rb"[0-7]{1,3}", following):
            return bytes([int(octal[0], 8) & 0xFF]), position + octal.end()
        if following.startswith(b"\r\n"):
            return b"", position + 2
        if following[:1] in (b"\r", b"\n"):
            return b"", position + 1
        return _ESCAPES.get(following[:1], following[:1]), position + 1


def _pairs(items: list[Value]) -> Iterator[tuple[bytes, Value]]:
    for key, value in zip(items[::2], items[1::2], strict=False):
        if not isinstance(key, Name):
            raise ValueError("a key of a dictionary must be a name")  # noqa: TRY004 - a malformed file
        yield bytes(key), value


def _simple_value(token: re.Match[bytes]) -> Value:
    kind = token.lastgroup
    if kind == "name":
        text = token["name"][1:]
        return Name(re.sub(rb"#([0-9A-Fa-f]{2})", _from_hex, text) if b"#" in text else text)
    if kind == "generation":
        return Reference(int(token["object"]), int(token["generation"]))
    if kind == "number":
        return float(token["number"]) if b"." in token["number"] else int(token["number"])
    if kind == "hex":
        digits = re.sub(BLANK, b"", token["hex"])
        return bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode())
    if kind == "word" and token["word"] in _WORDS:
        return _WORDS[token["word"]]
    raise ValueError("not a value")


_WORDS = {b"true": True, b"false": False, b"null": None}


def _from_hex(digits: re.Match[bytes]) -> bytes:
    return bytes.fromhex(digits[1].decode())


class Objects:
    """The objects of a PDF, found by number. Object streams are decompressed when they are first needed.

    All work is bounded, whatever a file contains: when a bound is reached, further objects are not found.
    `table_at` is the position of the last cross-reference table or stream. If the objects are mostly
    compressed, object streams are searched first.
    """

    def __init__(
        self,
        content: bytes,
        table_at: int | None = None,
        *,
        is_encrypted: bool = False,
        are_mostly_compressed: bool = False,
    ) -> None:
        self._content = content
        self._table_at = table_at
        self._are_mostly_compressed = are_mostly_compressed
        self._is_small = len(content) <= _SMALL_BYTES and not are_mostly_compressed
        # Object streams of an encrypted file cannot be decompressed without the key.
        self._compressed: dict[bytes, tuple[_ObjectStream, int]] | None = {} if is_encrypted else None
        self._starts: dict[bytes, int] | None = None
        self._searches_left = _MAX_SEARCHES
        self._inflatable_bytes = _MAX_INFLATED_BYTES
        self._parsable_bytes = _MAX_PARSED_BYTES

    def find_referenced(self, match: re.Match[bytes]) -> bytes | None:
        """Return what `find` returns for the reference that the groups of a match of REFERENCE contain."""
        if self._is_small and (text := self._find_only(b"\n%b %b obj" % match.groups())) is not None:
            return text
        return self.find(Reference(int(match[1]), int(match[2])))

    def find(self, reference: Reference) -> bytes | None:
        """Return the text of the last object with a number, from behind its head, or None."""
        if self._is_small and (text := self._find_only(b"\n%d %d obj" % reference)) is not None:
            return text
        number = b"%d" % reference.number
        if (start := self._listed_start(reference)) is not None:
            return self._text_of_object(start)
        compressed = self._compressed_entry(number) if self._are_mostly_compressed else None
        if self._starts is None and self._searches_left:
            self._searches_left -= 1
            # A later revision may replace a compressed object by one that is not compressed.
            first = compressed[0].start if compressed else 0
            if (start := self._search_head(reference, first)) is not None:
                return self._text_of_object(start)
        return self._find_compressed(number) or self._find_by_any_head(number)

    def resolve(self, value: Value) -> Value:
        """Return the value that a reference leads to, or None. Return any other value as it is."""
        if not isinstance(value, Reference):
            return value
        text = self.find(value)
        if text is None or len(text) > self._parsable_bytes:
            return None
        self._parsable_bytes -= len(text)
        try:
            return parse(text)
        except ValueError:
            return None

    def find_dictionary(self, value: Value) -> dict[bytes, Value] | None:
        """Return a dictionary that is given directly or by reference, or None if there is none."""
        value = self.resolve(value)
        return value if isinstance(value, dict) else None

    def _find_only(self, head: bytes) -> bytes | None:
        """Return the text behind the head of an object if the file has one such head only, or None.

        In a small file, this takes a quarter of the time of the cross-reference table.
        """
        at = self._content.find(head)
        if at < 0 or self._content.find(head, at + 1) >= 0:
            return None
        return self._text_of_object(at + len(head))

    def _listed_start(self, reference: Reference) -> int | None:
        """Return where the text of an object starts, by the last cross-reference table (7.5.4), or None.

        An entry counts only if it leads to the head of the object.
        """
        if self._table_at is None or not (table := _TABLE.match(self._content, self._table_at)):
            return None
        position = table.end()
        for _ in range(_MAX_SUBSECTIONS):
            subsection = _SUBSECTION.match(self._content, position)
            if subsection is None:
                return None
            index, count = reference.number - int(subsection[1]), int(subsection[2])
            if 0 <= index < count:
                entry = subsection.end() + _ENTRY_BYTES * index
                offset = self._content[entry : entry + _OFFSET_DIGITS]
                head = HEAD.match(self._content, int(offset)) if offset.isdigit() else None
                is_right = head is not None and head[0].split()[:2] == [b"%d" % each for each in reference]
                return head.end() if head is not None and is_right else None
            position = subsection.end() + _ENTRY_BYTES * count
        return None

    def _search_head(self, reference: Reference, first: int) -> int | None:
        """Search for the last head of an object from `first` on, as most programs write it.

        This is faster than an index.
        """
        head = b"%d %d obj" % reference
        at = len(self._content)
        for _ in range(_MAX_LONGER_NUMBERS):
            if (at := self._content.rfind(head, first, at)) < 0:
                return None
            if not at or not self._content[at - 1 : at].isdigit():
                return at + len(head)
        return None

    def _text_of_object(self, start: int) -> bytes:
        end = self._content.find(b"endobj", start, start + _MAX_VALUE_BYTES)
        return self._content[start : end if end >= 0 else start + _MAX_VALUE_BYTES]

    def _find_by_any_head(self, number: bytes) -> bytes | None:
        """Return an object whose head has other blanks or another generation than its reference."""
        if self._starts is None:
            heads = itertools.islice(_NUMBERED_HEAD.finditer(self._content), _MAX_INDEXED_OBJECTS)
            self._starts = {head[1]: head.end() for head in heads}
        start = self._starts.get(number)
        return None if start is None else self._text_of_object(start)

    def _find_compressed(self, number: bytes) -> bytes | None:
        """Return an object in an object stream (7.5.7). The last one with its number counts."""
        entry = self._compressed_entry(number)
        return None if entry is None else self._read_compressed(entry[0], entry[0].first + entry[1])

    def _compressed_entry(self, number: bytes) -> tuple[_ObjectStream, int] | None:
        """Return the object stream that contains an object, and the object's offset behind the index."""
        if self._compressed is None:
            self._compressed = self._index_object_streams()
        return self._compressed.get(number)

    def _read_compressed(self, stream: _ObjectStream, offset: int) -> bytes | None:
        text = stream.text
        if len(text) >= _INDEX_BYTES and offset + _MAX_VALUE_BYTES > len(text):  # There may be more text.
            text = self._inflate(stream.start, offset + _MAX_VALUE_BYTES, is_compressed=stream.is_compressed)
        return text[offset : offset + _MAX_VALUE_BYTES] or None

    def _index_object_streams(self) -> dict[bytes, tuple[_ObjectStream, int]]:
        """Return the stream and the offset of each object in an object stream, by its number."""
        index: dict[bytes, tuple[_ObjectStream, int]] = {}
        bytes_left = _MAX_INDEX_BYTES
        for stream in self._object_streams():
            bytes_left -= stream.first
            if bytes_left < 0:
                break
            numbers = iter(stream.text[: stream.first].split())
            pairs = zip(numbers, numbers, strict=False)
            for number, offset in itertools.islice(pairs, _MAX_INDEXED_OBJECTS - len(index)):
                if not (number.isdigit() and offset.isdigit()):
                    break  # A comment may follow.
                index[number] = stream, int(offset[:_MAX_DIGITS])
        return index

    def _object_streams(self) -> Iterator[_ObjectStream]:
        content = self._content
        for marker in itertools.islice(_OBJECT_STREAM.finditer(content), _MAX_OBJECT_STREAMS):
            head = content.rfind(b"obj", max(0, marker.start() - 1024), marker.start())
            stream = STREAM.search(content, marker.end(), marker.end() + 1024)
            if head < 0 or stream is None:
                continue
            dictionary = content[head + 3 : stream.start()]
            first, is_compressed = _FIRST.search(dictionary), _FLATE.search(dictionary) is not None
            if first is None or (not is_compressed and b"/Filter" in dictionary):
                continue
            limit = max(_INDEX_BYTES, int(first[1]))
            text = self._inflate(stream.end(), limit, is_compressed=is_compressed)
            if text:
                yield _ObjectStream(stream.end(), is_compressed, int(first[1]), text)

    def _inflate(self, start: int, limit: int, *, is_compressed: bool) -> bytes:
        """Return up to `limit` bytes of a stream, or b"" if it is corrupt or the file's bound is reached."""
        if not 0 < limit <= self._inflatable_bytes:
            return b""
        self._inflatable_bytes -= limit
        if not is_compressed:
            return self._content[start : start + limit]
        # Data that compression made longer is longer by a few bytes only.
        data = self._content[start : start + limit + 1024]
        try:
            return zlib.decompressobj().decompress(data, limit)
        except zlib.error:
            return b""


class _ObjectStream(NamedTuple):
    """An object stream: where its data starts, the length of its index, and the beginning of its text."""

    start: int
    is_compressed: bool
    first: int
    text: bytes
