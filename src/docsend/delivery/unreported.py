"""Rows of a manifest that no report is about, as when a report is left from another month."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from docsend.delivery import report_file
from docsend.manifest.columns import COLUMNS
from docsend.manifest.row import split_documents

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from docsend.manifest.reader import Manifest

# The values of a row in some columns.
_Values: TypeAlias = "tuple[object, ...]"


def find_unreported(manifest: Manifest, reported: Sequence[Mapping[str, str]]) -> list[int]:
    """Return the numbers of the rows of a manifest that are not among the rows of reports.

    A report also contains the values of command line options, in cells that the manifest leaves empty. So
    only the cells that a row of the manifest fills are compared. Document paths in `reported` are relative to
    the current folder.
    """
    left: dict[tuple[str, ...], Counter[_Values]] = {}
    unreported: list[int] = []
    for row in manifest.rows():
        cells = dict(row.cells)
        cells["documents"] = report_file.relocate(Path(), manifest.folder.path, cells.get("documents", ""))
        filled = tuple(name for name in COLUMNS if cells.get(name))
        if filled not in left:
            left[filled] = Counter(_values(each, filled) for each in reported)
        values = _values(cells, filled)
        left[filled][values] -= 1
        if left[filled][values] < 0:
            unreported.append(row.number)
    return unreported


def _values(cells: Mapping[str, str], columns: Sequence[str]) -> _Values:
    return tuple(
        tuple(map(os.path.normpath, split_documents(cells.get(name, ""))))
        if name == "documents"
        else cells.get(name, "")
        for name in columns
    )
