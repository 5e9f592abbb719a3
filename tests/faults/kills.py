"""kill -9, and an errno, at every n-th call with which a process changes something outside itself.

strace does it: it counts the calls of one kind and, at the n-th, kills the process before the call happens,
or lets the call fail. Every point is a real process, killed once, and then the same command again.
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

# Calls with which a process changes a file or a folder, or is heard or hears over a socket.
CALLS = (
    "write", "writev", "pwrite64", "sendto", "recvfrom", "fsync", "fdatasync", "ftruncate", "unlink",
    "rename", "mkdir", "connect", "shutdown",
)  # fmt: skip
_FEW = 20  # experiments
# Where an errno can really come from; a test that no kernel can cause proves nothing.
ERRNOS_OF = {
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
class Point:
    """At the n-th call of this kind, this happens: "signal=KILL" or "error=ENOSPC"."""

    call: str
    n: int
    fault: str = "signal=KILL"

    def strace(self, ours: Iterable[Path] = ()) -> list[str]:
        """Give the command that disturbs another one; of `openat` only that of our own files is disturbed."""
        inject = f"inject={self.call}:{self.fault}:when={self.n}"
        paths = [part for path in ours for part in ("-P", str(path))] if self.call == "openat" else []
        return ["strace", "-f", "-q", "-o", "/dev/null", *paths, "-e", f"trace={self.call}", "-e", inject]

    def __str__(self) -> str:
        return f"{self.call} {self.n}, {self.fault}"


def counted(log: Path, ours: Iterable[Path] = ()) -> Counter[str]:
    """How often a traced process made each call; of several threads the busiest counts, as in strace."""
    names = [f'"{path}"' for path in ours]
    by_thread: Counter[tuple[str, str]] = Counter(
        (found[1], found[2])
        for found in re.finditer(r"^(\d+) +(\w+)\((.*)", log.read_text("latin-1"), re.MULTILINE)
        if found[2] != "openat" or any(name in found[3] for name in names)
    )
    most: Counter[str] = Counter()
    for (_, call), count in by_thread.items():
        most[call] = max(most[call], count)
    return most


def tracing(log: Path, calls: Iterable[str] = CALLS) -> list[str]:
    return ["strace", "-f", "-q", "-o", str(log), "-e", f"trace={','.join(calls)}"]


# -- what the client does ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scene:
    """One thing that a client does, with all that has to be there before it.

    `command` is killed; `again` is what a person would run then, until everything is received.
    """

    command: list[object]
    again: list[object]
    env: dict[str, str]
    home: Path
    expected: dict[str, str]
    submissions: int = 1

    def ours(self) -> list[Path]:
        """The files and folders that the program opens for itself."""
        data = self.home / "docsend"
        files = [argument for argument in self.command if isinstance(argument, Path)]
        return [data, data / "ledger.sqlite3", data / "ledger.sqlite3-journal", data / "config.toml", *files]


def _send(
    folder: Path, url: str, seed: int, *, count: int = 1, size: int = 4000, more: Sequence[str] = ()
) -> Scene:
    files = lab.documents(folder / "files", count, seed, size, stem=f"d{seed}")
    home = folder / "home"
    argv = ["send", *files, *lab.ABOUT, "--id", lab.PERSON, "--service", url, "--json", *more]
    return Scene(argv, argv, lab.environment(home), home, lab.expected(files))


def _staged(scene: Scene, url: str) -> Scene:
    """Let a scene's client go staged."""
    lab.offer(scene.env, url, None)
    return scene


def _send_three(folder: Path, url: str, seed: int) -> Scene:
    return _send(folder, url, seed, count=3)


def _send_one_staged(folder: Path, url: str, seed: int) -> Scene:
    return _staged(_send(folder, url, seed), url)


def _send_three_staged(folder: Path, url: str, seed: int) -> Scene:
    return _staged(_send(folder, url, seed, count=3), url)


def _send_too_much_at_once(folder: Path, url: str, seed: int) -> Scene:
    """The client's catalog lets more go in one exchange than the service takes: then it is staged."""
    scene = _send(folder, url, seed, count=2, size=4_500_000)
    lab.offer(scene.env, url, 16 * 2**20)
    return scene


