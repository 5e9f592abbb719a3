"""What the sandbox refuses, as RFC 9457 problems: the types are those of openapi.yaml."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

TYPE_PREFIX = "urn:docsend:problem:"


class Refusal(Exception):
    """One answer that is not a success: HTTP status, the problem's short name, and a sentence for people.

    The sentence names no identity and quotes nothing that was sent; `members` are the problem's own.
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
        if status == 401:  # RFC 9110, 15.5.2: a 401 names the way to sign in
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
    """Give the one answer for what does not exist and for what is not yours to see."""
    return Refusal(404, "not-found", "there is nothing under this address")


def own_fault() -> Refusal:
    return Refusal(500, "own-fault", "the sandbox failed; the same request may be repeated")


def withdrawn() -> Refusal:
    return Refusal(409, "withdrawn", "this key was withdrawn; nothing can be received under it any more")
