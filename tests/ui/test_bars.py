"""The progress bar of a batch."""

from __future__ import annotations

import io
import sys
import time

import pytest

from docsend.i18n import Translator
from docsend.ui import bars, progress

pytestmark = pytest.mark.everywhere


def test_the_bar_shows_the_last_of_many_quick_rows(monkeypatch) -> None:
    drawn = io.StringIO()
    monkeypatch.setattr(sys, "stderr", drawn)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with bars.row_bar(progress.SENT_TEXTS, 24, Translator("en")) as rows:
        for done in range(1, 9):
            rows.update(done)
        time.sleep(0.3)  # the bar is redrawn ten times per second
        shown = drawn.getvalue()
    assert "8/24 rows" in shown, shown
