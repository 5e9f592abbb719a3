"""The ways in which a request can fail, each with a code, a message and a hint.

The codes appear in the JSON output of a failed run, in `docsend doctor` and with `--verbose`.
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
_DURING: dict[Step, Message] = {
    "connecting": Message("while connecting"),
    "asking the proxy": Message("while connecting through the proxy"),
    "encrypting": Message("while setting up encryption"),
    "sending": Message("while sending"),
    "waiting": Message("while waiting for the response"),
    "reading": Message("while reading the response"),
}
_DOCTOR_HINT = Message("run `docsend doctor` to check the connection to the service")
_PROXY_CODES = (Code.PROXY_AUTHENTICATION, Code.PROXY_REFUSED)
_RETRY_HINT = Message("nothing is lost: run the same command again")
_NO_ROUTE = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EACCES})
# OpenSSL's verification errors (x509_vfy.h).
_NAME_MISMATCHES = frozenset({62, 63, 64})
_DATES = frozenset({9, 10})
_AUTHORITIES = frozenset({2, 18, 19, 20, 21})
_EXPIRED = 10


class Failure(NamedTuple):
    """One failure of a request.

    If `is_lasting` is true, a retry cannot help. If `affects_all` is true, no other request to this service
    can succeed now either.
    """

    code: Code
    message: Message
    hint: Message = _RETRY_HINT
    is_lasting: bool = False
    affects_all: bool = False
    is_lasting_refusal: bool = False  # counts as a refusal of the submission if no attempt can have arrived

    def as_error(self, url: str, *, is_refusal: bool = False) -> DocsendError:
        """Return the error that a call to `url` ends with: UsageError, Refused or Unfinished.

        The error's class tells the caller what to do next: change the settings, give up, or run the command
        again.
        """
        kind = UsageError if self.code.kind is Kind.USAGE else Refused if is_refusal else Unfinished
        message = Message("{trouble}: {url}", trouble=self.message, url=url)
        error = kind(message, self.hint, cause=self.code)
        error.affects_all = self.affects_all or error.affects_all
        error.is_lasting_refusal = self.is_lasting_refusal
        return error


class NoResponse(Exception):
    """Raised when a request gets no response. `may_have_arrived` is false if no part of it was sent."""

    def __init__(self, failure: Failure, *, may_have_arrived: bool) -> None:
        super().__init__(failure.code)
        self.failure = failure
        self.may_have_arrived = may_have_arrived


class ContractViolation(Exception):
    """Raised when a response violates the contract."""

    def __init__(self, reason: Message) -> None:
        super().__init__(ENGLISH.render(reason))
        self.failure = Failure(
            Code.CONTRACT_BROKEN, Message("the service sent an invalid response ({reason})", reason=reason)
        )


class UnexpectedPage(ContractViolation):
    """Raised for a web page or a redirect: an intermediary answered, or another server has the address."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def timed_out(step: Step) -> Failure:
    """Return the failure for an exchange that exceeded its deadline during a step."""
    return Failure(Code.TIMED_OUT, Message("timed out {step}", step=_DURING[step]))


def connection_broken(step: Step) -> Failure:
    """Return the failure for a connection that was lost during a step."""
    return Failure(Code.CONNECTION_BROKEN, Message("connection lost {step}", step=_DURING[step]))


def busy(status: int) -> Failure:
    """Return the failure for a response whose status calls for a retry."""
    return Failure(Code.SERVICE_BUSY, Message("the service answered {status}", status=status))


def from_exception(error: Exception, step: Step, url: str, *, proxy: str | None) -> Failure:
    """Return the failure for an httpx exception, based on the system error that caused it.

    `proxy` is the proxy's address, or None once the proxy has connected to the service. If it is given, the
    failure is attributed to the proxy.
    """
    failure = _from_causes(error, step, urlsplit(proxy or url).hostname or "?", proxy)
    if proxy is None or failure.code in _PROXY_CODES:
        return failure
    return failure._replace(message=proxy_failure(failure.message))


def proxy_failure(message: Message) -> Message:
    """Return the message for a failure to connect to or through the proxy."""
    return Message("cannot connect through the proxy: {message}", message=message)


