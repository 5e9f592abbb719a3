"""Resolve a manifest's document paths to files, and check that the files are in the manifest's folder.

A manifest from somebody else must not be able to send ~/.ssh/id_rsa. Paths that lead out of the manifest's
folder, directly or through a symbolic link, are therefore refused unless the user allows them.
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
    """The folder that a manifest's paths are relative to. It is not accessed before a path is resolved."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def resolve(self, pattern: str, *, allow_outside: bool) -> list[str] | None:
        """Return the paths of the files that match a path or pattern, joined to the folder.

        Return None if one of the files is outside the folder and `allow_outside` is false. If nothing
        matches, return the pattern itself as a path. Reading that path then reports the error.
        """
        if _is_plain_path(self._real_path, pattern):  # it exists, so it is not a pattern
            return [self._prefix + pattern]
        matches = _find_matches(self._real_path, pattern)
        if not allow_outside and not all(_is_inside(self._real_path, name) for name in matches):
            return None
        return [str(self.path / name) for name in matches]

    @cached_property
    def _real_path(self) -> str:
        return os.path.realpath(self.path)

    @cached_property
    def _prefix(self) -> str:
        """Text that turns a name in this folder into a path."""
        return str(self.path / "x")[:-1]


def _find_matches(folder: str, pattern: str) -> list[str]:
    """Return the files that match a path or pattern, whatever the Unicode form of their names on the disk."""
    forms = (pattern, *(unicodedata.normalize(form, pattern) for form in ("NFC", "NFD")))
    for form in dict.fromkeys(forms):
        if os.path.lexists(os.path.join(folder, form)):
            return [form]
        if matches := glob.glob(form, root_dir=folder) if glob.has_magic(form) else []:
            return sorted(matches)
    return [pattern]


def _is_inside(folder: str, name: str) -> bool:
    """Return whether a path is inside the folder once symbolic links are resolved."""
    if _is_plain_path(folder, name):
        return True
    try:
        real = os.path.realpath(os.path.join(folder, name))
    except ValueError:  # not a valid file name on this system: reading it reports the error
        return True
    return real == folder or real.startswith(folder.rstrip(os.sep) + os.sep)


def _is_plain_path(folder: str, name: str) -> bool:
    """Return whether a path below the folder exists and has neither `..` nor symbolic links, as most do."""
    parts = name.split("/")
    if sys.platform == "win32" or name.startswith("/") or os.pardir in parts:
        return False  # Windows has more ways to leave a folder: drives, junctions, backslashes
    path = folder
    try:
        for part in parts:
            path = f"{path}/{part}"
            if stat.S_ISLNK(os.lstat(path).st_mode):
                return False
    except (OSError, ValueError):  # ValueError: not a valid file name on this system
        return False
    return True
