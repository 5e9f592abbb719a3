"""`docsend login`: verify the personal service's code and password, and store them in the OS keyring."""

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
        bool,
        typer.Option(
            "--status", help="Show who is signed in, where the password is stored, and when the session ends."
        ),
    ] = False,
    forget: Annotated[
        bool, typer.Option("--forget", help="Remove the code, the password and the session.")
    ] = False,
) -> None:
    """Sign in to the personal service, and store the code and the password in the operating system's keyring.

    docsend asks for the code and the password without showing them, and verifies them with the service before
    storing them. There is no option for the password, because other users of the machine could read it. On a
    machine without a keyring, set DOCSEND_CODE and DOCSEND_PASSWORD_FILE; no login is needed
    (docs/personal.md).
    """
    if status and forget:
        raise UsageError(
            Message("--status and --forget cannot be combined"), Message("give only one of them")
        )
    if status:
        _show_status(context)
    elif forget:
        _sign_out(context, context.credential_store())
    else:
        _sign_in(context, context.credential_store(), code, password_stdin=password_stdin)


def _sign_in(
    context: "CommandContext", store: "CredentialStore", code: str | None, *, password_stdin: bool
) -> None:
    # Fail early if there is no keyring, before the user is asked for anything.
    backend = store.backend
    credentials = _read_credentials(context, code, password_stdin=password_stdin)
    with context.open_service(context.retry_listener()) as service:
        token, expires_in = service.sign_in(credentials)
    store.save_credentials(credentials)
    Account(credentials, store).store_token(token, expires_in)
    context.output.show(SignedIn(context.settings.chosen_endpoint().name, backend, expires_in))


def _read_credentials(context: "CommandContext", code: str | None, *, password_stdin: bool) -> "Credentials":
    """Read the code and password from options, environment or standard input, or else prompt for them.

    Raise UsageError if one is missing and docsend cannot prompt for it.
    """
    settings = context.settings
    code = code or settings.code
    password: str | None = None
    if password_stdin:
        try:
            password = read_standard_input()
        except UnicodeDecodeError:
            raise UsageError(
                Message("the password is not UTF-8"),
                Message("encode it in UTF-8, on the first line of standard input"),
            ) from None
    elif settings.password_file is not None:
        password = read_password_file(settings.password_file)
    can_ask = not settings.no_input and sys.stdin is not None and sys.stdin.isatty()
    missing = [*([] if code else ["--code"]), *([] if password else ["--password-stdin"])]
    if missing and not can_ask:
        raise UsageError(
            Message("missing: {options}", options=", ".join(missing)),
            Message("docsend cannot prompt here: give --code CODE, and the password with --password-stdin"),
        )
    code = code or _prompt(context, "code")
    password = password or _prompt(context, "password")
    try:
        (code + password).encode()
    except UnicodeEncodeError:
        raise UsageError(
            Message("the code or the password is not UTF-8"), Message("type them again")
        ) from None
    if any(not character.isprintable() for character in code + password):
        context.streams.say(Message("warning: the code or the password contains invisible characters"))
    return Credentials(code, password)


_PROMPTS = {
    "code": (Message("code"), Message("no code given")),
    "password": (Message("password"), Message("no password given")),
}


def _prompt(context: "CommandContext", what: str) -> str:
    """Prompt for the code or the password without echo. Raise UsageError if the answer is empty."""
    question, empty = _PROMPTS[what]
    try:
        answer = getpass.getpass(context.streams.render(Message("{question}: ", question=question)))
    except EOFError:
        answer = ""
    if not answer:
        raise UsageError(empty, Message("type it and press Enter"))
    return answer


def _show_status(context: "CommandContext") -> None:
    account, source = context.account(), context.account_source()
    context.output.show(
        SignInStatus(
            context.settings.chosen_endpoint().name,
            source if account else None,
            account.masked_code if account else None,
            account.expires_in() if account else None,
        )
    )


def _sign_out(context: "CommandContext", store: "CredentialStore") -> None:
    """Remove the service's keyring entries, and end the session if the service can be reached."""
    token = store.token()
    was_signed_in = store.forget()
    if token is not None:
        try:
            with context.open_service(context.retry_listener()) as service:
                service.sign_out(token.text)
        except DocsendError as error:
            context.streams.say(
                Message(
                    "could not end the session at the service ({message}); it will expire on its own",
                    message=error.message,
                )
            )
    context.output.show(SignedOut(context.settings.chosen_endpoint().name, was_signed_in))