def _from_causes(error: Exception, step: Step, host: str, proxy: str | None) -> Failure:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _from_certificate_error(cause, host)
        if type(cause).__name__ == "ProxyError" or type(cause).__module__.startswith("socksio"):
            return _from_proxy_error(str(cause), urlsplit(proxy or "http:").scheme)
        if isinstance(cause, TimeoutError) or type(cause).__name__.endswith("Timeout"):
            return timed_out(step)
        if failure := _from_os_error(cause, host):
            return failure
        is_cut = isinstance(cause, ssl.SSLEOFError)
        if isinstance(cause, ssl.SSLError) and step == "encrypting" and not is_cut:
            message = Message("cannot set up encryption with {host}", host=host)
            return Failure(Code.ENCRYPTION_FAILED, message, _DOCTOR_HINT, is_lasting=True, affects_all=True)
    return connection_broken(step)


def _from_os_error(error: BaseException, host: str) -> Failure | None:
    if isinstance(error, socket.gaierror):
        return Failure(
            Code.NAME_UNKNOWN,
            Message("cannot resolve the host name {host}", host=host),
            Message("check the name and this machine's network connection, then run the same command again"),
            affects_all=True,
        )
    if isinstance(error, ConnectionRefusedError):
        return Failure(Code.CONNECTION_REFUSED, Message("{host} refused the connection", host=host))
    if isinstance(error, OSError) and error.errno in _NO_ROUTE:
        return Failure(Code.NO_ROUTE, Message("no route to {host}", host=host))
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _from_certificate_error(error: ssl.SSLCertVerificationError, host: str) -> Failure:
    """Return the failure for a certificate that could not be verified.

    A run that fails this way exits with 2, because only other settings or another service can help.
    """
    verify_code = getattr(error, "verify_code", None)
    if verify_code in _NAME_MISMATCHES:
        code: Code = Code.CERTIFICATE_NAME
        message = Message("the certificate of {host} is for another name", host=host)
        hint = Message(
            "check the address; a proxy or the network's sign-in page may respond instead of the service"
        )
    elif verify_code in _DATES:
        code = Code.CERTIFICATE_DATE
        message = (
            Message("the certificate of {host} has expired", host=host)
            if verify_code == _EXPIRED
            else Message("the certificate of {host} is not valid yet", host=host)
        )
        hint = Message(
            "check this machine's clock; if it is right, {host} needs a new certificate", host=host
        )
    elif verify_code in _AUTHORITIES:
        return unknown_authority(host)
    else:
        code = Code.CERTIFICATE_INVALID
        message = Message("the certificate of {host} cannot be verified", host=host)
        hint = _DOCTOR_HINT
    return Failure(code, message, hint, is_lasting=True, affects_all=True)


def unknown_authority(host: str, issuer: str | None = None) -> Failure:
    """Return the failure for a certificate whose issuer is not trusted, naming the issuer if it is known."""
    message = Message(
        "the certificate of {host} was issued by an authority that this machine does not trust", host=host
    )
    if issuer is not None:
        message = Message(
            "the certificate of {host} was issued by {issuer}, which this machine does not trust",
            host=host,
            issuer=issuer,
        )
    hint = Message(
        "if your organization inspects encrypted connections, set ca_file in config.toml to its CA "
        "certificate, or add that certificate to the system's trust store"
    )
    return Failure(
        Code.CERTIFICATE_AUTHORITY,
        message,
        hint,
        is_lasting=True,
        affects_all=True,
    )


def _from_proxy_error(text: str, scheme: str) -> Failure:
    """Return the failure for a proxy that did not connect. Of the proxy's response, show only the status."""
    status = text[:3]
    if status == "407" or "authentication" in text.lower():
        return Failure(
            Code.PROXY_AUTHENTICATION,
            Message("the proxy requires a user name and a password"),
            Message(
                "add them to the proxy's address, as in {scheme}://NAME:PASSWORD@proxy.example",
                scheme=scheme,
            ),
            is_lasting=True,
            affects_all=True,
        )
    hint = Message("check that the proxy allows the service's address, or bypass the proxy with NO_PROXY")
    if status.isdigit():
        return Failure(
            Code.PROXY_REFUSED, Message("the proxy refused the connection ({status})", status=status), hint
        )
    return Failure(Code.PROXY_REFUSED, Message("the proxy refused the connection"), hint)
