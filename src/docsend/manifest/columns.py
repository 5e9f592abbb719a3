"""The columns of manifests and reports: their names and aliases, and the checks of a header."""

from __future__ import annotations

import re
import unicodedata
from difflib import get_close_matches
from typing import TYPE_CHECKING, NamedTuple

from docsend.codes import Code
from docsend.errors import InvalidSubmission
from docsend.i18n import Message
from docsend.model import fields
from docsend.model.problem import Problem
from docsend.text import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

COLUMNS = (*fields.NAMES, "sender", "documents")
# Columns of a report that say which share of which batch it is about. docsend 0.1 did not write them.
SHARE_COLUMNS = ("share", "empty_shares", "batch")
# Column of a report with the number of rows of the whole batch. Versions before 0.2 did not write it.
BATCH_ROWS = "batch_rows"
# Columns that a report has in addition to those of its manifest. A report is also a manifest.
REPORT_COLUMNS = (
    *("row", "status", "repeated", "key", "receipt", "received_at", "problems"),
    *SHARE_COLUMNS,
    BATCH_ROWS,
)
# Statuses of rows whose key still has to be that of their content. If it is not, a spreadsheet has changed
# them. A refused row may be corrected. docsend 0.1 wrote "before" for a received row that was repeated.
HELD_STATUSES = ("received", "before", "unfinished", "not tried", "checked")
_ALIASES = {
    **{alias: field.name for field in fields.FIELDS for alias in field.aliases},
    **dict.fromkeys(("document", "files", "file", "file_name", "file_names", "attachments"), "documents"),
    **dict.fromkeys(("filename", "filenames", "file_path", "path", "paths", "attachment"), "documents"),
    **dict.fromkeys(("nom_du_fichier", "nom_de_fichier", "noms_des_fichiers", "שם_הקובץ"), "documents"),
    **dict.fromkeys(("fichier", "fichiers", "pieces_jointes", "piece_jointe"), "documents"),
    **dict.fromkeys(("מסמך", "מסמכים", "קובץ", "קבצים", "שם_קובץ", "צרופות", "נספחים"), "documents"),
    **dict.fromkeys(("expediteur", "שולח"), "sender"),
}
# Names that also stand for something else, if another column has the name of its own.
_SECOND_NAMES = frozenset(
    {
        *("comment", "comments", "note", "notes", "commentaire", "commentaires"),
        *(
            "filename",
            "filenames",
            "path",
            "paths",
            "file_path",
            "attachment",
            "attachments",
            "ref",
            "our_ref",
        ),
        *("our_reference", "notre_reference", "identity", "identity_card", "national_id"),
    }
)
# A note below a name or behind it: `id⏎(9 digits)`, `id (9 digits)`.
_NOTE = re.compile(r"(?:\s*[\r\n]\s*[(\[]|\s+\([0-9]).*\Z", re.DOTALL)
# Typographic and Hebrew apostrophes and quotation marks, and the signs of French for "number".
_QUOTES = {0x2019: "'", 0x05F3: "'", 0x201D: '"', 0x05F4: '"', 0xB0: "o", 0xBA: "o"}
# The word "number" before or after a name: `N° d'identité`, `Mobile no.`, `מס' ת.ז.`.
_NUMBER_BEFORE = re.compile(r"^(?:numero|num|n_?o|nr)\.?_(?:d[eu]_(?:la_|l')?|d')?|^מספר_")
_NUMBER_AFTER = re.compile(r"_(?:number|num|no|nr)$")
_SHORT_NUMBER = re.compile(r"^מס['.]?_")
# Columns that may be called a number. `Document no.` is no column of documents.
_NUMBERED = frozenset({"id", "employer_file", "booklet", "mobile", "reference"})
# The end of a path, such as `payslips/1.pdf`, or of several: `a.pdf; *.tiff`.
ENDS_LIKE_DOCUMENT = re.compile(
    r"(?:/\*|\.(?:pdf|jpe?g|tiff?|png|bmp|gif|heic|webp|docx?|xlsx?|rtf|zip))[\"'\s]*\Z", re.IGNORECASE
)
_SIMILARITY = 0.8  # of a misspelled name, as difflib computes it: one letter of five, two of eleven


