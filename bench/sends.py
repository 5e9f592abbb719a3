"""One document, and the largest submission: docsend compared with curl, openssl and other programs."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from shlex import join
from typing import TypeAlias

from clock import Contender, Timings, measure, median_cpu, median_wall, ratio, ratios, time_command_with_peak
from peers import Installed
from report import Budget, Section, table
from servers import Load, Server
from submissions import Submissions, curl_uploads, find_program
from venvs import OLDER_COMMIT, Venvs

SMALL, LARGE = 100_000, 10_000_000
_MOST_DOCUMENTS = 15
_SENT, _BARE = 12.0, "bare Python"
_TRANSFER, _TRANSFER_GOAL, _MEMORY = 1.35, 1.2, 60.0
_ONE, _ALL = 1000, "15 × 10 MB"


def one_document(
    installed: Venvs,
    sandbox: Server,
    stand_in: Server,
    peers: Sequence[Installed],
    folder: Path,
    environment: Mapping[str, str],
    rounds: int,
) -> Section:
    """Measure sending one document, as a whole process."""
    docsend, beside_sandbox = installed.plain.docsend, installed.with_sandbox.docsend
    older, python = installed.older, installed.plain.python
    old_home = {"DOCSEND_HOME": str(folder / "older")}
    documents = Submissions(folder / "one")
    base = Contender(_BARE, lambda: [python, "-I", "-c", "pass"])
    text, budgets = [], []
    for size, called in ((SMALL, "100 KB"), (LARGE, "10 MB")):
        ours = f"docsend send, {called}, stand-in"
        to_sandbox = f"docsend send, {called}, sandbox"
        ready = "digest, key and declaration are given to it"
        does = {
            _BARE: "nothing",
            ours: "checks, ledger, one request up to 8 MiB, else three, receipt",
            to_sandbox: "the same; the sandbox checks and syncs, too",
            f"{to_sandbox}, sandbox extra installed": "the same",
            f"curl, three requests, {called}, stand-in": ready,
            f"curl, three requests, {called}, sandbox": ready,
            f"curl --upload-file, {called}": "one PUT, nothing else",
        }
        makers: list[Callable[[], Sequence[str]]] = [
            documents.docsend_sends(docsend, stand_in.address, size),
            documents.docsend_sends(docsend, sandbox.address, size),
            documents.docsend_sends(beside_sandbox, sandbox.address, size),
            documents.curl_sends(stand_in.address, size),
            documents.curl_sends(sandbox.address, size),
            _fixed(curl_uploads(stand_in.address, [documents.pdf(size)])),
        ]
        contenders = [Contender(name, make) for name, make in zip(list(does)[1:], makers, strict=True)]
        if size == SMALL:  # more than 8 MiB is sent staged
            at_once = f"curl, one exchange, {called}, sandbox"
            contenders.append(Contender(at_once, documents.curl_sends_in_one_exchange(sandbox.address, size)))
            does[at_once] = ready
        older_name = f"{to_sandbox}, {OLDER_COMMIT}"
        if older:
            make = documents.docsend_sends(older.docsend, sandbox.address, size)
            contenders.insert(3, Contender(older_name, make, extra=old_home))
            does[older_name] = "checks, ledger, three requests over sockets of its own, receipt"
        for each in peers:
            name = f"{each.peer.label}, {called}"
            does[name] = each.peer.does
            contenders.append(_of_peer(each, name, stand_in, folder, size))
        timings = measure(base, contenders, environment, rounds)
        text.append(_one_table(timings, ours, does))
        if size == SMALL:
            found = ratio(timings, to_sandbox, _BARE)
            found_older = ratio(timings, older_name, _BARE) if older else None
            name = "docsend send, 100 KB PDF, sandbox running"
            budgets.append(Budget(name, _SENT, found, "× bare Python", older=found_older))
    _, most = time_command_with_peak(documents.docsend_sends(docsend, stand_in.address, LARGE)(), environment)
    old_most = None
    if older:
        sent = documents.docsend_sends(older.docsend, stand_in.address, LARGE)()
        old_most = time_command_with_peak(sent, {**environment, **old_home})[1].mib
    name = "memory of docsend send, 10 MB PDF"
    budgets.append(Budget(name, _MEMORY, most.mib, f"MiB ({most.by})", older=old_most))
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
    installed: Venvs,
    plain: Server,
    over_tls: Server,
    nginx: Server | None,
    folder: Path,
    environment: Mapping[str, str],
    rounds: int,
) -> Section:
    """Measure a submission with 15 documents of 10 MB, with and without TLS.

    The transfer time is that of the whole process minus that of the same process with a document of 1 KB, for
    both sides.
    """
    documents = Submissions(folder / "many")
    large, small = documents.pdfs(_MOST_DOCUMENTS, LARGE), documents.pdfs(1, _ONE)
    rows = [
        ("what", "median ms", "CPU ms", "transfer ms", "× openssl + curl", "transfer only", "server load")
    ]
    budgets = []
    for server, named in ((plain, ""), (over_tls, " over TLS")):
        senders = _senders(installed, documents, server, named, folder)
        yardstick, docsends, *_ = senders
        least = {name: f"{name}, 1 KB" for name in senders}
        load = Load(server)
        base, *others = [
            *(Contender(name, make(large), extra) for name, (make, extra) in senders.items()),
            *(Contender(least[name], make(small), extra) for name, (make, extra) in senders.items()),
        ]
        timings = measure(base, others, environment, rounds, {docsends: load.measure})
        transfers = {name: _transfer_ratio(timings, name, yardstick, least) for name in senders}
        rows += [
            (
                f"{_ALL}: {name}",
                f"{median_wall(timings[name]):.0f}",
                f"{median_cpu(timings[name]):.0f}",
                f"{median_wall(timings[name]) - median_wall(timings[least[name]]):.0f}",
                f"{ratio(timings, name, yardstick):.2f}",
                f"{only:.2f}",
                str(load) if name == docsends else "",
            )
            for name, only in transfers.items()
        ]
        budgets.append(
            Budget(
                f"{_ALL}{named}, transfer",
                _TRANSFER,
                transfers[docsends],
                "× (openssl + curl -T)",
                goal=_TRANSFER_GOAL,
                older=transfers.get(f"{docsends}, {OLDER_COMMIT}"),
            )
        )
    text = table(rows)
    if nginx is not None:
        text += f"\n{_compare_with_nginx(plain, nginx, large, environment, rounds)}"
    return Section("15 documents of 10 MB", text, budgets)


_Make: TypeAlias = Callable[[Sequence[Path]], Callable[[], Sequence[str]]]


def _senders(
    installed: Venvs, documents: Submissions, server: Server, named: str, folder: Path
) -> dict[str, tuple[_Make, Mapping[str, str]]]:
    """Return the contenders that send documents to a server: the baseline, docsend, and the others."""
    tls = ["--cacert", str(server.certificates)] if server.certificates else []
    verified = {"SSL_CERT_FILE": str(server.certificates)} if server.certificates else {}

    def by_docsend(docsend: str) -> _Make:
        return partial(documents.docsend_resends, docsend, server.address)

    senders: dict[str, tuple[_Make, Mapping[str, str]]] = {
        f"openssl dgst + curl -T{named}": (
            lambda files: _fixed(_hash_and_upload(server, files, tls)),
            {},
        ),
        f"docsend send{named}": (by_docsend(installed.plain.docsend), verified),
        f"curl, the same requests, hashed before{named}": (
            lambda files: documents.curl_resends(server.address, files, *tls),
            {},
        ),
    }
    if installed.older:
        old = {**verified, "DOCSEND_HOME": str(folder / "older")}
        senders[f"docsend send{named}, {OLDER_COMMIT}"] = (by_docsend(installed.older.docsend), old)
    return senders


def _transfer_ratio(timings: Timings, one: str, other: str, least: Mapping[str, str]) -> float:
    """Return the ratio of the transfer times: each time minus that of a run that sends almost nothing."""
    return statistics.median(
        (whole.wall - start.wall) / (other_whole.wall - other_start.wall)
        for whole, start, other_whole, other_start in zip(
            timings[one], timings[least[one]], timings[other], timings[least[other]], strict=True
        )
    )


def _hash_and_upload(server: Server, documents: Sequence[Path], tls: Sequence[str]) -> list[str]:
    """Return a script that hashes with openssl and then uploads with curl on one connection."""
    hashed = [find_program("openssl"), "dgst", "-sha256", *map(str, documents)]
    # The stand-in ignores the content of requests below /documents/.
    put = curl_uploads(f"{server.address}/v1/submissions/none/documents", documents, *tls)
    return [find_program("sh"), "-c", f"{join(hashed)} && exec {join(put)}"]


def _compare_with_nginx(
    server: Server, nginx: Server, documents: Sequence[Path], environment: Mapping[str, str], rounds: int
) -> str:
    """Compare the stand-in with nginx, using the same curl command."""
    names = "curl -T to nginx", "curl -T to the stand-in"
    timings = measure(
        Contender(names[0], _fixed(curl_uploads(nginx.address, documents))),
        [Contender(names[1], _fixed(curl_uploads(server.address, documents)))],
        environment,
        rounds,
    )
    rows = [("is the server the limit?", "median ms", f"× {names[0]}", "min–max")]
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
