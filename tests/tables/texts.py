"""Makers of tables in text: every separator, encoding and way to quote, and what goes wrong with them."""

from __future__ import annotations

import codecs
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tables.contents import (
    Column,
    Made,
    Meant,
    Script,
    Truth,
    add_other_columns,
    draw_columns,
    draw_rows,
    words,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

_SEPARATORS = ",;\t|"
_MARKS = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE, "utf-8": codecs.BOM_UTF8}
_SCRIPTS: dict[str, tuple[Script, ...]] = {"cp1252": ("French",), "cp1255": ("Hebrew",)}
_ANY: tuple[Script, ...] = ("English", "French", "Hebrew")


@dataclass
class Draft:
    """A table before it is written: cells as they will stand in the file, and what was meant."""

    random: Random
    script: Script
    separator: str
    line_end: str
    columns: list[Column]
    rows: list[Meant]
    lines: list[list[str]]  # one of cells for each row
    quotes_all: bool
    above: list[str]  # lines above the head
    is_csv: bool = True  # whether a dialect of Python's csv module describes it

    def index(self, name: str) -> int:
        return [column.name for column in self.columns].index(name)

    def change(self, row: int, name: str, text: str, written: str | None = None) -> None:
        """Change what is meant in a cell, and write it, quoted if it needs that or as given."""
        if name == "documents":
            raise ValueError(name)
        self.rows[row] = replace(self.rows[row], cells={**self.rows[row].cells, name: text.strip()})
        self.lines[row][self.index(name)] = self.quoted(text) if written is None else written

    def quoted(self, text: str) -> str:
        needs = self.quotes_all or any(each in text for each in f'{self.separator}"\r\n')
        return '"' + text.replace('"', '""') + '"' if needs else text

    def head(self) -> str:
        return self.separator.join(self.quoted(column.label) for column in self.columns)


def make(
    random: Random,
    *,
    encoding: str = "",
    scripts: Sequence[Script] = _ANY,
    has_mark: bool = False,
    must: Sequence[str] = (),
    has_others: bool = False,
    is_narrow: bool = False,
    zeros: int = -1,
    length: int | None = None,
    separator: str = "",
    change: Callable[[Draft], None] | None = None,
    spoil: Callable[[Random, bytes], bytes] | None = None,
    truth: Truth = "good",
) -> Made:
    """Return a table in this encoding (by default UTF-8), after a change of its cells."""
    script = random.choice(_SCRIPTS.get(encoding, scripts))
    columns = draw_columns(random, script, must=must)
    if is_narrow:
        columns = [column for column in columns if column.name in ("id", "reference", "documents")]
    if has_others:
        columns = add_other_columns(random, script, columns)
    rows = draw_rows(random, columns, script, length, zeros=zeros)
    draft = Draft(
        random,
        script,
        separator or random.choice(_SEPARATORS),
        random.choice(("\n", "\r\n", "\r\n", "\r")),
        columns,
        rows,
        [],
        quotes_all=random.random() < 0.3,
        above=[],
    )
    draft.lines = [[_written(draft, row, column) for column in columns] for row in rows]
    if change is not None:
        change(draft)
    head = draft.head()
    lines = [*draft.above, head, *(draft.separator.join(cells) for cells in draft.lines)]
    text = draft.line_end.join(lines) + draft.line_end * (random.random() < 0.8)
    encoding = encoding or "utf-8"
    content = (_MARKS[encoding] if has_mark else b"") + text.encode(encoding)
    content = spoil(random, content) if spoil else content
    is_csv = truth == "good" and draft.is_csv
    return Made(
        truth,
        content,
        draft.rows,
        [column.name for column in columns],
        text=text if is_csv else "",
        separator=draft.separator,
        encoding=encoding,
    )


def _written(draft: Draft, row: Meant, column: Column) -> str:
    if column.name == "documents":
        return draft.quoted(draft.random.choice((";", "; ")).join(row.documents))
    if column.name:
        return draft.quoted(row.cells[column.name])
    return draft.quoted(
        draft.random.choice(("", "1234.50", words(draft.random, draft.script))) if column.label else ""
    )


# -- changes that leave a table good -----------------------------------------------------------------------


def title(draft: Draft) -> None:
    """Write a title above the head, perhaps with the separators of a row, and perhaps `sep=` above it."""
    padding = draft.separator * (len(draft.columns) - 1) * draft.random.randrange(2)
    draft.above = [words(draft.random, draft.script) + padding, *[padding] * draft.random.randrange(3)]
    if draft.random.random() < 0.3:
        draft.above.insert(0, f"sep={draft.separator}")