PART_SUFFIX = ".part"  # of the name of a report that is not complete


def has_exact_cells(columns: Iterable[str]) -> bool:
    """Return whether a table with these columns is a report whose cells can be read back exactly.

    Other tables, and the reports of docsend 0.1, have cells that are cleaned.
    """
    return {"status", *SHARE_COLUMNS} <= set(columns)


class Header(NamedTuple):
    """The columns of a table, "" for those that are ignored, and warnings about these."""

    names: list[str]
    warnings: list[Problem]


def read_header(row: int, cells: Sequence[str], *, ignore_unknown: bool = False) -> Header:
    """Return the columns that the cells of a header name. `row` is the header's row number.

    Columns without a name separate others and are ignored. A name that docsend does not know is ignored, too,
    with a warning. If it looks like a misspelled one, it is an error, unless `ignore_unknown` is true. Raise
    InvalidSubmission with all errors of the header, if it has any.
    """
    if not recognized_columns(cells):
        hint = Message("one of the first rows must name the columns: {columns}", columns=", ".join(COLUMNS))
        message = Message("no known column name")
        if any(cell.strip() for cell in cells):
            message = Message("no known column name: {cells}", cells=_shortened(cells))
        raise InvalidSubmission.from_manifest_problems([Problem(Code.NO_COLUMNS, message, hint, row=row)])
    problems: list[Problem] = []
    names: list[str] = []
    for cell, name in zip(cells, column_names(cells), strict=True):
        is_known = name in COLUMNS + REPORT_COLUMNS
        if name and not is_known:
            ignores = ignore_unknown or name in _SECOND_NAMES
            problems.append(unknown_column_problem(cell.strip(), row, ignore_unknown=ignores))
        elif name and name in names:
            problems.append(duplicate_column_problem(name, row))
        names.append(name if is_known else "")
    if "documents" not in names:
        hint = Message("add this column, with the paths separated by ;")
        problems.append(Problem(Code.MISSING_COLUMN, Message("missing column: documents"), hint, row=row))
    if errors := [problem for problem in problems if problem.is_error]:
        raise InvalidSubmission.from_manifest_problems(errors)
    return Header(names, problems)


def _shortened(cells: Sequence[str]) -> str:
    """Return the beginning of a row for a message. Digits are masked, because they may identify a person."""
    return redact(" | ".join(cell.strip() for cell in cells if cell.strip())[:60])


def unknown_column_problem(name: str, row: int, *, ignore_unknown: bool = False) -> Problem:
    """Return the problem for an unknown column.

    It is an error if the name looks like a misspelled one and `ignore_unknown` is false, else a warning.
    """
    close = _misspelled(column_name(name))
    message = Message("unknown column: {given!r}", given=redact(name[:60]))
    if close is None or ignore_unknown:
        message = Message("unknown column, which is ignored: {given!r}", given=redact(name[:60]))
        return Problem(Code.UNKNOWN_COLUMN, message, row=row, is_warning=True)
    hint = Message("did you mean {close}? Give --ignore-columns to ignore it", close=close)
    return Problem(Code.UNKNOWN_COLUMN, message, hint, row=row)


def _misspelled(name: str) -> str | None:
    """Return the column that a name is a misspelling of, if it differs in a letter or two.

    The word "number" is left out of the comparison, because it makes all names with it similar.
    """
    rest = _without_number(name)
    names = {_without_number(each) if rest != name else each: each for each in (*COLUMNS, *_ALIASES)}
    close = get_close_matches(rest, names, n=1, cutoff=_SIMILARITY)
    column = _ALIASES.get(names[close[0]], names[close[0]]) if close else None
    return column if rest == name or column in _NUMBERED else None


