"""`docsend catalog`: search the codes for everything that the destinations accept."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from docsend.cli.options import command
from docsend.errors import ExitCode, LocalError, Unfinished, UsageError
from docsend.i18n import Message
from docsend.model.catalog import MAX_LABEL_LENGTH, Catalog, MalformedCatalog
from docsend.storage import catalogs, files
from docsend.ui.views.catalog import CatalogRows, CatalogUpdate

if TYPE_CHECKING:
    from docsend.cli.context import CommandContext

EXITS = (ExitCode.RECEIVED, ExitCode.UNFINISHED)
_MAX_ETAG_BYTES = 1024


def register(app: typer.Typer) -> None:
    command(
        app,
        "catalog",
        exits=EXITS,
        example="docsend catalog fiches de paie\n"
        "docsend catalog 1514\n"
        "docsend catalog --to employer-collection",
    )(catalog)


def catalog(
    context: "CommandContext",
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[WORDS]",
            help="Words to search for (Hebrew, English or French), a code or a form number.",
        ),
    ] = None,
    *,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="DESTINATION", help="Show only what this destination accepts."),
    ] = None,
    update: Annotated[
        bool,
        typer.Option("--update", help="Download the service's catalog first; it replaces the bundled one."),
    ] = False,
) -> None:
    """Search the catalog of subjects, categories, document types, branches and forms.

    Without WORDS, everything is listed. Accents, niqqud and small spelling mistakes do not matter.
    """
    from docsend.model import search

    if update:
        update_only = not words and not to
        version, is_new = _update(context)
        context.output.show(CatalogUpdate(version, is_new, update_only))
        if update_only:
            return
    rows = context.catalog()
    if to is not None and to not in rows.destinations:
        close = search.nearest(to, rows.destinations)
        hint = (
            Message("did you mean {close}?", close=close)
            if close
            else Message("choose one of: {choices}", choices=", ".join(rows.destinations))
        )
        raise UsageError(Message("unknown destination: {to!r}", to=to), hint)
    query = " ".join(words or ())[:MAX_LABEL_LENGTH]
    chosen = rows.rows(to)
    matches = [(hit.kind, hit.entry) for hit in search.find(query, chosen)] if query else list(chosen)
    context.output.show(CatalogRows(matches, query))


def _update(context: "CommandContext") -> tuple[str, bool]:
    """Download the service's catalog and store it, unless the stored copy is current.

    Return the version now in use, and whether a new catalog was stored. Raise Unfinished if the service's
    catalog is malformed, and LocalError if the catalog cannot be stored.
    """
    file = context.settings.catalog_file_for(context.settings.chosen_endpoint())
    etag_file = file.with_suffix(".etag")
    # Without a usable copy, no ETag is sent, so that the service always sends the catalog.
    etag = _read_etag(etag_file) if _is_usable(file) else None
    with context.open_service(context.retry_listener()) as service:
        fetched = service.fetch_catalog(etag)
    if fetched is None:
        return context.catalog().version, False
    body, new_etag = fetched
    try:
        version = Catalog(body).version
    except MalformedCatalog as error:
        raise Unfinished(
            Message("the service's catalog cannot be used: {error}", error=error.reason),
            Message("the current catalog stays in use"),
        ) from error
    try:
        files.replace_file(file, body)
        # Written second, so that the ETag never describes a catalog that is not stored.
        files.replace_file(etag_file, new_etag.encode("ascii"))
    except OSError as error:
        raise LocalError(
            Message(
                "cannot save the catalog in {folder}: {reason}",
                folder=file.parent,
                reason=files.reason(error),
            ),
            files.hint(file, error),
        ) from error
    return version, True


def _is_usable(file: Path) -> bool:
    try:
        catalogs.load(file)
    except (OSError, MalformedCatalog):
        return False
    return True


def _read_etag(file: Path) -> str | None:
    """Return the stored ETag, or None if it is missing or unusable.

    Without an ETag, the catalog is downloaded even if it has not changed.
    """
    try:
        etag = files.read_limited(file, max_bytes=_MAX_ETAG_BYTES).decode("ascii")
    except (OSError, UnicodeDecodeError):
        return None
    return etag if etag.isprintable() else None
