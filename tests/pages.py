"""Generated sections of documentation pages, which tests compare with the current output and can rewrite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class PageSection:
    """The text between two marks of a page."""

    page: Path
    start: str
    end: str

    def read(self) -> str:
        text = self.page.read_text(encoding="utf-8")
        return text[text.index(self.start) + len(self.start) : text.index(self.end)].strip()

    def write(self, content: str) -> None:
        text = self.page.read_text(encoding="utf-8")
        before, after = text[: text.index(self.start) + len(self.start)], text[text.index(self.end) :]
        self.page.write_text(f"{before}\n{content}\n{after}", encoding="utf-8")
