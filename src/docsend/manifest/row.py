"""One row of a manifest: its cells, repaired, and the submission that they describe."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from docsend.codes import Code
from docsend.manifest.columns import COLUMNS, HELD_STATUSES
from docsend.manifest.repair import (
    NUMBER_COLUMNS,
    error_problems,
    non_text_problems,
    repair_number,
    without_quotes,
)
from docsend.model import fields
from docsend.model.problem import Problem
from docsend.model.submission import Submission

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from docsend.config.senders import Senders

_KNOWN_COLUMNS = frozenset(COLUMNS)
_FIELDS = frozenset(fields.NAMES)
_CODES = frozenset(field.name for field in fields.FIELDS if field.is_code)
# Columns in which quotation marks around the text are no part of it.
_UNQUOTED_COLUMNS = tuple(field.name for field in fields.FIELDS if field.is_number or field.is_catalog_code)


class Row(NamedTuple):
    """One row of a manifest: its number as a spreadsheet shows it, its cells, submission and problems.

    `cells` includes the values of command line options for columns that the row leaves empty. `documents`
    contains the paths or patterns as written. `submission` contains no documents, because they have not been
    read. If the manifest is a report, `reported_key` is the key given there (see `HELD_STATUSES`).
    """

    number: int
    cells: Mapping[str, str]
    submission: Submission
    documents: tuple[str, ...]
    problems: tuple[Problem, ...] = ()
    reported_key: str | None = None

    def __repr__(self) -> str:
        """Return a representation with only the number, because the cells may contain personal data."""
        return f"Row({self.number})"

    @property
    def is_readable(self) -> bool:
        """Whether the row's cells could be parsed. If not, their values are unreliable."""
        return not any(problem.code == Code.ROW_MALFORMED for problem in self.problems)

    @property
    def content_number(self) -> int:
        """A 64-bit number that depends on the row's content but not on its position or its occurrence."""
        content = sorted(
            (name, value)
            for name, value in self.cells.items()
            if value and name in COLUMNS and name != "occurrence"
        )
        return int.from_bytes(hashlib.sha256(ascii(content).encode("ascii")).digest()[:8], "big")


class Defaults(NamedTuple):
    """Command line options that apply to all rows, and the sender for rows that name none.

    `values` maps the name of each field that was given as an option to its value.
    """

    submission: Submission
    values: Mapping[str, str]
    senders: Senders | None = None
    sender: str | None = None

    def __repr__(self) -> str:
        """Return a representation without `values` and the sender, which contain personal data."""
        return f"Defaults({self.submission!r})"


def create_row(
    number: int,
    cells_by_column: dict[str, str],
    defaults: Defaults,
    problems: list[Problem],
    numeric: Collection[str] = (),
) -> Row:
    """Return a row with the submission that its cells describe. Command line options fill empty cells.

    `numeric` contains the columns whose cells are numbers, not text. Only these can have lost zeros.
    """
    cells = cells_by_column
    if not cells.keys() <= _KNOWN_COLUMNS:
        cells = {name: value for name, value in cells.items() if name in _KNOWN_COLUMNS}
    text = "".join(cells.values())
    if not text.isprintable():
        problems += non_text_problems(number, cells)
    if "#" in text or "Err" in text or "=" in text:
        problems += error_problems(number, cells, [problem.field for problem in problems])
    has_quotes = '"' in text or "'" in text or not text.isascii()
    repaired = _repair(cells, number, problems, numeric, has_quotes=has_quotes)
    sender, options = _resolve_sender(repaired, defaults, number, problems)
    values = {
        name: value.lower() if name in _CODES else value
        for name, value in repaired.items()
        if value and name in _FIELDS
    }
    if options:
        missing = {name: value for name, value in options.items() if name not in values}
        cells |= missing
        values |= missing
    submission = Submission.from_values(values)
    if sender and defaults.senders is not None:
        # Only the name: a report contains no identity number that its manifest does not contain.
        cells["sender"] = sender
        submission = defaults.senders.apply(sender, submission)
    documents = split_documents(repaired.get("documents", ""))
    is_held = cells_by_column.get("status") in HELD_STATUSES
    reported_key = cells_by_column.get("key") if is_held else None
    return Row(number, cells, submission, documents, tuple(problems), reported_key or None)


def _repair(
    cells: Mapping[str, str], row: int, problems: list[Problem], numeric: Collection[str], *, has_quotes: bool
) -> dict[str, str]:
    """Return the cells without the quotation marks around codes and numbers, and with numbers repaired."""
    repaired = dict(cells)
    if has_quotes:
        for name in _UNQUOTED_COLUMNS:
            if value := repaired.get(name):
                repaired[name] = without_quotes(value)
    for name in NUMBER_COLUMNS:
        if value := repaired.get(name):
            repaired[name] = repair_number(name, value, row, problems, is_number=name in numeric)
    return repaired


def split_documents(cell: str) -> tuple[str, ...]:
    """Return the paths in a cell, which are separated by semicolons or, in a spreadsheet, by line breaks."""
    if not cell.isprintable():  # A line break of any kind is not printable.
        cell = ";".join(cell.splitlines())
    parts = cell.split(";") if ";" in cell else (cell,)
    return tuple([part for part in map(without_quotes, parts) if part])


def _resolve_sender(
    cells: Mapping[str, str], defaults: Defaults, number: int, problems: list[Problem]
) -> tuple[str | None, Mapping[str, str]]:
    """Return the sender of a row, and the option values that apply to it.

    If the row names a sender itself, the identity options of the command line do not apply.
    """
    named = cells.get("sender")
    has_identity = cells.get("id") or cells.get("employer_file")
    sender = named or (None if has_identity else defaults.sender)
    if sender is None or defaults.senders is None:
        return None, defaults.values
    if sender not in defaults.senders:
        message, hint = defaults.senders.unknown_message(sender)
        problems.append(Problem(Code.UNKNOWN_SENDER, message, hint, row=number))
        return None, defaults.values
    if not named:
        return sender, defaults.values
    return sender, defaults.senders.without_identity(defaults.submission).given_values()
