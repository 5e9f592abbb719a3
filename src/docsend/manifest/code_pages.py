"""Find the code page of a text that is not UTF-8: that of Hebrew Windows or of French Windows.

The patterns match bytes, which are Hebrew in Windows-1255 and accented letters in Windows-1252.
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

CodePage: TypeAlias = Literal["cp1255", "cp1252"]
Doubt: TypeAlias = Literal["cut", "mixed", "ambiguous", "unknown"]


def _pattern(*alternatives: str, **classes: str) -> re.Pattern[bytes]:
    """Return a pattern of bytes. In the alternatives, `<name>` stands for a class of bytes."""
    text = "|".join(alternatives)
    for name, members in classes.items():
        text = text.replace(f"<{name}>", members)
    return re.compile(text.encode("ascii"))


_CLASSES = {
    # Windows-1255: letters with the Yiddish digraphs; points, which stand on a letter; geresh and gershayim.
    "letter": r"\xd4-\xd6\xe0-\xfa",
    "point": r"\xc0-\xc9\xcb-\xcd\xcf\xd1\xd2",
    "geresh": r"\xd7\xd8",
    "final": r"\xea\xed\xef\xf3\xf5",  # the forms of letters at the end of a word
    # Windows-1252: letters besides those of ASCII, without ƒ, and without ý and þ, which are marks of the
    # direction of writing in Windows-1255.
    "accented": r"\x8a\x8c\x8e\x9a\x9c\x9e\x9f\xc0-\xd6\xd8-\xf6\xf8-\xfc\xff",
    "capital": r"\xc0-\xd6\xd8-\xde",
    # Letters that are evidence of French: capital and small ones, and small ones that begin a word. Others
    # are letters of Hebrew prefixes there, as in `הPDF`, or occur in other languages only.
    "sure_capital": r"\x8c\xc0-\xcf\xd1-\xd6\xd8-\xdc",
    "sure_small": r"\x9c\xdf-\xef\xf1-\xf6\xf8-\xfc\xff",
    "sure_first": r"\x9c\xe2\xe7\xe9\xea\xf4",
    # Symbols of Windows-1252 that do not stand between two letters of a word.
    "apart": r"\x80\x82\x84\x86-\x89\x8b\x91\x93-\x95\x98\x99\x9b\xa1-\xa3\xa5-\xa9\xac\xae\xaf\xb1-\xb3\xb6"
    r"\xb8\xb9\xbc-\xbf",
    # Bytes that are letters in DOS code pages and symbols or rare letters in Windows-1252.
    "dos": r"\x80\x82-\x84\x86-\x8c\x8e\x98-\x9c\x9e\x9f",
}
# Two letters or more that stand alone, or three that touch a Latin letter, or a letter at a maqaf: no Latin
# word has such letters.
_HEBREW_WORD = _pattern(
    "(?<![A-Za-z<letter><point>])(?:[<letter>][<point>]*[<geresh>]?){2,}(?![A-Za-z<letter><point>])",
    "(?:[<letter>][<point>]*){3,}",
    "[<letter>][<point>]*\\xce|\\xce[<letter>]",
    **_CLASSES,
)
# Hebrew letters that touch a Latin letter, and points and signs in places where Hebrew has none.
# A maqaf may join the two scripts.
_NO_HEBREW = _pattern(
    "[A-Za-z](?:[<letter>][<point>]*){1,2}(?![<letter><point>])",
    "(?<![<letter><point>])(?:[<letter>][<point>]*){1,2}[A-Za-z]",
    "(?<![<letter><point>])[<point>]",
    "[A-Za-z]\\xce(?![<letter>])",
    "(?<![<letter><point>])\\xce[A-Za-z]",
    "(?<!\\xf9)(?<!\\xf9[<point>])[\\xd1\\xd2]",  # the dots of Shin and Sin
    "\\xd3[<letter>]",  # the sign that ends a verse
    **_CLASSES,
)
_FINAL_INSIDE = _pattern("[<final>][<point>]*(?=[<letter>])", **_CLASSES)
_FINAL_AT_END = _pattern("[<letter>][<point>]*[<final>](?![<letter><point>])", **_CLASSES)
# An accented letter in a word, but no small one that touches capital ones, as a Hebrew prefix may; `º` after
# a letter; `à` before a word.
_LATIN_WORD = _pattern(
    "[A-Za-z]['\\x92]?[<sure_capital>]",
    "(?:[a-z]|(?<![A-Z])[A-Z]|[A-Za-z]['\\x92])[<sure_small>](?![A-Z])",
    "[<sure_capital>][A-Za-z]",
    "(?<![A-Za-z<accented>])[<sure_first>][a-z]",
    "[A-Za-z.][\\xaa\\xba](?![A-Za-z0-9])",
    "(?<![^\\s,;|\"'(])\\xe0 [A-Za-z]['\\x92]?[A-Za-z]",
    **_CLASSES,
)
# A word with letters of which nobody knows whether they are Hebrew or accented.
_MIXED_WORD = _pattern("[A-Za-z][<accented>]", "[<accented>][A-Za-z]", **_CLASSES)
# What accented letters of DOS (437, 850, Hebrew 862), the Macintosh or ISO-8859-15 would be in Windows-1252.
_NO_LATIN = _pattern(
    "[A-Za-z<accented>][<apart>][A-Za-z<accented>]",
    "[A-Za-z][\\x82\\x83\\x88\\x89\\x98]",
    "[\\x83\\x88\\x98][A-Za-z]",
    "[a-z][\\x8a\\x8c\\x8e\\x9f]",
    "[A-Z][\\x9a\\xe2-\\xe6\\xeb-\\xf6\\xf8\\xfa-\\xff][A-Z]",
    "\\x8e[b-dfghjkmp-tvwxz]",
    "[A-Za-z]\\x91(?![A-Za-z0-9])",
    "[a-z][<capital>]",
    "[<dos>][<dos>]",
    "[\\xbc-\\xbe][a-z]{3}",
    "(?<![A-Za-z<accented>])(?:\\xcf[a-z]|\\xceu)",  # œ and Œ of the Macintosh
    "[A-Za-z][\\xf0\\xfd\\xfe]|[\\xd0\\xdd\\xde\\xf0\\xfd\\xfe][A-Za-z]",  # Turkish letters
    "(?<![A-Za-z])N\\xf8(?![A-Za-z])|\\xf8C(?![A-Za-z])",  # ° of DOS
    "[0-9][\\xca\\xff]|\\xff ?[:;!?]|(?<![A-Za-z])\\xff(?![A-Za-z])",  # a blank of DOS or the Macintosh
    **_CLASSES,
)
_LOW_QUOTE = re.compile(rb"\x82[a-z]")  # ‚ in Windows-1252, é in DOS
# Without an accented letter in a word, these are other characters in another code page.
_AMBIGUOUS_ALONE = _pattern(
    "[\\xaa\\xba\\x82-\\x84\\x86-\\x88\\x8a-\\x8c\\x8e\\x98\\x9a-\\x9c\\x9e\\x9f]",
    "[\\xa1\\xa2\\xa5\\xa6\\xa8\\xac\\xaf\\xb4\\xb6\\xb8\\xbf<letter>\\xfd\\xfe]",
    "(?<![^\\s,;|\"'(])\\x85 [A-Za-z]",  # à of DOS
    "[A-Za-z]\\x97(?![A-Za-z0-9])|[a-z][\\x96\\x97][a-z]",  # ù and û of DOS
    "[\\x80\\x89\\x99][\\x80-\\x9f]|[\\x80-\\x9f][\\x80\\x89\\x99]|[\\x80-\\x9f]{4}",
    **_CLASSES,
)
_GENERIC_CURRENCY = b"\xa4"  # ¤, which nobody writes: ₪ in Windows-1255, € in ISO-8859-15
# Letters and quotation marks in UTF-8, which are no sequence of characters in a code page.
_PARTLY_UTF_8 = re.compile(
    rb"\xc3[\x80-\xbf]|\xc5[\x92\x93\xa0\xa1]|(?:\xd7[\x90-\xaa]){2}|\xe2\x80[\x90-\xbf]|\xe2\x82\xac"
)


# Bytes beyond ASCII, with up to four characters between them and after them.
_PASSAGE = re.compile(rb"[\x80-\xff](?:[\x80-\xff]+|[ -~]{1,4}(?=[\x80-\xff]))*[ -~]{0,4}")


def detect(content: bytes) -> CodePage | Doubt:
    """Return the code page of a text that is not UTF-8, or why it is not certain.

    "cut" is UTF-8 that ends in the middle of a character, "mixed" is partly UTF-8, "ambiguous" may be either
    code page, and "unknown" is neither.
    """
    passages = _passages(content)
    if _PARTLY_UTF_8.search(passages):
        return "cut" if any(_decodes(content[:-cut], "utf-8") for cut in (1, 2, 3)) else "mixed"
    has_hebrew = _decodes(content, "cp1255") and _HEBREW_WORD.search(passages) is not None
    if has_hebrew and _NO_HEBREW.search(passages) is None and _finals_are_at_the_end(passages):
        return "cp1255"
    if _decodes(content, "cp1252") and not _contradicts_latin(passages):
        has_latin = _LATIN_WORD.search(passages) is not None
        is_certain = has_latin or _AMBIGUOUS_ALONE.search(passages) is None
        if is_certain and not has_hebrew and _GENERIC_CURRENCY not in passages:
            return "cp1252"
        if has_latin or not has_hebrew or _MIXED_WORD.search(passages):
            return "ambiguous"
    return "unknown"


def _passages(content: bytes) -> bytes:
    """Return the different passages with bytes beyond ASCII, each with what is beside it, on lines."""
    found = _PASSAGE.finditer(content)
    return b"\n".join({content[max(match.start() - 2, 0) : match.end()] for match in found})


def _finals_are_at_the_end(passages: bytes) -> bool:
    """Return whether the final forms of Hebrew letters are where they belong.

    They are not in Cyrillic, and not in Hebrew that is stored from left to right, as on old systems.
    """
    inside = sum(1 for _ in _FINAL_INSIDE.finditer(passages))
    return not inside or 2 * inside <= sum(1 for _ in _FINAL_AT_END.finditer(passages))


def _contradicts_latin(passages: bytes) -> bool:
    if _NO_LATIN.search(passages):
        return True
    closes_quotations = b"\x91" in passages or b"\x92" in passages
    return _LOW_QUOTE.search(passages) is not None and not closes_quotations


def _decodes(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
