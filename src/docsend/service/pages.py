"""What comes from somebody on the way instead of a response: web pages and redirects."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from docsend.codes import Code
from docsend.i18n import Message
from docsend.service.failures import Failure

if TYPE_CHECKING:
    from docsend.service.responses import Response

_TITLE = re.compile(rb"<title[^<>]{0,200}>([^<]{0,300})", re.IGNORECASE)
_LONGEST_TITLE, _LONGEST_SERVER = 80, 40
_FORBIDDEN, _TOO_LARGE, _SIGN_IN_TO_NETWORK = 403, 413, 511  # the last: RFC 6585, 6


def redirect_failure(status: int) -> Failure:
    """Name a redirect. Invariant 5: it would carry documents and tokens to somebody else."""
    return Failure(
        Code.REDIRECTED,
        Message("the address sends elsewhere ({status}), and redirects are not followed", status=status),
        Message("is the address right? A network's sign-in page answers like this, too"),
        is_lasting=True,
        affects_all=True,
    )


def page_failure(response: Response) -> Failure | None:
    """Name a web page that came instead of a response; None if it is not one."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("text/html", "application/xhtml+xml") and response.body.lstrip()[:1] != b"<":
        return None
    status, page = response.status, _described(response)
    if status == _TOO_LARGE:
        return Failure(
            Code.LIMIT_ON_THE_WAY,
            Message(
                "something on the way to the service lets no request of this size pass: {page}", page=page
            ),
            Message("smaller documents may pass; else who runs the proxy or firewall can raise its limit"),
            is_lasting=True,
            is_lasting_refusal=True,
        )
    message = Message("a web page was answered: {page}", page=page)
    if status < 400 or status == _SIGN_IN_TO_NETWORK:
        return Failure(
            Code.PAGE_INSTEAD,
            message,
            Message("is it the service's base address? A network's sign-in page answers like this, too"),
            is_lasting=True,
            affects_all=True,
        )
    if status == _FORBIDDEN:
        hint = Message(
            "a proxy or firewall on the way forbids it: ask who runs it, with the title of its page"
        )
        return Failure(Code.PAGE_INSTEAD, message, hint, is_lasting=True, is_lasting_refusal=True)
    hint = Message("is it the service's base address?")
    return Failure(Code.PAGE_INSTEAD, message, hint, is_lasting=status < 500)


def _described(response: Response) -> str:
    """Describe a page by its title, its server and its status; foreign text, shortened."""
    import html

    found = _TITLE.search(response.body[:65536])
    title = " ".join(html.unescape(found[1].decode("utf-8", "replace")).split()) if found else ""
    server = " ".join(response.headers.get("server", "").split())
    parts = [f'"{title[:_LONGEST_TITLE]}"'] if title else []
    parts += [server[:_LONGEST_SERVER]] if server else []
    return ", ".join([*parts, str(response.status)])
