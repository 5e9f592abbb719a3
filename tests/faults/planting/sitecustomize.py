"""Python runs this first in every process that is to have a bug: it plants it (`planted.environment`)."""

from __future__ import annotations

import os

if "FAULTS_BUG" in os.environ:
    from faults import bugs, seams

    seams.plant(bugs.named(os.environ["FAULTS_BUG"]).seams)
