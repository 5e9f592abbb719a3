"""Senders: who documents are for, kept under names of the user's choice.

What is no secret stands in config.toml, under [senders.NAME]; an employer's booklet number works as a
password, and is in the operating system's keyring. `file` reads and writes config.toml.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from docsend.errors import UsageFault
from docsend.i18n import Message
from docsend.model import fields
from docsend.text import mask, redact

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from docsend.auth.keyring_store import Booklets
    from docsend.model.fields import Whose
    from docsend.model.submission import Submission

_LONGEST_NAME = 64
# What config.toml has of a sender: the fields of its identity, but for what works as a password.
_KEPT = tuple(field.name for field in fields.OF_IDENTITY if field.shown != "never")
KEYS = frozenset({*_KEPT, "booklet_kept"})


class Sender(NamedTuple):
    """An insured person, or an employer, as config.toml has them; the booklet number is not here.

    `values` are those of the fields of an identity, by their names.
    """

    values: Mapping[str, str]
    booklet_kept: bool = False  # in the keyring

    def __repr__(self) -> str:
        """Say what it is, and nothing of whom."""
        return f"Sender({self.whose!r})"

    @property
    def whose(self) -> Whose:
        return "insured" if "id" in self.values else "employer"

    @property
    def kind(self) -> str:
        """What lists call it: insured, or the kind of an employer's file."""
        return self.values.get("employer_kind") or self.whose

    @property
    def number(self) -> str:
        """The number that it is known by."""
        number, *_ = fields.of(self.whose)
        return self.values.get(number.name, "")

    @property
    def masked(self) -> str:
        return mask(self.number)

    def members(self) -> Mapping[str, Any]:
        """Return what stands in config.toml."""
        kept = {name: self.values[name] for name in _KEPT if self.values.get(name)}
        return {**kept, "booklet_kept": True} if self.booklet_kept else kept


def of_members(members: Mapping[str, Any]) -> Sender:
    """Return the sender that a table of config.toml describes; its keys are some of `KEYS`."""
    values = {name: value for name, value in members.items() if name in _KEPT and value}
    return Sender(values, booklet_kept=bool(members.get("booklet_kept")))


class Senders:
    """The senders of one configuration, with their booklet numbers, each read from the keyring once."""

    def __init__(self, known: Mapping[str, Sender], booklets: Callable[[], Booklets]) -> None:
        """Know these senders; `booklets` opens the place of their numbers, which most runs never need."""
        self._known = known
        self._booklets = booklets
        self._read: dict[str, str | None] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the keyring, which is open in this process alone."""
        return {"_known": dict(self._known), "_read": self._read}

    @property
    def need_keyring(self) -> bool:
        """Whether a number of one of them is kept there."""
        return any(sender.booklet_kept for sender in self._known.values())

    def of(self, whose: str) -> dict[str, Sender]:
        return {name: sender for name, sender in self._known.items() if sender.whose == whose}

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def applied(self, name: str, stated: Submission) -> Submission:
        """Give what is stated, with the sender's identity wherever it says nothing of its own.

        Raises LocalFailure if the sender's booklet number is needed and the keyring does not answer.
        """
        sender = self._known[name]
        said = dict(sender.values)
        if sender.booklet_kept and not stated.booklet and (booklet := self._booklet(name)):
            said["booklet"] = booklet
        return stated.with_values({name: value for name, value in said.items() if not getattr(stated, name)})

    def without_identity(self, stated: Submission) -> Submission:
        """Give what is stated without whom it is about: a row's own sender replaces the command line's."""
        return stated.with_values({field.name: None for field in fields.OF_IDENTITY})

    def require(self, name: str) -> None:
        """Raise UsageFault if there is no sender of this name."""
        if name not in self:
            raise UsageFault(*self.unknown(name))

    def unknown(self, name: str) -> tuple[Message, Message]:
        """Give message and cure for a name that no sender has."""
        from docsend.model.search import nearest

        message = Message("there is no sender {name!r} here", name=redact(name[:_LONGEST_NAME]))
        if close := nearest(name, self._known):
            return message, Message("did you mean {close}?", close=close)
        return message, Message("`docsend senders` lists them, `docsend senders add` adds one")

    def _booklet(self, name: str) -> str | None:
        if name not in self._read:
            self._read[name] = self._booklets().read(name, self._known[name].number)
        return self._read[name]


def check_name(name: str) -> None:
    """Raise UsageFault for what cannot be told apart from an option, or cannot be written on one line."""
    if not name or len(name) > _LONGEST_NAME or name.startswith("-") or not name.isprintable():
        raise UsageFault(
            Message("this cannot be the name of a sender"),
            Message("up to {most} letters, digits and signs, as in client-4711", most=_LONGEST_NAME),
        )
