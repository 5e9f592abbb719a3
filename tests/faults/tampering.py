"""A byte is changed on the way: the service must see it, and what is received must be what was checked."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import doubles
from faults import lab

if TYPE_CHECKING:
    from pathlib import Path


def experiment(count: int, seed: int, scratch: Path) -> list[lab.Tally]:
    """Send `count` submissions; of each document's first transfer one byte is changed."""
    tally = lab.Tally("a byte changed on the way", seed)
    chance = random.Random(seed)
    with lab.world(scratch, "tampering") as folder, lab.sandbox(folder / "sandbox") as sandbox:
        for number in range(count):
            files = lab.documents(folder / f"f{number}", 2, seed + number, stem=f"t{number}")
            home = folder / f"home{number}"
            changed: list[str] = []

            def change(
                asked: doubles.Asked, times: int, now: str, changed: list[str] = changed
            ) -> doubles.Reply | None:
                if "/documents/" in asked.path and (times, now) == (1, "before"):
                    body = bytearray(asked.body)
                    body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
                    asked.body = bytes(body)
                    changed.append(asked.path)
                return None

            with doubles.relay(sandbox.url, change) as (url, _):
                argv = ("send", *files, *lab.ABOUT, "--id", lab.PERSON, "--service", url, "--json")
                ran = lab.run(argv, lab.environment(home, DOCSEND_PATIENCE="20"))
            broken = lab.violations(sandbox.folder, [home], [ran], expected=lab.expected(files))
            if ran.code != 0:
                broken.append(("lost", f"it was not sent again whole: {ran.code} {ran.err[-200:]}"))
            tally.add(f"submission {number}", broken, struck=len(changed) == len(files))
    return [tally]
