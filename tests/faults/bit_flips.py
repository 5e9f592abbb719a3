"""One bit of a ledger file is flipped, as by an old disk or a bad cable.

Whatever runs next must either say that the ledger is damaged (exit code 8) or print what it would have
printed without the damage. No damage may end in a bug (exit code 1), or in a receipt that the service never
issued. After a repair, what is listed must be true, and what is lost must be told.
"""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, NamedTuple

import damaged_ledgers
from docsend.checks import documents, submission_rules
from docsend.codes import Code
from docsend.model.submission import CheckedSubmission, Submission
from docsend.sandbox import server
from docsend.storage import catalogs
from docsend.storage.ledger import Ledger
from faults import lab
from faults.hostile.program import run_program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOCAL_ERROR = 8


class _Home(NamedTuple):
    """A client's home with its ledger, what the commands print with it, and the receipts that are true."""

    folder: Path
    env: dict[str, str]
    commands: dict[str, list[str]]
    expected: dict[str, lab.RunResult]
    numbers: set[str]

    @property
    def ledger(self) -> Path:
        return self.folder / "docsend" / "ledger.sqlite3"


def experiment(count: int, seed: int, scratch: Path) -> list[lab.FaultSummary]:
    """Flip `count` bits, each in a fresh copy of one ledger, and run the same commands after each."""
    summary = lab.FaultSummary("a flipped bit in the ledger", seed)
    rng = random.Random(seed)
    told = 0
    with lab.workspace(scratch, "bit flips") as folder, server.run_in_background(folder / "sandbox") as url:
        home = _make_home(folder, url)
        whole = home.ledger.read_bytes()
        used = [position for position, byte in enumerate(whole) if byte]
        for number in range(count):
            # Every other flip hits a byte that is in use: most of a young ledger is empty.
            byte = rng.choice(used) if number % 2 else rng.randrange(len(whole))
            bit = byte * 8 + rng.randrange(8)
            for file in home.ledger.parent.glob("ledger.*sqlite3*"):
                file.unlink()
            home.ledger.write_bytes(whole)
            damaged_ledgers.flip_bit(home.ledger, bit)
            results = {name: run_program(argv, home.env) for name, argv in home.commands.items()}
            violations = [found for name in results for found in _violations(name, results[name], home)]
            violations += _repair_violations(home)
            told += any(result.code == _LOCAL_ERROR for result in results.values())
            summary.add(f"flip {number}, bit {bit}", violations)
    summary.note = f"{told} told, {count - told} without effect"
    return [summary]


def _violations(name: str, result: lab.RunResult, home: _Home) -> list[tuple[str, str]]:
    """Return what is wrong with the result of a command after a flip."""
    expected = home.expected[name]
    numbers = set(_numbers(json.loads(result.out))) if result.out else set()
    if result.code == 1:
        return [("other", f"{name}: a bug: {result.err[-300:]}")]
    if numbers - home.numbers:
        return [("wrong", f"{name}: a receipt that was never issued: {result.out[:300]}")]
    if result.code == _LOCAL_ERROR:
        names_cure = "receipts repair" in result.err or "--ask" in result.err
        return [] if names_cure else [("other", f"{name}: no cure: {result.err[-300:]}")]
    if (result.code, result.out) != (expected.code, expected.out):
        seen = f"{result.code} {result.out[:300]} {result.err[-200:]}"
        return [("wrong", f"{name}: neither told nor harmless: {seen}")]
    return []


def _repair_violations(home: _Home) -> Iterator[tuple[str, str]]:
    """Repair the ledger, and check that what is listed afterwards is true."""
    repaired = run_program(["receipts", "repair", "--json"], home.env)
    listed = run_program(home.commands["receipts"], home.env)
    result = repaired.result
    is_done = repaired.code == 0 or "--ask" in repaired.err
    if not is_done or (listed.code != 0 and "--ask" not in listed.err):
        yield "other", f"not repaired: {repaired.code} {repaired.err[-300:]}, listed: {listed.code}"
        return
    before = {entry["key"]: entry for entry in home.expected["receipts"].result["receipts"]}
    entries = listed.result.get("receipts", []) if listed.code == 0 else []
    for entry in entries:
        if entry["state"] != "sending" and entry != before.get(entry["key"]):
            yield "wrong", f"changed by the repair: {entry}"
    counts = result["submissions"]
    if len(before) > counts["kept"] + counts["lost"]:
        yield "lost", f"the repair does not tell what it lost: {counts}"


def _numbers(value: object) -> list[str]:
    """Return the receipt numbers in a JSON value."""
    if isinstance(value, list):
        return [number for item in value for number in _numbers(item)]
    if isinstance(value, dict):
        own = [value["number"]] if isinstance(value.get("number"), str) else []
        return own + [number for item in value.values() for number in _numbers(item)]
    return []


def _make_home(folder: Path, url: str) -> _Home:
    """Send two submissions, and record others as declared, refused and withdrawn."""
    home = folder / "home"
    env = lab.environment(home)
    files = lab.make_documents(folder / "documents", 3, 1)
    send = ["send", *lab.CATALOG_OPTIONS, "--id", lab.ID_NUMBER, "--service", url, "--json"]
    sends = [[*send, str(files[0])], [*send, str(files[1]), str(files[2]), "--reference", "client 7"]]
    keys = [run_program(argv, env).result["key"] for argv in sends]
    ledger = home / "docsend" / "ledger.sqlite3"
    with Ledger(ledger) as opened:
        for number, state in enumerate(("open", "refused", "withdrawn")):
            checked = _checked(lab.make_documents(folder / state, 1, 10 + number))
            opened.record_plan(url, checked)
            if state == "open":
                opened.record_open(url, checked.key)
            elif state == "refused":
                opened.record_refused(url, checked.key, Code.REFUSED.value)
            else:
                opened.record_withdrawn(url, checked.key)
    commands = {
        "send again": sends[0],
        "send two documents again": sends[1],
        "receipts": ["receipts", "--json"],
        "receipts show": ["receipts", "show", keys[1], "--json"],
        "receipts export": ["receipts", "export", keys[0], "--format", "json"],
    }
    expected = {name: run_program(argv, env) for name, argv in commands.items()}
    assert {result.code for result in expected.values()} == {0}
    listed = expected["receipts"].result["receipts"]
    numbers = {entry["receipt"]["number"] for entry in listed if entry["receipt"]}
    assert len(numbers) == 2
    return _Home(home, env, commands, expected, numbers)


def _checked(files: list[Path]) -> CheckedSubmission:
    about = dict(zip(("to", "subject", "category", "type"), lab.CATALOG_OPTIONS[1::2], strict=True))
    submission = Submission(**about, id=lab.ID_NUMBER, documents=())
    read = documents.read_all(files, max_bytes=10**7)
    checked = submission_rules.check(submission.with_documents(read), catalogs.load())
    assert isinstance(checked, CheckedSubmission)
    return checked
