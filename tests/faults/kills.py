"""Kill a process, or inject an errno, at the n-th of the system calls that change something outside it.

strace counts the calls of one kind and, at the n-th, kills the process before the call or makes the call
fail. Each injection point is one real process, disturbed once; then the same command runs again.
"""

from __future__ import annotations

import itertools
import random
import re
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from faults import lab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_T = TypeVar("_T")

# Calls that change a file or a folder, or that send or receive over a socket.
CRASH_CALLS = (
    "write", "writev", "pwrite64", "sendto", "recvfrom", "fsync", "fdatasync", "ftruncate", "unlink",
    "rename", "mkdir", "connect", "shutdown",
)  # fmt: skip
_SMALL_SAMPLE = 20  # experiments
# Only errnos that the kernel can return from each call: any other proves nothing about the program.
ERRNOS = {
    "write": ("ENOSPC", "EIO", "EDQUOT", "EINTR"),
    "pwrite64": ("ENOSPC", "EIO", "EDQUOT", "EINTR", "EROFS"),
    "ftruncate": ("EIO", "EROFS", "EINTR", "EDQUOT"),
    "fsync": ("EIO", "ENOSPC", "EDQUOT", "EROFS"),
    "fdatasync": ("EIO", "ENOSPC", "EDQUOT", "EROFS"),
    "unlink": ("EIO", "EROFS"),
    "rename": ("EIO", "ENOSPC", "EROFS", "EDQUOT"),
    "mkdir": ("ENOSPC", "EROFS", "EDQUOT", "EIO"),
    "sendto": ("EIO", "EINTR"),
    "recvfrom": ("EIO", "EINTR"),
    "connect": ("EINTR", "EMFILE"),
    "openat": ("EMFILE", "EIO", "ENOSPC", "EROFS"),
}


@dataclass(frozen=True)
class InjectionPoint:
    """The n-th call of one kind, and the fault injected there, such as "signal=KILL" or "error=ENOSPC"."""

    call: str
    n: int
    fault: str = "signal=KILL"

    def strace(self, own_files: Iterable[Path] = ()) -> list[str]:
        """Return the strace command line that injects the fault; `openat` only counts for `own_files`."""
        inject = f"inject={self.call}:{self.fault}:when={self.n}"
        paths = [part for path in own_files for part in ("-P", str(path))] if self.call == "openat" else []
        return ["strace", "-f", "-q", "-o", "/dev/null", *paths, "-e", f"trace={self.call}", "-e", inject]

    def __str__(self) -> str:
        return f"{self.call} {self.n}, {self.fault}"


def count_calls(log: Path, own_files: Iterable[Path] = ()) -> Counter[str]:
    """Return how often a traced process made each call, in its busiest thread: strace counts per thread."""
    quoted_paths = [f'"{path}"' for path in own_files]
    by_thread: Counter[tuple[str, str]] = Counter(
        (found[1], found[2])
        for found in re.finditer(r"^(\d+) +(\w+)\((.*)", log.read_text("latin-1"), re.MULTILINE)
        if found[2] != "openat" or any(name in found[3] for name in quoted_paths)
    )
    busiest: Counter[str] = Counter()
    for (_, call), count in by_thread.items():
        busiest[call] = max(busiest[call], count)
    return busiest


def trace_command(log: Path, calls: Iterable[str] = CRASH_CALLS) -> list[str]:
    return ["strace", "-f", "-q", "-o", str(log), "-e", f"trace={','.join(calls)}"]


# -- clients -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scenario:
    """A client's command, in a prepared home.

    The fault is injected into `command`; `rerun` is what a user would run afterwards to finish.
    """

    command: list[object]
    rerun: list[object]
    env: dict[str, str]
    home: Path
    expected: dict[str, str]
    submissions: int = 1

    def own_files(self) -> list[Path]:
        """Return the files and folders that the program opens for its own purposes, and its arguments."""
        data = self.home / "docsend"
        files = [argument for argument in self.command if isinstance(argument, Path)]
        return [data, data / "ledger.sqlite3", data / "ledger.sqlite3-journal", data / "config.toml", *files]


def _send(
    folder: Path, url: str, seed: int, *, count: int = 1, size: int = 4000, extra: Sequence[str] = ()
) -> Scenario:
    files = lab.make_documents(folder / "files", count, seed, size, stem=f"d{seed}")
    home = folder / "home"
    argv = ["send", *files, *lab.CATALOG_OPTIONS, "--id", lab.ID_NUMBER, "--service", url, "--json", *extra]
    return Scenario(argv, argv, lab.environment(home), home, lab.digests_by_name(files))


