"""Senders: who documents are for, kept under names of the user's choice.

What is no secret stands in config.toml, under [senders.NAME]; an employer's booklet number works as a
password, and is in the operating system's keyring. The only writer of config.toml.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docsend import disk
from docsend.errors import LocalFailure, UsageFault
from docsend.language import Phrase
from docsend.submission import Submission, masked

if TYPE_CHECKING:
    from collections.abc import Mapping

    from docsend.catalog import IdentityKind
    from docsend.credentials import Booklets

_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """An insured person, or an employer, as config.toml has them; the booklet number is not here."""

    id: str | None = field(default=None, repr=False)
    employer_file: str | None = field(default=None, repr=False)
    employer_kind: str | None = None
    mobile: str | None = field(default=None, repr=False)
    email: str | None = field(default=None, repr=False)

    @property
    def kind(self) -> IdentityKind:
        return "insured" if self.id else "employer"

    @property
    def masked(self) -> str:
        return masked(self.id or self.employer_file or "")

    def stated(self) -> Mapping[str, str]:
        """Give what it says of a submission's identity, by the names of `Submission`."""
        named = {"id_number" if name == "id" else name: value for name, value in self.members().items()}
        return {name: value for name, value in named.items() if value}

    def members(self) -> Mapping[str, str]:
        """Give what stands in config.toml."""
        return {each.name: value for each in fields(self) if (value := getattr(self, each.name))}


KEYS = frozenset(each.name for each in fields(Sender))
_OF_IDENTITY = ("id_number", "employer_file", "employer_kind", "booklet", "mobile", "email")


class Senders:
    """The senders of one configuration, with their booklet numbers, each read from the keyring once."""

    def __init__(self, known: Mapping[str, Sender], booklets: Booklets) -> None:
        self._known = known
        self._booklets = booklets
        self._read: dict[str, str | None] = {}

    def names(self) -> list[str]:
        return list(self._known)

    def of_kind(self, kind: IdentityKind) -> dict[str, Sender]:
        return {name: sender for name, sender in self._known.items() if sender.kind == kind}

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def applied(self, name: str, stated: Submission) -> Submission:
        """Give what is stated, with the sender's identity wherever it says nothing of its own.

        Raises LocalFailure if the sender's booklet number is needed and the keyring does not answer.
        """
        sender = self._known[name]
        said = dict(sender.stated())
        if sender.kind == "employer" and not stated.booklet and (booklet := self._booklet(name)):
            said["booklet"] = booklet
        missing = {name: value for name, value in said.items() if not getattr(stated, name)}
        options: dict[str, Any] = missing
        return replace(stated, **options)

    def without_identity(self, stated: Submission) -> Submission:
        """Give what is stated without whom it is about: a row's own sender replaces the command line's."""
        nobody: dict[str, Any] = dict.fromkeys(_OF_IDENTITY)
        return replace(stated, **nobody)

    def unknown(self, name: str) -> tuple[Phrase, Phrase]:
        """Give message and cure for a name that no sender has."""
        from docsend.search import nearest  # noqa: PLC0415 - only for a fault
        from docsend.submission import without_numbers  # noqa: PLC0415

        message = Phrase("there is no sender {name!r} here", name=without_numbers(name[:_LONGEST_NAME]))
        if close := nearest(name, self._known):
            return message, Phrase("did you mean {close}?", close=close)
        return message, Phrase("`docsend senders` lists them, `docsend senders add` adds one")

    def _booklet(self, name: str) -> str | None:
        if name not in self._read:
            self._read[name] = self._booklets.read(name)
        return self._read[name]


def check_name(name: str) -> None:
    """Raise UsageFault for what cannot be told apart from an option, or cannot be written on one line."""
    if not name or len(name) > _LONGEST_NAME or name.startswith("-") or not name.isprintable():
        raise UsageFault(
            Phrase("this cannot be the name of a sender"),
            Phrase("up to {most} letters, digits and signs, as in client-4711", most=_LONGEST_NAME),
        )


def write(config_file: Path, name: str, sender: Sender | None) -> None:
    """Put a sender into config.toml, or take it out; whatever else stands there stays as it is.

    The file is readable by its owner alone from then on. Raises LocalFailure if the disk fails.
    """
    import tomlkit  # noqa: PLC0415 - only who changes the file

    # The file itself, where somebody keeps it elsewhere and links to it.
    file = Path(os.path.realpath(config_file))
    try:
        text = file.read_text(encoding="utf-8") if file.exists() else ""
        document = tomlkit.parse(text)
        table = document.setdefault("senders", tomlkit.table(is_super_table=True))
        table.pop(name, None)
        if sender is not None:
            members = tomlkit.table()
            members.update(sender.members())
            table[name] = members
        elif not table:
            document.pop("senders")
        disk.replace_file(file, tomlkit.dumps(document).encode("utf-8"))
    except OSError as error:
        raise LocalFailure(
            Phrase("{file} cannot be written: {reason}", file=config_file, reason=error.strerror),
            Phrase("make room or mend the folder's permissions"),
        ) from error
