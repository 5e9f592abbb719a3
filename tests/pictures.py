"""Draw the pictures of the documents: `make pictures` writes docs/pictures/*.svg from real runs.

Each is what a terminal shows of the real program, sending to a real sandbox; nothing is retouched. Receipts
have the time of the day, so the pictures are drawn when something changed that they show, and not in a test.
"""

from __future__ import annotations

import os
import sys
import tempfile
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import samples
from docsend.sandbox import server
from terminals import Terminal, colours, is_dim

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyte.screens import Char

FOLDER = Path(__file__).parent.parent / "docs" / "pictures"
COLUMNS = 92
PERSON = "000000018"
ENTER = "\r"
_WIDTH, _HEIGHT, _MARGIN, _BAR = 8.4, 19, 16, 30
_GROUND, _INK = "17191e", "d7dae0"
_QUESTIONS = {
    "en": ("remark, optional", "send it?"),
    "fr": ("remarque", "?"),
    "he": ("הערה", "?"),
}

_FONTS = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"

Line = list[tuple[int, str, "Char"]]


def main() -> int:
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        os.environ.update(DOCSEND_HOME=str(home / "docsend"), PROMPT_TOOLKIT_NO_CPR="1", LANG="C.UTF-8")
        os.environ["DOCSEND_SERVICE"] = "sandbox"
        os.chdir(home)
        with server.run_in_background(home / "docsend" / "sandbox"):
            _draw("send", _sent(home))
            for language in ("en", "fr", "he"):
                _draw(f"guided-{language}", _guided(home, language))
    return 0


def _sent(home: Path) -> list[Line]:
    names = ("payslip.pdf", "photo.jpg")
    _write(home, names)
    about = "--to benefits --subject unemployment --category employer --type payslips"
    command = f"send {' '.join(names)} {about} --id {PERSON} --reference client-4711"
    terminal = Terminal(*command.split(), columns=COLUMNS, lines=24)
    assert terminal.finish() == 0, terminal.shown
    typed = f"$ docsend send {' '.join(names)} --to benefits --subject unemployment \\"
    more = f"      --category employer --type payslips --id {PERSON} --reference client-4711"
    return [*_typed(typed), *_typed(more), *_lines(terminal)]


def _guided(home: Path, language: str) -> list[Line]:
    """Send by answering questions; the picture has the moment of choosing, and the end."""
    name = {"en": "payslip.pdf", "fr": "fiche de paie.pdf", "he": "תלוש שכר.pdf"}[language]
    _write(home, [name])
    words = {"en": "payslips", "fr": "fiches de paie", "he": "תלושי שכר"}[language]
    terminal = Terminal("send", name, columns=COLUMNS, lines=44, DOCSEND_LANG=language)
    terminal.answer("health-funds", "benefits" + ENTER)
    terminal.read_until("(benefits)" if "(benefits)" in terminal.shown else ":")
    _next(terminal, PERSON)
    _next(terminal, {"en": "unemployment", "fr": "chômage", "he": "אבטלה"}[language])
    _next(terminal, "employer")
    terminal.type(words[:6])
    terminal.read_until(words[:6])
    terminal.rest()
    choosing = _lines(terminal)
    terminal.type(ENTER)
    for answer in ("", "", "y"):
        _next(terminal, answer)
    assert terminal.finish() == 0, terminal.shown
    quoted = f"'{name}'" if " " in name else name
    lang = "" if language == "en" else f" --lang {language}"
    return [*_typed(f"$ docsend send {quoted}{lang}"), *choosing, *_typed("…"), *_lines(terminal)]


def _next(terminal: Terminal, answer: str) -> None:
    """Answer the question at which the screen has come to rest."""
    before = ""
    while before != terminal.shown or not before:
        before = terminal.shown
        terminal.rest()
    terminal.type(answer + ENTER)


def _write(home: Path, names: Sequence[str]) -> None:
    for number, name in enumerate(names):
        content = samples.jpeg() if name.endswith("jpg") else samples.pdf(number, size=48_000)
        samples.write(home, name, content)


# -- drawing -----------------------------------------------------------------------------------------------


def _typed(text: str) -> list[Line]:
    from pyte.screens import Char

    return [[(0, text, Char(" ", bold=True))]]


def _lines(terminal: Terminal) -> list[Line]:
    """Give the screen as runs of characters of one look, without what is empty at its end."""
    found = [list(_runs(terminal, row)) for row in range(terminal.screen.lines)]
    while found and not "".join(text for _, text, _ in found[-1]).strip():
        found.pop()
    # Between the last words and the line of hints at the bottom there is nothing to see.
    return [line for n, line in enumerate(found) if line or (n and found[n - 1])]


def _runs(terminal: Terminal, row: int) -> Iterator[tuple[int, str, Char]]:
    cells = terminal.screen.buffer[row]
    start, text, look = 0, "", cells[0]
    for column in range(terminal.screen.columns):
        cell = cells[column]
        if cell._replace(data="") != look._replace(data="") and text:
            if text.strip() or look.reverse or look.bg != "default":
                yield start, text, look
            start, text = column, ""
        text, look = text + cell.data, cell
    if text.strip():
        yield start, text.rstrip(), look


def _draw(name: str, lines: list[Line]) -> None:
    width = COLUMNS * _WIDTH + 2 * _MARGIN
    height = len(lines) * _HEIGHT + 2 * _MARGIN + _BAR
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" role="img">',
        "<title>docsend on a terminal</title>",
        f'<rect width="100%" height="100%" rx="8" fill="#{_GROUND}"/>',
        *(
            f'<circle cx="{20 + 18 * n}" cy="18" r="5.5" fill="{colour}"/>'
            for n, colour in enumerate(("#e06c75", "#e5c07b", "#98c379"))
        ),
        f'<g font-family="{_FONTS}" font-size="14" xml:space="preserve">',
    ]
    for number, line in enumerate(lines):
        top = _BAR + _MARGIN + number * _HEIGHT
        parts += [_run(start, text, look, top) for start, text, look in line]
    FOLDER.joinpath(f"{name}.svg").write_text("\n".join([*parts, "</g>", "</svg>", ""]), "utf-8")
    sys.stdout.write(f"{FOLDER / name}.svg\n")


def _run(start: int, text: str, look: Char, top: int) -> str:
    left, wide = _MARGIN + start * _WIDTH, len(text) * _WIDTH
    ink, ground = colours(look, _GROUND, _INK)
    behind = ""
    if ground != _GROUND:
        behind = f'<rect x="{left:.1f}" y="{top}" width="{wide:.1f}" height="{_HEIGHT}" fill="#{ground}"/>'
    how = (' font-weight="bold"' if look.bold else "") + (' opacity="0.6"' if is_dim(look) else "")
    said = escape(text)
    return (
        f'{behind}<text x="{left:.1f}" y="{top + 14}" fill="#{ink}"{how} '
        f'textLength="{wide:.1f}" lengthAdjust="spacingAndGlyphs">{said}</text>'
    )


if __name__ == "__main__":
    sys.exit(main())
