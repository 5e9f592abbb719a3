"""What a command costs before it does anything: docsend's shortest ones beside other programs'."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from clock import Contender, measured, ratio
from peers import Installed
from report import Budget, Section, times_table
from submissions import found_curl, sending

_BASE = "bare Python"
_VERSION, _HELP = 1.6, 5.5
_OF = "× bare Python"
_DRY_RUN = "docsend send --dry-run, 100 KB PDF"
_TAB = ["send", "--to", "benefits", "--subject", ""]


def section(
    docsend: str,
    python: str,
    peers: Sequence[Installed],
    document: Path,
    environment: Mapping[str, str],
    rounds: int,
) -> Section:
    """Measure, all in one run; `document` is the PDF of the dry run."""
    ours = [
        ("docsend --version", [docsend, "--version"], _VERSION),
        ("docsend --help", [docsend, "--help"], _HELP),
        ("docsend send --help", [docsend, "send", "--help"], _HELP),
        ("docsend, a Tab: options of send", [docsend, "_complete", "send", "--"], _HELP),
        ("docsend, a Tab: subjects of the catalog", [docsend, "_complete", *_TAB], _HELP),
        (_DRY_RUN, sending(docsend, "sandbox", [document], "--dry-run"), None),
    ]
    theirs = [("curl --version", [found_curl(), "--version"])]
    for each in peers:
        theirs.append((f"{each.peer.label} --version", each.command("--version")))
        if each.peer.has_help:
            theirs.append((f"{each.peer.label} --help", each.command("--help")))
    timings = measured(
        Contender(_BASE, lambda: [python, "-I", "-c", "pass"]),
        [
            *(_fixed(name, command) for name, command, _ in ours),
            *(_fixed(name, command, is_optional=True) for name, command in theirs),
        ],
        environment,
        rounds,
    )
    budgets = [Budget(name, limit, ratio(timings, name, _BASE), _OF) for name, _, limit in ours if limit]
    return Section("Start-up", times_table(_BASE, timings), budgets)


def _fixed(name: str, command: Sequence[str], *, is_optional: bool = False) -> Contender:
    return Contender(name, lambda: command, is_optional=is_optional)