def blank_rows(draft: Draft) -> None:
    for _ in range(draft.random.randrange(1, 5)):
        blank = [""] * (len(draft.columns) if draft.random.random() < 0.5 else 1)
        draft.lines.insert(draft.random.randrange(len(draft.lines) + 1), blank)


def line_breaks(draft: Draft) -> None:
    """Write remarks of several lines, with punctuation and doubled quotation marks."""
    for number in range(len(draft.rows)):
        if draft.random.random() < 0.6:
            parts = [words(draft.random, draft.script) for _ in range(draft.random.randrange(2, 5))]
            parts[0] = draft.random.choice(
                (parts[0], f'"{parts[0]}"', f"{parts[0]},", f"{parts[0]}, {parts[1]}")
            )
            draft.change(number, "remark", draft.random.choice(("\n", draft.line_end)).join(parts))


def formulas(draft: Draft) -> None:
    """Write numbers as `="…"`, as programs do, or with an apostrophe, to keep their zeros."""
    name = draft.random.choice(("id", "mobile"))
    form = draft.random.choice(('="{}"', '"=""{}"""', "'{}"))
    for number, row in enumerate(draft.rows):
        draft.change(number, name, row.cells[name], form.format(row.cells[name]))


def second_head(draft: Draft) -> None:
    at = draft.random.randrange(len(draft.lines) + 1)
    draft.lines.insert(at, [draft.quoted(column.label) for column in draft.columns])


def lost_zeros(draft: Draft) -> None:
    """Write id numbers as a spreadsheet leaves them that took them for numbers. A single one says nothing."""
    if len(draft.rows) == 1:
        return
    for number, row in enumerate(draft.rows):
        draft.lines[number][draft.index("id")] = row.cells["id"].lstrip("0")


def lost_mobile_zeros(draft: Draft) -> None:
    for number, row in enumerate(draft.rows):
        draft.lines[number][draft.index("mobile")] = row.cells["mobile"].lstrip("0")


def error_values(draft: Draft) -> None:
    """Write errors as a spreadsheet does that saves CSV. They must be told."""
    for number in range(len(draft.rows)):
        if draft.random.random() < 0.4:
            error = draft.random.choice(("#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NOM?", "Err:502", "#####"))
            draft.change(number, draft.random.choice(("remark", "reference")), error)
            draft.rows[number] = replace(draft.rows[number], is_told=True)


def other_separators(draft: Draft) -> None:
    """Write remarks with separators that are not those of the table, which need no quotation marks."""
    others = [each for each in _SEPARATORS if each != draft.separator]
    for number in range(len(draft.rows)):
        parts = [words(draft.random, draft.script) for _ in range(draft.random.randrange(2, 12))]
        draft.change(number, "remark", draft.random.choice(others).join(parts))


def short_rows(draft: Draft) -> None:
    """Leave out empty cells at the end of rows, as some programs do."""
    for cells in draft.lines:
        while len(cells) > 1 and cells[-1] in ("", '""'):
            cells.pop()


def sparse(draft: Draft) -> None:
    """Leave most cells empty that a row may leave empty."""
    for number, row in enumerate(draft.rows):
        for name in row.cells:
            if name not in ("id", "reference") and draft.random.random() < 0.8:
                draft.change(number, name, "", "")


def inner_quotes(draft: Draft) -> None:
    """Write quotation marks within cells that do not begin with one: they are text."""
    draft.quotes_all = False
    for number in range(len(draft.rows)):
        if draft.random.random() < 0.5:
            text = draft.random.choice(('screen 24"', 'the "second" copy', 'a "b"'))
            draft.change(number, "remark", text, text)


def separators(draft: Draft) -> None:
    """Write remarks with separators and quotation marks, quoted as they should be."""
    for number in range(len(draft.rows)):
        parts = [words(draft.random, draft.script) for _ in range(draft.random.randrange(2, 6))]
        text = draft.random.choice((draft.separator, f"{draft.separator} ", '"', '"",')).join(parts)
        draft.change(number, "remark", text)


# -- changes that spoil a table ----------------------------------------------------------------------------


def two_stray(draft: Draft) -> None:
    """Begin a cell of one row and end one of a later row with a quotation mark that nobody meant."""
    first = draft.random.randrange(len(draft.rows) - 1)
    last = draft.random.randrange(first + 1, min(len(draft.rows), first + 9))
    names = [column.name for column in draft.columns if column.name in ("remark", "reference", "id")]
    name = draft.random.choice(names)
    other = name if draft.random.random() < 0.7 else draft.random.choice(names)
    _stray(draft, first, name, '"{}')
    _stray(draft, last, other, '{}"')


