"""The cost of a command before it does any work: docsend's shortest commands compared with other programs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from clock import Contender, measure, ratio
from peers import Installed
from report import Budget, Section, times_table
from submissions import find_curl, send_command
from venvs import OLDER_COMMIT

_BASE = "bare Python"
_VERSION, _HELP, _TABBED = 1.5, 5.2, 4.0
_OF = "× bare Python"
_DRY_RUN = "docsend send --dry-run, 100 KB PDF"
_TAB = ["send", "--to", "benefits", "--subject", ""]


def section(
    docsend: str,
    older: str | None,
    python: str,
    peers: Sequence[Installed],
    document: Path,
    environment: Mapping[str, str],
    rounds: int,
) -> Section:
    """Measure start-up times in one run; `document` is the PDF of the dry run."""
    ours = _commands(docsend, document)
    limits = dict(zip(ours, (_VERSION, _HELP, _HELP, _TABBED, _TABBED), strict=False))
    olds = {f"{name}, {OLDER_COMMIT}": command for name, command in _commands(older, document).items()}
    theirs = [("curl --version", [find_curl(), "--version"])]
    for each in peers:
        theirs.append((f"{each.peer.label} --version", each.command("--version")))
        if each.peer.has_help:
            theirs.append((f"{each.peer.label} --help", each.command("--help")))
    timings = measure(
        Contender(_BASE, lambda: [python, "-I", "-c", "pass"]),
        [
            *(_fixed(name, command) for name, command in {**ours, **olds}.items()),
            *(_fixed(name, command, is_optional=True) for name, command in theirs),
        ],
        environment,
        rounds,
    )
    budgets = [
        Budget(
            name,
            limit,
            ratio(timings, name, _BASE),
            _OF,
            older=ratio(timings, f"{name}, {OLDER_COMMIT}", _BASE) if older else None,
        )
        for name, limit in limits.items()
    ]
    return Section("Start-up", times_table(_BASE, timings), budgets)


def _commands(docsend: str | None, document: Path) -> dict[str, Sequence[str]]:
    if docsend is None:
        return {}
    return {
        "docsend --version": [docsend, "--version"],
        "docsend --help": [docsend, "--help"],
        "docsend send --help": [docsend, "send", "--help"],
        "docsend, completion: options of send": [docsend, "_complete", "send", "--"],
        "docsend, completion: subjects of catalog": [docsend, "_complete", *_TAB],
        _DRY_RUN: send_command(docsend, "sandbox", [document], "--dry-run"),
    }


def _fixed(name: str, command: Sequence[str], *, is_optional: bool = False) -> Contender:
    return Contender(name, lambda: command, is_optional=is_optional)
