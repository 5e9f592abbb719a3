"""Plant the bug that FAULTS_BUG names; Python imports this module when a process starts."""

from __future__ import annotations

import os

if "FAULTS_BUG" in os.environ:
    from faults import bugs, seams

    seams.plant(bugs.find_bug(os.environ["FAULTS_BUG"]).seams)
