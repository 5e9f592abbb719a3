"""The way to the service: certificates, proxies, deadlines, attempts, and answers that pretend."""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
import select
import socket
import ssl
import subprocess
import sys
import time

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

import doubles
import samples
from conftest import ABOUT, WHO
from docsend.service.certificates import issuer_of, tls_of
from sockets import a_port, over_tls, trusted

pytestmark = pytest.mark.everywhere

SEND = (*ABOUT, *WHO)
THEIRS = trustme.CA(organization_name="Somebody Else")


# -- certificates ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def test_a_certificate_of_the_system_s_store_is_accepted(
    run, payslip, authority, tmp_path, monkeypatch
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with over_tls(authority.issue_cert("127.0.0.1")) as (url, asked):
        assert run("send", payslip, *SEND, "--service", url).code == 5
        assert len(asked) == 1


@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ("an unknown authority", "certificate-authority", "the certificate of 127.0.0.1 is by trustme"),
        ("another name", "certificate-name", "is for another name"),
        ("expired", "certificate-date", "has expired"),
        ("not valid yet", "certificate-date", "is not valid yet"),
    ],
)
def test_a_certificate_that_proves_nothing_ends_it_at_once_before_a_byte_is_sent(
    run, payslip, authority, tmp_path, monkeypatch, fault, code, words
) -> None:
    known = trustme.CA() if fault == "an unknown authority" else authority
    known.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("DOCSEND_PATIENCE", "300")
    long_ago, in_years = dt.datetime(2020, 1, 1, tzinfo=dt.UTC), dt.datetime(2090, 1, 1, tzinfo=dt.UTC)
    name = "documents.example" if fault == "another name" else "127.0.0.1"
    times = {
        "expired": {"not_before": long_ago, "not_after": long_ago},
        "not valid yet": {"not_before": in_years, "not_after": in_years},
    }.get(fault, {})
    with over_tls(authority.issue_cert(name, **times)) as (url, asked):
        outcome = run("send", payslip, *SEND, "--service", url, "--json", "-v")
        seen = run("doctor", "--service", url, "--json").json
        assert asked == []
    assert (outcome.code, outcome.json["status"], outcome.problems) == (2, "failed", [code])
    assert words in outcome.err
    assert f"cause: {code}" in outcome.err
    (service,) = [part for part in seen["findings"] if part["part"] == "service"]
    assert service["facts"]["cause"] == code


def test_an_authority_of_one_s_own_is_trusted_for_the_service_that_names_it(
    run, payslip, authority, tmp_path, home
) -> None:
    (home / "docsend").mkdir()
    authority.cert_pem.write_to_path(home / "docsend" / "company.pem")
    with over_tls(authority.issue_cert("127.0.0.1")) as (url, asked):
        samples.write(
            home / "docsend",
            "config.toml",
            f'[services.office]\nurl = "{url}"\nca_file = "company.pem"\n'.encode(),
        )
        assert run("send", payslip, *SEND, "--service", "office").code == 5
        assert run("send", payslip, *SEND, "--service", url).code == 5, "the same service by its address"
        assert len(asked) == 2
    (home / "docsend" / "company.pem").write_text("nothing")
    broken = run("send", payslip, *SEND, "--service", "office")
    assert (broken.code, "holds no certificates" in broken.err) == (2, True)


def test_a_certificate_that_is_cut_anywhere_names_no_issuer_and_breaks_nothing() -> None:
    whole = ssl.PEM_cert_to_DER_cert(THEIRS.cert_pem.bytes().decode())
    assert issuer_of(whole) == "Somebody Else"
    assert {issuer_of(whole[:size]) for size in range(len(whole))} == {None}


@given(st.data())
def test_a_certificate_with_other_bytes_anywhere_breaks_nothing(data) -> None:
    changed = bytearray(ssl.PEM_cert_to_DER_cert(THEIRS.cert_pem.bytes().decode()))
    for place in data.draw(st.sets(st.integers(0, len(changed) - 1), min_size=1, max_size=3)):
        changed[place] = data.draw(st.integers(0, 255))
    issuer = issuer_of(bytes(changed))
    assert issuer is None or len(issuer) <= 100


def test_nothing_is_told_of_a_certificate_that_was_not_verified(authority) -> None:
    unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    with over_tls(authority.issue_cert("127.0.0.1")) as (url, _):
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        with (
            socket.create_connection(address, timeout=20) as plain,
            unverified.wrap_socket(plain) as connection,
        ):
            assert connection.version()
            assert tls_of(connection) is None