def _stage(scenario: Scenario, url: str) -> Scenario:
    """Make the scenario's client send staged."""
    lab.store_catalog(scenario.env, url, None)
    return scenario


def _send_three(folder: Path, url: str, seed: int) -> Scenario:
    return _send(folder, url, seed, count=3)


def _send_one_staged(folder: Path, url: str, seed: int) -> Scenario:
    return _stage(_send(folder, url, seed), url)


def _send_three_staged(folder: Path, url: str, seed: int) -> Scenario:
    return _stage(_send(folder, url, seed, count=3), url)


def _send_too_much_in_one_exchange(folder: Path, url: str, seed: int) -> Scenario:
    """Send more in one exchange than the service accepts, so that the client falls back to staged calls."""
    scenario = _send(folder, url, seed, count=2, size=4_500_000)
    lab.store_catalog(scenario.env, url, 16 * 2**20)
    return scenario


def _send_large(folder: Path, url: str, seed: int) -> Scenario:
    return _send(folder, url, seed, count=2, size=700_000)


def _send_large_staged(folder: Path, url: str, seed: int) -> Scenario:
    return _stage(_send_large(folder, url, seed), url)


def _send_fifteen(folder: Path, url: str, seed: int) -> Scenario:
    return _send(folder, url, seed, count=15)


def _send_as_employer(folder: Path, url: str, seed: int) -> Scenario:
    files = lab.make_documents(folder / "files", 2, seed, stem=f"d{seed}")
    home = folder / "home"
    about = ("--to", "employer-collection", "--category", "correspondence", "--type", "correction-letter")
    who = ("--employer-file", "900000019", "--booklet", lab.BOOKLET, "--mobile", "0501234567")
    argv = ["send", *files, *about, *who, "--service", url, "--json"]
    return Scenario(argv, argv, lab.environment(home), home, lab.digests_by_name(files))


def _send_with_an_existing_ledger(folder: Path, url: str, seed: int) -> Scenario:
    """The ledger already has another submission, so no file has to be created."""
    scenario = _send(folder, url, seed, count=2)
    other = _send(folder / "other", url, seed + 500_000)
    lab.run(other.command, scenario.env)
    return scenario


def _send_second_occurrence(folder: Path, url: str, seed: int) -> Scenario:
    """Send the same content a second time on purpose; the same command must not send it a third time."""
    scenario = _send(folder, url, seed, count=2)
    lab.run(scenario.command, scenario.env)
    command = [*scenario.command, "--occurrence", "2"]
    return Scenario(command, command, scenario.env, scenario.home, scenario.expected, 2)


def _send_anyway(folder: Path, url: str, seed: int) -> Scenario:
    """Send what resembles an earlier submission, on purpose; the same command must not send it twice."""
    scenario = _send(folder, url, seed, count=2)
    lab.run([*scenario.command, "--remark", "the first of them"], scenario.env)
    command = [*scenario.command, "--anyway"]
    return Scenario(command, command, scenario.env, scenario.home, scenario.expected, 2)


def _resume(folder: Path, url: str, seed: int) -> Scenario:
    """Run `receipts resume` after a kill during the upload of the first of three documents."""
    scenario = _send_three_staged(folder, url, seed)
    lab.run(scenario.command, scenario.env, under=InjectionPoint("sendto", 3).strace())
    resume: list[object] = ["receipts", "resume", "--json"]
    return Scenario(resume, scenario.command, scenario.env, scenario.home, scenario.expected)


def _send_after_a_kill(folder: Path, url: str, seed: int) -> Scenario:
    """Run the same command after a kill, and kill it again."""
    scenario = _send_three_staged(folder, url, seed)
    lab.run(scenario.command, scenario.env, under=InjectionPoint("sendto", 5).strace())
    return scenario


def _send_after_a_lost_receipt(folder: Path, url: str, seed: int) -> Scenario:
    """Run the same command after a kill that came before the receipt of one exchange was stored."""
    scenario = _send(folder, url, seed, count=3)
    lab.run(scenario.command, scenario.env, under=InjectionPoint("recvfrom", 1).strace())
    return scenario


def _upload_required(folder: Path, url: str, seed: int) -> Scenario:
    """Upload a required document of the personal service, which an account can do only once."""
    home = folder / "home"
    home.mkdir(parents=True)
    password = home / "password"
    password.write_text(lab.PASSWORD)
    password.chmod(0o600)
    env = lab.environment(home, DOCSEND_CODE=lab.CODE, DOCSEND_PASSWORD_FILE=str(password))
    (file,) = lab.make_documents(folder / "files", 1, seed, stem=f"d{seed}")
    argv = ["required", "upload", "R-4711", file, "--service", url, "--json"]
    return Scenario(argv, argv, env, home, lab.digests_by_name([file]))


