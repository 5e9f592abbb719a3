"""A problem: one finding of a check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docsend.codes import AnyCode, Severity
    from docsend.i18n import Message


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding of a check: what is wrong (`message`), and what to do about it (`hint`).

    `field` is the name of the field that it is about, that of its code if not said; `document` the file as
    the sender named it, and `path` where it is; `row` the manifest's row, if there is one.
    """

    code: AnyCode
    message: Message
    hint: Message | None = None
    field: str | None = None
    document: str | None = None
    row: int | None = None
    path: str | None = None

    def __post_init__(self) -> None:
        if self.field is None and self.code.field is not None:
            object.__setattr__(self, "field", self.code.field)

    @property
    def severity(self) -> Severity:
        return self.code.severity

    @property
    def is_error(self) -> bool:
        return self.severity == "error"
