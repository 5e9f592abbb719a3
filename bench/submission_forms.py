"""One exchange compared with the staged form, by size, number of documents and latency."""

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
    """Measure each case in both forms; a stored catalog determines which of them the client uses."""
    shapes = _SHAPES[:2] if quick else _SHAPES
    documents = Submissions(folder / "documents")
    files = {shape: documents.pdfs(*shape) for shape in shapes}
    rows = [("documents", "MB together", "latency ms", "one exchange ms", "staged ms", "saved ms", "saved")]
    for latency in _LATENCIES_MS:
        with stand_in(latency) as server:
            homes = {
                form: _home(folder / f"{form}-{latency}", catalog, server, most)
                for form, most in (("one exchange", _MOST), ("staged", None))
            }
            for shape in shapes:
                make = documents.docsend_resends(docsend, server.address, files[shape])
                timings = measure(
                    Contender("staged", make, {"DOCSEND_HOME": homes["staged"]}),
                    [Contender("one exchange", make, {"DOCSEND_HOME": homes["one exchange"]})],
                    environment,
                    rounds,
                )
                one_exchange, staged = median_wall(timings["one exchange"]), median_wall(timings["staged"])
                rows.append(
                    (
                        str(shape[0]),
                        f"{shape[0] * shape[1] / _MB:g}",
                        str(latency),
                        f"{one_exchange:.0f}",
                        f"{staged:.0f}",
                        f"{staged - one_exchange:.0f}",
                        f"{1 - one_exchange / staged:.0%}",
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
