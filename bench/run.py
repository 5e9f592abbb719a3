"""Measure docsend against its budgets: `python bench/run.py`, with --write into docs/benchmarks.md.

Everything is a ratio within one run. What is measured how, and what is not: docs/benchmarks.md.
"""

import argparse
import contextlib
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import batches
import report
import venvs
from clock import Contender, measured, peak, warm_up
from submissions import Submissions, found_curl

_FEWEST_ROUNDS = 9
_DOCUMENT = 100_000
_LARGE_DOCUMENT = 10_000_000

# The budgets: multiples of bare Python, and MiB.
_VERSION, _HELP, _SEND, _MEMORY = 1.6, 5.5, 14.0, 60.0

_SENT = "docsend send, 100 KB PDF"
_SENT_BESIDE_SANDBOX = "docsend send, 100 KB PDF, sandbox extra installed"
_CURL = "curl, the same three requests"
_CURL_BARE = "curl --version"
_PAIRS = [(_SENT, _CURL), (_SENT_BESIDE_SANDBOX, _CURL), (_SENT_BESIDE_SANDBOX, _SENT)]


def main() -> None:
    asked = _arguments()
    installed = venvs.prepared()
    with tempfile.TemporaryDirectory(prefix="docsend-bench-") as folder:
        text = _report(installed, Path(folder), asked.rounds)
    print(text)
    if asked.write:
        report.write(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure docsend against its budgets.")
    parser.add_argument("--rounds", type=int, default=21, help="how often each is run (default: 21)")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    asked = parser.parse_args()
    if asked.rounds < _FEWEST_ROUNDS:
        parser.error(f"a median needs at least {_FEWEST_ROUNDS} rounds")
    return asked


def _report(installed: venvs.Venvs, folder: Path, rounds: int) -> str:
    environment = {**venvs.user_environment(), "DOCSEND_HOME": str(folder / "home")}
    curl = " ".join(warm_up([found_curl(), "--version"], environment).split()[:2])
    heading = report.circumstances(installed, rounds, curl)
    with _sandbox(installed.with_sandbox.docsend, folder / "sandbox", environment) as address:
        documents = Submissions(folder / "documents")
        base = Contender("bare Python", lambda: [installed.plain.python, "-I", "-c", "pass"])
        contenders = _contenders(installed, documents, address)
        timings = measured(base, contenders, environment, rounds)
        large = documents.by_docsend(installed.plain.docsend, address, _LARGE_DOCUMENT)()
        most = peak(large, environment)
    rows = batches.tables(installed.plain.docsend, installed.plain.python, folder, environment)
    return "\n".join(
        [
            heading,
            report.times_table(base, contenders, timings),
            report.pairs_table(_PAIRS, timings),
            report.memory_table("docsend send, 10 MB PDF", most, _MEMORY),
            rows,
        ]
    )


def _contenders(installed: venvs.Venvs, documents: Submissions, address: str) -> Sequence[Contender]:
    """List what is run in each round."""
    docsend = installed.plain.docsend
    send = documents.by_docsend(docsend, address, _DOCUMENT)
    dry_run = documents.by_docsend(docsend, address, _DOCUMENT, "--dry-run")
    beside_sandbox = documents.by_docsend(installed.with_sandbox.docsend, address, _DOCUMENT)
    return [
        Contender("docsend --version", lambda: [docsend, "--version"], _VERSION),
        Contender("docsend --help", lambda: [docsend, "--help"], _HELP),
        Contender("docsend send --help", lambda: [docsend, "send", "--help"], _HELP),
        Contender("docsend send --dry-run, 100 KB PDF", dry_run),
        Contender(_SENT, send, _SEND),
        Contender(_SENT_BESIDE_SANDBOX, beside_sandbox, _SEND),
        Contender(_CURL, documents.by_curl(address, _DOCUMENT)),
        Contender(_CURL_BARE, lambda: [found_curl(), "--version"]),
    ]


@contextlib.contextmanager
def _sandbox(docsend: str, folder: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Run a sandbox in another process and give its address, which it prints when it listens."""
    command = [docsend, "sandbox", "--port", "0", "--data", str(folder)]
    talk = folder.with_suffix(".talk")
    with (
        talk.open("wb") as stderr,
        subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True
        ) as server,
    ):
        try:
            address = server.stdout.readline().strip() if server.stdout else ""
            if not address:
                raise SystemExit(f"the sandbox did not start: {talk.read_text('utf-8')}")
            yield address
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
