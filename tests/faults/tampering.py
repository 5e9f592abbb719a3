"""A byte of a document is changed in transit.

The service must detect it, and what it receives in the end must be what the client checked.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import doubles
from faults import lab

if TYPE_CHECKING:
    from pathlib import Path


def experiment(count: int, seed: int, scratch: Path) -> list[lab.FaultSummary]:
    """Send `count` submissions, half in one exchange and half staged; change a byte of each first transfer.

    The byte is always part of a document: the service does not compare a declaration with its key, so a
    changed declaration shows only in the receipt.
    """
    summary = lab.FaultSummary("a byte changed in transit", seed)
    rng = random.Random(seed)
    with lab.workspace(scratch, "tampering") as folder, lab.sandbox(folder / "sandbox") as sandbox:
        for number in range(count):
            files = lab.make_documents(folder / f"f{number}", 2, seed + number, stem=f"t{number}")
            env = lab.environment(folder / f"home{number}", DOCSEND_PATIENCE="20")
            is_staged = number % 2 == 1
            contents = [file.read_bytes() for file in files]
            changed_paths: list[str] = []

            def flip_bit(
                request: doubles.ReceivedRequest,
                times: int,
                now: str,
                changed: list[str] = changed_paths,
                contents: list[bytes] = contents,
            ) -> doubles.Reply | None:
                if (times, now) == (1, "before") and any(content in request.body for content in contents):
                    content = rng.choice([content for content in contents if content in request.body])
                    body = bytearray(request.body)
                    start = request.body.index(content)
                    body[start + rng.randrange(len(content))] ^= 1 << rng.randrange(8)
                    request.body = bytes(body)
                    changed.append(request.path)
                return None

            with doubles.relay(sandbox.url, flip_bit) as (url, _):
                if is_staged:
                    lab.store_catalog(env, url, None)
                argv = (
                    "send",
                    *files,
                    *lab.CATALOG_OPTIONS,
                    "--id",
                    lab.ID_NUMBER,
                    "--service",
                    url,
                    "--json",
                )
                result = lab.run(argv, env)
            home = folder / f"home{number}"
            violations = lab.find_violations(
                sandbox.folder, [home], [result], expected=lab.digests_by_name(files)
            )
            if result.code != 0:
                violations.append(
                    ("lost", f"the unchanged document was not sent again: {result.code} {result.err[-200:]}")
                )
            summary.add(
                f"submission {number}",
                violations,
                triggered=len(changed_paths) == (len(files) if is_staged else 1),
            )
    return [summary]
