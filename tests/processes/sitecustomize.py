"""Python runs this first in every process that a test starts: what docsend drops unclosed is written down.

The test reads it when it is over (conftest.py). Standard error would not do: tests read it, too, or close it.
Programs of others (pip, schemathesis) may be untidy.
"""

from __future__ import annotations

import os
import sys


def _write_down(unraisable: sys.UnraisableHookArgs) -> None:
    if not isinstance(unraisable.exc_value, ResourceWarning):
        sys.__unraisablehook__(unraisable)
        return
    dropped = str(unraisable.exc_value)
    # A signal in the middle of an import leaves a module's file to the garbage collector.
    is_import = dropped.endswith((".py'>", ".pyc'>"))
    noted = os.environ.get("TESTS_LEFT_OPEN")
    if noted and "docsend" in sys.modules and not is_import:
        line = f"{' '.join(sys.orig_argv)}: {dropped}\n"
        # One write to the end of the file: several processes may do it at once.
        file = os.open(noted, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(file, line.encode("utf-8", "backslashreplace"))
        os.close(file)


sys.unraisablehook = _write_down
