"""The guided `docsend send`: asks for what is missing, shows all, sends, and tells the command for it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from docsend.checks import documents, submission_rules
from docsend.cli import send_one
from docsend.errors import Interrupted
from docsend.i18n import Message
from docsend.model.submission import Submission
from docsend.ui import interactive
from docsend.ui.views.submission import tell_last_look

if TYPE_CHECKING:
    from docsend.cli.context import Session
    from docsend.model.catalog import Catalog, Destination
    from docsend.model.document import Document, UnreadDocument
    from docsend.ui.interactive import Guided
    from docsend.ui.prompts import Terminal


def run(
    session: "Session",
    stated: Submission,
    paths: Sequence[Path],
    *,
    sender: str | None,
    dry_run: bool,
    again: bool,
) -> None:
    """Ask only for what is missing; with nothing missing this is the plain send. Ctrl-C sends nothing."""
    stated = send_one.read(session, stated, paths)
    if interactive.missing(stated, session.catalog()):
        if not dry_run:
            session.settings.chosen_endpoint()  # nobody should answer ten questions in vain
        guided, paths = _asked(session, stated, paths, dry_run=dry_run)
        _send(session, replace(guided, sender=guided.sender or sender), paths, dry_run=dry_run, again=again)
    else:
        checked = send_one.checked_or_exit(session, stated, dry_run=dry_run)
        send_one.show_or_send(session, stated, checked, dry_run=dry_run, again=again)


def _send(session: "Session", guided: "Guided", paths: Sequence[Path], *, dry_run: bool, again: bool) -> None:
    """Show all that was answered, send it, and tell the command that says the same."""
    stated = _within_limit(guided.stated, session.catalog())
    of_sender = session.senders().applied(guided.sender, Submission()).given() if guided.sender else {}
    try:
        checked = send_one.checked_or_exit(session, stated, dry_run=dry_run)
        tell_last_look(session.streams, checked, session.catalog(), guided.sender, session.settings.endpoint)
        if not dry_run:
            _last_look(session)
        send_one.show_or_send(session, stated, checked, dry_run=dry_run, again=again)
    finally:
        # Also of what broke off, or is to wait: nobody wants to answer twice.
        command = interactive.command_line(
            guided, paths, of_sender=of_sender, service=session.settings.service_flag, again=again
        )
        session.streams.command(Message("without questions:"), command)


def _within_limit(stated: Submission, catalog: "Catalog") -> Submission:
    """Return it with documents as large as its destination takes: they were read before it was known."""
    most = submission_rules.largest_document(stated, catalog)
    return stated.with_documents(tuple(documents.within_limit(each, most) for each in stated.documents))


def _last_look(session: "Session") -> None:
    """Have what is shown agreed to; raise Interrupted if it is not."""
    try:
        agreed = _terminal(session).agrees(Message("send it? y sends, n does not"))
    except KeyboardInterrupt as stop:
        raise Interrupted.by(stop, Message("interrupted: nothing was sent")) from None
    if not agreed:
        raise Interrupted(Message("nothing was sent"))


def _asked(
    session: "Session", stated: Submission, paths: Sequence[Path], *, dry_run: bool
) -> "tuple[Guided, Sequence[Path]]":
    """Have everything answered that is missing; raise Interrupted if the person has had enough."""
    catalog, given = session.catalog(), list(paths)

    def read(names: list[str], so_far: Submission) -> "tuple[Document | UnreadDocument, ...]":
        given[:] = send_one.files_of(names)
        return documents.read_all(given, at_most=submission_rules.largest_document(so_far, catalog))

    def going_to(destination: "Destination") -> None:
        if destination.is_personal and not dry_run:
            session.needed_account()

    asker = _terminal(session)
    try:
        guided = interactive.fill_in(stated, catalog, asker, session.senders(), read, going_to)
    except KeyboardInterrupt as stop:
        raise Interrupted.by(stop, Message("interrupted: nothing was sent")) from None
    return guided, given


def _terminal(session: "Session") -> "Terminal":
    from docsend.ui.prompts import Terminal

    return Terminal(session.streams.render)
