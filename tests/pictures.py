"""Draws the pictures of the documentation: `make pictures` writes docs/pictures/*.svg from real runs.

Each picture shows the terminal output of the real program sending to a real sandbox. Receipts contain the
current time, so the pictures are redrawn when their content changes, and not compared in a test.
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
from terminals import Terminal, is_dim, resolve_colors

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
        with server.beside(home / "docsend" / "sandbox"):
            _draw("send", _run_send(home))
            for language in ("en", "fr", "he"):
                _draw(f"guided-{language}", _run_guided_send(home, language))
    return 0


def _run_send(home: Path) -> list[Line]:
    names = ("payslip.pdf", "photo.jpg")
    _write_documents(home, names)
    about = "--to benefits --subject unemployment --category employer --type payslips"
    command = f"send {' '.join(names)} {about} --id {PERSON} --reference client-4711"
    terminal = Terminal(*command.split(), columns=COLUMNS, lines=24)
    assert terminal.finish() == 0, terminal.text
    typed = f"$ docsend send {' '.join(names)} --to benefits --subject unemployment \\"
    more = f"      --category employer --type payslips --id {PERSON} --reference client-4711"
    return [*_prompt_lines(typed), *_prompt_lines(more), *_lines(terminal)]


def _run_guided_send(home: Path, language: str) -> list[Line]:
    """Send by answering questions; return the screen while choosing a type, and the final screen."""
    name = {"en": "payslip.pdf", "fr": "fiche de paie.pdf", "he": "תלוש שכר.pdf"}[language]
    _write_documents(home, [name])
    words = {"en": "payslips", "fr": "fiches de paie", "he": "תלושי שכר"}[language]
    terminal = Terminal("send", name, columns=COLUMNS, lines=44, DOCSEND_LANG=language)
    terminal.answer("health-funds", "benefits" + ENTER)
    terminal.read_until("(benefits)" if "(benefits)" in terminal.text else ":")
    _answer_next(terminal, PERSON)
    _answer_next(terminal, {"en": "unemployment", "fr": "chômage", "he": "אבטלה"}[language])
    _answer_next(terminal, "employer")
    terminal.type(words[:6])
    terminal.read_until(words[:6])
    terminal.wait_until_quiet()
    choosing = _lines(terminal)
    terminal.type(ENTER)
    for answer in ("", "", "y"):
        _answer_next(terminal, answer)
    assert terminal.finish() == 0, terminal.text
    quoted = f"'{name}'" if " " in name else name
    lang = "" if language == "en" else f" --lang {language}"
    return [
        *_prompt_lines(f"$ docsend send {quoted}{lang}"),
        *choosing,
        *_prompt_lines("…"),
        *_lines(terminal),
    ]


def _answer_next(terminal: Terminal, answer: str) -> None:
    """Wait until the screen stops changing, then answer the question on it."""
    before = ""
    while before != terminal.text or not before:
        before = terminal.text
        terminal.wait_until_quiet()
    terminal.type(answer + ENTER)


def _write_documents(home: Path, names: Sequence[str]) -> None:
    for number, name in enumerate(names):
        content = samples.jpeg() if name.endswith("jpg") else samples.pdf(number, size=48_000)
        samples.write(home, name, content)


# -- drawing -----------------------------------------------------------------------------------------------


def _prompt_lines(text: str) -> list[Line]:
    from pyte.screens import Char

    return [[(0, text, Char(" ", bold=True))]]


def _lines(terminal: Terminal) -> list[Line]:
    """Return the screen as runs of equally styled characters, without empty lines at the end."""
    lines = [list(_runs(terminal, row)) for row in range(terminal.screen.lines)]
    while lines and not "".join(text for _, text, _ in lines[-1]).strip():
        lines.pop()
    # Shorten the empty area between the last text and the line of hints at the bottom to one line.
    return [line for n, line in enumerate(lines) if line or (n and lines[n - 1])]


def _runs(terminal: Terminal, row: int) -> Iterator[tuple[int, str, Char]]:
    cells = terminal.screen.buffer[row]
    start, text, style = 0, "", cells[0]
    for column in range(terminal.screen.columns):
        cell = cells[column]
        if cell._replace(data="") != style._replace(data="") and text:
            if text.strip() or style.reverse or style.bg != "default":
                yield start, text, style
            start, text = column, ""
        text, style = text + cell.data, cell
    if text.strip():
        yield start, text.rstrip(), style


def _draw(name: str, lines: list[Line]) -> None:
    width = COLUMNS * _WIDTH + 2 * _MARGIN
    height = len(lines) * _HEIGHT + 2 * _MARGIN + _BAR
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" role="img">',
        "<title>docsend on a terminal</title>",
        f'<rect width="100%" height="100%" rx="8" fill="#{_GROUND}"/>',
        *(
            f'<circle cx="{20 + 18 * n}" cy="18" r="5.5" fill="{color}"/>'
            for n, color in enumerate(("#e06c75", "#e5c07b", "#98c379"))
        ),
        f'<g font-family="{_FONTS}" font-size="14" xml:space="preserve">',
    ]
    for number, line in enumerate(lines):
        top = _BAR + _MARGIN + number * _HEIGHT
        parts += [_run(start, text, style, top) for start, text, style in line]
    FOLDER.joinpath(f"{name}.svg").write_text("\n".join([*parts, "</g>", "</svg>", ""]), "utf-8")
    sys.stdout.write(f"{FOLDER / name}.svg\n")


def _run(start: int, text: str, style: Char, top: int) -> str:
    left, wide = _MARGIN + start * _WIDTH, len(text) * _WIDTH
    foreground, fill = resolve_colors(style, _GROUND, _INK)
    background = ""
    if fill != _GROUND:
        background = f'<rect x="{left:.1f}" y="{top}" width="{wide:.1f}" height="{_HEIGHT}" fill="#{fill}"/>'
    attributes = (' font-weight="bold"' if style.bold else "") + (' opacity="0.6"' if is_dim(style) else "")
    escaped = escape(text)
    return (
        f'{background}<text x="{left:.1f}" y="{top + 14}" fill="#{foreground}"{attributes} '
        f'textLength="{wide:.1f}" lengthAdjust="spacingAndGlyphs">{escaped}</text>'
    )


if __name__ == "__main__":
    sys.exit(main())