def two_stray_documents(draft: Draft) -> None:
    """Begin the documents of a row, and end those or the remark of a later row, with a stray mark."""
    draft.quotes_all = False
    for number, row in enumerate(draft.rows):
        draft.lines[number][draft.index("documents")] = row.documents[0]
        draft.rows[number] = replace(row, documents=row.documents[:1])
    first = draft.random.randrange(len(draft.rows) - 1)
    last = draft.random.randrange(first + 1, min(len(draft.rows), first + 4))
    for number, name, form in (
        (first, "documents", '"{}'),
        (last, draft.random.choice(("documents", "remark")), '{}"'),
    ):
        at = draft.index(name)
        draft.lines[number][at] = form.format(draft.lines[number][at].strip('"'))


def two_stray_with_blanks(draft: Draft) -> None:
    """Write a blank behind each separator, and two stray marks around the first cells of two rows."""
    draft.quotes_all = False
    draft.separator += " "
    for number, row in enumerate(draft.rows):
        for name, text in row.cells.items():
            draft.lines[number][draft.index(name)] = text
        draft.lines[number][draft.index("documents")] = row.documents[0]
        draft.rows[number] = replace(row, documents=row.documents[:1])
    first = draft.random.randrange(len(draft.rows) - 1)
    last = draft.random.randrange(first + 1, min(len(draft.rows), first + 9))
    for number, form in ((first, '"{}'), (last, '{}"')):
        draft.lines[number][0] = form.format(draft.lines[number][0])


def two_stray_patterns(draft: Draft) -> None:
    """Write patterns or folders instead of documents, and two stray marks around other cells."""
    form = draft.random.choice(("p1/{}-*", "p1/{}-?", "{}", "p1\\{}", "p1/{}*.p*"))
    for number, row in enumerate(draft.rows):
        path = form.format(row.mark)
        draft.rows[number] = replace(row, documents=(path,))
        draft.lines[number][draft.index("documents")] = draft.quoted(path)
    two_stray(draft)


def joined(draft: Draft) -> None:
    """Join a second table, which has another column, or one less, or the same in another order."""
    at = draft.random.randrange(1, len(draft.lines))
    labels = [draft.quoted(column.label) for column in draft.columns]
    change = draft.random.choice(("one more", "one less", "another", "another order"))
    position = draft.index("reference")
    if change == "another order":
        order = list(range(len(labels)))
        while order == sorted(order):
            draft.random.shuffle(order)
        labels = [labels[each] for each in order]
        draft.lines[at:] = [[line[each] for each in order] for line in draft.lines[at:]]
    elif change == "one less":
        labels.pop(position)
        for line in draft.lines[at:]:
            line.pop(position)
    elif change == "another":
        labels[position] = draft.quoted(draft.random.choice(("email", "sender", "occurrence")))
    else:
        labels.insert(position, "email")
        for line in draft.lines[at:]:
            line.insert(position, "")
    draft.lines.insert(at, labels)


def two_stray_in_notes(draft: Draft) -> None:
    """Write two stray marks into a table that also has remarks of several lines and empty cells."""
    line_breaks(draft)
    two_stray(draft)


def unclosed(draft: Draft) -> None:
    _stray(
        draft, draft.random.randrange(len(draft.rows)), draft.random.choice(("remark", "reference")), '"{}'
    )


def text_behind(draft: Draft) -> None:
    """Write text behind a closing quotation mark."""
    _stray(draft, draft.random.randrange(len(draft.rows)), "remark", '"{}" more')


def unquoted_separator(draft: Draft) -> None:
    """Write a separator into a cell without quotation marks, so that all cells after it move."""
    number = draft.random.randrange(len(draft.rows))
    name = draft.random.choice(("remark", "reference"))
    more = words(draft.random, draft.script)
    text = f"{draft.rows[number].cells[name]}{draft.separator}{draft.random.choice(('', ' '))}{more}"
    draft.change(number, name, text, text)
    draft.rows[number] = replace(draft.rows[number], is_told=True)


def _stray(draft: Draft, number: int, name: str, form: str) -> None:
    text = draft.rows[number].cells[name] or words(draft.random, draft.script)
    draft.lines[number][draft.index(name)] = form.format(text)


def cut(random: Random, content: bytes) -> bytes:
    """Cut UTF-8 in the middle of a character."""
    return content[: random.choice([at for at, byte in enumerate(content) if 0x80 <= byte < 0xC0])]


def two_encodings(random: Random, content: bytes) -> bytes:
    """Add a row in another encoding, as a file has it to which two programs wrote."""
    return content + random.choice(("employé réglé\n".encode("cp1252"), "שכר חודש\n".encode("cp1255")))


def ends_with_nul(random: Random, content: bytes) -> bytes:
    """Overwrite the end with NULs, as a file has it after a crash of the system."""
    kept = random.randrange(len(content) // 2, len(content) - 1)
    return content[:kept] + bytes(len(content) - kept)
