"""Helpers that write manifests, read reports and start batches in another process."""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openpyxl  # type: ignore[import-untyped]  # it has no types

import docsend
import samples
from conftest import PERSON

if TYPE_CHECKING:
    from conftest import Outcome

HEAD = ["to", "subject", "category", "type", "id", "reference", "documents"]


def make_rows(folder: Path, count: int, *, size: int | None = None, first: int = 0) -> list[list[str]]:
    """Write `count` different documents and return a good row for each."""
    folder.mkdir(exist_ok=True)
    rows = []
    for n in range(first, first + count):
        samples.write(folder, f"payslip-{n}.pdf", samples.pdf(n, size=size))
        row = [
            "benefits",
            "unemployment",
            "employer",
            "payslips",
            PERSON,
            f"client {n}",
            f"payslip-{n}.pdf",
        ]
        rows.append(row)
    return rows


def to_csv(rows: list[list[str]], *, separator: str = ",", head: list[str] = HEAD) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator="\r\n").writerows([head, *rows])
    return text.getvalue()


REPORT_ROW = json.loads(
    (Path(docsend.__file__).parent / "data" / "schemas" / "report-row.json").read_text("utf-8")
)


def save_manifest(folder: Path, rows: list[list[str]], name: str = "batch.csv") -> Path:
    return samples.write(folder, name, to_csv(rows).encode())


def read_report(file: Path) -> list[dict[str, str]]:
    if file.suffix == ".jsonl":
        return [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    return list(csv.DictReader(io.StringIO(file.read_text("utf-8-sig"), newline="")))


def json_rows(outcome: Outcome) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = outcome.rows
    return rows


def without_time(line: str) -> str:
    """Return a line of a log without the time at its start."""
    return re.sub(r"\A\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ", "", line)


def save_occurrences(folder: Path, form: str, *occurrences: int | None) -> Path:
    """Write a manifest with one row per occurrence of the same submission. None leaves the cell empty."""
    (row,) = make_rows(folder, 1)
    head, rows = [*HEAD, "occurrence"], [[*row, number] for number in occurrences]
    file = folder / f"occurrences.{form}"
    if form == "xlsx":
        book = openpyxl.Workbook()
        for cells in [head, *rows]:
            book.active.append(cells)
        book.save(file)
    elif form == "jsonl":
        objects = [dict(zip(head, cells, strict=True)) for cells in rows]
        file.write_text("".join(json.dumps(value) + "\n" for value in objects))
    else:
        csv_rows = [[*row, "" if number is None else str(number)] for number in occurrences]
        file.write_text(to_csv(csv_rows, head=head))
    return file


def start_batch(file: Path, url: str, *more: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "docsend", "send", "--batch", file, "--service", url, *more]
    return subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def report_csv(rows: list[dict[str, str]]) -> bytes:
    return to_csv([list(row.values()) for row in rows], head=list(rows[0])).encode()
