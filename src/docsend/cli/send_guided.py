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
    from docsend.model.catalog import Destination
    from docsend.model.document import Document, UnreadDocument
    from docsend.ui.interactive import Guided


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
    catalog = session.catalog()
    most = submission_rules.largest_document(stated, catalog)
    looked_at = stated.with_documents(documents.read_all(paths, at_most=most))
    if not interactive.missing(looked_at, catalog):
        send_one.check_and_deliver(session, stated, paths, dry_run=dry_run, again=again)
        return
    if not dry_run:
        session.settings.chosen_endpoint()  # nobody should answer ten questions in vain
    guided, paths = _asked(session, looked_at, paths, dry_run=dry_run)
    guided = replace(guided, sender=guided.sender or sender)
    checked = submission_rules.check(guided.stated, catalog)
    if isinstance(checked, submission_rules.Faulty):  # told in full, as of any send
        send_one.check_and_deliver(
            session, guided.stated.with_documents(()), paths, dry_run=dry_run, again=again
        )
        return
    tell_last_look(session.streams, checked, catalog, guided.sender, session.settings.endpoint)
    of_sender = session.senders().applied(guided.sender, Submission()).given() if guided.sender else {}
    try:
        if not dry_run:
            _last_look(session)
        send_one.check_and_deliver(
            session, guided.stated.with_documents(()), paths, dry_run=dry_run, again=again
        )
    finally:
        # Also of what broke off, or is to wait: nobody wants to answer twice.
        command = interactive.command_line(
            guided, paths, of_sender=of_sender, service=session.settings.service_flag, again=again
        )
        session.streams.command(Message("without questions:"), command)


def _last_look(session: "Session") -> None:
    """Have what is shown agreed to; raise Interrupted if it is not."""
    from docsend.ui.prompts import Terminal

    try:
        agreed = Terminal(session.streams.render).agrees(Message("send it? y sends, n does not"))
    except KeyboardInterrupt as stop:
        raise Interrupted.by(stop, Message("interrupted: nothing was sent")) from None
    if not agreed:
        raise Interrupted(Message("nothing was sent"))


def _asked(
    session: "Session", stated: Submission, paths: Sequence[Path], *, dry_run: bool
) -> "tuple[Guided, Sequence[Path]]":
    """Have everything answered that is missing; raise Interrupted if the person has had enough."""
    from docsend.ui.prompts import Terminal

    catalog, given = session.catalog(), list(paths)

    def read(names: list[str], so_far: Submission) -> "tuple[Document | UnreadDocument, ...]":
        given[:] = send_one.files_of(names)
        return documents.read_all(given, at_most=submission_rules.largest_document(so_far, catalog))

    def going_to(destination: "Destination") -> None:
        if destination.is_personal and not dry_run:
            session.needed_account()

    asker = Terminal(session.streams.render)
    try:
        guided = interactive.fill_in(stated, catalog, asker, session.senders(), read, going_to)
    except KeyboardInterrupt as stop:
        raise Interrupted.by(stop, Message("interrupted: nothing was sent")) from None
    return guided, given
