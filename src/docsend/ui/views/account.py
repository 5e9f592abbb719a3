"""Views of the sign-in, with the code always masked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from docsend.i18n import Data, Message
from docsend.ui import to_json
from docsend.ui.progress import format_duration

if TYPE_CHECKING:
    from docsend.i18n import Displayable
    from docsend.ui.terminal import Streams


class SignedIn(NamedTuple):
    """Result of a sign-in. `backend` names the keyring, and `expires_in` is in seconds."""

    service: str
    backend: str
    expires_in: float

    def as_json(self) -> dict[str, Any]:
        return to_json.sign_in(self.service, Data(self.backend), "••••••", self.expires_in)

    def show(self, streams: Streams) -> None:
        streams.print_line(Message("signed in to {service}", service=self.service))
        streams.say(
            Message(
                "code and password are stored in {backend}; the session lasts {duration}",
                backend=self.backend,
                duration=format_duration(self.expires_in),
            )
        )


class SignInStatus(NamedTuple):
    """Status of the sign-in. `source` is where the password is stored. `expires_in` is in seconds."""

    service: str
    source: Displayable | None
    account: str | None
    expires_in: float | None

    def as_json(self) -> dict[str, Any]:
        return to_json.sign_in(self.service, self.source, self.account, self.expires_in)

    def show(self, streams: Streams) -> None:
        if self.source is None or self.account is None:
            streams.print_line(Message("not signed in to {service}", service=self.service))
            streams.say(Message("run `docsend login` to sign in"))
            return
        lasts = Message("no session")
        if self.expires_in is not None:
            lasts = Message("{duration} left", duration=format_duration(self.expires_in))
        streams.print_card(
            Message("signed in"),
            [
                (Message("service"), Data(self.service)),
                (Message("account"), Data(self.account)),
                (Message("stored in"), self.source),
                (Message("session"), lasts),
            ],
            footnote=None,
        )


class SignedOut(NamedTuple):
    """Result of removing the stored credentials. `was_there` is true if there were any."""

    service: str
    was_there: bool

    def as_json(self) -> dict[str, Any]:
        return to_json.sign_in(self.service, None, None, None)

    def show(self, streams: Streams) -> None:
        done = Message("nothing was stored for {service}")
        if self.was_there:
            done = Message("removed code, password and session for {service}")
        streams.print_line(done.with_values(service=self.service))
