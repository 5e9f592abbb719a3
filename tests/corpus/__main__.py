"""Have docsend and other programs judge documents, and compare: exit code 1 if a limit is exceeded.

python -m corpus [--format FORMAT ...] [--seed N] [--older COMMIT] [--write FILE]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from corpus import accidents, editions, judging, oracles, programs, recipes, report, timing
from corpus.kinds import RECIPES
from corpus.report import Accident, Findings, Judged

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements" / "corpus.txt"
_SECONDS = 1.0  # the most that the checks without decoders may take for one document


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m corpus", description=__doc__.splitlines()[0])
    parser.add_argument("--format", action="append", choices=recipes.FORMATS, help="this one only")
    parser.add_argument("--seed", type=int, default=20261123)
    parser.add_argument("--older", default=editions.OLDER, help="the commit to compare with; empty for none")
    parser.add_argument(
        "--accidents", type=int, default=accidents.COUNT, help="documents of a format and accident"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the report to this file")
    args = parser.parse_args(argv)
    oracles.require(_REQUIREMENTS)
    began = time.monotonic()
    memory = Path("/dev/shm")  # noqa: S108 - thousands of short-lived files
    with tempfile.TemporaryDirectory(prefix="corpus-", dir=memory if memory.is_dir() else None) as folder:
        findings = _find(args, Path(folder))
    text = report.text(findings, (time.monotonic() - began) / 60)
    print(text)
    if args.write:
        args.write.write_text(text, "utf-8")
    for exceeded in findings.exceeded():
        print(f"exceeded: {exceeded}", file=sys.stderr)
    return 1 if findings.exceeded() else 0


def _find(args: argparse.Namespace, scratch: Path) -> Findings:
    """Return what docsend and the oracles say about all documents."""
    home = scratch / "home"
    home.mkdir()
    asked = editions.prepare(home, args.older)
    python, pdfium = editions.pdfium()
    formats = tuple(args.format or recipes.FORMATS)
    findings = Findings(args.seed, [edition.name for edition in asked], oracles.versions(pdfium))
    shown = oracles.Oracles(python)
    try:
        _judge_variants(findings, formats, asked, shown, scratch)
        for name in formats:
            findings.accidents += _judge_accidents(name, args.accidents, args.seed, asked, shown, scratch)
            print(f"accidents of {name}: judged", file=sys.stderr, flush=True)
    finally:
        shown.close()
    return findings


def _judge_variants(
    findings: Findings,
    formats: tuple[str, ...],
    asked: list[judging.Edition],
    shown: oracles.Oracles,
    scratch: Path,
) -> None:
    """Add what is said about each document that the recipes and the programs here make."""
    chosen = [recipe for recipe in RECIPES if recipe.format in formats]
    of_programs, findings.absent = programs.variants(findings.seed)
    made = [*recipes.make_all(chosen, findings.seed), *(v for v in of_programs if v.recipe.format in formats)]
    folder = scratch / "variants"
    folder.mkdir()
    names = _write(folder, ((each.file_name, each.content) for each in made))
    manifest = judging.write_manifest(folder, names)
    if len({*names}) != len(names):
        raise AssertionError("two documents have the same name")
    print(f"{len(made)} documents were made", file=sys.stderr, flush=True)
    opinions = shown.opinions((each.recipe.format, folder / each.file_name) for each in made)
    print("the oracles have judged them", file=sys.stderr, flush=True)
    verdicts = [judging.ask(edition, manifest, len(made)) for edition in asked]
    findings.variants = [
        Judged(each.recipe, each.file_name, opinion, by, said)
        for each, (opinion, by), *said in zip(made, opinions, *verdicts, strict=True)
    ]
    without = next(edition for edition in asked if edition.name == editions.WITHOUT)
    findings.slowest = timing.slowest(without, folder, names, _SECONDS)


def _judge_accidents(
    format_name: str,
    count: int,
    seed: int,
    asked: list[judging.Edition],
    shown: oracles.Oracles,
    scratch: Path,
) -> Iterator[Accident]:
    """Yield what became of the documents of one format in each accident."""
    extension = recipes.EXTENSIONS[format_name]
    whole = accidents.originals(format_name, count, seed)
    with tempfile.TemporaryDirectory(dir=scratch) as place:
        names = _write(Path(place), ((f"{number:03}.{extension}", each) for number, each in enumerate(whole)))
        before = shown.looks((format_name, Path(place, name)) for name in names)
    for accident in accidents.ACCIDENTS:
        happened = dict(accidents.happen(accident, format_name, whole, seed))
        if not happened:
            continue
        with tempfile.TemporaryDirectory(dir=scratch) as place:
            folder = Path(place)
            names = _write(folder, ((f"{number:03}.{extension}", each) for number, each in happened.items()))
            after = shown.looks((format_name, folder / name) for name in names)
            manifest = judging.write_manifest(folder, names)
            verdicts = [judging.ask(edition, manifest, len(names)) for edition in asked]
        for number, look, *said in zip(happened, after, *verdicts, strict=True):
            is_whole = oracles.is_same(before[number], look)
            yield Accident(accident, format_name, is_whole, said)


def _write(folder: Path, files: Iterable[tuple[str, bytes]]) -> list[str]:
    """Write files and return their names."""
    names = []
    for name, content in files:
        (folder / name).write_bytes(content)
        names.append(name)
    return names


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
