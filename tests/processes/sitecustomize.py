"""Record resources that docsend did not close. Python imports this module in every process of a test.

The warnings go to a file, which conftest.py reads after the test; standard error is unsuitable because tests
read or close it. Other programs (pip, schemathesis) are not checked.
"""

from __future__ import annotations

import os
import sys


def _record_unclosed(unraisable: sys.UnraisableHookArgs) -> None:
    if not isinstance(unraisable.exc_value, ResourceWarning):
        sys.__unraisablehook__(unraisable)
        return
    warning = str(unraisable.exc_value)
    # If a signal interrupts an import, the garbage collector closes the module's file.
    is_import = warning.endswith((".py'>", ".pyc'>"))
    warnings_file = os.environ.get("TESTS_LEFT_OPEN")
    if warnings_file and "docsend" in sys.modules and not is_import:
        line = f"{' '.join(sys.orig_argv)}: {warning}\n"
        # A single append, because several processes may write at the same time.
        file = os.open(warnings_file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(file, line.encode("utf-8", "backslashreplace"))
        os.close(file)


sys.unraisablehook = _record_unclosed
