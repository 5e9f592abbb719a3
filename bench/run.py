"""Compare docsend with its budgets and with other programs: `make bench`, or `python bench/run.py`.

All results are ratios within one run. docs/benchmarks.md says what is measured, and how.
"""

import argparse
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import batches
import documents
import dry_runs
import ledgers
import peers
import report
import sends
import servers
import startups
import submission_forms
import venvs
import workbooks
from clock import warm_up
from report import Section
from submissions import Submissions, find_program

_FEWEST_ROUNDS = 3
_ROUNDS, _QUICK_ROUNDS = 9, 3
_MORE = 3  # more rounds for what takes about 50 ms, where each round matters


def main() -> None:
    options = _arguments()
    began = time.monotonic()
    with TemporaryDirectory(prefix="docsend-bench-") as folder, ExitStack() as open_servers:
        bench = _Bench(Path(folder), options.rounds, options.quick, open_servers)
        heading = bench.heading()
        sections = []
        for name in options.only or _SECTIONS:
            sections.append(_SECTIONS[name](bench))
            print(_section_text(sections[-1]), flush=True)
    budgets = report.budgets_table([budget for section in sections for budget in section.budgets])
    minutes = (time.monotonic() - began) / 60
    heading += f"- the whole run took {minutes:.0f} minutes\n"
    print(f"{heading}\n{budgets}")
    if options.write:
        report.write("\n".join([heading, f"### The budgets\n\n{budgets}", *map(_section_text, sections)]))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure docsend against its budgets and other programs.")
    parser.add_argument("--rounds", type=int, help=f"how often each is run (default: {_ROUNDS})")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and rows, to see that it works")
    parser.add_argument("--only", action="append", choices=_SECTIONS, help="this part alone (repeatable)")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    options = parser.parse_args()
    options.rounds = options.rounds or (_QUICK_ROUNDS if options.quick else _ROUNDS)
    if options.rounds < _FEWEST_ROUNDS:
        parser.error(f"a median needs at least {_FEWEST_ROUNDS} rounds")
    if options.write and (options.only or options.quick):
        parser.error("docs/benchmarks.md tells of whole runs only")
    return options


@dataclass
class _Bench:
    """The folders and environments of a run, and its servers, which start on first use."""

    folder: Path
    rounds: int
    is_quick: bool
    open_servers: ExitStack

    def heading(self) -> str:
        programs = [
            " ".join(warm_up([find_program(name), option], self.environment).split()[:2])
            for name, option in (("curl", "--version"), ("openssl", "version"))
        ]
        versions = {each.peer.package: each.version for each in self.peers}
        options = f"{self.rounds} rounds{', quick' if self.is_quick else ''}"
        return report.circumstances(self.installed, versions, programs, options)

    @cached_property
    def installed(self) -> venvs.Venvs:
        return venvs.prepare_environments()

    @property
    def older(self) -> str | None:
        """The program of the older commit, or None if this clone does not have that commit."""
        return self.installed.older.docsend if self.installed.older else None

    @cached_property
    def peers(self) -> list[peers.Installed]:
        return peers.install_peers()

    @cached_property
    def environment(self) -> dict[str, str]:
        """The environment of a user, with a home folder for this run."""
        home = self.folder / "home"
        home.mkdir()
        return {**venvs.user_environment(), "HOME": str(home)}

    @cached_property
    def sandbox(self) -> servers.Server:
        return self.open_servers.enter_context(
            servers.sandbox(self.installed.with_sandbox.docsend, self.folder / "sandbox", self.environment)
        )

    @cached_property
    def stand_in(self) -> servers.Server:
        return self.open_servers.enter_context(servers.stand_in())

    @cached_property
    def over_tls(self) -> servers.Server:
        return self.open_servers.enter_context(servers.stand_in(tls_in=self.folder))

    @cached_property
    def nginx(self) -> servers.Server | None:
        return self.open_servers.enter_context(servers.nginx(self.folder / "nginx"))


def _startups(bench: _Bench) -> Section:
    document = Submissions(bench.folder / "dry").pdf(sends.SMALL)
    plain = bench.installed.plain
    return startups.section(
        plain.docsend,
        bench.older,
        plain.python,
        bench.peers,
        document,
        bench.environment,
        _MORE * bench.rounds,
    )


def _one_document(bench: _Bench) -> Section:
    return sends.one_document(
        bench.installed,
        bench.sandbox,
        bench.stand_in,
        bench.peers,
        bench.folder,
        bench.environment,
        bench.rounds,
    )


def _many_documents(bench: _Bench) -> Section:
    return sends.many_documents(
        bench.installed,
        bench.stand_in,
        bench.over_tls,
        bench.nginx,
        bench.folder,
        bench.environment,
        bench.rounds,
    )


def _batches(bench: _Bench) -> Section:
    return batches.section(
        bench.installed.plain.docsend, bench.older, bench.folder, bench.environment, quick=bench.is_quick
    )


def _checks(bench: _Bench) -> Section:
    plain = bench.installed.plain
    return dry_runs.section(
        plain.docsend,
        bench.older,
        plain.python,
        bench.folder,
        bench.environment,
        bench.rounds,
        quick=bench.is_quick,
    )


def _workbooks(bench: _Bench) -> Section:
    return workbooks.section(
        bench.installed.with_tables.python,
        bench.folder,
        bench.environment,
        bench.rounds,
        quick=bench.is_quick,
    )


def _documents(bench: _Bench) -> Section:
    older = bench.installed.older
    return documents.section(
        bench.installed.plain.python,
        older.python if older else None,
        bench.folder,
        bench.environment,
        bench.rounds,
        quick=bench.is_quick,
    )


def _ledger(bench: _Bench) -> Section:
    return ledgers.section(
        bench.installed.plain.docsend,
        bench.stand_in,
        bench.folder,
        bench.environment,
        bench.rounds,
        quick=bench.is_quick,
    )


def _submission_forms(bench: _Bench) -> Section:
    catalog = venvs.ROOT / "src" / "docsend" / "data" / "catalog.json"
    return submission_forms.section(
        bench.installed.plain.docsend,
        catalog,
        bench.folder,
        bench.environment,
        bench.rounds,
        quick=bench.is_quick,
    )


_SECTIONS: dict[str, Callable[[_Bench], Section]] = {
    "startup": _startups,
    "one": _one_document,
    "many": _many_documents,
    "forms": _submission_forms,
    "batches": _batches,
    "checks": _checks,
    "workbooks": _workbooks,
    "documents": _documents,
    "ledger": _ledger,
}


def _section_text(section: Section) -> str:
    return f"### {section.title}\n\n{section.text}"


if __name__ == "__main__":
    main()
