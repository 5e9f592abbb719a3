"""Python runs this first in every process that a test starts: whatever docsend drops unclosed is written down.

The test reads it when it is over (conftest.py). Standard error would not do: tests read it, too, or close it.
Programs of others (pip, schemathesis) may be untidy.
"""

from __future__ import annotations

import os
import sys


def _write_down(unraisable: sys.UnraisableHookArgs) -> None:
    noted = os.environ.get("TESTS_LEFT_OPEN")
    if noted and "docsend" in sys.modules and isinstance(unraisable.exc_value, ResourceWarning):
        line = f"{' '.join(sys.orig_argv)}: {unraisable.exc_value}\n"
        # One write to the end of the file: several processes may do it at once.
        file = os.open(noted, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(file, line.encode("utf-8", "backslashreplace"))
        os.close(file)
    sys.__unraisablehook__(unraisable)


sys.unraisablehook = _write_down
