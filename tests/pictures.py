"""Draw the pictures of the documentation: `make pictures` writes docs/pictures/*.svg from real runs.

Each picture is the unedited terminal output of docsend sending to a real sandbox. Receipts contain the
current time, so the pictures are redrawn when something that they show has changed, and not by a test.
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
from terminals import Terminal, colors, is_dim

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyte.screens import Char

FOLDER = Path(__file__).parent.parent / "docs" / "pictures"
COLUMNS = 92
PERSON = "000000018"
ENTER = "\r"
_WIDTH, _HEIGHT, _MARGIN, _BAR = 8.4, 19, 16, 30
_BACKGROUND, _FOREGROUND = "17191e", "d7dae0"
_QUESTIONS = {
    "en": ("remark (optional)", "send it?"),
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
            _draw("send", _send_picture(home))
            for language in ("en", "fr", "he"):
                _draw(f"guided-{language}", _guided_picture(home, language))
    return 0


def _send_picture(home: Path) -> list[Line]:
    names = ("payslip.pdf", "photo.jpg")
    _write_documents(home, names)
    about = "--to benefits --subject unemployment --category employer --type payslips"
    command = f"send {' '.join(names)} {about} --id {PERSON} --reference client-4711"
    terminal = Terminal(*command.split(), columns=COLUMNS, lines=24)
    assert terminal.finish() == 0, terminal.text
    typed = f"$ docsend send {' '.join(names)} --to benefits --subject unemployment \\"
    more = f"      --category employer --type payslips --id {PERSON} --reference client-4711"
    return [*_command_lines(typed), *_command_lines(more), *_lines(terminal)]


def _guided_picture(home: Path, language: str) -> list[Line]:
    """Send by answering prompts; the picture shows a menu, and the end of the run."""
    name = {"en": "payslip.pdf", "fr": "fiche de paie.pdf", "he": "תלוש שכר.pdf"}[language]
    # Not the same document in each language: under another name it would be refused.
    _write_documents(home, [name], first=("en", "fr", "he").index(language))
    words = {"en": "payslips", "fr": "fiches de paie", "he": "תלושי שכר"}[language]
    terminal = Terminal("send", name, columns=COLUMNS, lines=44, DOCSEND_LANG=language)
    terminal.answer("health-funds", "benefits" + ENTER)
    terminal.read_until("(benefits)" if "(benefits)" in terminal.text else ":")
    _answer_next(terminal, PERSON)
    _answer_next(terminal, {"en": "unemployment", "fr": "chômage", "he": "אבטלה"}[language])
    _answer_next(terminal, "employer")
    terminal.type(words[:6])
    terminal.read_until(words[:6])
    terminal.settle()
    choosing = _lines(terminal)
    terminal.type(ENTER)
    for answer in ("", "", "y"):
        _answer_next(terminal, answer)
    assert terminal.finish() == 0, terminal.text
    quoted = f"'{name}'" if " " in name else name
    lang = "" if language == "en" else f" --lang {language}"
    return [
        *_command_lines(f"$ docsend send {quoted}{lang}"),
        *choosing,
        *_command_lines("…"),
        *_lines(terminal),
    ]


def _answer_next(terminal: Terminal, answer: str) -> None:
    """Wait until the screen no longer changes, then answer its question."""
    before = ""
    while before != terminal.text or not before:
        before = terminal.text
        terminal.settle()
    terminal.type(answer + ENTER)


def _write_documents(home: Path, names: Sequence[str], *, first: int = 0) -> None:
    for number, name in enumerate(names, first):
        content = samples.jpeg() if name.endswith("jpg") else samples.pdf(number, size=48_000)
        samples.write(home, name, content)


# -- drawing -----------------------------------------------------------------------------------------------


def _command_lines(text: str) -> list[Line]:
    from pyte.screens import Char

    return [[(0, text, Char(" ", bold=True))]]


def _lines(terminal: Terminal) -> list[Line]:
    """Return the screen as runs of characters of the same style, without empty lines at the end."""
    rows = [list(_runs(terminal, row)) for row in range(terminal.screen.lines)]
    while rows and not "".join(text for _, text, _ in rows[-1]).strip():
        rows.pop()
    # Of consecutive empty lines, as above the toolbar at the bottom, only one remains.
    return [line for n, line in enumerate(rows) if line or (n and rows[n - 1])]


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
        f'<rect width="100%" height="100%" rx="8" fill="#{_BACKGROUND}"/>',
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
    left, width = _MARGIN + start * _WIDTH, len(text) * _WIDTH
    color, background = colors(style, _BACKGROUND, _FOREGROUND)
    rectangle = ""
    if background != _BACKGROUND:
        rectangle = (
            f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{_HEIGHT}" fill="#{background}"/>'
        )
    how = (' font-weight="bold"' if style.bold else "") + (' opacity="0.6"' if is_dim(style) else "")
    escaped = escape(text)
    return (
        f'{rectangle}<text x="{left:.1f}" y="{top + 14}" fill="#{color}"{how} '
        f'textLength="{width:.1f}" lengthAdjust="spacingAndGlyphs">{escaped}</text>'
    )


if __name__ == "__main__":
    sys.exit(main())
