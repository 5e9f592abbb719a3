"""The folder of a manifest: which files a name in it means, and whether they lie inside.

A manifest of somebody else must not make us send ~/.ssh/id_rsa: what leads out of its folder, be it over a
symbolic link, is refused unless it is allowed.
"""

from __future__ import annotations

import glob
import os
import stat
import sys
import unicodedata
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class ManifestFolder:
    """A folder, looked into when the first name is looked up."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def resolve(self, pattern: str, *, allow_outside: bool) -> list[str] | None:
        """Give the files that a path or pattern means, with the folder before them.

        Give None if one of them lies outside and may not. A name that means none is given as it is: reading
        it will say so.
        """
        if _goes_straight_down(self._home, pattern):  # and so it is there, as nearly all are
            return [self._before + pattern]
        matches = _matches(self._home, pattern)
        if not allow_outside and not all(_is_inside(self._home, name) for name in matches):
            return None
        return [str(self.path / name) for name in matches]

    @cached_property
    def _home(self) -> str:
        return os.path.realpath(self.path)

    @cached_property
    def _before(self) -> str:
        """Give what stands before a name in the folder."""
        return str(self.path / "x")[:-1]


def _matches(home: str, pattern: str) -> list[str]:
    """Give the files that a path or pattern means, in whatever form their accents are written on the disk."""
    forms = (pattern, *(unicodedata.normalize(form, pattern) for form in ("NFC", "NFD")))
    for form in dict.fromkeys(forms):
        if os.path.lexists(os.path.join(home, form)):
            return [form]
        if found := glob.glob(form, root_dir=home) if glob.has_magic(form) else []:
            return sorted(found)
    return [pattern]


def _is_inside(home: str, name: str) -> bool:
    """Tell whether what a name below the folder means lies below it, too."""
    if _goes_straight_down(home, name):
        return True
    try:
        real = os.path.realpath(os.path.join(home, name))
    except ValueError:  # what no name of a file can be here is nowhere, and reading it will say so
        return True
    return real == home or real.startswith(home.rstrip(os.sep) + os.sep)


def _goes_straight_down(home: str, name: str) -> bool:
    """Tell whether a name neither climbs nor passes a symbolic link, as nearly all names do."""
    parts = name.split("/")
    if sys.platform == "win32" or name.startswith("/") or os.pardir in parts:
        return False  # Windows has other ways out: drives, junctions, backslashes
    at = home
    try:
        for part in parts:
            at = f"{at}/{part}"
            if stat.S_ISLNK(os.lstat(at).st_mode):
                return False
    except (OSError, ValueError):  # ValueError: what no name of a file can be here
        return False
    return True
