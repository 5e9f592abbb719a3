"""A byte is changed on the way: the service must see it, and what is received must be what was checked."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import doubles
from faults import lab

if TYPE_CHECKING:
    from pathlib import Path


def experiment(count: int, seed: int, scratch: Path) -> list[lab.Tally]:
    """Send `count` submissions, in one exchange and staged; of each first transfer one byte is changed.

    It is a byte of a document. What a declaration says nobody holds against its key but its sender's receipt.
    """
    tally = lab.Tally("a byte changed on the way", seed)
    chance = random.Random(seed)
    with lab.world(scratch, "tampering") as folder, lab.sandbox(folder / "sandbox") as sandbox:
        for number in range(count):
            files = lab.documents(folder / f"f{number}", 2, seed + number, stem=f"t{number}")
            env = lab.environment(folder / f"home{number}", DOCSEND_PATIENCE="20")
            is_staged = number % 2 == 1
            contents = [file.read_bytes() for file in files]
            changed: list[str] = []

            def change(
                asked: doubles.ReceivedRequest,
                times: int,
                now: str,
                changed: list[str] = changed,
                contents: list[bytes] = contents,
            ) -> doubles.Reply | None:
                if (times, now) == (1, "before") and any(content in asked.body for content in contents):
                    content = chance.choice([content for content in contents if content in asked.body])
                    body = bytearray(asked.body)
                    start = asked.body.index(content)
                    body[start + chance.randrange(len(content))] ^= 1 << chance.randrange(8)
                    asked.body = bytes(body)
                    changed.append(asked.path)
                return None

            with doubles.relay(sandbox.url, change) as (url, _):
                if is_staged:
                    lab.offer(env, url, None)
                argv = ("send", *files, *lab.ABOUT, "--id", lab.PERSON, "--service", url, "--json")
                ran = lab.run(argv, env)
            home = folder / f"home{number}"
            broken = lab.violations(sandbox.folder, [home], [ran], expected=lab.expected(files))
            if ran.code != 0:
                broken.append(("lost", f"it was not sent again whole: {ran.code} {ran.err[-200:]}"))
            tally.add(f"submission {number}", broken, struck=len(changed) == (len(files) if is_staged else 1))
    return [tally]
