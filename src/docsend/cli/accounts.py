"""Who is signed in, and where the secrets of this run are kept, as its settings have it."""

from typing import TYPE_CHECKING

from docsend.auth.account import Account
from docsend.auth.keyring_store import BookletStore, Credentials, CredentialStore, read_password_file
from docsend.errors import UsageError
from docsend.i18n import Message

if TYPE_CHECKING:
    from docsend.config.settings import Settings


def credential_store(settings: "Settings") -> CredentialStore:
    """Return the keyring's entries of the chosen service."""
    return CredentialStore(settings.chosen_endpoint().name, backend=settings.keyring_backend)


def account(settings: "Settings") -> Account | None:
    """Return the account to sign in with: of the environment, else of the keyring, else none."""
    code, file = settings.code, settings.password_file
    if (code is None) != (file is None):
        raise UsageError(
            Message("DOCSEND_CODE and DOCSEND_PASSWORD_FILE go together"), Message("set both, or none")
        )
    if code is not None and file is not None:
        return Account(Credentials(code, read_password_file(file)), None)
    of_service = credential_store(settings)
    credentials = of_service.credentials()
    return Account(credentials, of_service) if credentials else None


def booklet_store(settings: "Settings") -> BookletStore:
    """Return the booklet numbers of senders, in the keyring."""
    return BookletStore(backend=settings.keyring_backend)
