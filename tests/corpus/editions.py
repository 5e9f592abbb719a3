"""The editions of docsend that are compared: with the extra `documents`, without it, and of an older commit.

With the extra, it is asked twice, the second time with `--thorough`.

They are installed as the benchmarks install them (`bench/venvs.py`, which has to be on PYTHONPATH), so that a
developer's environment, which has the decoders, does not help the edition without them.
"""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING

import venvs
from corpus.judging import Edition

if TYPE_CHECKING:
    from pathlib import Path

_THOROUGH = "--thorough"
WITH, DECODED, WITHOUT = "with the extra", "with --thorough", "without"
OLDER = venvs.OLDER_COMMIT


def prepare(home: Path, older: str | None) -> list[Edition]:
    """Return the editions that are installed here, and that of the older commit, if git has it."""
    environment = {**venvs.user_environment(), "DOCSEND_HOME": str(home), "HOME": str(home)}
    plain = venvs.prepare_environments().plain
    installed = (
        Edition(WITH, _developers_docsend(), (), environment),
        Edition(DECODED, _developers_docsend(), (_THOROUGH,), environment),
        Edition(WITHOUT, [plain.docsend], (), environment),
    )
    before = venvs.older_environment(older) if older else None
    return [*installed, *([Edition(older or "", [before.docsend], (), environment)] if before else [])]


def pdfium() -> tuple[str, str]:
    """Return a Python that has PDFium, and its version."""
    environment = venvs.for_peer("pypdfium2")
    return environment.python, environment.versions(["pypdfium2"])["pypdfium2"]


def _developers_docsend() -> list[str]:
    """Return the docsend of this environment, which has the decoders."""
    for decoder in ("pikepdf", "PIL"):
        if importlib.util.find_spec(decoder) is None:
            raise SystemExit(f"{decoder} is missing: run this with the developers' environment")
    return [sys.executable, "-m", "docsend"]
