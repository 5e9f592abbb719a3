"""The bundled catalog, and variants that a service may offer later."""

from __future__ import annotations

import json

from docsend.model import catalog

CATALOG = json.loads(catalog.BUNDLED.read_text(encoding="utf-8"))


def catalog_without(kind: str, code: str) -> bytes:
    """Return the catalog without one row."""
    return json.dumps(CATALOG | {kind: [row for row in CATALOG[kind] if row["code"] != code]}).encode()


def stricter_catalog() -> bytes:
    """Return the catalog with one format and a size limit of 1 byte for every destination."""
    destinations = [row | {"formats": ["png"], "max_document_bytes": 1} for row in CATALOG["destinations"]]
    return json.dumps(CATALOG | {"destinations": destinations}).encode()
