"""The cost of the ledger: syncing each step of a submission to disk, and storing a million receipts."""

import base64
import hashlib
import re
import shutil
import sqlite3
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from batches import DOCUMENT
from clock import Contender, measure, median_wall, ratio, ratios, time_command_with_peak, warm_up
from docsend.storage.ledger_rows import checksum
from report import Section, table
from servers import Server
from submissions import Rows, Submissions

_MEMORY_DISK = Path("/dev/shm")  # noqa: S108 - a file system in memory, for comparison with the disk
_RECEIPTS = 1_000_000
_LISTED = 100_000
_BATCH = 300
_SYNCS = re.compile(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)(?:\s+\d+)?\s+(?:fsync|fdatasync)$", re.MULTILINE)
_FILE = "ledger.sqlite3"


def section(
    docsend: str,
    server: Server,
    folder: Path,
    environment: Mapping[str, str],
    rounds: int,
    *,
    quick: bool,
) -> Section:
    """Measure the cost of durability (ledger on disk and in memory), then a large ledger."""
    documents = Submissions(folder / "documents")
    receipts = _RECEIPTS // 20 if quick else _RECEIPTS
    parts = [
        _durability(docsend, server, documents, folder, environment, rounds),
        _large(docsend, server, documents, folder, environment, rounds, receipts),
    ]
    return Section("The ledger", "\n".join(parts))


# -- durability --------------------------------------------------------------------------------------------


def _durability(
    docsend: str,
    server: Server,
    documents: Submissions,
    folder: Path,
    environment: Mapping[str, str],
    rounds: int,
) -> str:
    rows = documents.rows(_BATCH, DOCUMENT)
    heading = ("durability", "found")
    found = [heading, *_syncs(docsend, server, documents, rows, folder, environment)]
    if _MEMORY_DISK.is_dir():
        with TemporaryDirectory(dir=_MEMORY_DISK, prefix="docsend-bench-") as memory:
            on_disk, in_memory = "ledger on the disk", "ledger in memory"
            timings = measure(
                Contender(in_memory, _batch(docsend, server, rows), {"DOCSEND_HOME": memory}),
                [Contender(on_disk, _batch(docsend, server, rows), {"DOCSEND_HOME": str(folder / "home")})],
                environment,
                rounds,
            )
        costs = statistics.median(
            (disk.wall - ram.wall) / _BATCH
            for disk, ram in zip(timings[on_disk], timings[in_memory], strict=True)
        )
        found.append(("ms a row, ledger on the disk", f"{median_wall(timings[on_disk]) / _BATCH:.2f}"))
        found.append(("ms a row, ledger in memory", f"{median_wall(timings[in_memory]) / _BATCH:.2f}"))
        found.append(("of which the disk is, in ms a row", f"{costs:.2f}"))
    return table(found)


def _batch(docsend: str, server: Server, rows: Rows) -> Callable[[], Sequence[str]]:
    """Return a function that creates batch commands with one job, so that waiting for the disk is visible."""
    return lambda: [
        *(docsend, "send", "--batch", str(rows.manifest(_BATCH)), "--anyway", "--jobs", "1", "--quiet"),
        *("--service", server.address),
    ]


def _syncs(
    docsend: str,
    server: Server,
    documents: Submissions,
    rows: Rows,
    folder: Path,
    environment: Mapping[str, str],
) -> Iterator[tuple[str, str]]:
    if not (strace := shutil.which("strace")):
        yield "fsyncs", "not counted: no strace here"
        return
    home = {**environment, "DOCSEND_HOME": str(folder / "home")}
    one = documents.docsend_sends(docsend, server.address, DOCUMENT)
    warm_up(one(), home)
    yield "fsyncs of one submission, whole process", str(_count_syncs(strace, one(), home, folder))
    batch = _count_syncs(strace, _batch(docsend, server, rows)(), home, folder)
    yield f"fsyncs a row, batch of {_BATCH}", f"{batch / _BATCH:.2f}"


