"""`docsend login`: code and password of the personal service, verified once and kept in the OS keyring."""

import getpass
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from docsend.auth.account import Account
from docsend.auth.keyring_store import Credentials, read_password_file, read_standard_input
from docsend.cli.options import command
from docsend.errors import DocsendError, ExitCode, UsageError
from docsend.i18n import Message
from docsend.ui.views.account import SignedIn, SignedOut, SignInStatus

if TYPE_CHECKING:
    from docsend.auth.keyring_store import CredentialStore
    from docsend.cli.context import CommandContext

EXITS = (ExitCode.RECEIVED, ExitCode.SIGN_IN, ExitCode.UNFINISHED)


def register(app: typer.Typer) -> None:
    command(
        app,
        "login",
        exits=EXITS,
        example="docsend login --service sandbox\n"
        "docsend login --service sandbox --code 1002 --password-stdin < password.txt",
    )(login)


def login(
    context: "CommandContext",
    *,
    code: Annotated[str | None, typer.Option("--code", metavar="CODE", help="The account's code.")] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    status: Annotated[
        bool, typer.Option("--status", help="Say whether somebody is signed in, where, for how long.")
    ] = False,
    forget: Annotated[bool, typer.Option("--forget", help="Remove code, password and session.")] = False,
) -> None:
    """Sign in to the personal service and keep code and password in the operating system's keyring.

    They are asked for without echo and verified with the service before they are kept. There is no option
    for a password: others could read it. Machines without a keyring use DOCSEND_CODE and
    DOCSEND_PASSWORD_FILE, and need no login (docs/personal.md).
    """
    if status and forget:
        raise UsageError(Message("--status and --forget do not go together"), Message("say one of them"))
    if status:
        _status(context)
    elif forget:
        _forget(context, context.credential_store())
    else:
        _sign_in(context, context.credential_store(), code, password_stdin=password_stdin)


def _sign_in(
    context: "CommandContext", vault: "CredentialStore", code: str | None, *, password_stdin: bool
) -> None:
    backend = vault.backend  # first, so that nobody is asked in vain
    credentials = _credentials(context, code, password_stdin=password_stdin)
    with context.open_service(context.retry_listener()) as service:
        token, expires_in = service.sign_in(credentials)
    vault.save_credentials(credentials)
    Account(credentials, vault).store_token(token, expires_in)
    context.output.show(SignedIn(context.settings.chosen_endpoint().name, backend, expires_in))


def _credentials(context: "CommandContext", code: str | None, *, password_stdin: bool) -> "Credentials":
    """Take code and password from where they were said to be, and ask for the rest, if anybody is there."""
    settings = context.settings
    code = code or settings.code
    password: str | None = None
    if password_stdin:
        try:
            password = read_standard_input()
        except UnicodeDecodeError:
            raise UsageError(
                Message("the password is not UTF-8"), Message("write it as the first line")
            ) from None
    elif settings.password_file is not None:
        password = read_password_file(settings.password_file)
    can_ask = not settings.no_input and sys.stdin is not None and sys.stdin.isatty()
    missing = [*([] if code else ["--code"]), *([] if password else ["--password-stdin"])]
    if missing and not can_ask:
        raise UsageError(
            Message("missing: {options}", options=", ".join(missing)),
            Message(
                "there is no terminal to ask on: say --code CODE and give the password on standard input"
            ),
        )
    code = code or _asked(context, "code")
    password = password or _asked(context, "password")
    try:
        (code + password).encode()
    except UnicodeEncodeError:
        raise UsageError(Message("the code or the password is not UTF-8"), Message("type it anew")) from None
    if any(not character.isprintable() for character in code + password):
        context.streams.say(Message("warning: there are invisible characters in the code or the password"))
    return Credentials(code, password)


_ASKED = {
    "code": (Message("code"), Message("no code was given")),
    "password": (Message("password"), Message("no password was given")),
}


def _asked(context: "CommandContext", what: str) -> str:
    """Ask without echo; raise UsageFault if nothing is answered."""
    question, none_given = _ASKED[what]
    try:
        answer = getpass.getpass(context.streams.render(Message("{question}: ", question=question)))
    except EOFError:
        answer = ""
    if not answer:
        raise UsageError(none_given, Message("type it, and Enter"))
    return answer


def _status(context: "CommandContext") -> None:
    account, where = context.account(), context.account_source()
    context.output.show(
        SignInStatus(
            context.settings.chosen_endpoint().name,
            where if account else None,
            account.masked_code if account else None,
            account.expires_in() if account else None,
        )
    )


def _forget(context: "CommandContext", vault: "CredentialStore") -> None:
    """End the session at the service, if it can be reached, and remove everything from the keyring."""
    token = vault.token()
    was_there = vault.forget()
    if token is not None:
        try:
            with context.open_service(context.retry_listener()) as service:
                service.sign_out(token.text)
        except DocsendError as error:
            context.streams.say(
                Message(
                    "the session could not be ended at the service ({message}); it expires",
                    message=error.message,
                )
            )
    context.output.show(SignedOut(context.settings.chosen_endpoint().name, was_there))
