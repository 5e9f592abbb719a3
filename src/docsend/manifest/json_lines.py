"""JSON Lines: the lines of a text, the cells in a line, and JSON that is not JSON Lines."""

from __future__ import annotations

import io
import itertools
import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from docsend.codes import Code
from docsend.errors import InvalidSubmission
from docsend.i18n import Message
from docsend.manifest.columns import (
    COLUMNS,
    REPORT_COLUMNS,
    column_name,
    duplicate_column_problem,
    has_exact_cells,
    unknown_column_problem,
)
from docsend.manifest.repair import clean_cell, value_to_text
from docsend.manifest.table import check_row_count
from docsend.model.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_JSON_START = re.compile(r'\s*(?:\{|\[\s*(?:[\[{"\]]|\Z))')
_ONE_PER_LINE = Message("write one JSON object per line")


class JsonRow(NamedTuple):
    """A parsed line: its number, its cells by column, or None if it is not an object, and its problems.

    `numeric` contains the columns whose values are numbers, which cannot begin with zeros.
    """

    number: int
    cells: dict[str, str] | None
    problems: list[Problem]
    numeric: Collection[str] = ()


def is_json(text: str) -> bool:
    """Return whether a text is JSON rather than a table."""
    return _JSON_START.match(text) is not None


def check_form(text: str, label: Message) -> None:
    """Raise InvalidSubmission if JSON is not JSON Lines but one array, or has objects that span lines.

    `label` names the file in messages.
    """
    if text.lstrip().startswith("["):
        message = Message("{name} is a JSON array, not JSON Lines", name=label)
        command = "jq -c '.[]' FILE"
    elif _spans_lines(text):
        message = Message("{name} is JSON over several lines, not JSON Lines", name=label)
        command = "jq -c . FILE"
    else:
        return
    hint = Message("write one JSON object per line, for example with `{command}`", command=command)
    raise InvalidSubmission.from_manifest_problems([Problem(Code.MANIFEST_MALFORMED, message, hint)])


def _spans_lines(text: str) -> bool:
    """Return whether the first object continues after its line, even if it is not valid JSON."""
    filled = (line.strip() for _, line in _numbered_lines(text) if not line.isspace())
    first, second = (*itertools.islice(filled, 2), "", "")[:2]
    try:
        _, end = json.JSONDecoder().raw_decode(text.lstrip())
    except (ValueError, RecursionError):
        return bool(second) and not first.endswith(("}", "},")) and not second.startswith("{")
    return end > len(first)


def _numbered_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines, however they end, with their numbers. Unlike splitlines, do not split at U+2028."""
    return enumerate(io.StringIO(text, newline=None), 1)


def read_lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield the number and the text of each line that is not empty.

    Raise InvalidSubmission if there are too many.
    """
    count = 0
    for number, line in _numbered_lines(text):
        if line.strip():
            check_row_count(count)
            count += 1
            yield number, line


def parse_line(number: int, line: str, *, ignore_columns: bool) -> JsonRow:
    """Return the cells of a line, and what is wrong with it.

    With `ignore_columns`, no unknown member is an error.
    """
    try:
        raw = json.loads(line, object_pairs_hook=_reject_duplicate_members)
    except _DuplicateMember:
        return _malformed_row(number, Message("the row names a member twice"))
    except (ValueError, RecursionError):
        return _malformed_row(number, Message("the row is not JSON"))
    if not isinstance(raw, dict):
        return _malformed_row(number, Message("the row is not a JSON object"))
    problems: list[Problem] = []
    cells: dict[str, str] = {}
    numeric: set[str] = set()
    is_exact = has_exact_cells(raw)
    for key, value in raw.items():
        name = column_name(key)
        if name not in COLUMNS + REPORT_COLUMNS:
            problems.append(unknown_column_problem(key, number, ignore_unknown=ignore_columns))
        elif name in cells:
            problems.append(duplicate_column_problem(name, number))
        elif name == "documents" and isinstance(value, list):
            cells[name] = _join_documents(value, number, problems)
        elif (
            value is None
            or isinstance(value, str)
            or (isinstance(value, int) and not isinstance(value, bool))
        ):
            text = value_to_text(value)
            cells[name] = text if is_exact else clean_cell(text)
            if isinstance(value, int):
                numeric.add(name)
        else:
            message = Message("{name} is neither text nor a whole number", name=name)
            hint = Message("put the value in quotation marks")
            problems.append(Problem(Code.ROW_MALFORMED, message, hint, field=name, row=number))
    return JsonRow(number, cells, problems, numeric)


def _malformed_row(number: int, message: Message) -> JsonRow:
    return JsonRow(number, None, [Problem(Code.ROW_MALFORMED, message, _ONE_PER_LINE, row=number)])


def _join_documents(paths: list[Any], number: int, problems: list[Problem]) -> str:
    if all(isinstance(path, str) and ";" not in path for path in paths):
        return ";".join(paths)
    message = Message("documents must be a list of paths without semicolons")
    hint = Message("rename the file: a semicolon separates paths in tables and reports")
    problems.append(Problem(Code.ROW_MALFORMED, message, hint, field="documents", row=number))
    return ""


class _DuplicateMember(ValueError):
    """Raised for a JSON object that has two members with the same name."""


def _reject_duplicate_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _DuplicateMember
    return members
