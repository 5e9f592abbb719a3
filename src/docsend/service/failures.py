"""Why a request came to nothing: a few fixed classes, each with its code, its words and its cure.

The codes stand in the JSON of a run that failed, in `docsend doctor` and behind `--verbose`.
"""

from __future__ import annotations

import errno
import socket
import ssl
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from docsend.codes import Code, Kind
from docsend.errors import DocsendError, Refused, Unfinished, UsageError
from docsend.i18n import ENGLISH, Message

if TYPE_CHECKING:
    from collections.abc import Iterator

Step: TypeAlias = Literal["connecting", "asking the proxy", "encrypting", "sending", "waiting", "reading"]

# httpx's trace events, by the last part of their names.
STEPS: dict[str, Step] = {
    "connect_tcp": "connecting",
    "start_tls": "encrypting",
    "send_request_headers": "sending",
    "send_request_body": "sending",
    "receive_response_headers": "waiting",
    "receive_response_body": "reading",
}
_WHILE: dict[Step, Message] = {
    "connecting": Message("while connecting"),
    "asking the proxy": Message("while asking the proxy"),
    "encrypting": Message("while setting up encryption"),
    "sending": Message("while sending"),
    "waiting": Message("while waiting for the response"),
    "reading": Message("while reading the response"),
}
_DOCTOR = Message("`docsend doctor` looks at the way to the service")
_OF_PROXY = (Code.PROXY_AUTHENTICATION, Code.PROXY_REFUSED)
_TRY_LATER = Message("nothing is lost: run the same command again")
_NO_ROUTE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EACCES})
# OpenSSL's verification errors (x509_vfy.h).
_NAME_MISMATCHES = frozenset({62, 63, 64})
_DATES = frozenset({9, 10})
_AUTHORITIES = frozenset({2, 18, 19, 20, 21})
_EXPIRED = 10


class Failure(NamedTuple):
    """One class of failure with its words. A `is_lasting` one cannot get better by trying again at once.

    `is_for_all` says that no other request to this service would fare better now.
    """

    code: Code
    message: Message
    hint: Message = _TRY_LATER
    is_lasting: bool = False
    affects_all: bool = False
    is_lasting_refusal: bool = False  # a refusal for good, if nothing of the submission may have arrived

    def as_error(self, url: str, *, is_refusal: bool = False) -> DocsendError:
        """Make the error that a call ends with, by what the caller should do next."""
        kind = UsageError if self.code.kind is Kind.USAGE else Refused if is_refusal else Unfinished
        message = Message("{trouble}: {url}", trouble=self.message, url=url)
        error = kind(message, self.hint, cause=self.code)
        error.affects_all = self.affects_all or error.affects_all
        error.is_lasting_refusal = self.is_lasting_refusal
        return error


class NoResponse(Exception):
    """A request that got no response; `may_have_arrived` unless nothing of it has left."""

    def __init__(self, failure: Failure, *, may_have_arrived: bool) -> None:
        super().__init__(failure.code)
        self.failure = failure
        self.may_have_arrived = may_have_arrived


class ContractViolation(Exception):
    """A response that the contract does not know."""

    def __init__(self, why: Message) -> None:
        super().__init__(ENGLISH.render(why))
        self.failure = Failure(
            Code.CONTRACT_BROKEN, Message("the response is not what the contract says ({why})", why=why)
        )


