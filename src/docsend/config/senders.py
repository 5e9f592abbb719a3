"""Senders: the people and employers that documents are sent for, stored under names that the user chooses.

config.toml stores everything that is not secret, under [senders.NAME]. An employer's booklet number works as
a password, so it is stored in the operating system's keyring. `config.file` reads and writes config.toml.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from docsend.errors import UsageError
from docsend.i18n import Message
from docsend.model import fields
from docsend.text import mask, redact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from docsend.auth.keyring_store import BookletStore
    from docsend.model.fields import Party
    from docsend.model.submission import Submission

_MAX_NAME_LENGTH = 64
# Fields of a sender in config.toml: all identity fields except the booklet number, which works as a password.
_CONFIG_FIELDS = tuple(field.name for field in fields.IDENTITY_FIELDS if field.display != "never")
KEYS = frozenset({*_CONFIG_FIELDS, "booklet_kept"})


class Sender(NamedTuple):
    """An insured person or an employer, as stored in config.toml, without the booklet number.

    `values` contains the identity, keyed by field name. `has_stored_booklet` is true if the keyring has the
    booklet number.
    """

    values: Mapping[str, str]
    has_stored_booklet: bool = False

    def __repr__(self) -> str:
        """Return a representation that does not reveal the identity."""
        return f"Sender({self.party!r})"

    @property
    def party(self) -> Party:
        return "insured" if "id" in self.values else "employer"

    @property
    def kind(self) -> str:
        """Kind as shown in lists: the kind of employer file if it is given, else "insured" or "employer"."""
        return self.values.get("employer_kind") or self.party

    @property
    def number(self) -> str:
        """Number that identifies the sender: the ID number, or the employer file number."""
        number, *_ = fields.fields_of(self.party)
        return self.values.get(number.name, "")

    @property
    def masked_number(self) -> str:
        return mask(self.number)

    def as_table(self) -> Mapping[str, Any]:
        """Return the sender's table for config.toml."""
        table = {name: self.values[name] for name in _CONFIG_FIELDS if self.values.get(name)}
        return {**table, "booklet_kept": True} if self.has_stored_booklet else table


def from_table(members: Mapping[str, Any]) -> Sender:
    """Return the sender that a table in config.toml describes. Ignore keys that are not in `KEYS`."""
    values = {name: value for name, value in members.items() if name in _CONFIG_FIELDS and value}
    return Sender(values, has_stored_booklet=bool(members.get("booklet_kept")))


class Senders:
    """The senders in one config.toml. Each booklet number is read from the keyring at most once."""

    def __init__(self, senders: Mapping[str, Sender], booklets: Callable[[], BookletStore]) -> None:
        """Create from senders keyed by name. `booklets` opens the keyring. It is called only when needed."""
        self._known = senders
        self._booklets = booklets
        self._read: dict[str, str | None] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the keyring, which cannot be passed to another process."""
        return {"_known": dict(self._known), "_read": self._read}

    @property
    def needs_keyring(self) -> bool:
        """Whether the keyring has the booklet number of at least one sender."""
        return any(sender.has_stored_booklet for sender in self._known.values())

    def of_party(self, party: str) -> dict[str, Sender]:
        """Return the senders of a party ("insured" or "employer"), keyed by name."""
        return {name: sender for name, sender in self._known.items() if sender.party == party}

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def apply(self, name: str, submission: Submission) -> Submission:
        """Return the submission with its empty identity fields filled in from the sender with this name.

        Raise LocalError if the booklet number is needed and the keyring fails.
        """
        sender = self._known[name]
        values = dict(sender.values)
        if sender.has_stored_booklet and not submission.booklet and (booklet := self._booklet(name)):
            values["booklet"] = booklet
        return submission.with_values(
            {name: value for name, value in values.items() if not getattr(submission, name)}
        )

    def without_identity(self, submission: Submission) -> Submission:
        """Return the submission without its identity fields.

        This is for a row of a manifest that names a sender. That sender replaces the command line's identity.
        """
        return submission.with_values({field.name: None for field in fields.IDENTITY_FIELDS})

    def require(self, name: str) -> None:
        """Raise UsageError if there is no sender with this name."""
        if name not in self:
            raise UsageError(*self.unknown_message(name))

    def unknown_message(self, name: str) -> tuple[Message, Message]:
        """Return the message and the hint for an unknown sender."""
        from docsend.model.search import nearest

        message = Message("unknown sender: {name!r}", name=redact(name[:_MAX_NAME_LENGTH]))
        if close := nearest(name, self._known):
            return message, Message("did you mean {close}?", close=close)
        return message, Message("run `docsend senders` to list them, or `docsend senders add` to add one")

    def _booklet(self, name: str) -> str | None:
        if name not in self._read:
            self._read[name] = self._booklets().read(name, self._known[name].number)
        return self._read[name]


def check_name(name: str) -> None:
    """Raise UsageError if the name is empty, too long or not printable, or if it starts with "-"."""
    if not name or len(name) > _MAX_NAME_LENGTH or name.startswith("-") or not name.isprintable():
        raise UsageError(
            Message(
                "invalid sender name: expected 1 to {limit} printable characters, not starting with -",
                limit=_MAX_NAME_LENGTH,
            ),
            Message("give a name such as client-4711"),
        )