def duplicate_column_problem(name: str, row: int) -> Problem:
    """Return the problem for a column that occurs twice."""
    return Problem(
        Code.DUPLICATE_COLUMN,
        Message("duplicate column: {name}", name=name),
        Message("remove one of them"),
        row=row,
    )


def recognized_columns(cells: Iterable[str]) -> list[str]:
    """Return the known columns among the cells of a header. Other cells are ignored."""
    return [name for name in map(column_name, filter(None, cells)) if name in COLUMNS]


MOST_COLUMNS = 256


def columns_before(cells: Sequence[str], is_one: Callable[[str], object]) -> int:
    """Return the number of columns up to the last one whose cell in the header fulfils a condition."""
    filled = (index for index in range(len(cells), 0, -1) if is_one(cells[index - 1].strip()))
    return next(filled, 0)


def kept_columns(cells: Sequence[str]) -> int:
    """Return how many columns are read: all that have a name, or up to the last known one of very many."""
    width = columns_before(cells, bool)
    if width <= MOST_COLUMNS:
        return width
    return columns_before(cells, lambda cell: cell and column_name(cell) in COLUMNS + REPORT_COLUMNS)


HEADER_ROWS = 10  # The column names are in one of the first rows, not counting empty ones.


def header_rank(cells: Iterable[str]) -> tuple[bool, int]:
    """Return how well a row can be the header: whether it names the documents, and how many known columns."""
    names = recognized_columns(cells)
    return "documents" in names, len(names)


def find_header_row(rows: Iterable[Iterable[str]]) -> int:
    """Return the index of the header among the first rows.

    It is the first row that names the documents: a later one that names more columns is the head of another
    table, which was joined to this one. Only the title of a table may name the documents, too: if the next
    row does and names more columns, nothing is between the two, and that row is the header. If no row names
    the documents, it is the one that names the most columns.
    """
    ranks: list[tuple[bool, int]] = []
    for rank in map(header_rank, rows):
        if ranks and ranks[-1][0] and rank <= ranks[-1]:
            break
        ranks.append(rank)
    if ranks and ranks[-1][0]:
        return len(ranks) - 1
    return max(range(len(ranks)), key=ranks.__getitem__, default=0)


def column_names(cells: Sequence[str]) -> list[str]:
    """Return the names of the columns with these headers, some of which depend on the others.

    `Notes` are the remark, but not beside a column `Remark`.
    """
    names = list(map(column_name, cells))
    for index, cell in enumerate(cells):
        if names[index] in COLUMNS and names.count(names[index]) > 1:
            normalized = _normalized(cell)
            names[index] = normalized if normalized in _SECOND_NAMES else names[index]
    return names


def column_name(cell: str) -> str:
    """Return the name of the column with this header. `Employer file:` becomes `employer_file`.

    Upper case, accents, invisible marks, and punctuation around the name make no difference, and neither does
    the word "number" where it is one. An alias, which may be French or Hebrew, is replaced by the name that
    it stands for.
    """
    name = _normalized(cell)
    if name in _ALIASES or name in COLUMNS:
        return _ALIASES.get(name, name)
    rest = _without_number(name)
    meant = _ALIASES.get(rest, rest)
    if rest != name and meant in _NUMBERED:
        return meant
    without_note = _NOTE.sub("", cell)
    return column_name(without_note) if without_note != cell else name


def _normalized(cell: str) -> str:
    decomposed = unicodedata.normalize("NFKD", cell.translate(_QUOTES))
    text = "".join(c for c in decomposed if unicodedata.category(c) not in ("Mn", "Cf")).casefold()
    name = re.sub(r"[\s_-]+", "_", text.strip(' \t\r\n"*:.()[]<>#!?_-=').lstrip("'"))
    return _SHORT_NUMBER.sub("מספר_", name)


def _without_number(name: str) -> str:
    """Return a name without the word "number" before or after it."""
    return _NUMBER_AFTER.sub("", _NUMBER_BEFORE.sub("", name))
