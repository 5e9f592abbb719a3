"""Hold what docsend read against what the maker of a table put in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from tables import readers
from tables.contents import MARK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from docsend.manifest.row import Row
    from tables.contents import Made, Meant
    from tables.kinds import Kind
    from tables.readers import Reading

Outcome = Literal["taken", "rows told", "refused", "crashed"]
# Codes are read in any case.
_CODES = ("to", "subject", "category", "type")
_LONGEST_NUMBER = 9  # of those that have a format of zeros


@dataclass
class Verdict:
    """What became of a table. The numbers are of rows."""

    kind: Kind
    number: int
    truth: str
    outcome: Outcome = "taken"
    codes: list[str] = field(default_factory=list)
    lost: int = 0
    married: int = 0
    wrong: int = 0
    untold: int = 0  # problems and warnings that were due, and were not told
    differing: int = 0  # rows that another reader reads otherwise
    good_refused: bool = False
    bad_taken: bool = False
    notes: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list, repr=False)  # those without an error

    @property
    def is_failure(self) -> bool:
        harm = self.lost or self.married or self.wrong or self.untold or self.differing
        return bool(harm or self.good_refused or self.bad_taken or self.outcome == "crashed")


def judge(kind: Kind, number: int, made: Made, read: Callable[[bytes], Reading] = readers.docsend) -> Verdict:
    """Return the verdict on a table as `read` reads it."""
    verdict = Verdict(kind, number, made.truth)
    try:
        reading = read(made.content)
    except Exception as error:  # noqa: BLE001 - whatever it is, docsend should have refused the table
        verdict.outcome = "crashed"
        verdict.notes.append(type(error).__name__)
        return verdict
    verdict.codes = reading.refused
    if reading.refused:
        verdict.outcome = "refused"
        verdict.good_refused = made.truth == "good"
        return verdict
    _judge_rows(verdict, made, reading)
    verdict.rows = [row for row in reading.rows if not any(problem.is_error for problem in row.problems)]
    if (found := readers.others(made, kind.format)) is not None:
        compare(verdict, made, found, "another reader")
    verdict.untold += sum(code not in reading.warnings for code in made.warnings)
    # A bad table that was read must have a row with a problem, or else nobody learns that it is bad.
    verdict.bad_taken = made.truth == "bad" and verdict.outcome == "taken"
    return verdict


def _judge_rows(verdict: Verdict, made: Made, reading: Reading) -> None:
    meant = {row.mark: row for row in made.rows}
    ids = {row.cells["id"]: row.mark for row in made.rows}
    seen: set[str] = set()
    unknown = 0  # rows with an error whose mark is in no known column
    for row in reading.rows:
        marks = set(MARK.findall(" ".join([*row.cells.values(), *row.documents])))
        if row.submission.id in ids:
            marks.add(ids[row.submission.id])
        errors = [problem for problem in row.problems if problem.is_error]
        if errors:
            verdict.outcome = "rows told"
            unknown += not marks
            verdict.codes += [str(problem.code) for problem in errors]
            needless = made.truth == "good" and any(
                not meant[mark].is_told for mark in marks if mark in meant
            )
            verdict.good_refused |= needless
        elif len(marks) > 1:
            verdict.married += 1
            verdict.notes.append(f"row {row.number}: married")
        elif len(marks) != 1 or not marks <= meant.keys() or marks & seen:
            verdict.wrong += 1
            verdict.notes.append(f"row {row.number}: made up, or there twice")
        else:
            _judge_row(verdict, row, *(meant[mark] for mark in marks))
        seen |= marks
    if (lost := len(meant.keys() - seen) - unknown) > 0:
        verdict.lost += lost
        verdict.notes.append(f"{lost} rows lost")


def _judge_row(verdict: Verdict, row: Row, meant: Meant) -> None:
    """Judge a row without an error that has the mark of one row only."""
    differing = [name for name, text in meant.cells.items() if _read(row, name) != _shown(name, text)]
    if row.documents != meant.documents:
        differing.append("documents")
    if differing:
        verdict.wrong += 1
        verdict.notes.append(f"row {row.number}: {', '.join(differing)}")
    elif meant.is_told:
        verdict.untold += 1
        verdict.notes.append(f"row {row.number}: not told")


def _read(row: Row, name: str) -> str:
    return str(getattr(row.submission, name) or "")


def _shown(name: str, text: str) -> str:
    return text.lower() if name in _CODES else text


def compare(verdict: Verdict, made: Made, found: Mapping[str, Mapping[str, str]], reader: str) -> None:
    """Compare the rows without an error with the cells that another reader found, by mark and column."""
    for row in verdict.rows:
        match = MARK.search(" ".join(row.documents))
        if match is None:
            continue
        cells = {name: readers.plain(text) for name, text in found.get(match[0], {}).items()}
        differing = [
            name
            for name, text in row.cells.items()
            if name not in made.unshown and not _is_same(text, cells.get(name, ""))
        ]
        if differing:
            verdict.differing += 1
            verdict.notes.append(f"row {row.number}: {reader} has other {', '.join(differing)}")


def _is_same(text: str, other: str) -> bool:
    """Return whether two readers read the same.

    Not all of them apply a format of zeros or keep the kind of a line break.
    """
    if text.isdecimal() and other.isdecimal():
        return text == other or text.zfill(_LONGEST_NUMBER) == other.zfill(_LONGEST_NUMBER)
    return text.splitlines() == other.splitlines()
