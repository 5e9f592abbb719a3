"""Catalogs as files: the one that ships with docsend, and those that services gave out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docsend.model import catalog
from docsend.model.catalog import MAX_BYTES, Catalog
from docsend.storage import files

if TYPE_CHECKING:
    from pathlib import Path


def load(path: Path | None = None) -> Catalog:
    """Read the catalog in a file, or the bundled one; raise MalformedCatalog or OSError."""
    return Catalog(files.read_limited(path or catalog.BUNDLED, max_bytes=MAX_BYTES))


def current_file(stored: Path | None) -> Path:
    """Give the file of the catalog that counts: the one that a service gave out, else the bundled one.

    A stored one that cannot be looked at counts, too: whoever reads it is told why.
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
