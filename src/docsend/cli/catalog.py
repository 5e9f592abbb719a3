"""`docsend catalog`: what can be sent where, under which code."""

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
_MOST_ETAG = 1024


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
            metavar="[WORDS]", help="Words in Hebrew, English or French, a code or a form's number."
        ),
    ] = None,
    *,
    to: Annotated[
        str | None, typer.Option("--to", metavar="DESTINATION", help="Only what this destination takes.")
    ] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Fetch the service's catalog first; it replaces the bundled one.")
    ] = False,
) -> None:
    """Find subjects, categories, document types, branches and forms.

    Without WORDS everything is listed. Accents, niqqud and slips of the pen do not matter.
    """
    from docsend.model import search

    if update:
        alone = not words and not to
        version, is_new = _update(context)
        context.output.show(CatalogUpdate(version, is_new, alone))
        if alone:
            return
    rows = context.catalog()
    if to is not None and to not in rows.destinations:
        close = search.nearest(to, rows.destinations)
        hint = (
            Message("did you mean {close}?", close=close)
            if close
            else Message("one of: {choices}", choices=", ".join(rows.destinations))
        )
        raise UsageError(Message("there is no destination {to!r} here", to=to), hint)
    asked = " ".join(words or ())[:MAX_LABEL_LENGTH]
    chosen = rows.rows(to)
    found = [(hit.kind, hit.entry) for hit in search.find(asked, chosen)] if asked else list(chosen)
    context.output.show(CatalogRows(found, asked))


def _update(context: "CommandContext") -> tuple[str, bool]:
    """Fetch the service's catalog if it is another one than the copy here, and keep it.

    Returns the version that is in force now, and whether it is another one than before.
    """
    file = context.settings.catalog_file_of(context.settings.chosen_endpoint())
    etag_file = file.with_suffix(".etag")
    # A copy that cannot be read is fetched anew, be it the service's current one.
    etag = _etag(etag_file) if _is_usable(file) else None
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
            Message("the one here stays in force"),
        ) from error
    try:
        files.replace_file(file, body)
        # Second, so that an etag never speaks of a catalog that is not here.
        files.replace_file(etag_file, new_etag.encode("ascii"))
    except OSError as error:
        raise LocalError(
            Message(
                "the catalog cannot be kept in {folder}: {reason}",
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


def _etag(file: Path) -> str | None:
    """Give the kept ETag; what is not there, cannot be read or is none costs one download, no more."""
    try:
        etag = files.read_limited(file, max_bytes=_MOST_ETAG).decode("ascii")
    except (OSError, UnicodeDecodeError):
        return None
    return etag if etag.isprintable() else None
