"""One run of one command: its settings and its streams, and the wiring behind them."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from docsend.config.senders import Senders
from docsend.config.settings import Settings, resolve
from docsend.errors import LocalError, SignInRequired, UsageError
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
    from docsend.storage.ledger import Ledger, LedgerEntry

_IMPATIENT_S = 5.0
_SHORTEST_KEY = 8


class CommandContext:
    """One run of one command: its settings, its streams, where its results go, and what it opens."""

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
        """Begin a run that was given these common options; `is_examined` as in `settings.resolve`."""
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
        """Whether there is somebody to ask: a person at a terminal that can show more than plain lines."""
        settings = self.settings
        is_there = sys.stdin is not None and sys.stdin.isatty()
        return (
            is_there
            and self.streams.is_interactive(sys.stderr)
            and not settings.no_input
            and not settings.as_json
        )

    def with_short_patience(self) -> "CommandContext":
        """Give this session for somebody who waits for an answer, be it that there is none."""
        patience_s = min(self.settings.patience_s, _IMPATIENT_S)
        return CommandContext(self.settings._replace(patience_s=patience_s), self.streams)

    def for_service(self, service: str) -> "CommandContext":
        """Give this session with another service, named as in the ledger."""
        return CommandContext(self.settings.for_service(service), self.streams)

    def catalog(self) -> "Catalog":
        """Give the catalog that the chosen service gave out, or else the bundled one; read once."""
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
                    Message("the catalog that ships with docsend cannot be read: {reason}", reason=reason),
                    Message("install docsend again"),
                ) from error
            raise LocalError(
                Message("the stored catalog {file} cannot be read: {reason}", file=file, reason=reason),
                Message("`docsend catalog --update` fetches it anew"),
            ) from error

    def open_ledger(self) -> "Ledger":
        from docsend.storage.ledger import Ledger

        self.streams.say_detail(Message("the ledger: {file}", file=self.settings.ledger_file))
        return Ledger(self.settings.ledger_file)

    def find_entry(self, ledger: "Ledger", key: str) -> "LedgerEntry":
        """Give the submission whose key begins so; where several services have it, that of the chosen one."""
        if len(key) < _SHORTEST_KEY:
            raise UsageError(
                Message("that is too little of a key"),
                Message("give at least {shortest} characters of it", shortest=_SHORTEST_KEY),
            )
        found = ledger.find_by_prefix(key)
        endpoint = self.settings.endpoint
        if len(found) > 1 and endpoint is not None:
            found = [entry for entry in found if entry.service == endpoint.name] or found
        if len(found) == 1:
            return found[0]
        if not found:
            raise UsageError(
                Message("the ledger has no key that begins with {key!r}", key=key[:60]),
                Message("`docsend receipts` lists them"),
            )
        several = ", ".join(f"{entry.key[:12]} ({entry.service})" for entry in found[:5])
        message = Message(
            "{count} submissions begin with {key!r}: {several}",
            count=len(found),
            key=key[:60],
            several=several,
        )
        raise UsageError(message, Message("give more of the key, or the service with --service"))

    def credential_store(self) -> "CredentialStore":
        """Give the keyring's entries of the chosen service."""
        from docsend.cli import accounts

        return accounts.credential_store(self.settings)

    def account(self) -> "Account | None":
        """Give the account to sign in with: of the environment, else of the keyring, else none."""
        from docsend.cli import accounts

        return accounts.account(self.settings)

    def senders(self) -> "Senders":
        """Give the senders of config.toml, with their booklet numbers in the keyring."""

        def booklets() -> "BookletStore":
            from docsend.cli import accounts

            return accounts.booklet_store(self.settings)

        return Senders(self.settings.senders, booklets)

    def require_account(self) -> "Account":
        account = self.account()
        if account is None:
            raise SignInRequired(Message("nobody is signed in"), Message("`docsend login` signs in"))
        return account

    def account_source(self) -> "Displayable":
        """Say where code and password are kept."""
        if self.settings.password_file is not None:
            return Message("the file {file}", file=self.settings.password_file)
        return Data(self.credential_store().backend)

    def retry_listener(self) -> "ProgressListener":
        """Give a watcher that only tells when something has to be tried again."""
        return LineProgress(self.streams, ())

    @contextlib.contextmanager
    def open_service(
        self,
        watcher: "ProgressListener",
        account: "Account | None" = None,
        *,
        catalog: "Catalog | None" = None,
        jobs: int = 1,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Iterator["ServiceClient"]:
        """Open the chosen service; `sandbox` is the one that runs, or one inside this process.

        What its `catalog` lets go in one exchange does. Up to `jobs` threads may call it at the same time;
        `sleep` is how they wait.
        """
        from docsend.cli.connection import open_service

        with open_service(
            self.settings, self.streams, watcher, account, catalog=catalog, jobs=jobs, sleep=sleep
        ) as service:
            yield service
