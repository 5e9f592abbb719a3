"""Have docsend read tables that are made here, and compare: exit code 1 if a limit is exceeded.

python -m tables [--seed N] [--share PART] [--kind NAME [--number N --keep FILE]] [--write FILE]
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tables import kinds, opened_reports, report
from tables.judging import judge
from tables.office_reader import OfficeReader
from tables.report import Findings


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tables", description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=20261130)
    parser.add_argument("--share", type=float, default=1.0, help="the part of each kind that is made")
    parser.add_argument("--kind", help="this one only, such as 'xlsx: dates'")
    parser.add_argument("--number", type=int, help="this table of the kind only")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="write the table to this file")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the report to this file")
    args = parser.parse_args(argv)
    began = time.monotonic()
    findings = Findings(args.seed)
    office = OfficeReader()
    for kind in kinds.all_here():
        if args.kind not in (None, f"{kind.format}: {kind.name}"):
            continue
        numbers = range(kinds.count(kind, args.share)) if args.number is None else (args.number,)
        for number, made in zip(numbers, kind.all_made(args.seed, numbers), strict=True):
            verdict = judge(kind, number, made)
            findings.verdicts.append(verdict)
            office.offer(verdict, made)
            if args.keep:
                args.keep.write_bytes(made.content)
    findings.office = office.compare()
    if args.share == 1.0 and args.kind is None:
        opened = opened_reports.find()
        findings.office += f". {opened.description}"
        findings.unsafe_reports = opened.exceeded
    text = report.text(findings, time.monotonic() - began)
    print(text)
    if args.write:
        args.write.write_text(text, "utf-8")
    for exceeded in findings.exceeded():
        print(f"exceeded: {exceeded}", file=sys.stderr)
    return 1 if findings.exceeded() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
