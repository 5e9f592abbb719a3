"""`docsend receipts resume`: finish interrupted submissions that the service already knows."""

import shlex
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from docsend.errors import (
    DocsendError,
    ExitCode,
    Interrupted,
    InvalidSubmission,
    Refused,
    SignInRequired,
    Unfinished,
    UsageError,
)
from docsend.i18n import Message
from docsend.storage import receipts
from docsend.ui.output import HumanOnly
from docsend.ui.progress import ForwardingListener
from docsend.ui.views.receipts import Resumed, ResumedList, say_resume_errors

if TYPE_CHECKING:
    from docsend.cli.context import CommandContext
    from docsend.storage.ledger import Ledger
    from docsend.storage.ledger_rows import LedgerEntry
EXITS = (ExitCode.RECEIVED, ExitCode.SIGN_IN, ExitCode.REFUSED, ExitCode.UNFINISHED)
# If submissions fail with different codes, the exit code is the first of these, the most urgent for the user.
_EXIT_PRIORITY = (ExitCode.SIGN_IN, ExitCode.REFUSED, ExitCode.UNFINISHED)
EXAMPLE = "docsend receipts resume\ndocsend receipts resume --service sandbox --json"


def resume(
    context: "CommandContext",
    keys: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY...]", help="Finish only submissions whose keys start with one of these."
        ),
    ] = None,
) -> None:
    """Finish interrupted submissions: of one service with --service, otherwise of all services.

    docsend finishes the submissions that the service already knows. It cannot finish one that never reached
    the service, because the ledger stores no identities. In that case it shows the command to run again,
    which sends nothing twice.
    """
    with context.open_ledger() as ledger:
        entries = _select_entries(context, ledger.unfinished(), keys or ())
        resumed: list[Resumed] = []
        try:
            resumed.extend(_finish_all(context, entries, ledger))
        except KeyboardInterrupt as stop:
            if resumed:
                context.output.show(HumanOnly(ResumedList(resumed)))  # In JSON, only the error is shown.
                say_resume_errors(context.streams, resumed)
            message = Message(
                "interrupted (unfinished submissions tried: {count} of {total})",
                count=len(resumed),
                total=len(entries),
            )
            hint = Message("nothing is lost: run `docsend receipts resume` to continue")
            raise Interrupted.from_signal(stop, message, hint) from None
    context.output.show(ResumedList(resumed))
    say_resume_errors(context.streams, resumed)
    codes = {one.error.code for one in resumed if one.error is not None}
    most_urgent = next((code for code in _EXIT_PRIORITY if code in codes), None)
    if most_urgent is not None:
        raise typer.Exit(most_urgent)


def _select_entries(
    context: "CommandContext", entries: "list[LedgerEntry]", keys: Iterable[str]
) -> "list[LedgerEntry]":
    prefixes = [key.upper() for key in keys]
    for key in prefixes:
        if not any(entry.key.startswith(key) for entry in entries):
            raise UsageError(
                Message("no unfinished submission has a key that starts with {key!r}", key=key[:60]),
                Message("run `docsend receipts` to list the keys"),
            )
    endpoint = context.settings.endpoint
    return [
        entry
        for entry in entries
        if (endpoint is None or entry.service == endpoint.name)
        and (not prefixes or entry.key.startswith(tuple(prefixes)))
    ]


def _finish_all(
    context: "CommandContext", entries: "list[LedgerEntry]", ledger: "Ledger"
) -> "Iterator[Resumed]":
    for service in dict.fromkeys(entry.service for entry in entries):
        yield from _finish_for_service(
            context.for_service(service), [e for e in entries if e.service == service], ledger
        )


def _finish_for_service(
    context: "CommandContext", entries: "list[LedgerEntry]", ledger: "Ledger"
) -> "Iterator[Resumed]":
    from docsend.delivery import deliver
    from docsend.service.responses import UnknownSubmission

    account = context.account() if any(entry.to == "personal" for entry in entries) else None
    listener = ForwardingListener(context.retry_listener())
    with context.open_service(listener, account) as service:
        for entry in entries:
            error: DocsendError | None = None
            try:
                with context.output.document_progress(
                    entry.as_planned_submission().documents
                ) as listener.target:
                    deliver.resume(entry, service, ledger)
            except UnknownSubmission:
                error = Unfinished(
                    Message("the service does not know this submission"), _rerun_hint(context, entry)
                )
            except InvalidSubmission as changed:
                error = Unfinished(changed.message, _rerun_hint(context, entry))
            except (Unfinished, Refused, SignInRequired) as failure:
                error = failure
            current = ledger.find(entry.service, entry.key) or entry
            yield Resumed(current, receipts.stored_receipt(current), error)


def _rerun_hint(context: "CommandContext", entry: "LedgerEntry") -> Message:
    """Return a hint with the command that sends the submission again.

    The user has to complete it, because the ledger stores neither the identity nor the remark.
    """
    options = {
        "to": entry.to,
        "subject": entry.subject,
        "category": entry.category,
        "type": entry.type,
        "reference": entry.reference,
        "required": entry.required,
        "service": entry.service,
    }
    arguments = [part for name, value in options.items() if value for part in (f"--{name}", value)]
    destination = context.catalog().destinations.get(entry.to)
    identity_options = {"insured": " --id …", "employer": " --employer-file … --booklet … --mobile …"}
    files = [document.path for document in entry.documents]
    command = shlex.join(["docsend", "send", *files, *arguments])
    occurrence = f" --occurrence {entry.occurrence}" if entry.occurrence > 1 else ""
    identity = identity_options.get(destination.identity, "") if destination else ""
    return Message("send it again with the same options: {command}", command=command + identity + occurrence)
