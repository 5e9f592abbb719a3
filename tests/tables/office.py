"""LibreOffice as a third reader of a sample of the workbooks, if it is installed."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tables.contents import MARK

if TYPE_CHECKING:
    from tables.contents import Made
    from tables.judging import Verdict

_EACH = 4  # of each kind
_FORMATS = ("xlsx", "xls", "ods")
_LIMIT_S = 300
# Commas, quotation marks, UTF-8, from the first line; cells as they are shown; each sheet in its own file.
_FILTER = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1"


class Sample:
    """Workbooks of which LibreOffice should see the rows that docsend sees."""

    def __init__(self) -> None:
        self._program = shutil.which("soffice")
        self._offered: list[tuple[Verdict, Made]] = []
        self.description = "LibreOffice (`soffice`) was not installed, so no third reader was asked"

    def offer(self, verdict: Verdict, made: Made) -> None:
        if verdict.kind.format in _FORMATS and verdict.number < _EACH and verdict.outcome == "taken":
            self._offered.append((verdict, made))

    def compare(self) -> None:
        """Add to the verdicts the rows that LibreOffice does not see, or with other references."""
        if self._program is None or not self._offered:
            return
        with tempfile.TemporaryDirectory(prefix="tables-") as folder:
            names = [f"{at:04}.{verdict.kind.format}" for at, (verdict, _) in enumerate(self._offered)]
            for name, (_, made) in zip(names, self._offered, strict=True):
                Path(folder, name).write_bytes(made.content)
            profile = f"-env:UserInstallation={Path(folder, 'profile').as_uri()}"
            command = [self._program, profile, "--headless", "--convert-to", _FILTER, "--outdir", folder]
            subprocess.run([*command, *names], cwd=folder, capture_output=True, check=False, timeout=_LIMIT_S)
            for name, (verdict, made) in zip(names, self._offered, strict=True):
                _compare(verdict, made, Path(folder, f"{name.partition('.')[0]}-{made.sheet}.csv"))
        self.description = f"LibreOffice read {len(self._offered)} of the workbooks, too"


def _compare(verdict: Verdict, made: Made, file: Path) -> None:
    if not file.exists():
        verdict.notes.append("LibreOffice did not read it")
        verdict.differing += 1
        return
    references: dict[str, str] = {}
    for cells in csv.reader(io.StringIO(file.read_text("utf-8"), newline="")):
        by_name = dict(zip(made.columns, cells, strict=False))
        if match := MARK.search(by_name.get("documents", "")):
            references[match[0]] = by_name["reference"]
    if odd := [row.mark for row in made.rows if references.get(row.mark) != row.cells["reference"]]:
        verdict.differing += len(odd)
        verdict.notes.append(f"LibreOffice reads {len(odd)} rows otherwise")