class UnexpectedPage(ContractViolation):
    """A web page or a redirect, of whatever stands at the address or on the way to it."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def timed_out(step: Step) -> Failure:
    return Failure(Code.TIMED_OUT, Message("timed out {step}", step=_WHILE[step]))


def connection_broken(step: Step) -> Failure:
    return Failure(Code.CONNECTION_BROKEN, Message("the connection broke off {step}", step=_WHILE[step]))


def busy(status: int) -> Failure:
    return Failure(Code.SERVICE_BUSY, Message("the service answered {status}", status=status))


def from_exception(error: Exception, step: Step, url: str, *, proxy: str | None) -> Failure:
    """Name the class of what httpx raised, by the system's error behind it.

    `proxy` is the proxy's address as long as it has not let the connection through: then it is what fails.
    """
    failure = _of_causes(error, step, urlsplit(proxy or url).hostname or "?", proxy)
    if proxy is None or failure.code in _OF_PROXY:
        return failure
    return failure._replace(message=proxy_failure(failure.message))


def proxy_failure(message: Message) -> Message:
    return Message("the proxy: {message}", message=message)


def _of_causes(error: Exception, step: Step, host: str, proxy: str | None) -> Failure:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _of_certificate(cause, host)
        if type(cause).__name__ == "ProxyError" or type(cause).__module__.startswith("socksio"):
            return _of_proxy(str(cause), urlsplit(proxy or "http:").scheme)
        if isinstance(cause, TimeoutError) or type(cause).__name__.endswith("Timeout"):
            return timed_out(step)
        if found := _of_system(cause, host):
            return found
        is_cut = isinstance(cause, ssl.SSLEOFError)
        if isinstance(cause, ssl.SSLError) and step == "encrypting" and not is_cut:
            message = Message("no encryption could be agreed on with {host}", host=host)
            return Failure(Code.ENCRYPTION_FAILED, message, _DOCTOR, is_lasting=True, affects_all=True)
    return connection_broken(step)


def _of_system(error: BaseException, host: str) -> Failure | None:
    if isinstance(error, socket.gaierror):
        return Failure(
            Code.NAME_UNKNOWN,
            Message("no address is known for {host}", host=host),
            Message("is the name right, and this machine on the network? Then run the same command again"),
            affects_all=True,
        )
    if isinstance(error, ConnectionRefusedError):
        return Failure(Code.CONNECTION_REFUSED, Message("{host} refuses connections", host=host))
    if isinstance(error, OSError) and error.errno in _NO_ROUTE:
        return Failure(Code.NO_ROUTE, Message("there is no way to {host} from here", host=host))
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _of_certificate(error: ssl.SSLCertVerificationError, host: str) -> Failure:
    """Name what a certificate lacks: exit 2, since only other settings, or another service, will help."""
    code = getattr(error, "verify_code", None)
    if code in _NAME_MISMATCHES:
        known: Code = Code.CERTIFICATE_NAME
        message = Message("the certificate of {host} is for another name", host=host)
        hint = Message(
            "is the address right? A proxy or a sign-in page of the network may answer in its place"
        )
    elif code in _DATES:
        known = Code.CERTIFICATE_DATE
        message = (
            Message("the certificate of {host} has expired", host=host)
            if code == _EXPIRED
            else Message("the certificate of {host} is not valid yet", host=host)
        )
        hint = Message("is this machine's clock right? Then {host} needs a new certificate", host=host)
    elif code in _AUTHORITIES:
        return unknown_authority(host)
    else:
        known = Code.CERTIFICATE_INVALID
        message = Message("the certificate of {host} cannot be verified", host=host)
        hint = _DOCTOR
    return Failure(known, message, hint, is_lasting=True, affects_all=True)


def unknown_authority(host: str, issuer: str | None = None) -> Failure:
    """Name a certificate by an authority that is not trusted, with the authority's name if it is known."""
    message = Message(
        "the certificate of {host} is by an authority that this machine does not trust", host=host
    )
    if issuer is not None:
        message = Message(
            "the certificate of {host} is by {issuer}, which this machine does not trust",
            host=host,
            issuer=issuer,
        )
    hint = Message(
        "if your organisation inspects connections, name its authority with ca_file in config.toml, or add "
        "it to the system's trust store"
    )
    return Failure(
        Code.CERTIFICATE_AUTHORITY,
        message,
        hint,
        is_lasting=True,
        affects_all=True,
    )


def _of_proxy(said: str, scheme: str) -> Failure:
    """Name why a proxy made no connection; of what it said only the status is shown."""
    status = said[:3]
    if status == "407" or "authentication" in said.lower():
        return Failure(
            Code.PROXY_AUTHENTICATION,
            Message("the proxy asks for a name and a password"),
            Message(
                "put them into the proxy's address, as in {scheme}://NAME:PASSWORD@proxy.example",
                scheme=scheme,
            ),
            is_lasting=True,
            affects_all=True,
        )
    hint = Message("does the proxy allow the service's address? NO_PROXY names what is reached without one")
    if status.isdigit():
        return Failure(
            Code.PROXY_REFUSED, Message("the proxy refused the connection ({status})", status=status), hint
        )
    return Failure(Code.PROXY_REFUSED, Message("the proxy refused the connection"), hint)
