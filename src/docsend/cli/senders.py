"""`docsend senders`: who documents are for, kept once, named with --sender ever after."""

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

Name = Annotated[str, typer.Argument(metavar="NAME", help="A name of your own, as in client-4711.")]


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
    )(add)
    command(group, "remove", exits=EXITS, example="docsend senders remove client-4711")(remove)
    app.add_typer(group, name="senders")


def list_(context: "CommandContext") -> None:
    """List the senders: people and employers whose numbers need not be written each time.

    `docsend send --sender NAME` names one, and so does the column `sender` of a manifest.
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
    """Keep an insured person, or an employer, under a name; one of the same name is replaced.

    The numbers go into config.toml, which only you can read then; the booklet number, which works as a
    password, goes into the operating system's keyring. On a terminal it is asked for without echo; left
    empty, none is kept, and each send needs --booklet.
    """
    from docsend.checks import submission_rules

    senders.check_name(name)
    if ("id" in given) == ("employer_file" in given):
        raise UsageError(
            Message("a sender has either --id or --employer-file"), Message("say one of them, and not both")
        )
    if "id" in given and (len(given) > 1 or booklet_stdin):
        raise UsageError(
            Message("--employer-kind, --mobile, --email and --booklet-stdin are for employers"),
            Message("leave them out, or say --employer-file"),
        )
    sender = senders.Sender(given)
    booklet = _booklet(context, is_stdin=booklet_stdin) if sender.party == "employer" else None
    sender = sender._replace(has_stored_booklet=bool(booklet))
    said = {**given, "booklet": booklet} if booklet else given
    if problems := submission_rules.identity_problems(sender.party, said, context.catalog()):
        raise InvalidSubmission(
            Message.plural(
                "1 problem, nothing was kept", "{count} problems, nothing was kept", len(problems)
            ),
            problems=problems,
        )
    if booklet:
        # First: without a keyring nothing at all is kept, rather than half of it.
        BookletStore(backend=context.settings.keyring_backend).save(name, sender.number, booklet)
    else:
        _forget_booklet(context, name)
    file.write_sender(context.settings.config_file, name, sender)
    context.output.show(SenderAdded(name, sender, bool(booklet)))


def remove(context: "CommandContext", name: Name) -> None:
    """Forget a sender: its numbers in config.toml, and its booklet number in the keyring."""
    known = context.senders()
    if name not in known:
        raise UsageError(*known.unknown_message(name))
    _forget_booklet(context, name)
    file.write_sender(context.settings.config_file, name, None)
    context.output.show(SenderRemoved(name))


def _forget_booklet(context: "CommandContext", name: str) -> None:
    """Remove the booklet number that an earlier sender of this name had, so that no other is sent with it."""
    before = context.settings.senders.get(name)
    if before is not None and before.has_stored_booklet:
        BookletStore(backend=context.settings.keyring_backend).forget(name)


def _booklet(context: "CommandContext", *, is_stdin: bool) -> str | None:
    """Take the booklet number from where it was said to be; None if nobody gives one."""
    if is_stdin:
        try:
            return read_standard_input(Message("the booklet number is empty"))
        except UnicodeDecodeError:
            raise UsageError(
                Message("the booklet number is not UTF-8"), Message("write it as the first line")
            ) from None
    if context.settings.no_input or sys.stdin is None or not sys.stdin.isatty():
        return None
    question = Message("the booklet's identification number, or nothing to keep none")
    try:
        return getpass.getpass(context.streams.render(Message("{question}: ", question=question))) or None
    except EOFError:
        return None
