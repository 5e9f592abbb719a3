"""`docsend receipts resume`: finish what was interrupted, as far as the service has been told of it."""

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
    from docsend.storage.ledger import Ledger, LedgerEntry
EXITS = (ExitCode.RECEIVED, ExitCode.SIGN_IN, ExitCode.REFUSED, ExitCode.UNFINISHED)
# If several ends differ, the one that needs somebody's attention first.
_WEIGHTIEST = (ExitCode.SIGN_IN, ExitCode.REFUSED, ExitCode.UNFINISHED)
EXAMPLE = "docsend receipts resume\ndocsend receipts resume --service sandbox --json"


def resume(
    context: "CommandContext",
    keys: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY...]", help="Only these, by how their keys begin.")
    ] = None,
) -> None:
    """Finish what was interrupted: of one service with --service, else of all.

    The ledger keeps no identities. So what the service knows of is finished from here. What it never heard
    of, as one exchange that did not arrive, cannot be: the command is shown that has to be run again; that
    sends nothing twice.
    """
    with context.open_ledger() as ledger:
        entries = _chosen(context, ledger.unfinished(), keys or ())
        resumed: list[Resumed] = []
        try:
            resumed.extend(_finish_all(context, entries, ledger))
        except KeyboardInterrupt as stop:
            if resumed:
                context.output.show(HumanOnly(ResumedList(resumed)))  # JSON is one object, the failure's
                say_resume_errors(context.streams, resumed)
            message = Message(
                "interrupted after {count} of {total} unfinished submissions",
                count=len(resumed),
                total=len(entries),
            )
            hint = Message("nothing is lost: `docsend receipts resume` goes on")
            raise Interrupted.from_signal(stop, message, hint) from None
    context.output.show(ResumedList(resumed))
    say_resume_errors(context.streams, resumed)
    ends = {one.error.code for one in resumed if one.error is not None}
    worst = next((code for code in _WEIGHTIEST if code in ends), None)
    if worst is not None:
        raise typer.Exit(worst)


def _chosen(
    context: "CommandContext", entries: "list[LedgerEntry]", keys: Iterable[str]
) -> "list[LedgerEntry]":
    wanted = [key.upper() for key in keys]
    for key in wanted:
        if not any(entry.key.startswith(key) for entry in entries):
            raise UsageError(
                Message("nothing unfinished has a key that begins with {key!r}", key=key[:60]),
                Message("`docsend receipts` lists them"),
            )
    endpoint = context.settings.endpoint
    return [
        entry
        for entry in entries
        if (endpoint is None or entry.service == endpoint.name)
        and (not wanted or entry.key.startswith(tuple(wanted)))
    ]


def _finish_all(
    context: "CommandContext", entries: "list[LedgerEntry]", ledger: "Ledger"
) -> "Iterator[Resumed]":
    for service in dict.fromkeys(entry.service for entry in entries):
        yield from _finish_those_of(
            context.for_service(service), [e for e in entries if e.service == service], ledger
        )


def _finish_those_of(
    there: "CommandContext", entries: "list[LedgerEntry]", ledger: "Ledger"
) -> "Iterator[Resumed]":
    from docsend.delivery import deliver
    from docsend.service.responses import UnknownSubmission

    account = there.account() if any(entry.to == "personal" for entry in entries) else None
    relay = ForwardingListener(there.retry_listener())
    with there.open_service(relay, account) as service:
        for entry in entries:
            error: DocsendError | None = None
            try:
                with there.output.document_progress(entry.as_planned_submission().documents) as relay.target:
                    deliver.resume(entry, service, ledger)
            except UnknownSubmission:
                error = Unfinished(
                    Message("the service knows nothing of this submission"), _again(there, entry)
                )
            except InvalidSubmission as changed:
                error = Unfinished(changed.message, _again(there, entry))
            except (Unfinished, Refused, SignInRequired) as failure:
                error = failure
            now = ledger.find(entry.service, entry.key) or entry
            yield Resumed(now, receipts.stored_receipt(now), error)


def _again(context: "CommandContext", entry: "LedgerEntry") -> Message:
    """Give the command that sends it, as far as the ledger knows: it keeps no identity and no remark."""
    options = {
        "to": entry.to,
        "subject": entry.subject,
        "category": entry.category,
        "type": entry.type,
        "reference": entry.reference,
        "required": entry.required,
        "service": entry.service,
    }
    said = [part for name, value in options.items() if value for part in (f"--{name}", value)]
    destination = context.catalog().destinations.get(entry.to)
    who = {"insured": " --id …", "employer": " --employer-file … --booklet … --mobile …"}
    files = [document.path for document in entry.documents]
    command = shlex.join(["docsend", "send", *files, *said])
    # Not --again, which finds the next sending that has not ended: that may be another one.
    which = f" --occurrence {entry.occurrence}" if entry.occurrence > 1 else ""
    identity = who.get(destination.identity, "") if destination else ""
    return Message("run it again, with all that it had: {command}", command=command + identity + which)
