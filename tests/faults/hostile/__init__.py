"""Generated hostile input: file names, paths, documents, catalogs, responses and settings.

Most inputs go directly to the function that reads them; one in PROGRAM_EVERY goes through the command line,
in this process and with captured streams. The program may refuse an input with its documented errors. The
input must not crash or hang the program, put an unsafe character on a stream, reveal a secret, or be accepted
as something that it is not.

Each input depends only on the seed, its class and its number, so that it can be reproduced.
"""

from __future__ import annotations

from faults.hostile.experiments import experiment

__all__ = ("experiment",)
