"""What the service asks a signed-in person for."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class RequiredDocument(NamedTuple):
    """A document that the service asks a signed-in person for; `due` is a date, as in 2026-12-15."""

    id: str
    subject: str
    category: str
    type: str
    titles: Mapping[str, str]
    due: str
    state: str
