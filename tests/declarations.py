"""A declaration, and a submission that passed every rule."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import samples
from conftest import ABOUT, PERSON
from docsend.checks import documents, submission_rules
from docsend.model.submission import PASSED_ALL_RULES, CheckedSubmission, Submission
from docsend.storage import catalogs

if TYPE_CHECKING:
    from pathlib import Path

    from docsend.model.canonical import Json

DECLARATION: dict[str, Json] = {
    "to": "benefits",
    "identity": {"id_number": PERSON},
    "subject": "unemployment",
    "category": "employer",
    "type": "payslips",
    "remark": None,
    "branch": None,
    "required": None,
    "reference": None,
    "occurrence": 1,
    "documents": [{"name": "payslip.pdf", "bytes": 3, "sha256": "0" * 64}],
}


def checked_submission(tmp_path: Path, **changes: str) -> CheckedSubmission:
    file = samples.write(tmp_path, changes.pop("name", "payslip.pdf"), samples.pdf())
    values = dict(zip(("to", "subject", "category", "type"), ABOUT[1::2], strict=True))
    submission = Submission(**{**values, "id": PERSON, **changes}, documents=())
    result = submission_rules.check(
        submission.with_documents(documents.read_all([file], max_bytes=10**7)), catalogs.load()
    )
    assert isinstance(result, CheckedSubmission), result
    return result


def different_submissions(tmp_path: Path, count: int) -> list[CheckedSubmission]:
    """Return submissions that nobody would call the same: each is for another document."""
    one = checked_submission(tmp_path)
    return [
        replace(one, documents=(one.documents[0]._replace(sha256=f"{number:064x}"),), token=PASSED_ALL_RULES)
        for number in range(count)
    ]
