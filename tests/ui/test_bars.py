"""The bar of a batch."""

from __future__ import annotations

import io
import sys
import time

import pytest

from docsend.i18n import Translator
from docsend.ui import bars, progress

pytestmark = pytest.mark.everywhere


def test_a_bunch_of_rows_that_ended_is_drawn_to_the_last(monkeypatch) -> None:
    drawn = io.StringIO()
    monkeypatch.setattr(sys, "stderr", drawn)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with bars.row_bar(progress.SENT_TEXTS, 24, Translator("en")) as rows:
        for done in range(1, 9):
            rows.count(done)
        time.sleep(0.3)  # it is drawn ten times a second
        shown = drawn.getvalue()
    assert "8/24 rows" in shown, shown
