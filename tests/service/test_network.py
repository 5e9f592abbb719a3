"""Connections to the service: certificates, proxies, time limits, and responses that are not believed."""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
import re
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
from docsend.service.certificates import describe_tls, read_issuer
from sockets import tcp_server, tls_service, trust_authority

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
    with tls_service(authority.issue_cert("127.0.0.1")) as (url, requests):
        assert run("send", payslip, *SEND, "--service", url).code == 5
        assert len(requests) == 1


@pytest.mark.parametrize(
    ("defect", "code", "text"),
    [
        (
            "an unknown authority",
            "certificate-authority",
            "the certificate of 127.0.0.1 was issued by trustme",
        ),
        ("another name", "certificate-name", "is for another name"),
        ("expired", "certificate-date", "has expired"),
        ("not valid yet", "certificate-date", "is not valid yet"),
    ],
)
def test_an_invalid_certificate_ends_the_run_before_anything_is_sent(
    run, payslip, authority, tmp_path, monkeypatch, defect, code, text
) -> None:
    trusted_ca = trustme.CA() if defect == "an unknown authority" else authority
    trusted_ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("DOCSEND_PATIENCE", "300")
    long_ago, in_years = dt.datetime(2020, 1, 1, tzinfo=dt.UTC), dt.datetime(2090, 1, 1, tzinfo=dt.UTC)
    name = "documents.example" if defect == "another name" else "127.0.0.1"
    times = {
        "expired": {"not_before": long_ago, "not_after": long_ago},
        "not valid yet": {"not_before": in_years, "not_after": in_years},
    }.get(defect, {})
    with tls_service(authority.issue_cert(name, **times)) as (url, requests):
        outcome = run("send", payslip, *SEND, "--service", url, "--json", "-v")
        diagnosis = run("doctor", "--service", url, "--json").json
        assert requests == []
    assert (outcome.code, outcome.json["status"], outcome.problems) == (2, "failed", [code])
    assert text in outcome.err
    assert f"cause: {code}" in outcome.err
    (service,) = [part for part in diagnosis["findings"] if part["part"] == "service"]
    assert service["facts"]["cause"] == code


def test_a_ca_file_is_trusted_only_for_the_service_that_names_it(
    run, payslip, authority, tmp_path, home
) -> None:
    (home / "docsend").mkdir()
    authority.cert_pem.write_to_path(home / "docsend" / "company.pem")
    with tls_service(authority.issue_cert("127.0.0.1")) as (url, requests):
        samples.write(
            home / "docsend",
            "config.toml",
            f'[services.office]\nurl = "{url}"\nca_file = "company.pem"\n'.encode(),
        )
        assert run("send", payslip, *SEND, "--service", "office").code == 5
        assert run("send", payslip, *SEND, "--service", url).code == 5, "the same service, given by its URL"
        assert len(requests) == 2
    (home / "docsend" / "company.pem").write_text("nothing")
    broken = run("send", payslip, *SEND, "--service", "office")
    assert (broken.code, "no CA certificates in" in broken.err) == (2, True)


def test_a_truncated_certificate_has_no_issuer() -> None:
    whole = ssl.PEM_cert_to_DER_cert(THEIRS.cert_pem.bytes().decode())
    assert read_issuer(whole) == "Somebody Else"
    assert {read_issuer(whole[:size]) for size in range(len(whole))} == {None}


@given(st.data())
def test_a_corrupted_certificate_raises_no_exception(data) -> None:
    changed = bytearray(ssl.PEM_cert_to_DER_cert(THEIRS.cert_pem.bytes().decode()))
    for index in data.draw(st.sets(st.integers(0, len(changed) - 1), min_size=1, max_size=3)):
        changed[index] = data.draw(st.integers(0, 255))
    issuer = read_issuer(bytes(changed))
    assert issuer is None or len(issuer) <= 100


def test_an_unverified_certificate_is_not_described(authority) -> None:
    unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    with tls_service(authority.issue_cert("127.0.0.1")) as (url, _):
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        with (
            socket.create_connection(address, timeout=20) as plain,
            unverified.wrap_socket(plain) as connection,
        ):
            assert connection.version()
            assert describe_tls(connection) is None


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
    received: list[bytes] = []

    def proxy(connection: socket.socket) -> None:
        received.append(connection.recv(4096))
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    def nobody(*_: object, **__: object) -> None:
        raise socket.gaierror("there is no such name here")

    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    with tcp_server(proxy) as port:
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
    assert ("invalid entries in NO_PROXY" in outcome.err) == ("192.168.1" in environment.get("NO_PROXY", ""))
    assert [line.split(b"\r\n")[0] for line in received] == (
        [b"CONNECT documents.example:443 HTTP/1.1"] if is_asked else []
    )


