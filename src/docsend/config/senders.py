"""Senders: who documents are for, kept under names of the user's choice.

What is no secret stands in config.toml, under [senders.NAME]; an employer's booklet number works as a
password, and is in the operating system's keyring. `file` reads and writes config.toml.
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
# What config.toml has of a sender: the fields of its identity, but for what works as a password.
_CONFIG_FIELDS = tuple(field.name for field in fields.IDENTITY_FIELDS if field.display != "never")
KEYS = frozenset({*_CONFIG_FIELDS, "booklet_kept"})


class Sender(NamedTuple):
    """An insured person, or an employer, as config.toml has them; the booklet number is not here.

    `values` are those of the fields of an identity, by their names.
    """

    values: Mapping[str, str]
    has_stored_booklet: bool = False  # in the keyring

    def __repr__(self) -> str:
        """Say what it is, and nothing of whom."""
        return f"Sender({self.party!r})"

    @property
    def party(self) -> Party:
        return "insured" if "id" in self.values else "employer"

    @property
    def kind(self) -> str:
        """What lists call it: insured, or the kind of an employer's file."""
        return self.values.get("employer_kind") or self.party

    @property
    def number(self) -> str:
        """The number that it is known by."""
        number, *_ = fields.fields_of(self.party)
        return self.values.get(number.name, "")

    @property
    def masked_number(self) -> str:
        return mask(self.number)

    def as_table(self) -> Mapping[str, Any]:
        """Return what stands in config.toml."""
        table = {name: self.values[name] for name in _CONFIG_FIELDS if self.values.get(name)}
        return {**table, "booklet_kept": True} if self.has_stored_booklet else table


def from_table(members: Mapping[str, Any]) -> Sender:
    """Return the sender that a table of config.toml describes; its keys are some of `KEYS`."""
    values = {name: value for name, value in members.items() if name in _CONFIG_FIELDS and value}
    return Sender(values, has_stored_booklet=bool(members.get("booklet_kept")))


class Senders:
    """The senders of one configuration, with their booklet numbers, each read from the keyring once."""

    def __init__(self, senders: Mapping[str, Sender], booklets: Callable[[], BookletStore]) -> None:
        """Know these senders; `booklets` opens the place of their numbers, which most runs never need."""
        self._known = senders
        self._booklets = booklets
        self._read: dict[str, str | None] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the keyring, which is open in this process alone."""
        return {"_known": dict(self._known), "_read": self._read}

    @property
    def needs_keyring(self) -> bool:
        """Whether a number of one of them is kept there."""
        return any(sender.has_stored_booklet for sender in self._known.values())

    def of_party(self, party: str) -> dict[str, Sender]:
        return {name: sender for name, sender in self._known.items() if sender.party == party}

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def apply(self, name: str, submission: Submission) -> Submission:
        """Give what is stated, with the sender's identity wherever it says nothing of its own.

        Raises LocalFailure if the sender's booklet number is needed and the keyring does not answer.
        """
        sender = self._known[name]
        values = dict(sender.values)
        if sender.has_stored_booklet and not submission.booklet and (booklet := self._booklet(name)):
            values["booklet"] = booklet
        return submission.with_values(
            {name: value for name, value in values.items() if not getattr(submission, name)}
        )

    def without_identity(self, submission: Submission) -> Submission:
        """Give what is stated without whom it is about: a row's own sender replaces the command line's."""
        return submission.with_values({field.name: None for field in fields.IDENTITY_FIELDS})

    def require(self, name: str) -> None:
        """Raise UsageFault if there is no sender of this name."""
        if name not in self:
            raise UsageError(*self.unknown_message(name))

    def unknown_message(self, name: str) -> tuple[Message, Message]:
        """Give message and cure for a name that no sender has."""
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
    """Raise UsageFault for what cannot be told apart from an option, or cannot be written on one line."""
    if not name or len(name) > _MAX_NAME_LENGTH or name.startswith("-") or not name.isprintable():
        raise UsageError(
            Message(
                "invalid sender name: expected 1 to {limit} printable characters, not starting with -",
                limit=_MAX_NAME_LENGTH,
            ),
            Message("give a name such as client-4711"),
        )