def _send_large(folder: Path, url: str, seed: int) -> Scene:
    return _send(folder, url, seed, count=2, size=700_000)


def _send_large_staged(folder: Path, url: str, seed: int) -> Scene:
    return _staged(_send_large(folder, url, seed), url)


def _send_fifteen(folder: Path, url: str, seed: int) -> Scene:
    return _send(folder, url, seed, count=15)


def _send_as_employer(folder: Path, url: str, seed: int) -> Scene:
    files = lab.documents(folder / "files", 2, seed, stem=f"d{seed}")
    home = folder / "home"
    about = ("--to", "employer-collection", "--category", "correspondence", "--type", "correction-letter")
    who = ("--employer-file", "900000019", "--booklet", lab.BOOKLET, "--mobile", "0501234567")
    argv = ["send", *files, *about, *who, "--service", url, "--json"]
    return Scene(argv, argv, lab.environment(home), home, lab.expected(files))


def _into_an_old_ledger(folder: Path, url: str, seed: int) -> Scene:
    """Another submission stands in the ledger already, so that no file has to be made."""
    scene = _send(folder, url, seed, count=2)
    other = _send(folder / "other", url, seed + 500_000)
    lab.run(other.command, scene.env)
    return scene


def _again(folder: Path, url: str, seed: int) -> Scene:
    """The same content once more, on purpose; running that again finishes it, and may not make a third."""
    scene = _send(folder, url, seed, count=2)
    lab.run(scene.command, scene.env)
    command = [*scene.command, "--again"]
    return Scene(command, ["receipts", "resume", "--json"], scene.env, scene.home, scene.expected, 2)


def _resume(folder: Path, url: str, seed: int) -> Scene:
    """`receipts resume` of what was killed when the first of three documents was on its way."""
    scene = _send_three_staged(folder, url, seed)
    lab.run(scene.command, scene.env, under=Point("sendto", 3).strace())
    resume: list[object] = ["receipts", "resume", "--json"]
    return Scene(resume, scene.command, scene.env, scene.home, scene.expected)


def _continue(folder: Path, url: str, seed: int) -> Scene:
    """The same command after a kill, and killed again."""
    scene = _send_three_staged(folder, url, seed)
    lab.run(scene.command, scene.env, under=Point("sendto", 5).strace())
    return scene


def _continue_what_arrived(folder: Path, url: str, seed: int) -> Scene:
    """The same command after one exchange whose receipt came, and was not kept; and killed again."""
    scene = _send(folder, url, seed, count=3)
    lab.run(scene.command, scene.env, under=Point("recvfrom", 1).strace())
    return scene


def _upload_required(folder: Path, url: str, seed: int) -> Scene:
    """A required document of the personal service; an account's requirement can be met only once."""
    home = folder / "home"
    home.mkdir(parents=True)
    password = home / "password"
    password.write_text(lab.PASSWORD)
    password.chmod(0o600)
    env = lab.environment(home, DOCSEND_CODE=lab.CODE, DOCSEND_PASSWORD_FILE=str(password))
    (file,) = lab.documents(folder / "files", 1, seed, stem=f"d{seed}")
    argv = ["required", "upload", "R-4711", file, "--service", url, "--json"]
    return Scene(argv, argv, env, home, lab.expected([file]))


def _send_seven(folder: Path, url: str, seed: int) -> Scene:
    return _send(folder, url, seed, count=7)


def _send_signed_in(folder: Path, url: str, seed: int) -> Scene:
    """To the personal service, as an account that nothing is asked of."""
    home = folder / "home"
    home.mkdir(parents=True)
    password = home / "password"
    password.write_text("fictional-clear")
    password.chmod(0o600)
    env = lab.environment(home, DOCSEND_CODE="1002", DOCSEND_PASSWORD_FILE=str(password))
    files = lab.documents(folder / "files", 3, seed, stem=f"d{seed}")
    argv = ["send", *files, "--to", "personal", *lab.ABOUT[2:], "--service", url, "--json"]
    return Scene(argv, argv, env, home, lab.expected(files))