def _send_seven(folder: Path, url: str, seed: int) -> Scenario:
    return _send(folder, url, seed, count=7)


def _send_signed_in(folder: Path, url: str, seed: int) -> Scenario:
    """Send to the personal service, with an account that has no required documents."""
    home = folder / "home"
    home.mkdir(parents=True)
    password = home / "password"
    password.write_text("fictional-clear")
    password.chmod(0o600)
    env = lab.environment(home, DOCSEND_CODE="1002", DOCSEND_PASSWORD_FILE=str(password))
    files = lab.make_documents(folder / "files", 3, seed, stem=f"d{seed}")
    argv = ["send", *files, "--to", "personal", *lab.CATALOG_OPTIONS[2:], "--service", url, "--json"]
    return Scenario(argv, argv, env, home, lab.digests_by_name(files))


def _send_a_batch(folder: Path, url: str, seed: int) -> Scenario:
    """Send four rows with one document each, with two workers and a report."""
    home = folder / "home"
    files = lab.make_documents(folder / "files", 4, seed, stem=f"d{seed}")
    about = f"benefits,unemployment,employer,payslips,{lab.ID_NUMBER}"
    rows = [f"{about},row {n},{file.name}" for n, file in enumerate(files)]
    manifest = folder / "files" / "batch.csv"
    manifest.write_text("\n".join(["to,subject,category,type,id,reference,documents", *rows, ""]))
    report = folder / "files" / "report.csv"
    options = ["--jobs", "2", "--report", report, "--service", url, "--json"]
    argv = ["send", "--batch", manifest, *options]
    return Scenario(argv, argv, lab.environment(home), home, lab.digests_by_name(files), 4)


# These scenarios share one sandbox. A required document can be uploaded only once per sandbox, so that
# scenario gets a sandbox for each injection point.
SHARED_SANDBOX: dict[str, Callable[[Path, str, int], Scenario]] = {
    "send one document": _send,
    "send three documents": _send_three,
    "send two large documents": _send_large,
    "send fifteen documents": _send_fifteen,
    "send as an employer": _send_as_employer,
    "send with an existing ledger": _send_with_an_existing_ledger,
    "send --occurrence 2": _send_second_occurrence,
    "send --anyway": _send_anyway,
    "receipts resume": _resume,
    "send after a kill": _send_after_a_kill,
    "send after a lost receipt": _send_after_a_lost_receipt,
    "send one document staged": _send_one_staged,
    "send three documents staged": _send_three_staged,
    "send two large documents staged": _send_large_staged,
    "send too much at once": _send_too_much_in_one_exchange,
}
BATCH_AND_SIGNED_IN = {
    "send seven documents": _send_seven,
    "send signed in": _send_signed_in,
    "send a batch": _send_a_batch,
}
OWN_SANDBOX: dict[str, Callable[[Path, str, int], Scenario]] = {"required upload": _upload_required}


def _injection_points(
    factories: dict[str, Callable[[Path, str, int], Scenario]], scratch: Path, calls: Sequence[str]
) -> Iterator[tuple[str, Callable[[Path, str, int], Scenario], str, int]]:
    """Run each scenario once without faults and yield each call it makes: (name, factory, call, n)."""
    for number, (name, factory) in enumerate(factories.items()):
        with lab.workspace(scratch, f"count {name}") as folder, lab.sandbox(folder / "sandbox") as sandbox:
            scenario = factory(folder, sandbox.url, 900_000 + number)
            lab.run(scenario.command, scenario.env, under=trace_command(folder / "log", calls))
            counts = count_calls(folder / "log", scenario.own_files())
        for call in calls:
            for n in range(1, counts[call] + 1):
                yield name, factory, call, n


