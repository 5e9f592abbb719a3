"""Simulated power cuts: the ledger's and the sandbox's files in any state that a disk may be in afterwards.

Real processes run under strace, which records every change to their files, every sync and, in the same order,
every promise that they make to others: a byte on the network, a receipt on stdout, an HTTP response. From
this recording, a model of the disk derives what may remain if the power fails at a given position:

- of a file: the synced content, and any part of the later changes, in sectors of 512 bytes and in any order.
  A new size may be stored without its bytes (which are zero then), and a truncation may be undone.
- of a folder: the synced names, and of the later name changes the first few (a file system with a journal) or
  any of them (one without). Syncing a file does not sync its name. A renamed file has its old name, its new
  name, or both, but never neither.

The remaining files are written to a real folder and opened with real SQLite. Every promise made before the
cut must still hold there. A cut depends only on its recording, its position and its seed. Recordings with
violations are stored, so that `repeat` can reproduce a cut.
"""

from __future__ import annotations

from faults.power.experiments import experiment, repeat

__all__ = ("experiment", "repeat")
