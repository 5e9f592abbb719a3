"""The place of a report: whether one may be written there, and what it must not replace.

A report that is being written is in a file with the suffix `.part`, its rows are sorted in one with the
suffix `.sorted`, and one with the suffix `.lock` keeps other processes away.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
from typing import TYPE_CHECKING

from docsend.delivery import report_file
from docsend.errors import LocalError, Unfinished, UsageError
from docsend.i18n import Message
from docsend.manifest.columns import COLUMNS, PART_SUFFIX
from docsend.storage import files, lock_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MAX_LINE = 2**20
# The beginning of a report whose first line was cut off.
_CUT_LINE = re.compile(rb'(?:\xef\xbb\xbf|\{")(?:' + "|".join(COLUMNS).encode() + rb")\b")


def part_of(file: Path) -> Path:
    """Return the file in which a report is written until it is complete."""
    return file.with_name(f"{file.name}{PART_SUFFIX}")


def sorted_of(file: Path) -> Path:
    """Return the file in which the rows of a report are put into order."""
    return file.with_name(f"{file.name}.sorted")


def write_error(file: Path, error: OSError) -> LocalError:
    """Return the error for a report that cannot be written, with what to do about the reason."""
    message = Message("cannot write the report {file}: {reason}", file=file, reason=files.reason(error))
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
        hint = Message(
            "free disk space or choose another file with --report; the ledger lists what was received"
        )
    else:
        hint = Message("choose another file with --report, in a folder where you may create files")
    return LocalError(message, hint)


def resolve(file: Path) -> Path:
    """Return the file of a report: if the name is a link, where it leads.

    Raise UsageError if the name ends in neither .csv nor .jsonl, or if a link leads to no file.
    """
    _check_name(file)
    if not file.is_symlink():
        return file
    try:
        target = file.resolve()
        with contextlib.suppress(FileNotFoundError):
            files.open_regular(target).close()
    except (OSError, RuntimeError) as error:
        reason = files.reason(error) if isinstance(error, OSError) else Message("the links form a circle")
        raise _unusable(file, reason) from error
    _check_name(target)
    return target


def _check_name(file: Path) -> None:
    """Raise UsageError for a name that no report may have. `.part` is kept for reports being written."""
    if report_file.is_part(file):
        raise report_file.invalid_name(file)
    report_file.is_json(file)


@contextlib.contextmanager
def reserve(file: Path, manifest: str) -> Iterator[None]:
    """Keep other processes from writing the same report while the block runs.

    Raise UsageError if the report would overwrite a file that is not a report, or if its folder does not
    exist, Unfinished if another process is writing it, and LocalError if nothing can be written there.
    """
    _refuse_to_overwrite(file, manifest)
    lock_file = file.with_name(f"{file.name}.lock")
    try:
        with lock_files.hold(lock_file):
            yield
    except lock_files.LockHeld as held:
        raise Unfinished(
            Message(
                "another docsend (process {pid}) is writing the report {file}", pid=held.holder, file=file
            )
            if held.holder
            else Message("another docsend is writing the report {file}", file=file),
            Message("run the same command again when it has ended, or give another name with --report"),
        ) from None
    except lock_files.LockFailed as failure:
        raise write_error(lock_file, failure.error) from failure


def find_receipts(file: Path) -> Path | None:
    """Return the report of an earlier run, complete or partial, that a check must not replace.

    Its rows have receipts, or it cannot be read to its end. Return None if there is none.
    """
    return next((each for each in (file, part_of(file)) if _has_receipts(each)), None)


def _has_receipts(file: Path) -> bool:
    try:
        if file.stat().st_size == 0:
            return False
        return any(row.get("receipt") for row in report_file.read_rows(file))
    except FileNotFoundError:
        return False
    except (OSError, UsageError):
        return True


def _refuse_to_overwrite(file: Path, manifest: str) -> None:
    """Raise UsageError if a report would overwrite its manifest, or any file that is not a report.

    An empty file and an older report may be overwritten.
    """
    if not file.parent.is_dir():
        raise UsageError(
            Message("there is no folder {folder} for the report", folder=file.parent),
            Message("create it, or give another name with --report"),
        )
    for each in (file, part_of(file), sorted_of(file)):
        existing = _find_other_file(each)
        if existing is None:
            continue
        manifest_status: os.stat_result | None = None
        with contextlib.suppress(OSError, ValueError):  # no manifest, or standard input is closed
            manifest_status = os.fstat(sys.stdin.fileno()) if manifest == "-" else os.stat(manifest)
        if manifest_status is not None and os.path.samestat(existing, manifest_status):
            raise UsageError(
                Message("the report would overwrite its own manifest"), Message("give it another name")
            )
        raise UsageError(
            Message("{file} already exists and is not a docsend report", file=each),
            Message("choose another file with --report"),
        )


def _find_other_file(file: Path) -> os.stat_result | None:
    """Return the status of an existing file that is neither empty nor a report, else None.

    Raise UsageError if there is something that cannot be read.
    """
    try:
        with files.open_regular(file) as opened:
            line, existing = opened.readline(_MAX_LINE), os.fstat(opened.fileno())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unusable(file, files.reason(error)) from error
    if not line or all(name.encode() in line for name in ("documents", "status", "received_at")):
        return None
    is_cut = not line.endswith(b"\n") and len(line) < _MAX_LINE
    return None if is_cut and file.suffix != ".csv" and _CUT_LINE.match(line) else existing


def _unusable(file: Path, reason: Message) -> UsageError:
    return UsageError(
        Message("cannot use {file} as a report: {reason}", file=file, reason=reason),
        Message("choose another file"),
    )