def _send_a_batch(folder: Path, url: str, seed: int) -> Scene:
    """Four rows with a document each, sent by two workers, with a report."""
    home = folder / "home"
    files = lab.documents(folder / "files", 4, seed, stem=f"d{seed}")
    about = f"benefits,unemployment,employer,payslips,{lab.PERSON}"
    rows = [f"{about},row {n},{file.name}" for n, file in enumerate(files)]
    manifest = folder / "files" / "batch.csv"
    manifest.write_text("\n".join(["to,subject,category,type,id,reference,documents", *rows, ""]))
    report = folder / "files" / "report.csv"
    options = ["--jobs", "2", "--report", report, "--service", url, "--json"]
    argv = ["send", "--batch", manifest, *options]
    return Scene(argv, argv, lab.environment(home), home, lab.expected(files), 4)


# The fixture's requirement can be met once a sandbox, so this one has a sandbox a point.
OF_ONE_SANDBOX: dict[str, Callable[[Path, str, int], Scene]] = {
    "send one document": _send,
    "send three documents": _send_three,
    "send two large documents": _send_large,
    "send fifteen documents": _send_fifteen,
    "send as an employer": _send_as_employer,
    "send into an old ledger": _into_an_old_ledger,
    "send --again": _again,
    "receipts resume": _resume,
    "send what was killed before": _continue,
    "send what had arrived": _continue_what_arrived,
    "send one document staged": _send_one_staged,
    "send three documents staged": _send_three_staged,
    "send two large documents staged": _send_large_staged,
    "send too much at once": _send_too_much_at_once,
}
MORE = {
    "send seven documents": _send_seven,
    "send signed in": _send_signed_in,
    "send a batch": _send_a_batch,
}
OWN_SANDBOX: dict[str, Callable[[Path, str, int], Scene]] = {"required upload": _upload_required}


def _points_of(
    stages: dict[str, Callable[[Path, str, int], Scene]], scratch: Path, calls: Sequence[str]
) -> Iterator[tuple[str, Callable[[Path, str, int], Scene], str, int]]:
    """Run each scene once, undisturbed, and give every call that it makes: (scene, call, n)."""
    for number, (name, stage) in enumerate(stages.items()):
        with lab.world(scratch, f"count {name}") as folder, lab.sandbox(folder / "sandbox") as sandbox:
            scene = stage(folder, sandbox.url, 900_000 + number)
            lab.run(scene.command, scene.env, under=tracing(folder / "log", calls))
            counts = counted(folder / "log", scene.ours())
        for call in calls:
            for n in range(1, counts[call] + 1):
                yield name, stage, call, n


def clients(
    count: int, seed: int, scratch: Path, *, errnos: bool = False, only: Iterable[str] = ()
) -> lab.Tally:
    """Disturb a client at `count` points, chosen by chance among all that there are, and run it again."""
    name = "an errno at a call of the client" if errnos else "kill -9 of the client"
    tally = lab.Tally(f"{name}, batches and signed in" if set(only) == set(MORE) else name, seed)
    calls = tuple(ERRNOS_OF) if errnos else CALLS
    wanted = set(only) or {*OF_ONE_SANDBOX, *OWN_SANDBOX}
    stages = {n: s for n, s in {**OF_ONE_SANDBOX, **MORE, **OWN_SANDBOX}.items() if n in wanted}
    found = list(_points_of(_some(stages, count, seed), scratch, calls))
    todo = [
        (scene, stage, Point(call, n, fault))
        for scene, stage, call, n in found
        for fault in ([f"error={e}" for e in ERRNOS_OF[call]] if errnos else ["signal=KILL"])
    ]
    todo = _spread(todo, count, seed)
    tally.note = f"{len(todo)} of the points of {len({scene for scene, _, _ in todo})} commands"
    # A sandbox of this experiment's own: names of documents count from 1 in each.
    with (
        lab.world(scratch, "shared") as folder,
        lab.sandbox(folder) as shared,
        ThreadPoolExecutor(2) as workers,
    ):
        seeds = itertools.count(1)
        work = [(next(seeds), *one) for one in todo]

        def one(job: tuple[int, str, Callable[[Path, str, int], Scene], Point]) -> None:
            number, scene, stage, point = job
            with lab.world(scratch, f"p{number}") as folder:
                if scene in OWN_SANDBOX:
                    with lab.sandbox(folder / "sandbox") as own:
                        struck, broken = _disturbed(stage(folder, own.url, number), point, own)
                else:
                    struck, broken = _disturbed(stage(folder, shared.url, number), point, shared)
            tally.add(f"{scene}: {point}", broken, struck=struck)

        list(workers.map(one, work))
    return tally


