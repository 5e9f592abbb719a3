"""Power cuts: the ledger's and the sandbox's files, as a disk may hold them when the power fails.

Real processes run under strace, which notes every change that they make to their files, every sync, and, in
the same order, every promise that they make to the outside: a byte on the network, a receipt on stdout, an
HTTP answer. From such a log a model of the disk gives, for any moment, what could be left after a power cut:

- of a file: what was synced, and of the changes since then any part, in sectors of 512 bytes, in any order;
  a new size may be there without its bytes (zeros are in their place), or a truncation may be undone;
- of a folder: the names that were synced, and of the changes of names since then the first few (a file
  system with a journal) or any (one without). Syncing a file does not sync its name. A renamed file has its
  old name, its new one, or both; never neither.

What is left is written to a real folder and opened by real SQLite. Every promise that was made before the cut
has to be kept there. A cut is drawn from nothing but its recording, its position and its own seed; recordings
in which something was broken are kept (see `again`).
"""

from __future__ import annotations

from faults.power.experiments import again, experiment

__all__ = ("again", "experiment")
