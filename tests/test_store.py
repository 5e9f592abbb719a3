"""What the sandbox keeps of what was never finished, and for how long."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest

import samples
from docsend import catalog
from docsend.sandbox import declaration
from docsend.sandbox.problems import Refusal
from docsend.sandbox.store import KEEPS_UNFINISHED, Place, Store
from docsend.submission import canonical
from test_key import DECLARATION

PLACE = Place("", "A" * 52)
NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture
def declared() -> declaration.Declaration:
    return declaration.read(canonical(DECLARATION), catalog.load(), is_signed_in=False)


def test_what_was_never_finished_is_removed_when_it_has_expired_and_its_key_is_free_again(
    tmp_path, declared
) -> None:
    for moment, is_kept in (
        (NOW, True),
        (NOW + KEEPS_UNFINISHED / 2, True),
        (NOW + 2 * KEEPS_UNFINISHED, False),
    ):
        store = Store(tmp_path, now=lambda moment=moment: moment)
        if moment == NOW:
            store.declare(PLACE, declared, "haifa")
            samples.write(tmp_path / "documents", "left.part", b"x")
            os.utime(tmp_path / "documents" / "left.part", (NOW.timestamp(), NOW.timestamp()))
        assert store.knows(PLACE) is is_kept
        assert (tmp_path / "documents" / "left.part").exists() is is_kept
        if not is_kept:
            with pytest.raises(Refusal, match="not-found"):
                store.standing(PLACE)
            _, is_new = store.declare(PLACE, declared, "haifa")
            assert is_new
        store.close()


def test_what_was_withdrawn_stays_withdrawn_for_ever(tmp_path, declared) -> None:
    store = Store(tmp_path, now=lambda: NOW)
    store.declare(PLACE, declared, "haifa")
    store.withdraw(PLACE)
    store.close()
    later = Store(tmp_path, now=lambda: NOW + timedelta(days=4000))
    with pytest.raises(Refusal, match="withdrawn"):
        later.declare(PLACE, declared, "haifa")
    later.close()
