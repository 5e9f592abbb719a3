"""Tables and cards for a terminal, drawn with rich. All texts are already escaped and translated."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], unbroken: Sequence[bool]) -> str:
    """Return a table that fits the terminal. Each column with a true `unbroken` has its cells on one line."""
    drawn = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for title, is_unbroken in zip(titles, unbroken, strict=True):
        drawn.add_column(Text(title), overflow="fold", no_wrap=is_unbroken)
    for row in rows:
        drawn.add_row(*map(Text, row))
    return _render(drawn)


def card(heading: str, rows: Sequence[tuple[str, str]], footnote: str | None) -> str:
    """Return a panel with a heading, labels with their values, and an optional footnote."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, value in rows:
        grid.add_row(Text(label), Text(value))
    footer = [Text(""), Text(footnote, style="dim italic")] if footnote else []
    return _render(Panel(Group(grid, *footer), title=Text(f" {heading} "), title_align="left"))


def _render(renderable: RenderableType) -> str:
    # The texts must not be read as rich markup.
    console = Console(file=sys.stdout, highlight=False, emoji=False, markup=False)
    with console.capture() as drawn:
        console.print(renderable)
    return drawn.get()