def _disturbed(scene: Scene, point: Point, sandbox: lab.Sandbox) -> tuple[bool, list[tuple[str, str]]]:
    """Disturb one run, go on as a person would, and hold everything against the sandbox's tables."""
    first = lab.run(scene.command, scene.env, under=point.strace(scene.ours()))
    struck = first.code != 0 or "signal" not in point.fault
    ran = [first]
    broken: list[tuple[str, str]] = []
    if first.code == 1 or "Traceback" in first.err:
        broken.append(("other", f"exit code {first.code}: {first.err[-300:]}"))
    ran.append(lab.run(scene.again, scene.env))
    if scene.again != scene.command and scene.submissions == 1:
        # `resume` was killed, and the command itself finishes; or the other way round.
        ran.append(lab.run(scene.command, scene.env))
    if "--again" in scene.command and not _has(sandbox, scene):
        # --again was killed before it was declared: nothing to resume, so it is said once more.
        ran.append(lab.run(scene.command, scene.env))
    if all(one.code != 0 for one in ran):
        broken.append(("lost", f"no run came to an end: {[one.code for one in ran]} {ran[-1].err[-200:]}"))
    broken += lab.violations(
        sandbox.folder, [scene.home], ran, expected=scene.expected, submissions=scene.submissions
    )
    broken += _run_once_more(scene, ran)
    return struck, broken


def _run_once_more(scene: Scene, ran: Sequence[lab.Ran]) -> list[tuple[str, str]]:
    """Run it once more: nothing may be sent any more, neither with this ledger nor with none."""
    broken: list[tuple[str, str]] = []
    if "--batch" in scene.command:
        last = lab.run(scene.command, scene.env)
        if last.code != 0 or last.out.count('"repeated": true') != scene.submissions:
            broken.append(("resent", f"another run: {last.code} {last.err[-200:]}"))
    elif scene.submissions == 1 and scene.again[0] != "receipts" and scene.command[0] == "send":
        elsewhere = lab.environment(scene.home.parent / "elsewhere", **_signed(scene))
        for env in (scene.env, elsewhere):
            last = lab.run(scene.command, env)
            if last.code != 0 or not last.result.get("repeated") or "sent " in last.err:
                broken.append(("resent", f"another run: {last.code} {last.err[-200:]}"))
            if last.receipt is None or any(r.receipt and r.receipt != last.receipt for r in ran):
                broken.append(("lost", "another run shows another receipt"))
    return broken


def _has(sandbox: lab.Sandbox, scene: Scene) -> bool:
    return len(lab.received(sandbox.folder, scene.expected)) >= scene.submissions


def _some(
    stages: dict[str, Callable[[Path, str, int], Scene]], count: int, seed: int
) -> dict[str, Callable[[Path, str, int], Scene]]:
    """Give all scenes, or two of them for a small sample: to count the calls of each takes its time."""
    if count >= _FEW:
        return stages
    return dict(random.Random(seed).sample(sorted(stages.items()), min(2, len(stages))))


def _spread(todo: list[_T], count: int, seed: int) -> list[_T]:
    """Choose `count` of them by chance, but the same ones for the same seed; all if there are no more."""
    if len(todo) <= count:
        return todo
    return random.Random(seed).sample(todo, count)


# -- what the service does ---------------------------------------------------------------------------------


