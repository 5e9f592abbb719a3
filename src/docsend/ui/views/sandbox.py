"""View of a started sandbox. It prints only the address to stdout, so that a script can read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

    from docsend.ui.terminal import Streams


class SandboxAddress(NamedTuple):
    """Address of a running sandbox, and the folder with its data."""

    address: str
    folder: Path

    def as_json(self) -> dict[str, Any]:
        return {"schema": "docsend.sandbox/1", "address": self.address, "data": str(self.folder)}

    def show(self, streams: Streams) -> None:
        streams.write(self.address + "\n")
