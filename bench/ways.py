"""One exchange compared with the staged way, by size, number of documents and latency."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from clock import Contender, measure, median_wall
from report import Section, table
from servers import Server, stand_in
from submissions import Submissions

_MB = 1_000_000
# (number of documents, bytes of each), from tiny to the largest size that a client buffers.
_SHAPES = ((1, 100_000), (1, _MB), (1, 4 * _MB), (1, 8 * _MB), (8, 100_000), (8, _MB), (15, _MB))
_LATENCIES_MS = (0, 20, 100)
_MOST = 15 * 2**20


def section(
    docsend: str, catalog: Path, folder: Path, environment: Mapping[str, str], rounds: int, *, quick: bool
) -> Section:
    """Measure each case in both ways; a stored catalog determines which way the client uses."""
    shapes = _SHAPES[:2] if quick else _SHAPES
    documents = Submissions(folder / "ways")
    files = {shape: documents.pdfs(*shape) for shape in shapes}
    rows = [("documents", "MB together", "latency ms", "one exchange ms", "staged ms", "saved ms", "saved")]
    for latency in _LATENCIES_MS:
        with stand_in(latency) as server:
            homes = {
                way: _home(folder / f"{way}-{latency}", catalog, server, most)
                for way, most in (("whole", _MOST), ("staged", None))
            }
            for shape in shapes:
                make = documents.docsend_resends(docsend, server.address, files[shape])
                timings = measure(
                    Contender("staged", make, {"DOCSEND_HOME": homes["staged"]}),
                    [Contender("whole", make, {"DOCSEND_HOME": homes["whole"]})],
                    environment,
                    rounds,
                )
                whole, staged = median_wall(timings["whole"]), median_wall(timings["staged"])
                rows.append(
                    (
                        str(shape[0]),
                        f"{shape[0] * shape[1] / _MB:g}",
                        str(latency),
                        f"{whole:.0f}",
                        f"{staged:.0f}",
                        f"{staged - whole:.0f}",
                        f"{1 - whole / staged:.0%}",
                    )
                )
    return Section("One exchange or staged", table(rows))


def _home(home: Path, catalog: Path, server: Server, most: int | None) -> str:
    """Create a home whose catalog has this limit for one exchange; None disables one exchange."""
    offered = json.loads(catalog.read_bytes())
    offered["one_exchange_bytes"] = most
    name = hashlib.sha256(server.address.encode()).hexdigest()[:16]
    (home / "catalogs").mkdir(parents=True)
    (home / "catalogs" / f"{name}.json").write_text(json.dumps(offered))
    return str(home)
