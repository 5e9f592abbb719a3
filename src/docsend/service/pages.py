"""Web pages and redirects that an intermediary or another server returns instead of the service."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from docsend.codes import Code
from docsend.i18n import Message
from docsend.service.failures import Failure

if TYPE_CHECKING:
    from docsend.service.responses import Response

_TITLE = re.compile(rb"<title[^<>]{0,200}>([^<]{0,300})", re.IGNORECASE)
_MAX_TITLE_LENGTH, _MAX_SERVER_LENGTH = 80, 40
_FORBIDDEN, _TOO_LARGE, _NETWORK_AUTHENTICATION_REQUIRED = 403, 413, 511  # RFC 6585, 6 defines 511


def redirect_failure(status: int) -> Failure:
    """Return the failure for a redirect.

    Invariant 5: redirects are not followed, because they would send documents and tokens to another server.
    """
    return Failure(
        Code.REDIRECTED,
        Message("the address redirects ({status}), and redirects are not followed", status=status),
        Message("check the address; on a public network, its sign-in page may have answered instead"),
        is_lasting=True,
        affects_all=True,
    )


def page_failure(response: Response) -> Failure | None:
    """Return the failure for a response that is a web page, or None if it is not a web page."""
    media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in ("text/html", "application/xhtml+xml") and response.body.lstrip()[:1] != b"<":
        return None
    status, page = response.status, _describe(response)
    if status == _TOO_LARGE:
        return Failure(
            Code.LIMIT_ON_THE_WAY,
            Message(
                "a proxy or firewall on the way to the service blocks requests of this size: {page}",
                page=page,
            ),
            Message("send smaller documents, or ask whoever runs the proxy or firewall to raise its limit"),
            is_lasting=True,
            is_lasting_refusal=True,
        )
    message = Message("received a web page instead of a response: {page}", page=page)
    if status < 400 or status == _NETWORK_AUTHENTICATION_REQUIRED:
        return Failure(
            Code.PAGE_INSTEAD,
            message,
            Message(
                "check the service's base address; on a public network, its sign-in page may have answered "
                "instead"
            ),
            is_lasting=True,
            affects_all=True,
        )
    if status == _FORBIDDEN:
        hint = Message(
            "a proxy or firewall blocks this request: ask whoever runs it, and quote the title of its page"
        )
        return Failure(Code.PAGE_INSTEAD, message, hint, is_lasting=True, is_lasting_refusal=True)
    hint = Message("check the service's base address")
    return Failure(Code.PAGE_INSTEAD, message, hint, is_lasting=status < 500)


def _describe(response: Response) -> str:
    """Return one text with a page's title and Server field, both shortened, and the response's status."""
    import html

    match = _TITLE.search(response.body[:65536])
    title = " ".join(html.unescape(match[1].decode("utf-8", "replace")).split()) if match else ""
    server = " ".join(response.headers.get("server", "").split())
    parts = [f'"{title[:_MAX_TITLE_LENGTH]}"'] if title else []
    parts += [server[:_MAX_SERVER_LENGTH]] if server else []
    return ", ".join([*parts, str(response.status)])
