"""Documents that the service requires from a signed-in person."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class RequiredDocument(NamedTuple):
    """A document that the service requires from a signed-in person. `due` is a date, such as 2026-12-15."""

    id: str
    subject: str
    category: str
    type: str
    titles: Mapping[str, str]
    due: str
    state: str
