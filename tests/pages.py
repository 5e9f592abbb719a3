"""Generated sections of documentation pages. Tests compare them with the current text, or rewrite them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class GeneratedSection:
    """The section of a page between two markers."""

    page: Path
    start: str
    end: str

    def current_text(self) -> str:
        text = self.page.read_text(encoding="utf-8")
        return text[text.index(self.start) + len(self.start) : text.index(self.end)].strip()

    def write(self, new_text: str) -> None:
        text = self.page.read_text(encoding="utf-8")
        before, after = text[: text.index(self.start) + len(self.start)], text[text.index(self.end) :]
        self.page.write_text(f"{before}\n{new_text}\n{after}", encoding="utf-8")