# -- proxies -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "is_asked"),
    [
        ({"HTTPS_PROXY": "http://127.0.0.1:{}"}, True),
        ({"https_proxy": "http://127.0.0.1:{}"}, True),
        ({"ALL_PROXY": "http://127.0.0.1:{}"}, True),
        ({"HTTPS_PROXY": "127.0.0.1:{}"}, True),
        ({"HTTPS_PROXY": "user:secret@127.0.0.1:{}"}, True),
        ({"HTTP_PROXY": "http://127.0.0.1:{}"}, False),
        ({"HTTPS_PROXY": "http://127.0.0.1:{}", "NO_PROXY": "documents.example"}, False),
        ({"HTTPS_PROXY": "http://127.0.0.1:{}", "NO_PROXY": ".example"}, False),
        ({"HTTPS_PROXY": "http://127.0.0.1:{}", "NO_PROXY": "*"}, False),
        ({"HTTPS_PROXY": "http://127.0.0.1:{}", "NO_PROXY": "other.example"}, True),
        ({"HTTPS_PROXY": "http://127.0.0.1:{}", "NO_PROXY": "example"}, False),
        ({"HTTPS_PROXY": "http://127.0.0.1:{}", "NO_PROXY": "*.example"}, False),
        ({"HTTPS_PROXY": "http://127.0.0.1:{}", "NO_PROXY": "*.documents.example"}, True),
        ({"HTTPS_PROXY": "http://127.0.0.1:{}", "NO_PROXY": "documents.example:443"}, False),
        ({"HTTPS_PROXY": "http://127.0.0.1:{}", "NO_PROXY": "documents.example:8443"}, True),
        ({"HTTPS_PROXY": "http://127.0.0.1:{}", "NO_PROXY": "a, Documents.Example. b"}, False),
        ({"HTTPS_PROXY": "http://127.0.0.1:{}", "NO_PROXY": "cuments.example"}, True),
        ({"HTTPS_PROXY": "http://127.0.0.1:{}", "NO_PROXY": "10.0.0.0/8,192.168.1"}, True),
    ],
)
def test_the_proxy_of_the_environment_is_used_for_https(
    run, payslip, monkeypatch, environment, is_asked
) -> None:
    heard: list[bytes] = []

    def proxy(connection: socket.socket) -> None:
        heard.append(connection.recv(4096))
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    def nobody(*_: object, **__: object) -> None:
        raise socket.gaierror("there is no such name here")

    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    with a_port(proxy) as port:
        for name, value in environment.items():
            monkeypatch.setenv(name, value.format(port))
        resolve = socket.getaddrinfo
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda host, *a, **k: resolve(host, *a, **k) if host == "127.0.0.1" else nobody(),
        )
        outcome = run("send", payslip, *SEND, "--service", "https://documents.example")
    assert outcome.code == 6
    assert ("not understood" in outcome.err) == ("192.168.1" in environment.get("NO_PROXY", ""))
    assert [line.split(b"\r\n")[0] for line in heard] == (
        [b"CONNECT documents.example:443 HTTP/1.1"] if is_asked else []
    )


def a_tunnel(to_port: int, heard: list[bytes], tls: ssl.SSLContext | None):
    """Give what serves a proxy's connection: it carries bytes to the port, whatever it was asked for."""

    def serve(connection: socket.socket) -> None:
        near = tls.wrap_socket(connection, server_side=True) if tls else connection
        with near:
            heard.append(near.recv(4096))
            with socket.create_connection(("127.0.0.1", to_port)) as far:
                near.sendall(b"HTTP/1.1 200 Connection established\r\nContent-Length: 7\r\n\r\n")
                _carry(near, far)

    return serve


