"""Decode the text of a manifest: UTF-8, UTF-16, and the code pages of Hebrew and of French Windows.

A code page that is taken for another one changes letters without an error: `congé` becomes `congי`. So a text
is decoded only if it bears the marks of one encoding and none of another. Otherwise it is refused.
"""

from __future__ import annotations

import re

from docsend.checks.document_rules import FORMAT_NAMES
from docsend.checks.formats.detect import detect_format
from docsend.codes import Code
from docsend.errors import InvalidSubmission
from docsend.i18n import Message
from docsend.model.problem import Problem

_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_NAMES = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "cp1255": "Windows-1255",
    "cp1252": "Windows-1252",
}
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"7z\xbc\xaf\x27\x1c", b"Rar!", b"\x28\xb5\x2f\xfd")
_SAVE_AS = Message('save it as "CSV UTF-8" or as an Excel workbook')


def decode(content: bytes, label: Message) -> tuple[str, str]:
    """Return the text and the name of its encoding: UTF-8, UTF-16, Windows-1255 or Windows-1252.

    `label` names the file in messages. Hebrew Excel saves "CSV" as Windows-1255, French Excel as
    Windows-1252. ISO-8859-8 and ISO-8859-1 are read as parts of them. Raise InvalidSubmission for any other
    encoding, if two are possible, for a file that is not text, and for one that is incomplete.
    """
    _refuse_other_formats(content, label)
    marked = next((encoding for mark, encoding in _MARKS if content.startswith(mark)), None)
    encoding = marked or _utf_16_without_mark(content) or "utf-8"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        if error.end == len(content) and encoding.startswith("utf-16"):
            raise _cut_character(label) from error
        if marked:
            message = Message("{name} is not in the encoding that its byte order mark names", name=label)
            raise _refusal(message) from error
        _refuse_nul(content.decode("latin-1"), label)
        encoding = _code_page(content, label)
        text = content.decode(encoding)
    _refuse_nul(text, label)
    return _without_marks(text), _NAMES[encoding]


# A byte order mark also stands where two exports were joined, and a form feed begins a printed page. Either
# one would hide that a quotation mark begins a cell.
_INNER_MARKS = re.compile(r'(?:\A|(?<=[\r\n]))(?:[\ufeff\f]+(?=")|\ufeff+)')


def _without_marks(text: str) -> str:
    """Return a text without the marks of programs that are no part of it: byte order marks, DOS's Ctrl-Z."""
    text = text.rstrip("\x1a")
    return _INNER_MARKS.sub("", text) if "\ufeff" in text or "\f" in text else text


def _refuse_other_formats(content: bytes, label: Message) -> None:
    name = detect_format(content)
    is_text = content[:2] == b"BM" and b"\0" not in content  # a table may begin with these letters
    is_text |= name == "pdf" and not content.startswith(b"%PDF-")
    if content.startswith(_COMPRESSED):
        described = Message("a compressed file")
    elif name is None or is_text:
        return
    else:
        described = FORMAT_NAMES[name]
    hint = Message("give a table: CSV, JSON Lines or an Excel workbook")
    if name in ("html", "msoffice", "xml"):  # many programs export tables so
        hint = Message('open it in a spreadsheet and save it as "CSV UTF-8" or as an Excel workbook')
    raise _refusal(Message("{name} is {format}, not a table", name=label, format=described), hint)


def _utf_16_without_mark(content: bytes) -> str | None:
    if b"\0" not in content:
        return None
    for encoding in ("utf-16-le", "utf-16-be"):
        start = content[:20_000].decode(encoding, "replace")
        # In the wrong byte order, no letter, digit or separator of a table is an ASCII character.
        ascii_count = sum("\t" <= character < "\x7f" for character in start)
        if ascii_count > len(start) / 10 and "\0" not in start.rstrip("\0"):
            return encoding
    return None


def _refuse_nul(text: str, label: Message) -> None:
    if "\0" not in text:
        return
    rest = text.rstrip("\0")
    if "\0" in rest:
        raise _refusal(Message("{name} contains NUL characters, which no text does", name=label))
    message = Message("{name} is incomplete: it ends with NUL characters ({count:,})", name=label,
                      count=len(text) - len(rest))  # fmt: skip
    raise _refusal(message, Message("export, download or copy it again"))


def _cut_character(label: Message) -> InvalidSubmission:
    message = Message("{name} is incomplete: it ends in the middle of a character", name=label)
    return _refusal(message, Message("export, download or copy it again"))


def _refusal(message: Message, hint: Message = _SAVE_AS) -> InvalidSubmission:
    return InvalidSubmission.from_manifest_problems([Problem(Code.MANIFEST_ENCODING, message, hint)])


_DOUBTS = {
    "mixed": Message("{name} is partly in UTF-8 and partly in another encoding"),
    "ambiguous": Message(
        "cannot tell whether {name} is in Windows-1255 (Hebrew) or in Windows-1252 (French)"
    ),
    "unknown": Message("{name} is not encoded in UTF-8, UTF-16, Windows-1255 or Windows-1252"),
}


def _code_page(content: bytes, label: Message) -> str:
    """Return the name of the code page in which a text is that is not UTF-8.

    Raise InvalidSubmission if it is not certain.
    """
    from docsend.manifest import code_pages  # compiles many patterns, which few tables need

    found = code_pages.detect(content)
    if found == "cut":
        raise _cut_character(label)
    if found in _DOUBTS:
        raise _refusal(_DOUBTS[found].with_values(name=label))
    return found