def inject_into_clients(
    count: int, seed: int, scratch: Path, *, errnos: bool = False, only: Iterable[str] = ()
) -> lab.FaultSummary:
    """Inject a fault into clients at `count` random points of all scenarios, and run each command again."""
    name = "an errno at a call of the client" if errnos else "kill -9 of the client"
    summary = lab.FaultSummary(
        f"{name}, batches and signed in" if set(only) == set(BATCH_AND_SIGNED_IN) else name, seed
    )
    calls = tuple(ERRNOS) if errnos else CRASH_CALLS
    wanted = set(only) or {*SHARED_SANDBOX, *OWN_SANDBOX}
    factories = {
        n: s for n, s in {**SHARED_SANDBOX, **BATCH_AND_SIGNED_IN, **OWN_SANDBOX}.items() if n in wanted
    }
    points = list(_injection_points(_sample_factories(factories, count, seed), scratch, calls))
    planned = [
        (name, factory, InjectionPoint(call, n, fault))
        for name, factory, call, n in points
        for fault in ([f"error={e}" for e in ERRNOS[call]] if errnos else ["signal=KILL"])
    ]
    planned = sample(planned, count, seed)
    summary.note = f"{len(planned)} of the points of {len({name for name, _, _ in planned})} commands"
    # This experiment needs its own sandbox, because the names of its documents count from 1.
    with (
        lab.workspace(scratch, "shared") as folder,
        lab.sandbox(folder) as shared,
        ThreadPoolExecutor(2) as workers,
    ):
        seeds = itertools.count(1)
        jobs = [(next(seeds), *run_job) for run_job in planned]

        def run_job(job: tuple[int, str, Callable[[Path, str, int], Scenario], InjectionPoint]) -> None:
            number, name, factory, point = job
            with lab.workspace(scratch, f"p{number}") as folder:
                if name in OWN_SANDBOX:
                    with lab.sandbox(folder / "sandbox") as own:
                        triggered, violations = _inject(factory(folder, own.url, number), point, own)
                else:
                    triggered, violations = _inject(factory(folder, shared.url, number), point, shared)
            summary.add(f"{name}: {point}", violations, triggered=triggered)

        list(workers.map(run_job, jobs))
    return summary


def _inject(
    scenario: Scenario, point: InjectionPoint, sandbox: lab.Sandbox
) -> tuple[bool, list[tuple[str, str]]]:
    """Inject a fault into one run, finish as a user would, and check everything against the sandbox's data.

    Return whether the fault was triggered, and the violations.
    """
    first = lab.run(scenario.command, scenario.env, under=point.strace(scenario.own_files()))
    triggered = first.code != 0 or "signal" not in point.fault
    runs = [first]
    violations: list[tuple[str, str]] = []
    if first.code == 1 or "Traceback" in first.err:
        violations.append(("other", f"exit code {first.code}: {first.err[-300:]}"))
    runs.append(lab.run(scenario.rerun, scenario.env))
    if scenario.rerun != scenario.command and scenario.submissions == 1:
        # `resume` was killed, and the command itself has to finish; or the other way round.
        runs.append(lab.run(scenario.command, scenario.env))
    if all(run.code != 0 for run in runs):
        violations.append(("lost", f"no run succeeded: {[run.code for run in runs]} {runs[-1].err[-200:]}"))
    violations += lab.find_violations(
        sandbox.folder, [scenario.home], runs, expected=scenario.expected, submissions=scenario.submissions
    )
    violations += _resend_violations(scenario, runs)
    return triggered, violations


def _resend_violations(scenario: Scenario, runs: Sequence[lab.RunResult]) -> list[tuple[str, str]]:
    """Run the command once more, with the same ledger and with none, and check that nothing is sent again."""
    violations: list[tuple[str, str]] = []
    if "--batch" in scenario.command:
        last = lab.run(scenario.command, scenario.env)
        if last.code != 0 or last.out.count('"repeated": true') != scenario.submissions:
            violations.append(("resent", f"another run: {last.code} {last.err[-200:]}"))
    elif scenario.submissions == 1 and scenario.rerun[0] != "receipts" and scenario.command[0] == "send":
        other_home = lab.environment(scenario.home.parent / "elsewhere", **_credentials(scenario))
        for env in (scenario.env, other_home):
            last = lab.run(scenario.command, env)
            if last.code != 0 or not last.result.get("repeated") or "sent " in last.err:
                violations.append(("resent", f"another run: {last.code} {last.err[-200:]}"))
            if last.receipt is None or any(r.receipt and r.receipt != last.receipt for r in runs):
                violations.append(("lost", "another run shows another receipt"))
    return violations


def _sample_factories(
    factories: dict[str, Callable[[Path, str, int], Scenario]], count: int, seed: int
) -> dict[str, Callable[[Path, str, int], Scenario]]:
    """Return all factories, or two of them for a small sample, because counting the calls of each is slow."""
    if count >= _SMALL_SAMPLE:
        return factories
    return dict(random.Random(seed).sample(sorted(factories.items()), min(2, len(factories))))


