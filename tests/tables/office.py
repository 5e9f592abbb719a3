"""LibreOffice, if it is installed: it saves tables in its own way, and reads those of others."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_AT_ONCE = 150  # files of one process
_LIMIT_S = 600
_AS_SHOWN = "true"
_EVERY_SHEET = -1
UTF_8 = 76  # LibreOffice's numbers of encodings
ENCODINGS = {"utf-8": UTF_8, "utf-16": 65535, "cp1252": 1, "cp1255": 37, "iso-8859-8": 19, "iso-8859-1": 12}


def program() -> str | None:
    """Return the path of LibreOffice, or None if it is not installed."""
    return shutil.which("soffice")


def version() -> str:
    """Return LibreOffice's name and version."""
    command = [program() or "soffice", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_LIMIT_S)
    return " ".join(done.stdout.split()[:2])


def csv_target(encoding: str = "utf-8", separator: str = ",", *, quotes_texts: bool = False) -> str:
    """Return the format of CSV files, one for each sheet, with cells as the sheet shows them."""
    options = [ord(separator), 34, ENCODINGS[encoding], 1, "", 0, str(quotes_texts).lower()]
    options += ["true", _AS_SHOWN, "false", "false", _EVERY_SHEET]
    return "csv:Text - txt - csv (StarCalc):" + ",".join(map(str, options))


def csv_source(encoding: str = "utf-8", separator: str = ",", *, text_columns: int = 0) -> str:
    """Return how to open CSV files. In the first `text_columns` columns, nothing becomes a number."""
    columns = "/".join(f"{column}/2" for column in range(1, text_columns + 1))
    return f"Text - txt - csv (StarCalc):{ord(separator)},34,{ENCODINGS[encoding]},1,{columns}"


def convert(files: Mapping[str, bytes], target: str, *, source: str = "") -> dict[str, bytes]:
    """Return the files that LibreOffice saves when it is given these, by name.

    `payroll.xlsx` becomes `payroll.ods`, or `payroll-Sheet1.csv` for each of its sheets. A file that it
    cannot read has no counterpart.
    """
    result: dict[str, bytes] = {}
    names = sorted(files)
    for first in range(0, len(names), _AT_ONCE):
        result |= _convert(files, names[first : first + _AT_ONCE], target, source)
    return result


def _convert(files: Mapping[str, bytes], names: Sequence[str], target: str, source: str) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory(prefix="tables-") as place:
        given, saved = Path(place, "given"), Path(place, "saved")
        given.mkdir()
        for name in names:
            (given / name).write_bytes(files[name])
        command = [program() or "soffice", f"-env:UserInstallation={Path(place, 'profile').as_uri()}"]
        command += ["--headless", "--norestore", *([f"--infilter={source}"] if source else [])]
        command += ["--convert-to", target, "--outdir", str(saved), *names]
        subprocess.run(
            command, cwd=given, env=_environment(), capture_output=True, check=False, timeout=_LIMIT_S
        )
        return {file.name: file.read_bytes() for file in saved.glob("*")}


def _environment() -> dict[str, str]:
    """Return this environment in English, which decides how LibreOffice shows dates."""
    return {**os.environ, "LC_ALL": "C.UTF-8"}
