"""Run the program in this process, and check its output."""

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

# C0 except line feed, DEL, C1, characters that change the text direction, and surrogates.
UNSAFE_CHARACTERS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_EXIT_CODES = frozenset({0, 2, 3, 4, 5, 6, 8})  # errors.ExitCode without the codes for a bug and for signals
_RESULT_SCHEMA = jsonschema.Draft202012Validator(
    json.loads(
        (Path(docsend.__file__).parent / "data" / "schemas" / "result-2.json").read_text(encoding="utf-8")
    )
)


def run_program(argv: Sequence[str], environment: Mapping[str, str]) -> lab.RunResult:
    """Run the program in this process, in the given environment, and capture its output."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    saved = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = app.main(list(argv))
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    finally:
        os.environ.clear()
        os.environ.update(saved)
    out.seek(0)
    err.seek(0)
    return lab.RunResult(code, out.read(), err.read())


def output_violations(result: lab.RunResult, *, as_json: bool) -> Violations:
    """Check the exit code and the output of a run against rules that always hold."""
    if result.code not in _EXIT_CODES:
        yield "other", f"exit code {result.code}: {result.err[:200]!a}"
    yield from unsafe_text(result.out, "on stdout")
    yield from unsafe_text(result.err, "on stderr")
    if as_json:
        try:
            value = json.loads(result.out)
        except ValueError:
            yield "other", f"stdout is not JSON: {result.out[:80]!a}"
            return
        if value.get("schema") == "docsend.result/2" and not _RESULT_SCHEMA.is_valid(value):
            yield "other", "the JSON does not match its schema"


def render(*messages: Message | None) -> str:
    """Return messages as they are printed to a terminal."""
    return " ".join(
        i18n.ENGLISH.render(message, escape=escape_for_terminal) for message in messages if message
    )


def unsafe_text(text: str, where: str) -> Violations:
    if found := UNSAFE_CHARACTERS.search(text):
        yield "leaked", f"{found[0]!a} {where}, in {text[max(0, found.start() - 30) : found.end()]!a}"
    yield from (("leaked", f"{secret[:3]}... {where}") for secret in lab.SECRETS if secret in text)


def program_environment(home: Path, **more: str) -> dict[str, str]:
    return {**lab.environment(home), "DOCSEND_PATIENCE": "0", **more}
