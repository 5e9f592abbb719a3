r"""A proof of sending as PDF: the only user of fpdf2, and only where somebody asks for a PDF.

The page is set here line by line, for fpdf2 turns Hebrew around only together with a shaping library
(uharfbuzz) that neither Latin nor Hebrew letters need: each text is broken into lines, its characters are put
in the order in which they are seen (fpdf2's own bidirectional algorithm, UAX 9), and the line is set from the
side where the language begins. On a Hebrew page that is the right one, for labels and columns, too.

The same proof in the same language is the same bytes: dates are the receipt's, nothing in it is random. What
the embedded fonts lack (Chinese, Arabic, an emoji in a file's name) is shown as an escape, \u4e2d.
"""

from __future__ import annotations

import contextlib
import unicodedata
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from fpdf import FPDF
from fpdf.bidi import BidiParagraph
from fpdf.enums import TextDirection
from fpdf.fonts import TTFFont
from fpdf.prefs import ViewerPreferences

from docsend.i18n import Data, Message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fpdf.bidi import BidiCharacter

    from docsend.i18n import Displayable, Translator
    from docsend.model.receipt import ReceivedDocument
    from docsend.proof.content import Field, Proof, Section

_FONTS = Path(__file__).parent.parent / "data" / "fonts"
# Millimetres, of A4.
_WIDTH, _HEIGHT, _MARGIN, _TOP, _BOTTOM = 210.0, 297.0, 20.0, 18.0, 20.0
_INNER = _WIDTH - 2 * _MARGIN
_LABEL, _NUMBER, _SIZE, _GAP = 40.0, 9.0, 28.0, 4.0
_MM_OF_POINT = 25.4 / 72

_ON_ONE_PAGE = 15  # documents, for whose sake everything gets smaller
_SCALES = (1.0, 0.92, 0.84, 0.77, 0.7, 0.65)
_MOST = 1000  # characters of one foreign text: no row may be higher than a page

_ISOLATES = "\u2066\u2067\u2068\u2069"
_BY_ITSELF, _END = "\u2068", "\u2069"
_MIRRORED = str.maketrans("()[]{}<>«»‹›", ")(][}{><»«›‹")

_Colour: TypeAlias = tuple[int, int, int]
_INK: _Colour = (32, 36, 42)
_GREY: _Colour = (92, 99, 108)
_NAVY: _Colour = (28, 55, 92)
_RED: _Colour = (150, 32, 32)
_HAIR: _Colour = (205, 209, 214)
_PALE: _Colour = (245, 246, 248)


class _Style(NamedTuple):
    family: Literal["sans", "mono"]
    weight: Literal["", "B"]
    points: float
    colour: _Colour


_TITLE = _Style("sans", "B", 21, _NAVY)
_SUBTITLE = _Style("sans", "", 11, _GREY)
_HEADING = _Style("sans", "B", 10.5, _NAVY)
_TEXT = _Style("sans", "", 9, _INK)
_STRONG = _Style("sans", "B", 9, _INK)
_CODE = _Style("mono", "", 8.5, _INK)
_LABELS = _Style("sans", "", 9, _GREY)
_HEADS = _Style("sans", "", 7.5, _GREY)
_DIGEST = _Style("mono", "", 7.5, _GREY)
_SMALL = _Style("sans", "", 7.5, _GREY)
_WARNING = _Style("sans", "B", 9, _RED)


@dataclass(frozen=True, slots=True)
class _Block:
    """A part of the page that is not divided; `draw` gets how far down it begins."""

    height: float
    draw: Callable[[float], None]
    stays_with_next: bool = False
    is_in_table: bool = False


def write(proof: Proof, translator: Translator, safe: Callable[[object], str]) -> bytes:
    """Give the PDF: up to 15 documents on one page, in smaller type if they need it; else numbered pages."""
    with _empty() as pdf:
        scales = _SCALES if len(proof.documents) <= _ON_ONE_PAGE else _SCALES[:1]
        for scale in scales:
            sheet = _Sheet(pdf, proof, translator, safe, scale)
            pages = sheet.pages()
            if len(pages) == 1:
                break
        else:
            sheet = _Sheet(pdf, proof, translator, safe)
            pages = sheet.pages()
        return sheet.drawn(pages)


