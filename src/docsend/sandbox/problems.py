"""The sandbox's refusals as RFC 9457 problems, with the types that openapi.yaml defines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

TYPE_PREFIX = "urn:docsend:problem:"


class Refusal(Exception):
    """Raised to send a problem response: an HTTP status, a problem code and a sentence for people.

    The sentence must not contain an identity or quote anything from the request. `members` are the problem's
    additional JSON members.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        members: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.detail = detail
        self.members = members or {}
        self.headers = dict(headers or {})
        if status == 401:  # RFC 9110, 15.5.2: a 401 response must name an authentication scheme
            self.headers["WWW-Authenticate"] = "Bearer"

    def body(self) -> dict[str, Any]:
        return {
            "type": TYPE_PREFIX + self.code,
            "title": self.code.replace("-", " "),
            "status": self.status,
            "detail": self.detail,
            **self.members,
        }


def not_found() -> Refusal:
    """Return the refusal for a resource that does not exist or that the caller may not see."""
    return Refusal(404, "not-found", "there is nothing at this address")


def internal_error() -> Refusal:
    return Refusal(500, "own-fault", "the sandbox failed; the request may be repeated")


def withdrawn() -> Refusal:
    return Refusal(409, "withdrawn", "this key was withdrawn; nothing can be received under it")
