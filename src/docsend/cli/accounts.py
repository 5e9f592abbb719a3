"""The account and the keyring entries that a run's settings select."""

from typing import TYPE_CHECKING

from docsend.auth.account import Account
from docsend.auth.keyring_store import BookletStore, Credentials, CredentialStore, read_password_file
from docsend.errors import UsageError
from docsend.i18n import Message

if TYPE_CHECKING:
    from docsend.config.settings import Settings


def credential_store(settings: "Settings") -> CredentialStore:
    """Return the store for the chosen service's keyring entries."""
    return CredentialStore(settings.chosen_endpoint().name, backend=settings.keyring_backend)


def account(settings: "Settings") -> Account | None:
    """Return the account to sign in with, or None if there is none.

    The environment takes precedence over the keyring. Raise UsageError if only one of DOCSEND_CODE and
    DOCSEND_PASSWORD_FILE is set.
    """
    code, file = settings.code, settings.password_file
    if (code is None) != (file is None):
        raise UsageError(
            Message("DOCSEND_CODE and DOCSEND_PASSWORD_FILE must be set together"),
            Message("set both, or neither"),
        )
    if code is not None and file is not None:
        return Account(Credentials(code, read_password_file(file)), None)
    store = credential_store(settings)
    credentials = store.credentials()
    return Account(credentials, store) if credentials else None


def booklet_store(settings: "Settings") -> BookletStore:
    """Return the store for senders' booklet numbers in the keyring."""
    return BookletStore(backend=settings.keyring_backend)
