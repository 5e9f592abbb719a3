r"""Cells of CSV reports: text that is safe in terminals and spreadsheets, and the original text again.

A report contains text from its manifest and from the service. Each cell is written so that it

- contains no character that controls a terminal: they are escaped, for example as `\x1b` or `\u202e`;
- starts no formula (CWE-1236), even if a spreadsheet trims the cell, or splits it at any character that is
  neither a letter nor a digit;
- is not converted to a number, a date, a time or a truth value, which would lose characters.

`unescape` undoes `escape` exactly, so that a report that is sent again describes the same submissions.
Reports of earlier versions protect fewer numbers and dates: `unescape_earlier` reads their cells.
"""

from __future__ import annotations

import re
import unicodedata

from docsend.text import UNSAFE_CATEGORIES

# Signs that start a formula, also full-width, small, raised and lowered ones.
_SIGNS = "=+\\-@＝＋－＠﹦﹢﹣﹫⁼⁺⁻₌₊₋−"
# Blanks, and characters without ink.
_BLANKS = " \u0300-\u036f\u115f\u1160\u1680\u2000-\u200a\u202f\u205f\u2800\u3000\u3164\ufe00-\ufe0f\uffa0"
_QUOTE = re.compile("[\"'`]")
_FORMULA_START = re.compile(f"^([{_BLANKS}\"'`]*)([{_SIGNS}])")
# A sign that would start a cell if a spreadsheet split the cell before it, or before the blanks before it.
_SIGN_AFTER_SEPARATOR = re.compile(f"(?<=.)(?<![^\\W_])(?<![{_BLANKS}])([{_BLANKS}]*)([{_SIGNS}])", re.DOTALL)
# The same between words, except for a sign between two blanks, such as a dash: alone, it is no formula.
_SIGN_AFTER_BLANK = re.compile(f"(?<=[{_BLANKS}])()([{_SIGNS}])(?![{_BLANKS}]|$)")
_CURRENCY_SIGNS = "$¢-¥֏؋৲৳৻૱௹฿៛₠-⃏﷼﹩＄￠￡￥￦"
# Beginnings of months and days, in languages whose spreadsheets are likely to meet a report.
_DATE_WORDS = (
    "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|sun|mon|tue|wed|thu|fri|sat"  # English
    "|fév|fev|avr|mai|jui|aoû|aou|déc|dim|lun|mer|jeu|ven|sam"  # French
    "|mär|mrz|okt|dez|son|die|mit|don|fre"  # German
    "|ene|abr|ago|dic|dom|mié|mie|jue|vie|sáb|sab"  # Spanish
    "|gen|mag|giu|lug|set|ott|gio|out|seg|ter|qua|qui|sex"  # Italian and Portuguese
    "|янв|фев|мар|апр|май|мая|июн|июл|авг|сен|окт|ноя|дек|пн|вт|ср|чт|пт|сб|вс"  # Russian
    "|ינו|פבר|מרץ|מרס|אפר|מאי|יונ|יול|אוג|ספט|אוק|נוב|דצמ|יום"  # Hebrew
    "|[בל](?:ינו|פבר|מרץ|מרס|אפר|מאי|יונ|יול|אוג|ספט|אוק|נוב|דצמ)"
    "|ينا|فبر|مار|أبر|ابر|ماي|يون|يول|أغس|اغس|سبت|أكت|اكت|نوف|ديس"  # Arabic
    "|كان|شبا|آذا|نيس|أيا|حزي|تمو|آب|أيل|تشر"
)
_MONEY_WORDS = "eur|usd|ils|nis|gbp|chf|cad|aud|jpy|cny|rub|sek|nok|dkk|pln|czk|huf|inr|brl|try|fr|kr|rs|dm"
_TRUTH_WORDS = "true|false|vrai|faux|wahr|falsch|verdadero|falso|vero|verdadeiro|истина|ложь|אמת|שקר|صحيح|خطأ"
# What some spreadsheet would convert, and more: an apostrophe too many does no harm. Whole numbers that keep
# their digits may be converted, and names of documents never are.
_CONVERTIBLE = re.compile(
    r"(?!(?:0|[1-9][0-9]{0,10})$)(?!.*\.(?:pdf|jpe?g|tiff?|png|bmp)$)(?:"
    rf"[.,:;/%#(~'’]*[\d½¼¾]|\(|[{_CURRENCY_SIGNS}]"
    rf"|(?:{_MONEY_WORDS})\.?\s?[{_CURRENCY_SIGNS}(.,]*\d|[^\W\d_]{{1,3}}\s?[{_CURRENCY_SIGNS}]"
    rf"|(?:{_DATE_WORDS})(?=.*\d)|(?:{_TRUTH_WORDS})$)",
    re.IGNORECASE | re.DOTALL,
)
# What reports of earlier versions protect.
_CONVERTIBLE_EARLIER = re.compile(
    r"(?:0[0-9]+|[0-9]{12,}|[0-9.]+[eE]\+?[0-9]+|[0-9]{1,4}([-/.][0-9]{1,4}){1,2})$"
)
_ESCAPE = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8}))")