def _carry(near: socket.socket, far: socket.socket) -> None:
    while True:
        for ready in select.select([near, far], [], [])[0]:
            if not (data := ready.recv(2**20)):
                return
            (far if ready is near else near).sendall(data)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_document_goes_through_a_proxy_that_sees_neither_it_nor_the_address_s_path(
    run, payslip, authority, tmp_path, monkeypatch, scheme
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    itself = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(itself)
    heard: list[bytes] = []
    with over_tls(authority.issue_cert("documents.example")) as (url, asked):
        tunnel = a_tunnel(int(url.rpartition(":")[2]), heard, itself if scheme == "https" else None)
        with a_port(tunnel) as port:
            monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://somebody:proxy%20secret@127.0.0.1:{port}")
            outcome = run("send", payslip, *SEND, "--service", "https://documents.example/office")
    assert (outcome.code, len(asked)) == (5, 1)
    (connect,) = heard
    who = base64.b64encode(b"somebody:proxy secret")
    assert connect.startswith(b"CONNECT documents.example:443 HTTP/1.1\r\nHost: documents.example:443\r\n")
    assert b"\r\nProxy-Authorization: Basic %b\r\n" % who in connect
    assert b"office" not in connect


def test_a_proxy_that_goes_on_talking_after_it_has_let_through_is_not_believed(
    run, payslip, monkeypatch
) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    heard: list[bytes] = []

    def proxy(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        heard.append(connection.recv(4096))

    with a_port(proxy) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        outcome = run("send", payslip, *SEND, "--service", "https://documents.example")
    assert outcome.code == 6
    assert heard[0][:1] in (b"", b"\x16"), "a handshake, or nothing"


@pytest.mark.parametrize(
    ("status", "code", "exit_code"),
    [(407, "proxy-authentication", 2), (403, "proxy-refused", 6), (502, "proxy-refused", 6)],
)
def test_a_proxy_that_refuses_is_told_as_such(run, payslip, monkeypatch, status, code, exit_code) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "300" if exit_code == 2 else "0")

    def proxy(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 %d No\x1b[2J\r\nContent-Length: 0\r\n\r\n" % status)

    with a_port(proxy) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://somebody:secret@127.0.0.1:{port}")
        outcome = run("send", payslip, *SEND, "--service", "https://documents.example", "--json")
    assert (outcome.code, outcome.problems) == (exit_code, [code])
    assert "secret" not in outcome.err + outcome.out
    assert "\x1b" not in outcome.err + outcome.out


@pytest.mark.parametrize("whose", ["the proxy's", "the service's"])
def test_an_untrusted_certificate_is_told_as_the_proxy_s_or_the_service_s_with_its_own_issuer(
    run, payslip, authority, tmp_path, monkeypatch, whose
) -> None:
    trusted(authority, tmp_path, monkeypatch)
    other = trustme.CA(organization_name="Somebody Else")
    itself = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (other if whose == "the proxy's" else authority).issue_cert("127.0.0.1").configure_cert(itself)
    certificate = (authority if whose == "the proxy's" else other).issue_cert("documents.example")
    with (
        over_tls(certificate) as (url, asked),
        a_port(a_tunnel(int(url.rpartition(":")[2]), [], itself)) as port,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"https://127.0.0.1:{port}")
        outcome = run("send", payslip, *SEND, "--service", "https://documents.example", "--json")
    assert (outcome.code, outcome.problems, asked) == (2, ["certificate-authority"], [])
    message = outcome.json["problems"][0]["message"]
    who = (
        "the proxy: the certificate of 127.0.0.1"
        if whose == "the proxy's"
        else "the certificate of documents"
    )
    assert message.startswith(who), message
    assert "is by Somebody Else" in message


def test_a_proxy_that_cannot_be_reached_is_told_as_the_proxy(run, payslip, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    outcome = run("send", payslip, *SEND, "--service", "https://documents.example", "--json")
    assert (outcome.code, outcome.problems) == (6, ["connection-refused"])
    assert "the proxy: 127.0.0.1 refuses connections" in outcome.err


@pytest.mark.parametrize("who", ["", "somebody:secret@"])
@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_a_socks_proxy_carries_a_submission(
    run, payslip, authority, tmp_path, monkeypatch, scheme, who
) -> None:
    trusted(authority, tmp_path, monkeypatch)
    heard: list[bytes] = []
    with over_tls(authority.issue_cert("documents.example")) as (url, asked):

        def socks(near: socket.socket) -> None:
            """RFC 1928 and 1929, as far as a client needs it."""
            methods = near.recv(64)
            near.sendall(b"\x05\x02" if who else b"\x05\x00")
            if who:
                heard.append(near.recv(64))
                near.sendall(b"\x01\x00")
            heard.append(near.recv(64))
            assert methods[0] == 5
            near.sendall(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
            with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as far:
                _carry(near, far)

        with a_port(socks) as port:
            monkeypatch.setenv("ALL_PROXY", f"{scheme}://{who}127.0.0.1:{port}")
            outcome = run("send", payslip, *SEND, "--service", "https://documents.example")
    assert (outcome.code, len(asked)) == (5, 1)
    assert b"documents.example" in heard[-1], "the proxy looks the name up"
    assert not who or heard[0] == b"\x01\x08somebody\x06secret"


@pytest.mark.parametrize(
    "proxy", ["socks4://127.0.0.1:9", "http://u:secret@", "http://a..b:1", "127.0.0.1:secret", "u:secret@://"]
)
def test_a_proxy_that_cannot_be_used_is_a_usage_fault_that_does_not_show_it(
    run, payslip, monkeypatch, proxy
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    outcome = run("send", payslip, *SEND, "--service", "https://documents.example")
    assert outcome.code == 2
    assert "HTTPS_PROXY" in outcome.err
    assert proxy not in outcome.err


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x05\xff", b"\x04\x00", b"\x05\x00\x05\x05\x00\x01"]
)
def test_what_is_no_socks_proxy_is_told_and_leaves_nothing_open(run, payslip, monkeypatch, said) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")

    def serve(near: socket.socket) -> None:
        near.recv(64)
        near.sendall(said)

    with a_port(serve) as port:
        monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{port}")
        outcome = run("send", payslip, *SEND, "--service", "https://documents.example", "--json")
    assert outcome.code in (2, 6), outcome.err
    assert outcome.problems[0] in ("proxy-refused", "proxy-authentication", "connection-broken")


@pytest.mark.parametrize("kind", ["a pipe", "a folder", "nothing"])
def test_a_ca_file_that_is_no_file_is_told_at_once(run, payslip, home, kind) -> None:
    (home / "docsend").mkdir()
    place = home / "docsend" / "company.pem"
    {"a pipe": samples.named_pipe, "a folder": os.mkdir, "nothing": lambda _: None}[kind](place)
    config = b'[services.office]\nurl = "https://127.0.0.1:9"\nca_file = "company.pem"\n'
    samples.write(home / "docsend", "config.toml", config)
    outcome = run("send", payslip, *SEND, "--service", "office")
    assert (outcome.code, "company.pem cannot be read" in outcome.err) == (2, True), outcome.err


def test_this_machine_is_reached_without_a_proxy(run, shared_sandbox, payslip, monkeypatch) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert run("send", payslip, *SEND, "--service", shared_sandbox.url, "--reference", "no proxy").code == 0


# -- time --------------------------------------------------------------------------------------------------


def test_tries_are_not_counted_and_end_when_patience_is_over(run, payslip, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "3")
    began = time.monotonic()
    with doubles.service(lambda _: doubles.Reply(503, headers={"Retry-After": "0"})) as (url, asked):
        outcome = run("send", payslip, *SEND, "--service", url, "--json")
        assert (outcome.code, outcome.problems) == (6, ["service-busy"])
        assert 3 <= time.monotonic() - began < 5, "to its end, and no further"
        assert len(asked) > 2


@pytest.mark.needs("strace")
def test_a_write_that_fails_while_the_connection_stays_is_not_waited_for(sandbox, tmp_path) -> None:
    """The error is suppressed by httpx, which then reads, and the service waits for the rest of the body."""
    file = samples.write(tmp_path, "large.pdf", samples.pdf(1, size=2_000_000))
    strace = ["strace", "-f", "-q", "-o", "/dev/null", "-e", "trace=sendto"]
    strace += ["-e", "inject=sendto:error=EIO:when=3"]
    argv = [sys.executable, "-m", "docsend", "send", str(file), *SEND, "--service", sandbox.url]
    began = time.monotonic()
    done = subprocess.run(
        [*strace, *argv], env={**os.environ, "DOCSEND_PATIENCE": "20"}, capture_output=True, check=False
    )
    assert (done.returncode, sandbox.count()) == (0, 1), done.stderr
    assert time.monotonic() - began < 30


# -- answers that pretend ----------------------------------------------------------------------------------


def test_an_answer_that_calls_itself_compressed_is_not_read(run, sandbox, payslip, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")

    with doubles.relay(sandbox.url, lambda *_: None, add={"Content-Encoding": "br"}) as (url, _):
        assert run("send", payslip, *SEND, "--service", url).code == 6
    assert sandbox.count() == 1, "it was received, and nobody here can know"
    assert run("receipts", "--json").json["receipts"][0]["state"] == "sending"


@pytest.mark.parametrize("change", ["name", "bytes", "sha256"])
def test_a_receipt_for_other_documents_is_not_believed(run, sandbox, payslip, monkeypatch, change) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    real = run("send", payslip, *SEND, "--service", sandbox.url, "--json").json
    (body,) = sandbox.select("SELECT body FROM receipt WHERE key = ?", real["key"])[0]
    receipt = json.loads(body)
    receipt["documents"][0][change] = {"name": "other.pdf", "bytes": 1, "sha256": "0" * 64}[change]
    false = doubles.Reply(
        200,
        json.dumps({"state": "received", "missing": [], "receipt": receipt}).encode(),
        {"Content-Type": "application/json"},
    )
    with doubles.service(lambda _: false) as (url, _):
        outcome = run("send", payslip, *SEND, "--service", url, "--json")
    assert (outcome.code, outcome.json["receipt"]) == (6, None)


@pytest.mark.parametrize(
    "mobile",
    ["0501234567", "050-123-4567", "+972501234567", "+972 50 1234567", "00972501234567", "+972(0)501234567"],
)
def test_a_mobile_number_is_declared_in_one_form_however_it_is_written(run, sandbox, payslip, mobile) -> None:
    about = ("--to", "employer-collection", "--category", "correspondence", "--type", "correction-letter")
    who = ("--employer-file", "900000019", "--booklet", "7", "--mobile", mobile)
    assert run("send", payslip, *about, *who, "--service", sandbox.url).code == 0
    (declared,) = sandbox.select("SELECT declaration FROM submission")[0]
    assert json.loads(declared)["identity"]["mobile"] == "0501234567"
