"""Run `cd tests && python -m faults.hostile COUNT SEED FOLDER`, for example with 2000 1 /tmp/hostile."""

from __future__ import annotations

import sys
from pathlib import Path

from faults.hostile import experiment

if __name__ == "__main__":
    for summary in experiment(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])):
        sys.stdout.write(f"{summary.name}: {summary.tried} tried, {dict(summary.violations)}\n")
        sys.stdout.writelines(f"  {ascii(example)[:400]}\n" for example in summary.examples)
