"""A problem that a check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docsend.codes import AnyCode, Severity
    from docsend.i18n import Message


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem: what is wrong (`message`) and what to do about it (`hint`).

    `field` is the name of the field concerned, by default the one that `codes.py` gives for `code`.
    `document` is the name of the file concerned, `path` the file's path as given, and `row` the number of the
    manifest's row, if any. `is_warning` makes a problem a warning although its code usually is an error.
    """

    code: AnyCode
    message: Message
    hint: Message | None = None
    field: str | None = None
    document: str | None = None
    row: int | None = None
    path: str | None = None
    is_warning: bool = False

    def __post_init__(self) -> None:
        if self.field is None and self.code.field is not None:
            object.__setattr__(self, "field", self.code.field)

    @property
    def severity(self) -> Severity:
        return "warning" if self.is_warning else self.code.severity

    @property
    def is_error(self) -> bool:
        return self.severity == "error"
