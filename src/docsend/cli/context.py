"""The context in which a command runs: its settings, streams, ledger, service and keyring."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from docsend.config.senders import Senders
from docsend.config.settings import Settings, resolve
from docsend.errors import DocsendError, LocalError, SignInRequired, UsageError
from docsend.i18n import Data, Message
from docsend.model import catalog
from docsend.model.catalog import Catalog, MalformedCatalog
from docsend.storage import catalogs, files
from docsend.ui.outputs import output_for
from docsend.ui.progress import LineProgress
from docsend.ui.terminal import Streams

if TYPE_CHECKING:
    from docsend.auth.account import Account
    from docsend.auth.keyring_store import BookletStore, CredentialStore
    from docsend.i18n import Displayable
    from docsend.service.client import ServiceClient
    from docsend.service.progress import ProgressListener
    from docsend.storage.ledger import Ledger
    from docsend.storage.ledger_rows import LedgerEntry

_SHORT_RETRY_TIME_S = 5.0
_MIN_KEY_PREFIX = 8


class CommandContext:
    """Settings, streams and output for one run of a command.

    Its methods open the ledger, the service and the keyring.
    """

    def __init__(self, settings: Settings, streams: Streams) -> None:
        self.settings = settings
        self.streams = streams
        self.output = output_for(streams, as_json=settings.as_json)
        self._catalog: Catalog | None = None

    @classmethod
    def create(
        cls,
        *,
        service: str | None,
        lang: str | None,
        as_json: bool,
        quiet: bool,
        verbose: bool,
        no_input: bool,
        tolerate_errors: bool = False,
    ) -> "CommandContext":
        """Return a context for these common options. `tolerate_errors` is as in `settings.resolve`."""
        settings = resolve(
            service=service,
            language=lang,
            as_json=as_json,
            quiet=quiet,
            verbose=verbose,
            no_input=no_input,
            tolerate_errors=tolerate_errors,
        )
        return cls(settings, Streams(settings))

    @property
    def can_prompt(self) -> bool:
        """Whether docsend may ask questions: on a terminal that is not dumb, without --no-input or --json."""
        settings = self.settings
        has_terminal = sys.stdin is not None and sys.stdin.isatty()
        return (
            has_terminal
            and self.streams.is_interactive(sys.stderr)
            and not settings.no_input
            and not settings.as_json
        )

    def with_short_retry_time(self) -> "CommandContext":
        """Return a copy with the retry time capped at 5 s, for interactive commands."""
        patience_s = min(self.settings.patience_s, _SHORT_RETRY_TIME_S)
        return CommandContext(self.settings._replace(patience_s=patience_s), self.streams)

    def for_service(self, service: str) -> "CommandContext":
        """Return a copy for another service, given by its name in the ledger."""
        return CommandContext(self.settings.for_service(service), self.streams)

    def catalog(self) -> "Catalog":
        """Return the catalog downloaded from the chosen service, or the bundled catalog if there is none.

        The file is read only once. Raise LocalError if it cannot be read.
        """
        if self._catalog is None:
            self._catalog = self._read_catalog()
        return self._catalog

    def _read_catalog(self) -> "Catalog":
        file = catalogs.current_file(self.settings.catalog_file)
        try:
            return catalogs.load(file)
        except (OSError, MalformedCatalog) as error:
            reason = files.reason(error) if isinstance(error, OSError) else error.reason
            if file == catalog.BUNDLED:
                raise LocalError(
                    Message("cannot read the bundled catalog: {reason}", reason=reason),
                    Message("reinstall docsend"),
                ) from error
            raise LocalError(
                Message("cannot read the stored catalog {file}: {reason}", file=file, reason=reason),
                Message("run `docsend catalog --update` to download it again"),
            ) from error

    def open_ledger(self) -> "Ledger":
        from docsend.storage.ledger import Ledger

        self.streams.say_detail(Message("ledger: {file}", file=self.settings.ledger_file))
        return Ledger(self.settings.ledger_file)

    def find_entry(self, ledger: "Ledger", key: str) -> "LedgerEntry":
        """Return the ledger entry whose key starts with `key`.

        If several entries match, return the one of the chosen service. Raise UsageError if `key` is shorter
        than 8 characters, or if it matches no entry or still several.
        """
        if len(key) < _MIN_KEY_PREFIX:
            raise UsageError(
                Message(
                    "key prefix too short: give at least {shortest} characters", shortest=_MIN_KEY_PREFIX
                ),
                Message("run `docsend receipts` to list the keys"),
            )
        entries = ledger.find_by_prefix(key)
        endpoint = self.settings.endpoint
        if len(entries) > 1 and endpoint is not None:
            entries = [entry for entry in entries if entry.service == endpoint.name] or entries
        if len(entries) == 1:
            return entries[0]
        if not entries:
            raise UsageError(
                Message("no key in the ledger starts with {key!r}", key=key[:60]),
                Message("run `docsend receipts` to list the keys"),
            )
        candidates = ", ".join(f"{entry.key[:12]} ({entry.service})" for entry in entries[:5])
        message = Message(
            "key prefix {key!r} is ambiguous; it matches {count} submissions: {several}",
            count=len(entries),
            key=key[:60],
            several=candidates,
        )
        raise UsageError(message, Message("give more characters of the key, or the service with --service"))

    def credential_store(self) -> "CredentialStore":
        """Return the store for the chosen service's keyring entries."""
        from docsend.cli import accounts

        return accounts.credential_store(self.settings)

    def account(self) -> "Account | None":
        """Return the account from the environment or the keyring, or None if neither has one."""
        from docsend.cli import accounts

        return accounts.account(self.settings)

    def find_account_code(self) -> str | None:
        """Return the code of the account, or None if no account is known or the keyring cannot be read."""
        with contextlib.suppress(DocsendError):
            account = self.account()
            return account.code if account else None
        return None

    def say_not_compared(self, count: int) -> None:
        """Say how many personal submissions a dry run could not look up in the ledger."""
        self.streams.say(
            Message.plural(
                "1 personal submission was not compared with what was received before: no account is known "
                "(see `docsend login`)",
                "{count:,} personal submissions were not compared with what was received before: no account "
                "is known (see `docsend login`)",
                count,
            )
        )

    def senders(self) -> "Senders":
        """Return the senders in config.toml. Their booklet numbers are read from the keyring when needed."""

        def booklets() -> "BookletStore":
            from docsend.cli import accounts

            return accounts.booklet_store(self.settings)

        return Senders(self.settings.senders, booklets)

    def require_account(self) -> "Account":
        """Return the account to sign in with. Raise SignInRequired if there is none."""
        account = self.account()
        if account is None:
            raise SignInRequired(Message("not signed in"), Message("run `docsend login`"))
        return account

    def account_source(self) -> "Displayable":
        """Return where the password is stored, for display: a file, or the name of the keyring."""
        if self.settings.password_file is not None:
            return Message("the file {file}", file=self.settings.password_file)
        return Data(self.credential_store().backend)

    def retry_listener(self) -> "ProgressListener":
        """Return a progress listener that reports nothing but retries."""
        return LineProgress(self.streams, ())

    @contextlib.contextmanager
    def open_service(
        self,
        listener: "ProgressListener",
        account: "Account | None" = None,
        *,
        catalog: "Catalog | None" = None,
        jobs: int = 1,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Iterator["ServiceClient"]:
        """Open the chosen service, and close it on leaving.

        For the service `sandbox`, open the sandbox that is already running, or else start one inside this
        process. If `catalog` allows it, the client sends a submission in one exchange. Up to `jobs` threads
        may use the client at the same time. Before a retry, they call `sleep` with the seconds to wait.
        """
        from docsend.cli.connection import open_service

        with open_service(
            self.settings, self.streams, listener, account, catalog=catalog, jobs=jobs, sleep=sleep
        ) as service:
            yield service
