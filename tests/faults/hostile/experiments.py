"""The experiment: so many inputs of each class, and what became of each."""

from __future__ import annotations

import contextlib
import os
import random
from pathlib import Path
from typing import TYPE_CHECKING

from faults import lab
from faults.hostile.catalogs import Catalogs
from faults.hostile.files import Documents
from faults.hostile.limits import TooLong, alarms, timed
from faults.hostile.names import Names
from faults.hostile.paths import Paths
from faults.hostile.responses import Responses
from faults.hostile.settings import Settings

if TYPE_CHECKING:
    from faults.hostile.inputs import Inputs

DOOR_EVERY = 20

SHARES = {
    "hostile file names": 0.24,
    "hostile paths": 0.10,
    "hostile documents": 0.26,
    "hostile catalogs": 0.12,
    "hostile receipts and responses": 0.14,
    "hostile configuration and environment": 0.14,
}


def experiment(count: int, seed: int, scratch: Path) -> list[lab.Tally]:
    """Make `count` hostile inputs in all, and see what becomes of each; give a tally for each class."""
    tallies = []
    classes = (Names, Paths, Documents, Catalogs, Responses, Settings)
    for (name, share), made in zip(SHARES.items(), classes, strict=True):
        tally = lab.Tally(name, seed)
        with lab.world(scratch, name) as folder, alarms(), contextlib.ExitStack() as opened:
            inputs = made(folder, opened)
            for number in range(max(1, round(count * share))):
                _try(tally, inputs, number)
        tallies.append(tally)
    return tallies


def _try(tally: lab.Tally, inputs: Inputs, number: int) -> None:
    rng = random.Random(f"{tally.seed}:{tally.name}:{number}")
    through_door = number % DOOR_EVERY == DOOR_EVERY - 1
    inputs.what = ""
    try:
        with timed():
            found = list(inputs.door(rng) if through_door else inputs.near(rng))
    except TooLong as late:
        found = [("other", f"it takes more than {late}")]
    except Exception as error:
        found = [("other", f"{type(error).__name__} at {_place(error)}: {str(error)[:120]!a}")]
    tally.add(f"input {number} ({inputs.what[:160]})", found)


def _place(error: BaseException) -> str:
    """Say where in docsend an error came from."""
    trace, place = error.__traceback__, "?"
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if f"{os.sep}docsend{os.sep}" in file:
            place = f"{Path(file).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