def sample(items: list[_T], count: int, seed: int) -> list[_T]:
    """Return `count` random items, always the same for a seed, or all of them if there are no more."""
    if len(items) <= count:
        return items
    return random.Random(seed).sample(items, count)


# -- sandboxes ---------------------------------------------------------------------------------------------


def inject_into_sandboxes(count: int, seed: int, scratch: Path, *, errnos: bool = False) -> lab.FaultSummary:
    """Inject a fault into a sandbox while a client sends; then start it again over the same folder."""
    name = "an errno at a call of the sandbox" if errnos else "kill -9 of the sandbox"
    summary = lab.FaultSummary(name, seed)
    calls = tuple(ERRNOS) if errnos else CRASH_CALLS
    points: list[tuple[str, Callable[[Path, str, int], Scenario], InjectionPoint]] = []
    factories: dict[str, Callable[[Path, str, int], Scenario]] = {
        "send one document": _send,
        "send three documents": _send_three,
        "send two large documents": _send_large,
        "send fifteen documents": _send_fifteen,
        "send three documents staged": _send_three_staged,
        "send two large documents staged": _send_large_staged,
        "send too much at once": _send_too_much_in_one_exchange,
        "required upload": _upload_required,
    }
    for number, (scenario_name, factory) in enumerate(_sample_factories(factories, count, seed).items()):
        with lab.workspace(scratch, f"count {number}") as folder:
            strace = trace_command(folder / "log", calls)
            with lab.sandbox(folder / "sandbox", under=strace) as sandbox:
                scenario = factory(folder, sandbox.url, 800_000 + number)
                lab.run(scenario.command, scenario.env)
                sandbox.stop()
            counts = count_calls(folder / "log", service_files(sandbox.folder))
        for call in calls:
            for n in range(1, counts[call] + 1):
                faults = [f"error={e}" for e in ERRNOS[call]] if errnos else ["signal=KILL"]
                points += [(scenario_name, factory, InjectionPoint(call, n, fault)) for fault in faults]
    planned = sample(points, count, seed)
    summary.note = f"{len(planned)} of {len(points)} points of {len(factories)} sessions"

    def run_job(job: tuple[int, tuple[str, Callable[[Path, str, int], Scenario], InjectionPoint]]) -> None:
        number, (scenario_name, factory, point) = job
        with lab.workspace(scratch, f"s{number}") as folder:
            triggered, violations = _inject_into_sandbox(folder, factory, number, point)
        summary.add(f"{scenario_name}: {point}", violations, triggered=triggered)

    with ThreadPoolExecutor(2) as workers:
        list(workers.map(run_job, enumerate(planned, 1)))
    return summary


def _inject_into_sandbox(
    folder: Path, factory: Callable[[Path, str, int], Scenario], number: int, point: InjectionPoint
) -> tuple[bool, list[tuple[str, str]]]:
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    scenario = factory(folder, url, number)
    impatient = {**scenario.env, "DOCSEND_PATIENCE": "0.3"}
    runs = []
    strace = point.strace(service_files(folder / "sandbox"))
    with lab.sandbox(folder / "sandbox", under=strace, port=port) as sandbox:
        if sandbox.url:
            runs.append(lab.run(scenario.command, impatient))
        triggered = not sandbox.is_alive or "signal" not in point.fault
        if sandbox.is_alive and not sandbox.stop():
            return True, [("other", "the sandbox does not end")]
    with lab.sandbox(folder / "sandbox", port=port) as sandbox:
        if not sandbox.url:
            return triggered, [("lost", "the sandbox does not start again on its folder")]
        runs.append(lab.run(scenario.rerun, scenario.env))
        violations = []
        if runs[-1].code != 0:
            violations.append(("lost", f"the same command again: {runs[-1].code} {runs[-1].err[-200:]}"))
        violations += lab.find_violations(sandbox.folder, [scenario.home], runs, expected=scenario.expected)
        last = lab.run(scenario.command, lab.environment(folder / "elsewhere", **_credentials(scenario)))
        if scenario.command[0] == "send" and (not last.result.get("repeated") or "sent " in last.err):
            violations.append(("resent", f"another run: {last.code} {last.err[-200:]}"))
    return triggered, violations


def service_files(folder: Path) -> list[Path]:
    """Return the files and folders of a sandbox that have fixed names."""
    names = ("", "documents", "running", "sandbox.sqlite3", "sandbox.sqlite3-journal")
    return [folder / name for name in names]


def _credentials(scenario: Scenario) -> dict[str, str]:
    return {
        name: scenario.env[name] for name in ("DOCSEND_CODE", "DOCSEND_PASSWORD_FILE") if name in scenario.env
    }


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