def escape(text: str, *, keeps_numbers: bool = False) -> str:
    """Return a text as a cell of a CSV report.

    With `keeps_numbers`, no apostrophe protects numbers and dates.
    """
    if not text:
        return text
    cell = _escape_characters(text)
    return f"'{cell}" if _needs_apostrophe(cell, None if keeps_numbers else _CONVERTIBLE) else cell


def unescape(cell: str, *, keeps_numbers: bool = False) -> str:
    """Return the text of a cell of a CSV report. Blanks that a person added around it are removed."""
    return _unescape(cell, None if keeps_numbers else _CONVERTIBLE)


def unescape_earlier(cell: str) -> str:
    """Return the text of a cell of a report that has no column `batch_rows`, as `unescape` does."""
    return _unescape(cell, _CONVERTIBLE_EARLIER)


def _unescape(cell: str, convertible: re.Pattern[str] | None) -> str:
    cell = cell.strip().strip("\u200e\u200f\ufeff\u00a0")
    if cell.startswith("'") and _needs_apostrophe(cell[1:], convertible):
        cell = cell[1:]
    return _ESCAPE.sub(lambda found: chr(int(found[1] or found[2] or found[3], 16)), cell)


def _escape_characters(text: str) -> str:
    """Escape control characters, blanks at the ends, signs after separators, and text like an escape."""
    cell = _ESCAPE.sub(lambda found: rf"\x5c{found[0][1:]}", text) if "\\" in text else text
    start, end = len(cell) - len(cell.lstrip()), len(cell.rstrip())
    if start or end < len(cell) or not cell.isprintable():
        cell = "".join(
            _escape_character(character) if not start <= at < end or _is_unsafe(character) else character
            for at, character in enumerate(cell)
        )
    cell = _SIGN_AFTER_BLANK.sub(_escape_sign, _SIGN_AFTER_SEPARATOR.sub(_escape_sign, cell))
    # An apostrophe could be taken for a quotation mark that another one ends.
    return _FORMULA_START.sub(_escape_sign, cell) if _QUOTE.search(cell) else cell


def _escape_sign(found: re.Match[str]) -> str:
    return found[1] + _escape_character(found[2])


def _is_unsafe(character: str) -> bool:
    """Return whether a character could control a terminal. A line feed inside a cell does not."""
    return character != "\n" and unicodedata.category(character) in UNSAFE_CATEGORIES


def _escape_character(character: str) -> str:
    number = ord(character)
    if number <= 0xFF:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"


def _needs_apostrophe(cell: str, convertible: re.Pattern[str] | None) -> bool:
    """Return whether a cell gets a leading apostrophe. One that looks as if it had one gets another."""
    if _FORMULA_START.match(cell) and not _QUOTE.search(cell):
        return True
    return convertible is not None and bool(convertible.match(cell.lstrip("'")))
