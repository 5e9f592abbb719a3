"""`docsend login`: code and password of the personal service, verified once and kept in the OS keyring."""

import getpass
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from docsend.auth.account import Account
from docsend.auth.keyring_store import Credentials, read_password_file, standard_input
from docsend.cli.options import command
from docsend.errors import DocsendError, ExitCode, UsageFault
from docsend.i18n import Message
from docsend.ui.views.account import SignedIn, SignedOut, SignInStatus

if TYPE_CHECKING:
    from docsend.auth.keyring_store import Vault
    from docsend.cli.context import Session

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
    session: "Session",
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
        raise UsageFault(Message("--status and --forget do not go together"), Message("say one of them"))
    if status:
        _status(session)
    elif forget:
        _forget(session, session.vault())
    else:
        _sign_in(session, session.vault(), code, password_stdin=password_stdin)


def _sign_in(session: "Session", vault: "Vault", code: str | None, *, password_stdin: bool) -> None:
    backend = vault.backend  # first, so that nobody is asked in vain
    credentials = _credentials(session, code, password_stdin=password_stdin)
    with session.service(session.lines()) as service:
        token, expires_in = service.sign_in(credentials)
    vault.keep_credentials(credentials)
    Account(credentials, vault).accept(token, expires_in)
    session.output.show(SignedIn(session.settings.chosen_endpoint().name, backend, expires_in))


def _credentials(session: "Session", code: str | None, *, password_stdin: bool) -> "Credentials":
    """Take code and password from where they were said to be, and ask for the rest, if anybody is there."""
    settings = session.settings
    code = code or settings.code
    password: str | None = None
    if password_stdin:
        try:
            password = standard_input()
        except UnicodeDecodeError:
            raise UsageFault(
                Message("the password is not UTF-8"), Message("write it as the first line")
            ) from None
    elif settings.password_file is not None:
        password = read_password_file(settings.password_file)
    can_ask = not settings.no_input and sys.stdin is not None and sys.stdin.isatty()
    missing = [*([] if code else ["--code"]), *([] if password else ["--password-stdin"])]
    if missing and not can_ask:
        raise UsageFault(
            Message("missing: {options}", options=", ".join(missing)),
            Message(
                "there is no terminal to ask on: say --code CODE and give the password on standard input"
            ),
        )
    code = code or _asked(session, "code")
    password = password or _asked(session, "password")
    try:
        (code + password).encode()
    except UnicodeEncodeError:
        raise UsageFault(Message("the code or the password is not UTF-8"), Message("type it anew")) from None
    if any(not character.isprintable() for character in code + password):
        session.streams.say(Message("warning: there are invisible characters in the code or the password"))
    return Credentials(code, password)


_ASKED = {
    "code": (Message("code"), Message("no code was given")),
    "password": (Message("password"), Message("no password was given")),
}


def _asked(session: "Session", what: str) -> str:
    """Ask without echo; raise UsageFault if nothing is answered."""
    question, none_given = _ASKED[what]
    try:
        answer = getpass.getpass(session.streams.render(Message("{question}: ", question=question)))
    except EOFError:
        answer = ""
    if not answer:
        raise UsageFault(none_given, Message("type it, and Enter"))
    return answer


def _status(session: "Session") -> None:
    account, where = session.account(), session.account_source()
    session.output.show(
        SignInStatus(
            session.settings.chosen_endpoint().name,
            where if account else None,
            account.masked_code if account else None,
            account.expires_in() if account else None,
        )
    )


def _forget(session: "Session", vault: "Vault") -> None:
    """End the session at the service, if it can be reached, and remove everything from the keyring."""
    token = vault.token()
    was_there = vault.forget()
    if token is not None:
        try:
            with session.service(session.lines()) as service:
                service.sign_out(token.text)
        except DocsendError as error:
            session.streams.say(
                Message(
                    "the session could not be ended at the service ({message}); it expires",
                    message=error.message,
                )
            )
    session.output.show(SignedOut(session.settings.chosen_endpoint().name, was_there))
