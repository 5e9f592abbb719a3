"""Functions that write a proof of sending as PDF, text or JSON."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING

from docsend.errors import UsageError
from docsend.i18n import Message, Translator
from docsend.model.notices import NOT_APPROVED_IN_FULL, NOT_THE_INSTITUTE_IN_FULL
from docsend.proof.content import as_text, build_proof, file_name, is_from_sandbox
from docsend.text import escape_for_terminal
from docsend.ui import to_json

__all__ = ["WRITERS", "file_name"]

if TYPE_CHECKING:
    from docsend.i18n import Language
    from docsend.model.catalog import Catalog
    from docsend.model.receipt import Receipt
    from docsend.storage.ledger_rows import LedgerEntry


def write_pdf(
    entry: LedgerEntry, receipt: Receipt, catalog: Catalog, on_behalf_of: str | None, language: Language
) -> bytes:
    """Return the proof as PDF. Raise UsageError if the extra `pdf` is not installed."""
    try:
        from docsend.proof import pdf
    except ModuleNotFoundError as error:
        raise UsageError(
            Message(
                "PDF output requires the extra `pdf`: the module {name} is not installed", name=error.name
            ),
            Message(
                'run `pip install ".[pdf]"` in the folder that docsend was installed from, or give '
                "`--format text`"
            ),
        ) from error
    page = build_proof(entry, receipt, catalog, on_behalf_of)
    return pdf.write(page, Translator(language), escape_for_terminal)


def write_text(
    entry: LedgerEntry, receipt: Receipt, catalog: Catalog, on_behalf_of: str | None, language: Language
) -> bytes:
    page = build_proof(entry, receipt, catalog, on_behalf_of)
    render = functools.partial(Translator(language).render, escape=escape_for_terminal)
    return as_text(page, render).encode("utf-8", "backslashreplace")


def write_json(
    entry: LedgerEntry, receipt: Receipt, _catalog: Catalog, on_behalf_of: str | None, _language: Language
) -> bytes:
    is_sandbox = is_from_sandbox(entry, receipt)
    notes = [NOT_APPROVED_IN_FULL, *([NOT_THE_INSTITUTE_IN_FULL] if is_sandbox else [])]
    value = to_json.proof(entry, receipt, on_behalf_of, is_sandbox=is_sandbox, notes=notes)
    # ASCII, so that the digest of the file does not depend on where it was written.
    return (json.dumps(value) + "\n").encode("ascii")


WRITERS = {"pdf": write_pdf, "text": write_text, "json": write_json}