def _count_syncs(strace: str, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> int:
    counts = folder / "syncs"
    traced = [strace, "-f", "-qq", "-c", "-e", "trace=fsync,fdatasync", "-o", str(counts), *command]
    warm_up(traced, environment)
    return sum(map(int, _SYNCS.findall(counts.read_text("utf-8"))))


# -- a million receipts ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Home:
    """A home folder with a ledger, and the key of a receipt in the middle of it."""

    home: Path
    key: str

    @property
    def environment(self) -> dict[str, str]:
        return {"DOCSEND_HOME": str(self.home)}


def _large(
    docsend: str,
    server: Server,
    documents: Submissions,
    folder: Path,
    environment: Mapping[str, str],
    rounds: int,
    receipts: int,
) -> str:
    small, large = _ledgers(docsend, server, documents, folder, environment, receipts)
    rows = [("what", "ms, 1 receipt", f"ms, {receipts:,} receipts", "×", "min–max")]
    for name, command in _commands(docsend, server, documents).items():
        timings = measure(
            Contender("small", command(small), small.environment),
            [Contender("large", command(large), large.environment)],
            environment,
            rounds,
        )
        found = ratios(timings["large"], timings["small"])
        rows.append(
            (
                name,
                f"{median_wall(timings['small']):.0f}",
                f"{median_wall(timings['large']):.0f}",
                f"{ratio(timings, 'large', 'small'):.2f}",
                f"{min(found):.2f}–{max(found):.2f}",
            )
        )
    listed = min(_LISTED, receipts)
    listing = [docsend, "receipts", "--json", "--most", str(listed)]
    timing, peak = time_command_with_peak(listing, {**environment, **large.environment})
    size = (large.home / _FILE).stat().st_size / receipts
    whole = [
        ("many at once", "seconds", "peak MiB", "bytes a receipt in the file"),
        (
            f"docsend receipts --json --most {listed}, once",
            f"{timing.wall / 1000:.1f}",
            f"{peak.mib:.0f}",
            f"{size:.0f}",
        ),
    ]
    return f"{table(rows)}\n{table(whole)}"


def _commands(
    docsend: str, server: Server, documents: Submissions
) -> Mapping[str, Callable[[_Home], Callable[[], Sequence[str]]]]:
    """Return the commands that read or write the ledger; each takes a home folder."""
    send = documents.docsend_sends(docsend, server.address, DOCUMENT)
    return {
        "docsend receipts --most 50": lambda _home: lambda: [docsend, "receipts", "--most", "50"],
        "docsend receipts show KEY": lambda home: lambda: [docsend, "receipts", "show", home.key],
        "docsend receipts show, 12 characters": lambda home: (
            lambda: [
                docsend,
                "receipts",
                "show",
                home.key[:12],
            ]
        ),
        "docsend receipts resume, nothing to do": lambda _home: lambda: [docsend, "receipts", "resume"],
        "completion of `receipts show`": lambda _home: lambda: [docsend, "_complete", "receipts", "show", ""],
        "docsend send, 2 KB PDF": lambda _home: send,
    }


def _ledgers(
    docsend: str,
    server: Server,
    documents: Submissions,
    folder: Path,
    environment: Mapping[str, str],
    receipts: int,
) -> tuple[_Home, _Home]:
    """Create a small ledger by sending once, and a large one by copying its receipt under other keys."""
    small, large = folder / "home-small", folder / "home-large"
    warm_up(
        documents.docsend_sends(docsend, server.address, DOCUMENT)(),
        {**environment, "DOCSEND_HOME": str(small)},
    )
    shutil.copytree(small, large)
    with sqlite3.connect(small / _FILE) as ledger:
        (first,) = ledger.execute("SELECT key FROM submission").fetchone()
    return _Home(small, first), _Home(large, _multiply(large / _FILE, first, receipts))


def _multiply(file: Path, first: str, receipts: int) -> str:
    """Copy the only submission of a ledger many times, and return a key from the middle.

    Keys are replaced wherever they occur, and times are increased. Digests differ in each copy, and checksums
    are right.
    """
    keys = sorted(_keys(receipts - 1))
    connection = sqlite3.connect(file, isolation_level=None)
    for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -1000000"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("BEGIN")
    for name in ("submission", "document"):
        columns = [column for _, column, *_ in connection.execute(f"PRAGMA table_info({name})")]
        row = connection.execute(f"SELECT * FROM {name}").fetchone()  # noqa: S608 - the name is one of the two above
        places = ", ".join("?" * len(columns))
        connection.executemany(f"INSERT INTO {name} VALUES ({places})", _copies(row, columns, first, keys))  # noqa: S608
    connection.execute("COMMIT")
    connection.close()
    return keys[len(keys) // 2]


def _keys(count: int) -> Iterator[str]:
    for number in range(count):
        yield base64.b32encode(hashlib.sha256(b"%d" % number).digest()).decode("ascii").rstrip("=")


def _copies(
    row: Sequence[object], columns: Sequence[str], first: str, keys: Sequence[str]
) -> Iterator[list[object]]:
    """Yield the row under each key, planned at consecutive seconds of the previous year."""
    times = [columns.index(column) for column in ("planned_at", "changed_at") if column in columns]
    digests = [number for number, column in enumerate(columns) if column.endswith("_digest")]
    old, short = first.encode(), first[:8].encode()
    for number, key in enumerate(keys):
        copy = [
            value.replace(old, key.encode()).replace(short, key[:8].encode())
            if isinstance(value, bytes)
            else key
            if value == first
            else value
            for value in row
        ]
        for index in times:
            second, minute, hour = number % 60, number // 60 % 60, number // 3600
            day = f"2025-{hour // 24 // 28 + 1:02}-{hour // 24 % 28 + 1:02}"
            copy[index] = f"{day}T{hour % 24:02}:{minute:02}:{second:02}.000Z"
        for index in digests:
            copy[index] = copy[index] and hashlib.sha256(f"{columns[index]} {key}".encode()).digest()
        receipt = copy[columns.index("receipt")] if "receipt" in columns else None
        if isinstance(receipt, bytes):
            copy[columns.index("receipt_sha256")] = hashlib.sha256(receipt).digest()
        yield [*copy[:-1], checksum(*copy[:-1])]