def services(count: int, seed: int, scratch: Path, *, errnos: bool = False) -> lab.Tally:
    """Disturb the sandbox at its calls while a client sends; then start it again over the same folder."""
    name = "an errno at a call of the sandbox" if errnos else "kill -9 of the sandbox"
    tally = lab.Tally(name, seed)
    calls = tuple(ERRNOS_OF) if errnos else CALLS
    points: list[tuple[str, Callable[[Path, str, int], Scene], Point]] = []
    stages: dict[str, Callable[[Path, str, int], Scene]] = {
        "send one document": _send,
        "send three documents": _send_three,
        "send two large documents": _send_large,
        "send fifteen documents": _send_fifteen,
        "send three documents staged": _send_three_staged,
        "send two large documents staged": _send_large_staged,
        "send too much at once": _send_too_much_at_once,
        "required upload": _upload_required,
    }
    for number, (scene_name, stage) in enumerate(_some(stages, count, seed).items()):
        with lab.world(scratch, f"count {number}") as folder:
            under = tracing(folder / "log", calls)
            with lab.sandbox(folder / "sandbox", under=under) as sandbox:
                scene = stage(folder, sandbox.url, 800_000 + number)
                lab.run(scene.command, scene.env)
                sandbox.stop()
            counts = counted(folder / "log", service_files(sandbox.folder))
        for call in calls:
            for n in range(1, counts[call] + 1):
                faults = [f"error={e}" for e in ERRNOS_OF[call]] if errnos else ["signal=KILL"]
                points += [(scene_name, stage, Point(call, n, fault)) for fault in faults]
    todo = _spread(points, count, seed)
    tally.note = f"{len(todo)} of {len(points)} points of {len(stages)} sessions"

    def one(job: tuple[int, tuple[str, Callable[[Path, str, int], Scene], Point]]) -> None:
        number, (scene_name, stage, point) = job
        with lab.world(scratch, f"s{number}") as folder:
            struck, broken = _served_badly(folder, stage, number, point)
        tally.add(f"{scene_name}: {point}", broken, struck=struck)

    with ThreadPoolExecutor(2) as workers:
        list(workers.map(one, enumerate(todo, 1)))
    return tally


def _served_badly(
    folder: Path, stage: Callable[[Path, str, int], Scene], number: int, point: Point
) -> tuple[bool, list[tuple[str, str]]]:
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    scene = stage(folder, url, number)
    impatient = {**scene.env, "DOCSEND_PATIENCE": "0.3"}
    ran = []
    under = point.strace(service_files(folder / "sandbox"))
    with lab.sandbox(folder / "sandbox", under=under, port=port) as sandbox:
        if sandbox.url:
            ran.append(lab.run(scene.command, impatient))
        struck = not sandbox.is_alive or "signal" not in point.fault
        if sandbox.is_alive and not sandbox.stop():
            return True, [("other", "the sandbox does not end")]
    with lab.sandbox(folder / "sandbox", port=port) as sandbox:
        if not sandbox.url:
            return struck, [("lost", "the sandbox does not start over what is left")]
        ran.append(lab.run(scene.again, scene.env))
        broken = []
        if ran[-1].code != 0:
            broken.append(("lost", f"the same command again: {ran[-1].code} {ran[-1].err[-200:]}"))
        broken += lab.violations(sandbox.folder, [scene.home], ran, expected=scene.expected)
        last = lab.run(scene.command, lab.environment(folder / "elsewhere", **_signed(scene)))
        if scene.command[0] == "send" and (not last.result.get("repeated") or "sent " in last.err):
            broken.append(("resent", f"another run: {last.code} {last.err[-200:]}"))
    return struck, broken


def service_files(folder: Path) -> list[Path]:
    """The files and folders that the sandbox opens under names that are known before."""
    names = ("", "documents", "running", "sandbox.sqlite3", "sandbox.sqlite3-journal")
    return [folder / name for name in names]


def _signed(scene: Scene) -> dict[str, str]:
    return {name: scene.env[name] for name in ("DOCSEND_CODE", "DOCSEND_PASSWORD_FILE") if name in scene.env}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
