"""Catalog files: the one bundled with docsend, and those downloaded from services."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docsend.model import catalog
from docsend.model.catalog import MAX_BYTES, Catalog
from docsend.storage import files

if TYPE_CHECKING:
    from pathlib import Path


def load(path: Path | None = None) -> Catalog:
    """Read a catalog file, or the bundled catalog if no path is given.

    Raise MalformedCatalog if the content is not a catalog, and OSError if the file cannot be read.
    """
    return Catalog(files.read_limited(path or catalog.BUNDLED, max_bytes=MAX_BYTES))


def current_file(stored: Path | None) -> Path:
    """Return the path of the catalog in use: `stored` if that file exists, else the bundled catalog.

    If the stored file cannot be accessed, return its path all the same, because reading it reports the
    reason.
    """
    if stored is None:
        return catalog.BUNDLED
    try:
        stored.stat()
    except (FileNotFoundError, NotADirectoryError):
        return catalog.BUNDLED
    except OSError:
        pass
    return stored
