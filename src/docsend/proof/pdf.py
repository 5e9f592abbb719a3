r"""A proof of sending as PDF. Only this module uses fpdf2. It is imported only when a PDF is requested.

This module lays out the page line by line. fpdf2 would reorder Hebrew only together with a shaping library
(uharfbuzz), although neither Latin nor Hebrew letters need shaping. The module breaks each text into lines
and puts their characters into visual order, using fpdf2's implementation of the bidirectional algorithm
(UAX 9). Each line is aligned with the side where the language starts. On a Hebrew page, that is the right
side, and the labels and columns also start there.

The same proof in the same language yields the same bytes, because dates come from the receipt and nothing is
random. Characters that the embedded fonts lack, such as Chinese, Arabic or emoji, become escapes such as
\u4e2d.
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
# Millimeters; the page is A4.
_WIDTH, _HEIGHT, _MARGIN, _TOP, _BOTTOM = 210.0, 297.0, 20.0, 18.0, 20.0
_CONTENT_WIDTH = _WIDTH - 2 * _MARGIN
_LABEL_WIDTH, _NUMBER_WIDTH, _SIZE_WIDTH, _GAP = 40.0, 9.0, 28.0, 4.0
_MM_PER_POINT = 25.4 / 72

_MAX_SCALED_DOCUMENTS = 15  # with more documents, the type is not scaled down to fit one page
_SCALES = (1.0, 0.92, 0.84, 0.77, 0.7, 0.65)
_MAX_TEXT_LENGTH = 1000  # in characters, so that no row is taller than a page

_ISOLATES = "\u2066\u2067\u2068\u2069"
_FIRST_STRONG_ISOLATE, _POP_ISOLATE = "\u2068", "\u2069"
_MIRRORED = str.maketrans("()[]{}<>«»‹›", ")(][}{><»«›‹")

_Color: TypeAlias = tuple[int, int, int]
_INK: _Color = (32, 36, 42)
_GRAY: _Color = (92, 99, 108)
_NAVY: _Color = (28, 55, 92)
_RED: _Color = (150, 32, 32)
_LIGHT_GRAY: _Color = (205, 209, 214)
_PALE: _Color = (245, 246, 248)


class _Style(NamedTuple):
    family: Literal["sans", "mono"]
    weight: Literal["", "B"]
    points: float
    color: _Color


_TITLE = _Style("sans", "B", 21, _NAVY)
_SUBTITLE = _Style("sans", "", 11, _GRAY)
_HEADING = _Style("sans", "B", 10.5, _NAVY)
_TEXT = _Style("sans", "", 9, _INK)
_STRONG = _Style("sans", "B", 9, _INK)
_CODE = _Style("mono", "", 8.5, _INK)
_ROW_LABEL = _Style("sans", "", 9, _GRAY)
_COLUMN_TITLE = _Style("sans", "", 7.5, _GRAY)
_DIGEST = _Style("mono", "", 7.5, _GRAY)
_SMALL = _Style("sans", "", 7.5, _GRAY)
_WARNING = _Style("sans", "B", 9, _RED)


@dataclass(frozen=True, slots=True)
class _Block:
    """A part of the page that is never split. `height` is in mm.

    `draw` draws the block and takes the y position of the block's top in mm.
    """

    height: float
    draw: Callable[[float], None]
    stays_with_next: bool = False
    is_in_table: bool = False


def write(proof: Proof, translator: Translator, escape: Callable[[object], str]) -> bytes:
    """Return the PDF of a proof.

    A proof with up to 15 documents is put on one page, in smaller type if necessary. More documents, or very
    long texts, take several numbered pages.
    """
    with _open_pdf() as pdf:
        scales = _SCALES if len(proof.documents) <= _MAX_SCALED_DOCUMENTS else _SCALES[:1]
        for scale in scales:
            sheet = _Sheet(pdf, proof, translator, escape, scale)
            pages = sheet.pages()
            if len(pages) == 1:
                break
        else:
            sheet = _Sheet(pdf, proof, translator, escape)
            pages = sheet.pages()
        return sheet.render(pages)


@contextlib.contextmanager
def _open_pdf() -> Iterator[FPDF]:
    """Yield a PDF that has its fonts but no pages yet.

    Close the font files at the end of the block, because fpdf2 leaves them open.
    """
    pdf = FPDF(unit="mm", format="A4")
    try:
        pdf.set_auto_page_break(auto=False)
        # Otherwise fpdf2 would replace {nb} in a document name with the number of pages.
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
    """The pages of one proof in one language, at one type size."""

    def __init__(
        self,
        pdf: FPDF,
        proof: Proof,
        translator: Translator,
        escape: Callable[[object], str],
        scale: float = 1.0,
    ) -> None:
        self._pdf = pdf
        self._proof = proof
        self._translator = translator
        self._escape = escape
        self._scale = scale
        self._direction = TextDirection.RTL if translator.is_right_to_left else TextDirection.LTR
        self._glyphs = {
            key: frozenset(font.cmap) for key, font in self._pdf.fonts.items() if isinstance(font, TTFFont)
        }
        self._widths: dict[tuple[str, str, str], float] = {}

    # -- layout ----------------------------------------------------------------------------------------

    def pages(self) -> list[list[tuple[float, _Block]]]:
        """Return the pages, each as a list of blocks with the y positions of their tops in mm."""
        blocks = list(self._blocks())
        header = self._table_header()
        pages: list[list[tuple[float, _Block]]] = [[]]
        y, bottom = _TOP, _HEIGHT - _BOTTOM
        for index, block in enumerate(blocks):
            last = next(at for at in range(index, len(blocks)) if not blocks[at].stays_with_next)
            needed = sum(block.height for block in blocks[index : last + 1])
            if y + needed > bottom and pages[-1]:
                pages.append([])
                y = _TOP + 8
                if block.is_in_table:
                    pages[-1].append((y, header))
                    y += header.height
            pages[-1].append((y, block))
            y += block.height
        return pages

    def render(self, pages: list[list[tuple[float, _Block]]]) -> bytes:
        self._describe()
        for number, page in enumerate(pages, 1):
            self._pdf.add_page()
            for y, block in page:
                block.draw(y)
            if len(pages) > 1:
                if number > 1:
                    self._put(self._lines(self._proof.subtitle, _SMALL)[0], _SMALL, 0, _TOP)
                label = Message("Page {page} of {pages}", page=number, pages=len(pages))
                self._put(self._lines(label, _SMALL)[0], _SMALL, 0, _HEIGHT - 14, end=_CONTENT_WIDTH)
        return bytes(self._pdf.output())

    def _describe(self) -> None:
        proof, pdf = self._proof, self._pdf
        plain = (
            self._translator.render(proof.title),
            self._translator.render(proof.subtitle, escape=self._escape),
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
            yield self._box(proof.notice, _WARNING, _RED)
        yield self._box(proof.status, _TEXT, _NAVY)
        for section in proof.sections:
            yield from self._section(section)
        yield self._heading(proof.heading)
        yield self._table_header()
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
        hairline = self._rule(_LIGHT_GRAY, 0.2, after=1.6)

        def draw(y: float) -> None:
            block.draw(y)
            hairline.draw(y + block.height)

        return _Block(block.height + hairline.height, draw, stays_with_next=True)

    def _row(self, row: Field) -> _Block:
        style = _CODE if row.is_code else _TEXT
        labels = self._lines(row.label, _ROW_LABEL, _LABEL_WIDTH - _GAP)
        values = self._lines(row.value, style, _CONTENT_WIDTH - _LABEL_WIDTH)
        height = self._leading(_TEXT) * max(len(labels), len(values))

        def draw(y: float) -> None:
            for number, line in enumerate(labels):
                self._put(line, _ROW_LABEL, 0, y + number * self._leading(_TEXT))
            for number, line in enumerate(values):
                self._put(line, style, _LABEL_WIDTH, y + number * self._leading(_TEXT))

        return _Block(height + 0.5 * self._scale, draw)

    def _table_header(self) -> _Block:
        (number,) = self._lines(Message("No."), _COLUMN_TITLE)
        (name,) = self._lines(Message("Document and SHA-256"), _COLUMN_TITLE)
        (size,) = self._lines(Message("Bytes"), _COLUMN_TITLE)
        hairline = self._rule(_LIGHT_GRAY, 0.2, after=0)

        def draw(y: float) -> None:
            self._put(number, _COLUMN_TITLE, 0, y)
            self._put(name, _COLUMN_TITLE, _NUMBER_WIDTH, y)
            self._put(size, _COLUMN_TITLE, 0, y, end=_CONTENT_WIDTH)
            hairline.draw(y + self._leading(_COLUMN_TITLE) + 0.6 * self._scale)

        return _Block(self._leading(_COLUMN_TITLE) + 1.2 * self._scale, draw, stays_with_next=True)

    def _document(self, number: int, document: ReceivedDocument) -> _Block:
        (position,) = self._lines(Message("{number}", number=number), _ROW_LABEL)
        names = self._lines(Data(document.name), _TEXT, _CONTENT_WIDTH - _NUMBER_WIDTH - _SIZE_WIDTH)
        (size,) = self._lines(Message("{size:,}", size=document.size), _TEXT)
        digests = self._lines(Data(document.sha256), _DIGEST, _CONTENT_WIDTH - _NUMBER_WIDTH)
        hairline = self._rule(_LIGHT_GRAY, 0.1, after=0)
        padding = 1.0 * self._scale
        digest_top = padding + len(names) * self._leading(_TEXT)
        height = digest_top + len(digests) * self._leading(_DIGEST) + padding

        def draw(y: float) -> None:
            self._put(position, _ROW_LABEL, 0, y + padding)
            for row, line in enumerate(names):
                self._put(line, _TEXT, _NUMBER_WIDTH, y + padding + row * self._leading(_TEXT))
            self._put(size, _TEXT, 0, y + padding, end=_CONTENT_WIDTH)
            for row, line in enumerate(digests):
                self._put(line, _DIGEST, _NUMBER_WIDTH, y + digest_top + row * self._leading(_DIGEST))
            hairline.draw(y + height)

        return _Block(height, draw, is_in_table=True)

    def _paragraph(
        self, text: Message, style: _Style, *, before: float = 0, after: float, at_end: bool = False
    ) -> _Block:
        lines = self._lines(text, style)
        before, after = before * self._scale, after * self._scale

        def draw(y: float) -> None:
            for number, line in enumerate(lines):
                top = y + before + number * self._leading(style)
                self._put(line, style, 0, top, end=_CONTENT_WIDTH if at_end else None)

        return _Block(before + len(lines) * self._leading(style) + after, draw)

    def _box(self, text: Message, style: _Style, color: _Color) -> _Block:
        padding, bar = 2.2 * self._scale, 1.0
        lines = self._lines(text, style, _CONTENT_WIDTH - 2 * _GAP)
        height = len(lines) * self._leading(style) + 2 * padding

        def draw(y: float) -> None:
            self._fill(0, y, _CONTENT_WIDTH, height, _PALE)
            self._fill(0, y, bar, height, color)
            for number, line in enumerate(lines):
                self._put(line, style, _GAP, y + padding + number * self._leading(style))

        return _Block(height + 2 * self._scale, draw)

    def _rule(self, color: _Color, thickness: float, *, after: float) -> _Block:
        return _Block(after * self._scale, lambda y: self._fill(0, y, _CONTENT_WIDTH, thickness, color))

    # -- drawing and text ------------------------------------------------------------------------------

    def _leading(self, style: _Style) -> float:
        return 1.38 * style.points * self._scale * _MM_PER_POINT

    def _put(self, line: str, style: _Style, start: float, top: float, *, end: float | None = None) -> None:
        """Draw a line, already in visual order, that starts at `start` or ends at `end`.

        Both are distances in mm from the margin where the language starts: on a Hebrew page, the right one.
        """
        width = sum(self._width(character, style) for character in line)
        if end is not None:
            start = end - width
        self._pdf.set_font(style.family, style.weight, style.points * self._scale)
        self._pdf.set_text_color(*style.color)
        baseline = top + 1.05 * style.points * self._scale * _MM_PER_POINT
        self._pdf.text(self._left(start, width), baseline, line)

    def _fill(self, start: float, top: float, width: float, height: float, color: _Color) -> None:
        self._pdf.set_fill_color(*color)
        self._pdf.rect(self._left(start, width), top, width, height, style="F")

    def _left(self, start: float, width: float) -> float:
        if self._direction is TextDirection.RTL:
            return _WIDTH - _MARGIN - start - width
        return _MARGIN + start

    def _lines(self, value: Displayable, style: _Style, width: float = _CONTENT_WIDTH) -> list[str]:
        """Translate a value and break it into lines of at most `width` mm, each in visual order."""
        text = self._translator.render(value, escape=lambda part: self._printable(part, style), isolate=True)
        if not isinstance(value, Message) and not text.startswith(_FIRST_STRONG_ISOLATE):
            # Isolate it, so that a Hebrew name gets its own direction on a French page.
            text = f"{_FIRST_STRONG_ISOLATE}{text}{_POP_ISOLATE}"
        characters = BidiParagraph(text, self._direction).get_characters()
        return [self._visual_order(line) for line in self._break_lines(characters, style, width)] or [""]

    def _visual_order(self, characters: list[BidiCharacter]) -> str:
        line = BidiParagraph("", self._direction)
        line.characters = characters
        return "".join(
            char.character.translate(_MIRRORED) if char.embedding_level % 2 else char.character
            for char in line.get_reordered_characters()
            if char.character not in _ISOLATES
        )

    def _break_lines(
        self, characters: list[BidiCharacter], style: _Style, width: float
    ) -> Iterator[list[BidiCharacter]]:
        """Yield lines of at most `width` mm.

        A line breaks after its last space. If that space is in the first half of the line, the line breaks
        after its last punctuation mark instead. A line without a space or a punctuation mark is split at the
        width.
        """
        rest = characters
        while rest:
            used, end, space, punctuation = 0.0, 0, 0, 0
            for end, char in enumerate(rest):
                used += self._width(char.character, style)
                if used > width and char.character != " ":
                    break
                if char.character == " ":
                    space = end + 1
                elif char.character in "-_./,;":
                    punctuation = end + 1
            else:
                yield rest
                return
            at = space if space > end / 2 else punctuation or space or max(end, 1)
            yield rest[:at]
            rest = rest[at:]

    def _width(self, character: str, style: _Style) -> float:
        if character in _ISOLATES:
            return 0.0
        key = (style.family, style.weight, character)
        if key not in self._widths:
            self._pdf.set_font(style.family, style.weight, 10)
            self._widths[key] = self._pdf.get_string_width(character) / 10
        return self._widths[key] * style.points * self._scale

    def _printable(self, text: object, style: _Style) -> str:
        """Return text that docsend did not write in a printable form.

        Control characters and characters that the font lacks become escapes. A text of more than 1,000
        characters is shortened.
        """
        glyphs = self._glyphs[style.family + style.weight]
        clean = self._escape(unicodedata.normalize("NFC", str(text)))
        if len(clean) > _MAX_TEXT_LENGTH:
            clean = f"{clean[:_MAX_TEXT_LENGTH]}…"
        return "".join(
            char if ord(char) in glyphs else char.encode("unicode_escape").decode("ascii") for char in clean
        )
