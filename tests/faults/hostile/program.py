"""The program's public door, and what may never come out of it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema

import docsend
from docsend import i18n
from docsend.cli import app
from docsend.text import escape_for_terminal
from faults import lab

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from docsend.i18n import Message

    Violations = Iterable[tuple[str, str]]

# No C0 but the line feed, no DEL, no C1, nothing that turns the reading direction, no raw surrogate.
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_CODES = frozenset({0, 2, 3, 4, 5, 6, 8})  # of errors.ExitCode, without a bug and without signals
_RESULT = jsonschema.Draft202012Validator(
    json.loads(
        (Path(docsend.__file__).parent / "data" / "schemas" / "result-2.json").read_text(encoding="utf-8")
    )
)


def through_the_door(argv: Sequence[str], environment: Mapping[str, str]) -> lab.Ran:
    """Run the program in this process with streams that keep what they get, and an environment."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    kept = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = app.main(list(argv))
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    finally:
        os.environ.clear()
        os.environ.update(kept)
    out.seek(0)
    err.seek(0)
    return lab.Ran(code, out.read(), err.read())


def judged(ran: lab.Ran, *, as_json: bool) -> Violations:
    """Hold what came out of the door against what always holds."""
    if ran.code not in _CODES:
        yield "other", f"exit code {ran.code}: {ran.err[:200]!a}"
    yield from unsafe(ran.out, "on stdout")
    yield from unsafe(ran.err, "on stderr")
    if as_json:
        try:
            value = json.loads(ran.out)
        except ValueError:
            yield "other", f"stdout is not JSON: {ran.out[:80]!a}"
            return
        if value.get("schema") == "docsend.result/2" and not _RESULT.is_valid(value):
            yield "other", "the JSON does not keep its schema"


def rendered(*messages: Message | None) -> str:
    """Return messages as a terminal would get them."""
    return " ".join(i18n.ENGLISH.render(each, escape=escape_for_terminal) for each in messages if each)


def unsafe(text: str, where: str) -> Violations:
    if found := UNSAFE.search(text):
        yield "seen", f"{found[0]!a} {where}, in {text[max(0, found.start() - 30) : found.end()]!a}"
    yield from (("seen", f"{secret[:3]}... {where}") for secret in lab.SECRETS if secret in text)


def environment_at(home: Path, **more: str) -> dict[str, str]:
    return {**lab.environment(home), "DOCSEND_PATIENCE": "0", **more}