def tunnel_to(to_port: int, received: list[bytes], tls: ssl.SSLContext | None):
    """Return a handler of a proxy's connections that forwards all bytes to one port."""

    def serve(connection: socket.socket) -> None:
        client_side = tls.wrap_socket(connection, server_side=True) if tls else connection
        with client_side:
            received.append(client_side.recv(4096))
            with socket.create_connection(("127.0.0.1", to_port)) as server_side:
                client_side.sendall(b"HTTP/1.1 200 Connection established\r\nContent-Length: 7\r\n\r\n")
                _forward(client_side, server_side)

    return serve


def _forward(client_side: socket.socket, server_side: socket.socket) -> None:
    while True:
        for ready in select.select([client_side, server_side], [], [])[0]:
            if not (data := ready.recv(2**20)):
                return
            (server_side if ready is client_side else client_side).sendall(data)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_sees_neither_the_document_nor_the_path_of_the_address(
    run, payslip, authority, tmp_path, monkeypatch, scheme
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    proxy_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(proxy_context)
    received: list[bytes] = []
    with tls_service(authority.issue_cert("documents.example")) as (url, requests):
        tunnel = tunnel_to(
            int(url.rpartition(":")[2]), received, proxy_context if scheme == "https" else None
        )
        with tcp_server(tunnel) as port:
            monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://somebody:proxy%20secret@127.0.0.1:{port}")
            outcome = run("send", payslip, *SEND, "--service", "https://documents.example/office")
    assert (outcome.code, len(requests)) == (5, 1)
    (connect,) = received
    credentials = base64.b64encode(b"somebody:proxy secret")
    assert connect.startswith(b"CONNECT documents.example:443 HTTP/1.1\r\nHost: documents.example:443\r\n")
    assert b"\r\nProxy-Authorization: Basic %b\r\n" % credentials in connect
    assert b"office" not in connect


def test_bytes_that_a_proxy_sends_after_its_response_to_connect_are_not_a_response(
    run, payslip, monkeypatch
) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    received: list[bytes] = []

    def proxy(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        received.append(connection.recv(4096))

    with tcp_server(proxy) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        outcome = run("send", payslip, *SEND, "--service", "https://documents.example")
    assert outcome.code == 6
    assert received[0][:1] in (b"", b"\x16"), "a handshake, or nothing"


@pytest.mark.parametrize(
    ("status", "code", "exit_code"),
    [(407, "proxy-authentication", 2), (403, "proxy-refused", 6), (502, "proxy-refused", 6)],
)
def test_a_refusal_by_a_proxy_is_reported_as_such(run, payslip, monkeypatch, status, code, exit_code) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "300" if exit_code == 2 else "0")

    def proxy(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 %d No\x1b[2J\r\nContent-Length: 0\r\n\r\n" % status)

    with tcp_server(proxy) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://somebody:secret@127.0.0.1:{port}")
        outcome = run("send", payslip, *SEND, "--service", "https://documents.example", "--json")
    assert (outcome.code, outcome.problems) == (exit_code, [code])
    assert "secret" not in outcome.err + outcome.out
    assert "\x1b" not in outcome.err + outcome.out


@pytest.mark.parametrize("side", ["the proxy's", "the service's"])
def test_an_untrusted_certificate_is_reported_as_the_proxy_s_or_the_service_s_with_its_issuer(
    run, payslip, authority, tmp_path, monkeypatch, side
) -> None:
    trust_authority(authority, tmp_path, monkeypatch)
    other = trustme.CA(organization_name="Somebody Else")
    proxy_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (other if side == "the proxy's" else authority).issue_cert("127.0.0.1").configure_cert(proxy_context)
    certificate = (authority if side == "the proxy's" else other).issue_cert("documents.example")
    with (
        tls_service(certificate) as (url, requests),
        tcp_server(tunnel_to(int(url.rpartition(":")[2]), [], proxy_context)) as port,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"https://127.0.0.1:{port}")
        outcome = run("send", payslip, *SEND, "--service", "https://documents.example", "--json")
    assert (outcome.code, outcome.problems, requests) == (2, ["certificate-authority"], [])
    message = outcome.json["problems"][0]["message"]
    start = (
        "cannot connect through the proxy: the certificate of 127.0.0.1"
        if side == "the proxy's"
        else "the certificate of documents"
    )
    assert message.startswith(start), message
    assert "was issued by Somebody Else" in message


def test_an_unreachable_proxy_is_reported_as_the_proxy(run, payslip, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    outcome = run("send", payslip, *SEND, "--service", "https://documents.example", "--json")
    assert (outcome.code, outcome.problems) == (6, ["connection-refused"])
    assert "cannot connect through the proxy: 127.0.0.1 refused the connection" in outcome.err


@pytest.mark.parametrize("credentials", ["", "somebody:secret@"])
@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_a_socks_proxy_carries_a_submission(
    run, payslip, authority, tmp_path, monkeypatch, scheme, credentials
) -> None:
    trust_authority(authority, tmp_path, monkeypatch)
    received: list[bytes] = []
    with tls_service(authority.issue_cert("documents.example")) as (url, requests):

        def socks(client_side: socket.socket) -> None:
            """Serve the part of RFC 1928 and RFC 1929 that a client needs."""
            methods = client_side.recv(64)
            client_side.sendall(b"\x05\x02" if credentials else b"\x05\x00")
            if credentials:
                received.append(client_side.recv(64))
                client_side.sendall(b"\x01\x00")
            received.append(client_side.recv(64))
            assert methods[0] == 5
            client_side.sendall(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
            with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as server_side:
                _forward(client_side, server_side)

        with tcp_server(socks) as port:
            monkeypatch.setenv("ALL_PROXY", f"{scheme}://{credentials}127.0.0.1:{port}")
            outcome = run("send", payslip, *SEND, "--service", "https://documents.example")
    assert (outcome.code, len(requests)) == (5, 1)
    assert b"documents.example" in received[-1], "the proxy looks the name up"
    assert not credentials or received[0] == b"\x01\x08somebody\x06secret"


@pytest.mark.parametrize(
    "proxy", ["socks4://127.0.0.1:9", "http://u:secret@", "http://a..b:1", "127.0.0.1:secret", "u:secret@://"]
)
def test_an_unusable_proxy_is_a_usage_error_that_does_not_show_its_address(
    run, payslip, monkeypatch, proxy
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    outcome = run("send", payslip, *SEND, "--service", "https://documents.example")
    assert outcome.code == 2
    assert "HTTPS_PROXY" in outcome.err
    assert proxy not in outcome.err


@pytest.mark.parametrize(
    "reply", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x05\xff", b"\x04\x00", b"\x05\x00\x05\x05\x00\x01"]
)
def test_a_server_that_is_not_a_socks_proxy_is_reported_and_no_socket_stays_open(
    run, payslip, monkeypatch, reply
) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")

    def serve(connection: socket.socket) -> None:
        connection.recv(64)
        connection.sendall(reply)

    with tcp_server(serve) as port:
        monkeypatch.setenv("ALL_PROXY", f"socks5://127.0.0.1:{port}")
        outcome = run("send", payslip, *SEND, "--service", "https://documents.example", "--json")
    assert outcome.code in (2, 6), outcome.err
    assert outcome.problems[0] in ("proxy-refused", "proxy-authentication", "connection-broken")


@pytest.mark.parametrize("kind", ["a pipe", "a folder", "nothing"])
def test_a_ca_file_that_is_not_a_regular_file_is_reported_at_once(run, payslip, home, kind) -> None:
    (home / "docsend").mkdir()
    path = home / "docsend" / "company.pem"
    {"a pipe": samples.named_pipe, "a folder": os.mkdir, "nothing": lambda _: None}[kind](path)
    config = b'[services.office]\nurl = "https://127.0.0.1:9"\nca_file = "company.pem"\n'
    samples.write(home / "docsend", "config.toml", config)
    outcome = run("send", payslip, *SEND, "--service", "office")
    assert (outcome.code, re.search(r"cannot read .*company\.pem", outcome.err) is not None) == (2, True), (
        outcome.err
    )


def test_this_machine_is_reached_without_a_proxy(run, shared_sandbox, payslip, monkeypatch) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert run("send", payslip, *SEND, "--service", shared_sandbox.url, "--reference", "no proxy").code == 0


# -- time --------------------------------------------------------------------------------------------------


def test_attempts_are_limited_by_time_and_not_by_number(run, payslip, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "3")
    began = time.monotonic()
    with doubles.service(lambda _: doubles.Reply(503, headers={"Retry-After": "0"})) as (url, requests):
        outcome = run("send", payslip, *SEND, "--service", url, "--json")
        assert (outcome.code, outcome.problems) == (6, ["service-busy"])
        assert 3 <= time.monotonic() - began < 5, "until the time is over, and no longer"
        assert len(requests) > 2


@pytest.mark.needs("strace")
def test_a_failed_write_on_an_open_connection_does_not_wait_for_the_deadline(sandbox, tmp_path) -> None:
    """Httpx suppresses the error and reads, while the service waits for the rest of the body."""
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


# -- responses that are not believed -----------------------------------------------------------------------


def test_a_compressed_response_is_rejected(run, sandbox, payslip, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")

    with doubles.relay(sandbox.url, lambda *_: None, extra_headers={"Content-Encoding": "br"}) as (url, _):
        assert run("send", payslip, *SEND, "--service", url).code == 6
    assert sandbox.count() == 1, "it was received, although the client cannot know that"
    assert run("receipts", "--json").json["receipts"][0]["state"] == "sending"


@pytest.mark.parametrize("change", ["name", "bytes", "sha256"])
def test_a_receipt_for_other_documents_is_rejected(run, sandbox, payslip, monkeypatch, change) -> None:
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
