"""Resolve a manifest's document paths to files, and check that the files are in the manifest's folder.

A manifest from somebody else must not be able to send ~/.ssh/id_rsa. Paths that lead out of the manifest's
folder, directly or through a symbolic link, are therefore refused unless the user allows them.
"""

from __future__ import annotations

import glob
import os
import re
import stat
import sys
import unicodedata
from functools import cached_property
from typing import TYPE_CHECKING

from docsend.codes import Code
from docsend.i18n import Message
from docsend.model.problem import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MAX_SHOWN = 100  # characters of a path in a message


class ManifestFolder:
    """The folder that a manifest's paths are relative to. It is not accessed before a path is resolved."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def direct_paths(self, names: Sequence[str]) -> list[str] | None:
        """Return the paths of files of this folder itself, or None if one may be elsewhere.

        Whether they exist is not checked. A link may lead elsewhere, so they must be opened without following
        links. Most manifests name such files, and opening one takes no longer than finding out about it.
        """
        if sys.platform == "win32":  # has more ways to leave a folder: drives, streams, junctions
            return None
        is_direct = [os.sep not in name and name != os.pardir for name in names]
        return [self._prefix + name for name in names] if all(is_direct) else None

    def resolve(self, pattern: str, *, allow_outside: bool) -> list[str] | Problem:
        """Return the paths of the files that match a path or pattern, joined to the folder, or a problem.

        Nothing matches, or a file is outside the folder and `allow_outside` is false.
        """
        if _is_plain_path(self._real_path, pattern):  # it exists, so it is not a pattern
            return [self._prefix + pattern]
        matches = _find_matches(self._real_path, pattern)
        if not allow_outside and not all(_is_inside(self._real_path, name) for name in matches or (pattern,)):
            message = Message("{pattern} is outside the manifest's folder", pattern=pattern[:_MAX_SHOWN])
            return Problem(Code.PATH_OUTSIDE, message, Message("move it there, or give --allow-outside"))
        return [str(self.path / name) for name in matches] or self._not_found(pattern)

    def _not_found(self, pattern: str) -> Problem:
        """Return the problem that nothing matches: the path as written, and where it was looked for."""
        folder, _, name = pattern.replace("\\", "/").rpartition("/")
        is_current = str(self.path) in ("", os.curdir)
        where = Message("the current folder") if is_current else Message.verbatim(self.path)
        other = None
        if self._is_missing_folder(folder):
            message = Message(
                "there is no folder {folder} in {where}", folder=folder[:_MAX_SHOWN], where=where
            )
            other = self._folder_in_other_case(folder)
        elif glob.has_magic(pattern):
            message = Message(
                "no file matches {pattern} in {where}", pattern=pattern[:_MAX_SHOWN], where=where
            )
        else:
            message = Message("there is no file {path} in {where}", path=pattern[:_MAX_SHOWN], where=where)
            other = self._same_name_in_other_case(folder, name)
        hint = Message("check the path and its spelling")
        if other is not None:
            hint = Message("did you mean {name}?", name=other)
        return Problem(Code.DOCUMENT_NOT_FOUND, message, _unexpanded_hint(pattern) or hint, document=name)

    def _is_missing_folder(self, folder: str) -> bool:
        if not folder or glob.has_magic(folder):
            return False
        return not os.path.isdir(os.path.join(self._real_path, folder))

    def _folder_in_other_case(self, folder: str) -> str | None:
        """Return the name that the first missing part of a folder's path has in upper or lower case."""
        above, _, name = folder.rpartition("/")
        while above and self._is_missing_folder(above):
            above, _, name = above.rpartition("/")
        return None if folder.startswith("/") else self._same_name_in_other_case(above, name)

    def _same_name_in_other_case(self, folder: str, name: str) -> str | None:
        if folder not in self._names:
            try:
                names = os.listdir(os.path.join(self._real_path, folder))
            except (OSError, ValueError):
                names = []
            self._names[folder] = {each.casefold(): each for each in names}
        return self._names[folder].get(name.casefold())

    @cached_property
    def _names(self) -> dict[str, dict[str, str]]:
        """The names of the files in each folder that was listed, by their case-folded form."""
        return {}

    @cached_property
    def _real_path(self) -> str:
        return os.path.realpath(self.path)

    @cached_property
    def _prefix(self) -> str:
        """Text that turns a name in this folder into a path."""
        return str(self.path / "x")[:-1]


def _unexpanded_hint(pattern: str) -> Message | None:
    """Return a hint for a path in a form that a shell, a browser or Windows would understand."""
    if re.match(r"[A-Za-z]:[\\/]|\\\\", pattern) and sys.platform != "win32":
        return Message("this is a path of Windows: write it relative to the manifest's folder")
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", pattern):
        return Message("write a path instead of an address")
    if re.search(r"\.\w{2,5}\s*[,|]\s*\S", pattern):
        return Message("separate paths with semicolons")
    if pattern.startswith("~") or "$" in pattern or "%" in pattern:
        return Message("write the path in full: ~ and variables are not expanded")
    if re.search(r"\{.*,.*\}|\*\*", pattern):
        return Message("braces and ** are not expanded; * and ? are")
    return None


def _find_matches(folder: str, pattern: str) -> list[str]:
    """Return the files that match a path or pattern, in any Unicode form and with either kind of slash."""
    forms = [pattern, *(unicodedata.normalize(form, pattern) for form in ("NFC", "NFD"))]
    forms += [form.replace("\\", "/") for form in forms]
    for form in dict.fromkeys(forms):
        if os.path.lexists(os.path.join(folder, form)):
            return [form]
        if matches := glob.glob(form, root_dir=folder) if glob.has_magic(form) else []:
            return sorted(matches)
    return []


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
