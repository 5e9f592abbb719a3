"""Views of the stored senders, with their numbers always masked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from docsend.i18n import Data, Message
from docsend.ui import to_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from docsend.config.senders import Sender
    from docsend.ui.terminal import Streams


class SenderList(NamedTuple):
    """All stored senders, keyed by name."""

    senders: Mapping[str, Sender]

    def as_json(self) -> dict[str, Any]:
        return _senders_json(self.senders)

    def show(self, streams: Streams) -> None:
        if not self.senders:
            streams.say(Message("no senders are stored yet; run `docsend senders add NAME` to add one"))
            return
        rows = [
            (Data(name), Data(sender.kind), Data(sender.masked_number))
            for name, sender in self.senders.items()
        ]
        streams.print_table(("sender", "kind", "number"), rows)


class SenderAdded(NamedTuple):
    """Result of `senders add`. `has_booklet` is true if the booklet number was stored in the keyring."""

    name: str
    sender: Sender
    has_booklet: bool

    def as_json(self) -> dict[str, Any]:
        return _senders_json({self.name: self.sender})

    def show(self, streams: Streams) -> None:
        streams.print_line(
            Message("stored: {name}, {number}", name=self.name, number=self.sender.masked_number)
        )
        if self.has_booklet:
            streams.say(Message("the booklet number is stored in the keyring"))
        elif self.sender.party == "employer":
            streams.say(Message("no booklet number is stored: give --booklet NUMBER each time you send"))


class SenderRemoved(NamedTuple):
    """Result of `senders remove`."""

    name: str

    def as_json(self) -> dict[str, Any]:
        return _senders_json({})

    def show(self, streams: Streams) -> None:
        streams.print_line(Message("removed: {name}", name=self.name))


def _senders_json(senders: Mapping[str, Sender]) -> dict[str, Any]:
    rows = [to_json.sender(name, sender) for name, sender in senders.items()]
    return {"schema": "docsend.senders/1", "senders": rows}
