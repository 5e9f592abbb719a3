"""`docsend senders`: store the people and employers that documents are sent for, for use with --sender."""

import getpass
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from docsend.auth.keyring_store import BookletStore, read_standard_input
from docsend.cli.options import command
from docsend.config import file, senders
from docsend.errors import ExitCode, InvalidSubmission, UsageError
from docsend.i18n import Message
from docsend.model import fields
from docsend.ui.views.senders import SenderAdded, SenderList, SenderRemoved

if TYPE_CHECKING:
    from docsend.cli.context import CommandContext

EXITS = (ExitCode.RECEIVED,)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A name of your choice, such as client-4711.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(rich_markup_mode=None)
    command(group, None, exits=EXITS, example="docsend senders", invoke_without_command=True)(list_)
    command(
        group,
        "add",
        exits=(*EXITS, ExitCode.FAULTY),
        example="docsend senders add client-4711 --id 000000018\n"
        "docsend senders add bakery --employer-file 900000019 --mobile 0501234567",
        fields=[field for field in fields.IDENTITY_FIELDS if field.display != "never"],
        short_help="Store a person or an employer under a name.",
    )(add)
    command(
        group,
        "remove",
        exits=EXITS,
        example="docsend senders remove client-4711",
        short_help="Remove a sender.",
    )(remove)
    app.add_typer(group, name="senders")


def list_(context: "CommandContext") -> None:
    """List the stored senders: people and employers whose numbers you do not have to type each time.

    Use one with `docsend send --sender NAME`, or in the column `sender` of a manifest.
    """
    context.output.show(SenderList(context.settings.senders))


def add(
    context: "CommandContext",
    name: Name,
    *,
    given: Mapping[str, str],
    booklet_stdin: Annotated[
        bool, typer.Option("--booklet-stdin", help="Read the booklet number from standard input.")
    ] = False,
) -> None:
    """Store an insured person or an employer under a name, replacing any sender with the same name.

    The numbers are stored in config.toml, which docsend makes readable only for you. The booklet number works
    as a password, so it is stored in the operating system's keyring. On a terminal, docsend asks for it
    without showing it. If you leave it empty, it is not stored, and you must give --booklet each time you
    send.
    """
    from docsend.checks import submission_rules

    senders.check_name(name)
    if ("id" in given) == ("employer_file" in given):
        raise UsageError(
            Message("a sender needs either --id or --employer-file"), Message("give exactly one of them")
        )
    if "id" in given and (len(given) > 1 or booklet_stdin):
        raise UsageError(
            Message("--employer-kind, --mobile, --email and --booklet-stdin are only for employers"),
            Message("leave them out, or give --employer-file instead of --id"),
        )
    sender = senders.Sender(given)
    booklet = _read_booklet(context, from_stdin=booklet_stdin) if sender.party == "employer" else None
    sender = sender._replace(has_stored_booklet=bool(booklet))
    identity = {**given, "booklet": booklet} if booklet else given
    if problems := submission_rules.identity_problems(sender.party, identity, context.catalog()):
        raise InvalidSubmission(
            Message.plural(
                "1 problem, nothing was stored", "{count} problems, nothing was stored", len(problems)
            ),
            problems=problems,
        )
    if booklet:
        # The keyring comes first: if there is none, nothing is stored at all.
        BookletStore(backend=context.settings.keyring_backend).save(name, sender.number, booklet)
    else:
        _forget_booklet(context, name)
    file.write_sender(context.settings.config_file, name, sender)
    context.output.show(SenderAdded(name, sender, bool(booklet)))


def remove(context: "CommandContext", name: Name) -> None:
    """Remove a sender: its numbers from config.toml, and its booklet number from the keyring."""
    stored = context.senders()
    if name not in stored:
        raise UsageError(*stored.unknown_message(name))
    _forget_booklet(context, name)
    file.write_sender(context.settings.config_file, name, None)
    context.output.show(SenderRemoved(name))


def _forget_booklet(context: "CommandContext", name: str) -> None:
    """Remove the booklet number stored for this name, so that no later sender of this name uses it."""
    previous = context.settings.senders.get(name)
    if previous is not None and previous.has_stored_booklet:
        BookletStore(backend=context.settings.keyring_backend).forget(name)


def _read_booklet(context: "CommandContext", *, from_stdin: bool) -> str | None:
    """Return the booklet number from standard input or a prompt, or None if none is given.

    Raise UsageError if standard input is not UTF-8.
    """
    if from_stdin:
        try:
            return read_standard_input(Message("empty booklet number"))
        except UnicodeDecodeError:
            raise UsageError(
                Message("the booklet number is not UTF-8"),
                Message("encode it in UTF-8, on the first line of standard input"),
            ) from None
    if context.settings.no_input or sys.stdin is None or not sys.stdin.isatty():
        return None
    question = Message("the booklet's identification number (leave empty to store none)")
    try:
        return getpass.getpass(context.streams.render(Message("{question}: ", question=question))) or None
    except EOFError:
        return None
