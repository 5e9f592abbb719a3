"""View of an exported proof. It prints only the path to stdout, so that a script can read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from docsend.text import escape_for_terminal
from docsend.ui import to_json

if TYPE_CHECKING:
    from pathlib import Path

    from docsend.ui.terminal import Streams


class ProofFile(NamedTuple):
    """File with a proof of sending. `form` is "pdf", "text" or "json". `content` is the file's content."""

    file: Path
    form: str
    key: str
    content: bytes

    def as_json(self) -> dict[str, Any]:
        return to_json.exported_proof(self.file, self.form, self.key, self.content)

    def show(self, streams: Streams) -> None:
        streams.write(f"{escape_for_terminal(self.file)}\n")
