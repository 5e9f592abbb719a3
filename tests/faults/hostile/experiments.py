"""The experiment: generate inputs of each class, and check what the program does with each."""

from __future__ import annotations

import contextlib
import os
import random
from pathlib import Path
from typing import TYPE_CHECKING

from faults import lab
from faults.hostile.catalogs import Catalogs
from faults.hostile.files import Documents
from faults.hostile.limits import TimeLimitExceeded, install_timers, limit_time
from faults.hostile.names import FileNames
from faults.hostile.paths import Paths
from faults.hostile.responses import Responses
from faults.hostile.settings import Settings

if TYPE_CHECKING:
    from faults.hostile.inputs import HostileInputs

PROGRAM_EVERY = 20

SHARES = {
    "hostile file names": 0.24,
    "hostile paths": 0.10,
    "hostile documents": 0.26,
    "hostile catalogs": 0.12,
    "hostile receipts and responses": 0.14,
    "hostile configuration and environment": 0.14,
}


def experiment(count: int, seed: int, scratch: Path) -> list[lab.FaultSummary]:
    """Try about `count` hostile inputs, and return a summary for each class."""
    summaries = []
    classes = (FileNames, Paths, Documents, Catalogs, Responses, Settings)
    for (name, share), make_inputs in zip(SHARES.items(), classes, strict=True):
        summary = lab.FaultSummary(name, seed)
        with lab.workspace(scratch, name) as folder, install_timers(), contextlib.ExitStack() as opened:
            inputs = make_inputs(folder, opened)
            for number in range(max(1, round(count * share))):
                _try_input(summary, inputs, number)
        summaries.append(summary)
    return summaries


def _try_input(summary: lab.FaultSummary, inputs: HostileInputs, number: int) -> None:
    rng = random.Random(f"{summary.seed}:{summary.name}:{number}")
    uses_program = number % PROGRAM_EVERY == PROGRAM_EVERY - 1
    inputs.description = ""
    try:
        with limit_time():
            violations = list(inputs.try_program(rng) if uses_program else inputs.try_function(rng))
    except TimeLimitExceeded as limit:
        violations = [("other", f"it takes more than {limit}")]
    except Exception as error:
        violations = [("other", f"{type(error).__name__} at {_location(error)}: {str(error)[:120]!a}")]
    summary.add(f"input {number} ({inputs.description[:160]})", violations)


def _location(error: BaseException) -> str:
    """Return the innermost file and line of docsend in an error's traceback, or "?"."""
    trace, place = error.__traceback__, "?"
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if f"{os.sep}docsend{os.sep}" in file:
            place = f"{Path(file).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
