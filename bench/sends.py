"""One document, and the most that one submission takes: docsend beside curl, openssl and others."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from shlex import join

from clock import Contender, Timings, measured, median_cpu, median_wall, ratio, ratios, timed_with_peak
from peers import Installed
from report import Budget, Section, table
from servers import Load, Server
from submissions import Submissions, found, uploads_by_curl

SMALL, LARGE = 100_000, 10_000_000
_MOST_DOCUMENTS = 15
_SENT, _BARE = 14.0, "bare Python"
_TRANSFER, _MEMORY = 1.25, 60.0
_ONE, _ALL = 1000, "15 × 10 MB"


def one_document(
    installed: tuple[str, str, str],
    sandbox: Server,
    stand_in: Server,
    peers: Sequence[Installed],
    folder: Path,
    environment: Mapping[str, str],
    rounds: int,
) -> Section:
    """Measure one document as a whole process. `installed`: docsend, docsend beside its sandbox, Python."""
    docsend, beside_sandbox, python = installed
    documents = Submissions(folder / "one")
    base = Contender(_BARE, lambda: [python, "-I", "-c", "pass"])
    text, budgets = [], []
    for size, called in ((SMALL, "100 KB"), (LARGE, "10 MB")):
        ours = f"docsend send, {called}, stand-in"
        to_sandbox = f"docsend send, {called}, sandbox"
        ready = "digest, key and declaration are given to it"
        does = {
            _BARE: "nothing",
            ours: "checks, ledger, three requests, receipt",
            to_sandbox: "the same; the sandbox checks and syncs, too",
            f"{to_sandbox}, sandbox extra installed": "the same",
            f"curl, the same three requests, {called}, stand-in": ready,
            f"curl, the same three requests, {called}, sandbox": ready,
            f"curl --upload-file, {called}": "one PUT, nothing else",
        }
        makers: list[Callable[[], Sequence[str]]] = [
            documents.by_docsend(docsend, stand_in.address, size),
            documents.by_docsend(docsend, sandbox.address, size),
            documents.by_docsend(beside_sandbox, sandbox.address, size),
            documents.by_curl(stand_in.address, size),
            documents.by_curl(sandbox.address, size),
            _fixed(uploads_by_curl(stand_in.address, [documents.pdf(size)])),
        ]
        contenders = [Contender(name, make) for name, make in zip(list(does)[1:], makers, strict=True)]
        for each in peers:
            name = f"{each.peer.label}, {called}"
            does[name] = each.peer.does
            contenders.append(_of_peer(each, name, stand_in, folder, size))
        timings = measured(base, contenders, environment, rounds)
        text.append(_one_table(timings, ours, does))
        if size == SMALL:
            found = ratio(timings, to_sandbox, _BARE)
            budgets.append(Budget("docsend send, 100 KB PDF, sandbox running", _SENT, found, "× bare Python"))
    _, most = timed_with_peak(documents.by_docsend(docsend, stand_in.address, LARGE)(), environment)
    budgets.append(Budget("memory of docsend send, 10 MB PDF", _MEMORY, most.mib, f"MiB ({most.by})"))
    return Section("One document", "\n".join(text), budgets)


def _of_peer(each: Installed, name: str, server: Server, folder: Path, size: int) -> Contender:
    own = folder / each.peer.package
    own.mkdir(exist_ok=True)
    command = each.sending(server.address, each.peer.makes(own, size))
    settings = each.peer.settings(server.address, own)
    return Contender(name, lambda: command, extra=settings, is_optional=True)


def _one_table(timings: Timings, ours: str, does: Mapping[str, str]) -> str:
    rows = [("what", "median ms", "CPU ms", "× bare Python", "× docsend", "what it does")]
    rows += [
        (
            name,
            f"{median_wall(own):.1f}",
            f"{median_cpu(own):.1f}",
            f"{ratio(timings, name, _BARE):.2f}",
            f"{ratio(timings, name, ours):.2f}",
            does[name],
        )
        for name, own in timings.items()
    ]
    rows += [
        (name, "did not run here", "", "", "", what) for name, what in does.items() if name not in timings
    ]
    return table(rows)


def many_documents(
    docsend: str,
    plain: Server,
    over_tls: Server,
    nginx: Server | None,
    folder: Path,
    environment: Mapping[str, str],
    rounds: int,
) -> Section:
    """Measure 15 documents of 10 MB in one submission, plain and over TLS.

    The transfer part is the whole process less one with a document of 1 KB; on both sides.
    """
    documents = Submissions(folder / "many")
    large, small = documents.pdfs(_MOST_DOCUMENTS, LARGE), documents.pdfs(1, _ONE)
    rows = [
        ("what", "median ms", "CPU ms", "transfer ms", "× openssl + curl", "transfer only", "far side busy")
    ]
    budgets = []
    for server, named in ((plain, ""), (over_tls, " over TLS")):
        tls = ["--cacert", str(server.certificates)] if server.certificates else []
        verified = {"SSL_CERT_FILE": str(server.certificates)} if server.certificates else {}
        yardstick, docsends, curls = (
            f"openssl dgst + curl -T{named}",
            f"docsend send{named}",
            f"curl, the same requests, hashed before{named}",
        )
        least = {name: f"{name}, 1 KB" for name in (yardstick, docsends, curls)}
        load = Load(server)
        timings = measured(
            Contender(yardstick, _fixed(_hash_and_upload(server, large, tls))),
            [
                Contender(
                    docsends, documents.again_by_docsend(docsend, server.address, large), extra=verified
                ),
                Contender(curls, documents.again_by_curl(server.address, large, *tls)),
                Contender(least[yardstick], _fixed(_hash_and_upload(server, small, tls))),
                Contender(
                    least[docsends],
                    documents.again_by_docsend(docsend, server.address, small),
                    extra=verified,
                ),
                Contender(least[curls], documents.again_by_curl(server.address, small, *tls)),
            ],
            environment,
            rounds,
            {docsends: load.during},
        )
        for name in (yardstick, docsends, curls):
            only = _transfer_ratio(timings, name, yardstick, least)
            rows.append(
                (
                    f"{_ALL}: {name}",
                    f"{median_wall(timings[name]):.0f}",
                    f"{median_cpu(timings[name]):.0f}",
                    f"{median_wall(timings[name]) - median_wall(timings[least[name]]):.0f}",
                    f"{ratio(timings, name, yardstick):.2f}",
                    f"{only:.2f}",
                    str(load) if name == docsends else "",
                )
            )
            if name == docsends:
                budgets.append(Budget(f"{_ALL}{named}, transfer", _TRANSFER, only, "× (openssl + curl -T)"))
    text = table(rows)
    if nginx is not None:
        text += f"\n{_is_no_limit(plain, nginx, large, environment, rounds)}"
    return Section("15 documents of 10 MB", text, budgets)


def _transfer_ratio(timings: Timings, one: str, other: str, least: Mapping[str, str]) -> float:
    """Compare what is left of each when its own run with almost nothing to send is taken away."""
    return statistics.median(
        (whole.wall - start.wall) / (other_whole.wall - other_start.wall)
        for whole, start, other_whole, other_start in zip(
            timings[one], timings[least[one]], timings[other], timings[least[other]], strict=True
        )
    )


def _hash_and_upload(server: Server, documents: Sequence[Path], tls: Sequence[str]) -> list[str]:
    """Hash with openssl, then put with curl on one connection: one after the other, as a script would."""
    hashed = [found("openssl"), "dgst", "-sha256", *map(str, documents)]
    # The stand-in looks at nothing below /documents/.
    put = uploads_by_curl(f"{server.address}/v1/submissions/none/documents", documents, *tls)
    return [found("sh"), "-c", f"{join(hashed)} && exec {join(put)}"]


def _is_no_limit(
    server: Server, nginx: Server, documents: Sequence[Path], environment: Mapping[str, str], rounds: int
) -> str:
    """Compare the stand-in with nginx by one and the same curl."""
    names = "curl -T to nginx", "curl -T to the stand-in"
    timings = measured(
        Contender(names[0], _fixed(uploads_by_curl(nginx.address, documents))),
        [Contender(names[1], _fixed(uploads_by_curl(server.address, documents)))],
        environment,
        rounds,
    )
    rows = [("is the far side the limit?", "median ms", f"× {names[0]}", "min–max")]
    for name, own in timings.items():
        found_ratios = ratios(own, timings[names[0]])
        rows.append(
            (
                f"{_ALL}: {name}",
                f"{median_wall(own):.0f}",
                f"{statistics.median(found_ratios):.2f}",
                f"{min(found_ratios):.2f}–{max(found_ratios):.2f}",
            )
        )
    return table(rows)


def _fixed(command: Sequence[str]) -> Callable[[], Sequence[str]]:
    return lambda: command
