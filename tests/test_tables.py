"""A sample of the tables of `make tables`, and proof that its gate fails when tables are read wrongly."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from docsend.codes import Code
from docsend.i18n import Message
from docsend.manifest import template
from docsend.model.problem import Problem
from tables import __main__ as command
from tables import kinds, office, readers
from tables.judging import Verdict, judge
from tables.office_reader import OfficeReader
from tables.report import Findings, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from docsend.manifest.row import Row
    from tables.contents import Made
    from tables.readers import Reading

SEED = 20261130
SAMPLE = 90
needs_office = pytest.mark.skipif(office.program() is None, reason="LibreOffice is not installed")
OF_OFFICE = ("saved again", "saved as .xls", "saved as .ods", "Hebrew in cp1255", "docsend's template")


def _table(name: str, least: int = 4) -> tuple[kinds.Kind, int, Made]:
    """Return a table of a kind with at least so many rows."""
    kind = next(kind for kind in kinds.KINDS if f"{kind.format}: {kind.name}" == name)
    numbered = ((kind, number, kind.made(SEED, number)) for number in itertools.count())
    return next(found for found in numbered if len(found[2].rows) >= least)


def _reading(change: Callable[[Reading], None]) -> Callable[[bytes], Reading]:
    """Return a reader that reads as docsend does, but for this change."""

    def read(content: bytes) -> Reading:
        reading = readers.docsend(content)
        change(reading)
        return reading

    return read


def _with_reference(row: Row, reference: str | None) -> Row:
    return row._replace(
        cells={**row.cells, "reference": reference or ""},
        submission=row.submission.__class__(**{**row.submission.given_values(), "reference": reference}),
    )


def _lose(reading: Reading) -> None:
    del reading.rows[1]


def _swallow(reading: Reading) -> None:
    first, second = reading.rows[:2]
    swallowed = f"{first.cells['reference']}\n{second.cells['reference']}"
    reading.rows[:2] = [_with_reference(first, swallowed)._replace(documents=second.documents)]


def _misread(reading: Reading) -> None:
    reading.rows[1] = _with_reference(reading.rows[1], f"{reading.rows[1].cells['reference']}?")


def _say_nothing(reading: Reading) -> None:
    reading.rows = [row._replace(problems=()) for row in reading.rows]
    reading.warnings = []


def _refuse(reading: Reading) -> None:
    reading.refused = ["manifest-malformed"]


def _blame_a_row(reading: Reading) -> None:
    problem = Problem(Code.ROW_MALFORMED, Message("a test says so"))
    reading.rows[1] = reading.rows[1]._replace(problems=(problem,))


WRONG_READINGS: dict[str, tuple[str, Callable[[Reading], None], str]] = {
    "a row is lost": ("text: UTF-8", _lose, "lost"),
    "a row is lost in a workbook": ("xlsx: plain", _lose, "lost"),
    "two rows are married": ("text: UTF-8", _swallow, "married"),
    "a text is wrong": ("text: UTF-8", _misread, "wrong"),
    "another reader reads it otherwise": ("xlsx: plain", _misread, "differing"),
    "an error value is not told": ("xlsx: errors and formulas without results", _say_nothing, "wrong"),
    "hidden rows are not told": ("xlsx: hidden rows", _say_nothing, "untold"),
    "an unquoted separator is not told": ("text: an unquoted separator", _say_nothing, "bad_taken"),
    "a good table is refused": ("text: UTF-8", _refuse, "good_refused"),
    "a good row is refused": ("text: UTF-8", _blame_a_row, "good_refused"),
}


def test_a_sample_of_the_tables_is_read_as_it_was_meant() -> None:
    every = [(kind, 0) for kind in kinds.KINDS]
    more = itertools.product(range(1, 9), (kind for kind in kinds.KINDS if kind.format in ("text", "xlsx")))
    sample = (every + [(kind, number) for number, kind in more])[:SAMPLE]
    verdicts = [judge(kind, number, kind.made(SEED, number)) for kind, number in sample]
    assert [verdict for verdict in verdicts if verdict.is_failure] == []
    assert {verdict.outcome for verdict in verdicts} == {"taken", "rows told", "refused"}


@needs_office
@pytest.mark.parametrize("name", OF_OFFICE)
def test_what_libreoffice_saved_is_read_as_it_was_meant(name) -> None:
    kind = next(kind for kind in kinds.OF_OFFICE if kind.name.startswith(f"LibreOffice: {name}"))
    verdicts = [judge(kind, number, made) for number, made in enumerate(kind.all_made(SEED, range(3)))]
    assert [(verdict.outcome, verdict.is_failure) for verdict in verdicts] == [("taken", False)] * 3


@needs_office
@pytest.mark.parametrize("extension", ["xlsx", "xls", "ods", "csv"])
def test_the_csv_template_survives_libreoffice(extension) -> None:
    target = office.csv_target() if extension == "csv" else extension
    (saved,) = office.convert({"template.csv": template.as_csv().encode()}, target).values()
    rows = readers.docsend(saved).rows
    assert not [problem for row in rows for problem in row.problems if problem.is_error]
    for row, meant in zip(rows, template.TEMPLATE, strict=True):
        read = {**row.submission.given_values(), "documents": ";".join(row.documents)}
        assert read == meant


@needs_office
def test_the_gate_fails_if_libreoffice_shows_another_text() -> None:
    table = _table("xlsx: plain")
    right, wrong = judge(*table), judge(*table)
    wrong.rows[1] = _with_reference(wrong.rows[1], "another")
    reader = OfficeReader()
    for verdict in (right, wrong):
        reader.offer(verdict, table[2])
    reader.compare()
    assert (right.is_failure, wrong.is_failure, wrong.differing) == (False, True, 1)


def test_the_report_says_that_libreoffice_was_not_installed(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(office, "program", lambda: None)
    file = tmp_path / "report.md"
    assert command.main(["--kind", "xlsx: plain", "--share", "0.02", "--write", str(file)]) == 0
    assert "was not installed: it neither made tables nor read any" in file.read_text("utf-8")
    assert set(kinds.all_here()) == set(kinds.KINDS)


@pytest.mark.parametrize("name", WRONG_READINGS)
def test_the_gate_fails_if_a_table_is_read_wrongly(name) -> None:
    table, change, fault = WRONG_READINGS[name]
    verdict = judge(*_table(table), read=_reading(change))
    assert getattr(verdict, fault), verdict
    findings = Findings(SEED, [verdict])
    assert findings.exceeded()
    assert "**exceeded:**" in text(findings, 1)


def test_an_error_of_the_reader_fails_the_gate() -> None:
    def crash(_: bytes) -> Reading:
        raise MemoryError

    verdict = judge(*_table("text: UTF-8"), read=crash)
    assert (verdict.outcome, Findings(SEED, [verdict]).exceeded() != []) == ("crashed", True)


def test_the_exit_code_is_one_if_a_limit_is_exceeded_and_the_report_names_the_table(
    monkeypatch, tmp_path, capsys
) -> None:
    arguments = ["--seed", str(SEED), "--kind", "text: UTF-8", "--share", "0.02"]
    file = tmp_path / "report.md"
    assert command.main([*arguments, "--write", str(file)]) == 0
    assert "all limits are met" in file.read_text("utf-8")

    def judge_wrongly(kind: kinds.Kind, number: int, made: Made) -> Verdict:
        return judge(kind, number, made, _reading(lambda reading: reading.rows.clear()))

    monkeypatch.setattr(command, "judge", judge_wrongly)
    assert command.main([*arguments, "--write", str(file)]) == 1
    assert "| text: UTF-8 | 0 | taken |" in file.read_text("utf-8")
    assert "exceeded: rows lost: " in capsys.readouterr().err


def test_a_seed_and_a_number_always_make_the_same_table() -> None:
    for kind in kinds.KINDS:
        if kind.format == "text":
            first, again, other = (kind.made(SEED, number).content for number in (0, 0, 1))
            assert (first == again, first == other) == (True, False)


def test_a_whole_run_makes_enough_tables_of_different_names() -> None:
    assert sum(kind.count for kind in kinds.KINDS) >= 2000
    every = (*kinds.KINDS, *kinds.OF_OFFICE)
    assert len({(kind.format, kind.name) for kind in every}) == len(every)


def test_a_report_with_a_formula_exceeds_a_limit() -> None:
    assert Findings(SEED, unsafe_reports=("formulas in report.csv",)).exceeded() == ["formulas in report.csv"]