@contextlib.contextmanager
def _empty() -> Iterator[FPDF]:
    """Give a PDF without a page, with its fonts; fpdf2 itself would leave their files open."""
    pdf = FPDF(unit="mm", format="A4")
    try:
        pdf.set_auto_page_break(auto=False)
        # Else a document named {nb}.pdf would be shown with the number of pages.
        pdf.alias_nb_pages(None)  # type: ignore[arg-type]  # as its documentation says
        pdf.add_font("sans", "", _FONTS / "DejaVuSans.ttf")
        pdf.add_font("sans", "B", _FONTS / "DejaVuSans-Bold.ttf")
        pdf.add_font("mono", "", _FONTS / "DejaVuSansMono.ttf")
        yield pdf
    finally:
        for font in pdf.fonts.values():
            if isinstance(font, TTFFont):
                font.ttfont.close()


class _Sheet:
    """The page (or pages) of one proof, in one language, at one size of type."""

    def __init__(
        self,
        pdf: FPDF,
        proof: Proof,
        translator: Translator,
        safe: Callable[[object], str],
        scale: float = 1.0,
    ) -> None:
        self._pdf = pdf
        self._proof = proof
        self._translator = translator
        self._safe = safe
        self._scale = scale
        self._direction = TextDirection.RTL if translator.is_right_to_left else TextDirection.LTR
        self._letters = {
            key: frozenset(font.cmap) for key, font in self._pdf.fonts.items() if isinstance(font, TTFFont)
        }
        self._widths: dict[tuple[str, str, str], float] = {}

    # -- what stands where -----------------------------------------------------------------------------

    def pages(self) -> list[list[tuple[float, _Block]]]:
        """Give the blocks of each page, with how far down they begin."""
        blocks = list(self._blocks())
        heads = self._heads()
        pages: list[list[tuple[float, _Block]]] = [[]]
        y, bottom = _TOP, _HEIGHT - _BOTTOM
        for place, block in enumerate(blocks):
            last = next(at for at in range(place, len(blocks)) if not blocks[at].stays_with_next)
            needed = sum(each.height for each in blocks[place : last + 1])
            if y + needed > bottom and pages[-1]:
                pages.append([])
                y = _TOP + 8
                if block.is_in_table:
                    pages[-1].append((y, heads))
                    y += heads.height
            pages[-1].append((y, block))
            y += block.height
        return pages

    def drawn(self, pages: list[list[tuple[float, _Block]]]) -> bytes:
        self._describe()
        for number, page in enumerate(pages, 1):
            self._pdf.add_page()
            for y, block in page:
                block.draw(y)
            if len(pages) > 1:
                if number > 1:
                    self._put(self._lines(self._proof.subtitle, _SMALL)[0], _SMALL, 0, _TOP)
                told = Message("Page {page} of {pages}", page=number, pages=len(pages))
                self._put(self._lines(told, _SMALL)[0], _SMALL, 0, _HEIGHT - 14, at_end=_INNER)
        return bytes(self._pdf.output())

    def _describe(self) -> None:
        proof, pdf = self._proof, self._pdf
        plain = (
            self._translator.render(proof.title),
            self._translator.render(proof.subtitle, escape=self._safe),
        )
        pdf.set_title(" - ".join(plain))
        pdf.set_author("docsend")
        pdf.set_creator("docsend")
        pdf.set_producer("docsend")
        pdf.set_lang(self._translator.language)
        when = proof.received_at
        pdf.set_creation_date(when if when.tzinfo else when.replace(tzinfo=UTC))
        pdf.viewer_preferences = ViewerPreferences(display_doc_title=True)

    def _blocks(self) -> Iterator[_Block]:
        proof = self._proof
        yield self._paragraph(proof.title, _TITLE, after=0.6)
        yield self._paragraph(proof.subtitle, _SUBTITLE, after=2.2)
        yield self._rule(_NAVY, 0.5, after=5)
        if proof.notice is not None:
            yield self._boxed(proof.notice, _WARNING, _RED)
        yield self._boxed(proof.status, _TEXT, _NAVY)
        for section in proof.sections:
            yield from self._section(section)
        yield self._heading(proof.heading)
        yield self._heads()
        for number, document in enumerate(proof.documents, 1):
            yield self._document(number, document)
        yield self._paragraph(proof.total, _STRONG, before=1.6, after=5, at_end=True)
        for remark in proof.remarks:
            yield self._paragraph(remark, _SMALL, after=1.2)

    def _section(self, section: Section) -> Iterator[_Block]:
        yield self._heading(section.heading)
        for row in section.rows:
            yield self._row(row)

    def _heading(self, text: Message) -> _Block:
        block = self._paragraph(text, _HEADING, before=4, after=0.8)
        hair = self._rule(_HAIR, 0.2, after=1.6)

        def draw(y: float) -> None:
            block.draw(y)
            hair.draw(y + block.height)

        return _Block(block.height + hair.height, draw, stays_with_next=True)

    def _row(self, row: Field) -> _Block:
        style = _CODE if row.is_code else _TEXT
        labels = self._lines(row.label, _LABELS, _LABEL - _GAP)
        values = self._lines(row.value, style, _INNER - _LABEL)
        height = self._leading(_TEXT) * max(len(labels), len(values))

        def draw(y: float) -> None:
            for number, line in enumerate(labels):
                self._put(line, _LABELS, 0, y + number * self._leading(_TEXT))
            for number, line in enumerate(values):
                self._put(line, style, _LABEL, y + number * self._leading(_TEXT))

        return _Block(height + 0.5 * self._scale, draw)

    def _heads(self) -> _Block:
        (number,) = self._lines(Message("No."), _HEADS)
        (name,) = self._lines(Message("Document, and its SHA-256"), _HEADS)
        (size,) = self._lines(Message("Bytes"), _HEADS)
        hair = self._rule(_HAIR, 0.2, after=0)

        def draw(y: float) -> None:
            self._put(number, _HEADS, 0, y)
            self._put(name, _HEADS, _NUMBER, y)
            self._put(size, _HEADS, 0, y, at_end=_INNER)
            hair.draw(y + self._leading(_HEADS) + 0.6 * self._scale)

        return _Block(self._leading(_HEADS) + 1.2 * self._scale, draw, stays_with_next=True)

    def _document(self, number: int, document: ReceivedDocument) -> _Block:
        (place,) = self._lines(Message("{number}", number=number), _LABELS)
        names = self._lines(Data(document.name), _TEXT, _INNER - _NUMBER - _SIZE)
        (size,) = self._lines(Message("{size:,}", size=document.size), _TEXT)
        digests = self._lines(Data(document.sha256), _DIGEST, _INNER - _NUMBER)
        hair = self._rule(_HAIR, 0.1, after=0)
        air = 1.0 * self._scale
        below = air + len(names) * self._leading(_TEXT)
        height = below + len(digests) * self._leading(_DIGEST) + air

        def draw(y: float) -> None:
            self._put(place, _LABELS, 0, y + air)
            for row, line in enumerate(names):
                self._put(line, _TEXT, _NUMBER, y + air + row * self._leading(_TEXT))
            self._put(size, _TEXT, 0, y + air, at_end=_INNER)
            for row, line in enumerate(digests):
                self._put(line, _DIGEST, _NUMBER, y + below + row * self._leading(_DIGEST))
            hair.draw(y + height)

        return _Block(height, draw, is_in_table=True)

    def _paragraph(
        self, text: Message, style: _Style, *, before: float = 0, after: float, at_end: bool = False
    ) -> _Block:
        lines = self._lines(text, style)
        before, after = before * self._scale, after * self._scale

        def draw(y: float) -> None:
            for number, line in enumerate(lines):
                top = y + before + number * self._leading(style)
                self._put(line, style, 0, top, at_end=_INNER if at_end else None)

        return _Block(before + len(lines) * self._leading(style) + after, draw)

    def _boxed(self, text: Message, style: _Style, colour: _Colour) -> _Block:
        air, bar = 2.2 * self._scale, 1.0
        lines = self._lines(text, style, _INNER - 2 * _GAP)
        height = len(lines) * self._leading(style) + 2 * air

        def draw(y: float) -> None:
            self._fill(0, y, _INNER, height, _PALE)
            self._fill(0, y, bar, height, colour)
            for number, line in enumerate(lines):
                self._put(line, style, _GAP, y + air + number * self._leading(style))

        return _Block(height + 2 * self._scale, draw)

    def _rule(self, colour: _Colour, thickness: float, *, after: float) -> _Block:
        return _Block(after * self._scale, lambda y: self._fill(0, y, _INNER, thickness, colour))

    # -- how it gets there -----------------------------------------------------------------------------

    def _leading(self, style: _Style) -> float:
        return 1.38 * style.points * self._scale * _MM_OF_POINT

    def _put(
        self, line: str, style: _Style, begins: float, top: float, *, at_end: float | None = None
    ) -> None:
        """Set a line of characters as they are seen, from where the language begins, or up to an end."""
        width = sum(self._width(character, style) for character in line)
        if at_end is not None:
            begins = at_end - width
        self._pdf.set_font(style.family, style.weight, style.points * self._scale)
        self._pdf.set_text_color(*style.colour)
        baseline = top + 1.05 * style.points * self._scale * _MM_OF_POINT
        self._pdf.text(self._left(begins, width), baseline, line)

    def _fill(self, begins: float, top: float, width: float, height: float, colour: _Colour) -> None:
        self._pdf.set_fill_color(*colour)
        self._pdf.rect(self._left(begins, width), top, width, height, style="F")

    def _left(self, begins: float, width: float) -> float:
        if self._direction is TextDirection.RTL:
            return _WIDTH - _MARGIN - begins - width
        return _MARGIN + begins

    def _lines(self, shown: Displayable, style: _Style, width: float = _INNER) -> list[str]:
        """Give a text in the reader's language as lines of a width, each in the order in which it is seen."""
        words = self._translator.render(shown, escape=lambda each: self._writable(each, style), isolate=True)
        if not isinstance(shown, Message) and not words.startswith(_BY_ITSELF):
            # A name in Hebrew stands by itself on a French page, too.
            words = f"{_BY_ITSELF}{words}{_END}"
        characters = BidiParagraph(words, self._direction).get_characters()
        return [self._as_seen(line) for line in self._broken(characters, style, width)] or [""]

    def _as_seen(self, characters: list[BidiCharacter]) -> str:
        line = BidiParagraph("", self._direction)
        line.characters = characters
        return "".join(
            each.character.translate(_MIRRORED) if each.embedding_level % 2 else each.character
            for each in line.get_reordered_characters()
            if each.character not in _ISOLATES
        )

    def _broken(
        self, characters: list[BidiCharacter], style: _Style, width: float
    ) -> Iterator[list[BidiCharacter]]:
        """Break between words; inside of one only if it is too long for half a line."""
        rest = characters
        while rest:
            taken, end, space, sign = 0.0, 0, 0, 0
            for end, each in enumerate(rest):
                taken += self._width(each.character, style)
                if taken > width and each.character != " ":
                    break
                if each.character == " ":
                    space = end + 1
                elif each.character in "-_./,;":
                    sign = end + 1
            else:
                yield rest
                return
            at = space if space > end / 2 else sign or space or max(end, 1)
            yield rest[:at]
            rest = rest[at:]

    def _width(self, character: str, style: _Style) -> float:
        if character in _ISOLATES:
            return 0.0
        known = (style.family, style.weight, character)
        if known not in self._widths:
            self._pdf.set_font(style.family, style.weight, 10)
            self._widths[known] = self._pdf.get_string_width(character) / 10
        return self._widths[known] * style.points * self._scale

    def _writable(self, text: object, style: _Style) -> str:
        """Give foreign text so that nothing in it steers, and so that the font has it."""
        has = self._letters[style.family + style.weight]
        clean = self._safe(unicodedata.normalize("NFC", str(text)))
        if len(clean) > _MOST:
            clean = f"{clean[:_MOST]}…"
        return "".join(
            each if ord(each) in has else each.encode("unicode_escape").decode("ascii") for each in clean
        )
