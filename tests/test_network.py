"""The way to the service: certificates, proxies, deadlines, attempts, and answers that pretend."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import hashlib
import json
import select
import socket
import ssl
import threading
import time

import pytest
import trustme

import doubles
import samples
from conftest import ABOUT, PERSON, WHO
from docsend import connection, service

pytestmark = pytest.mark.everywhere

SEND = (*ABOUT, *WHO)
PROBLEM = {"Content-Type": "application/problem+json"}
REFUSED = doubles.Reply(409, b'{"type": "urn:docsend:problem:key-reused", "detail": "x"}', PROBLEM)


# -- certificates ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@contextlib.contextmanager
def over_tls(certificate: trustme.LeafCert):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    with doubles.service(lambda _: REFUSED, tls=context) as (url, asked):
        yield url.replace("http://", "https://"), asked


def trusted(authority: trustme.CA, tmp_path, monkeypatch) -> ssl.SSLContext:
    """Let the authority be one of the system's; give what serves TLS as 127.0.0.1."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def test_a_certificate_of_the_system_s_store_is_accepted(
    run, payslip, authority, tmp_path, monkeypatch
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with over_tls(authority.issue_cert("127.0.0.1")) as (url, asked):
        assert run("send", payslip, *SEND, "--service", url).code == 5
        assert len(asked) == 1


@pytest.mark.parametrize("fault", ["an unknown authority", "another name", "expired"])
def test_a_certificate_that_proves_nothing_ends_it_before_a_byte_is_sent(
    run, payslip, authority, tmp_path, monkeypatch, fault
) -> None:
    known = trustme.CA() if fault == "an unknown authority" else authority
    known.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    long_ago = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    name = "documents.example" if fault == "another name" else "127.0.0.1"
    times = {"not_before": long_ago, "not_after": long_ago} if fault == "expired" else {}
    with over_tls(authority.issue_cert(name, **times)) as (url, asked):
        outcome = run("send", payslip, *SEND, "--service", url)
        assert asked == []
    assert outcome.code == 6
    assert "certificate cannot be verified" in outcome.err


# -- proxies -----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def a_port(serve):
    """Serve each connection with `serve(socket)` in a thread; give the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        done = threading.Event()

        def accept() -> None:
            while not done.is_set():
                with contextlib.suppress(TimeoutError):
                    connection, _ = server.accept()
                    threading.Thread(target=_served, args=(serve, connection), daemon=True).start()

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            done.set()
            thread.join()


def _served(serve, connection: socket.socket) -> None:
    with connection, contextlib.suppress(OSError):
        serve(connection)


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
    assert [line.split(b"\r\n")[0] for line in heard] == (
        [b"CONNECT documents.example:443 HTTP/1.1"] if is_asked else []
    )


def a_tunnel(to_port: int, heard: list[bytes], tls: ssl.SSLContext | None):
    """Give what serves a proxy's connection: it carries bytes to the port, whatever it was asked for."""

    def serve(connection: socket.socket) -> None:
        near = tls.wrap_socket(connection, server_side=True) if tls else connection
        heard.append(near.recv(4096))
        with near, socket.create_connection(("127.0.0.1", to_port)) as far:
            near.sendall(b"HTTP/1.1 200 Connection established\r\nContent-Length: 7\r\n\r\n")
            while True:
                for ready in select.select([near, far], [], [])[0]:
                    if not (data := ready.recv(2**20)):
                        return
                    (far if ready is near else near).sendall(data)

    return serve


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

    def proxy(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    with a_port(proxy) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        outcome = run("send", payslip, *SEND, "--service", "https://documents.example")
    assert outcome.code == 6
    assert "the proxy did not let the request through" in outcome.err


@pytest.mark.parametrize(
    "proxy", ["socks5://127.0.0.1:9", "http://u:secret@", "http://a..b:1", "127.0.0.1:secret", "u:secret@://"]
)
def test_a_proxy_that_cannot_be_used_is_a_usage_fault_that_does_not_show_it(
    run, payslip, monkeypatch, proxy
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    outcome = run("send", payslip, *SEND, "--service", "https://documents.example")
    assert outcome.code == 2
    assert "HTTPS_PROXY" in outcome.err
    assert proxy not in outcome.err


def test_this_machine_is_reached_without_a_proxy(run, shared_sandbox, payslip, monkeypatch) -> None:
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert run("send", payslip, *SEND, "--service", shared_sandbox.url, "--reference", "no proxy").code == 0


def test_a_proxy_s_tunnel_that_drips_is_given_up(run, payslip, authority, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(connection, "_CONNECT_S", 0.6)
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    tls = trusted(authority, tmp_path, monkeypatch)

    def drip(plain: socket.socket) -> None:
        with tls.wrap_socket(plain, server_side=True) as near:
            near.recv(4096)
            near.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            for byte in b"\x16\x03\x03\x40\x00" + bytes(100):  # a handshake that goes on and on
                near.sendall(bytes([byte]))
                time.sleep(0.1)

    began = time.monotonic()
    with a_port(drip) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"https://127.0.0.1:{port}")
        assert run("send", payslip, *SEND, "--service", "https://documents.example").code == 6
    assert time.monotonic() - began < 4


# -- time --------------------------------------------------------------------------------------------------


def test_an_answer_that_drips_is_given_up(run, payslip, monkeypatch) -> None:
    monkeypatch.setattr(service, "_GRACE_S", 0.5)
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")

    def drip(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(200):
            connection.sendall(b" ")
            time.sleep(0.05)

    began = time.monotonic()
    with a_port(drip) as port:
        outcome = run("send", payslip, *SEND, "--service", f"http://127.0.0.1:{port}")
    assert outcome.code == 6
    assert "did not answer in time" in outcome.err
    assert time.monotonic() - began < 4


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\nX-Endless: ", b"HTTP/1.1 2", b""])
@pytest.mark.parametrize("more", [b"a", b"HTTP/1.1 103 Early Hints\r\n\r\n"])
def test_headers_that_never_end_are_given_up(run, payslip, monkeypatch, start, more) -> None:
    monkeypatch.setattr(service, "_GRACE_S", 0.5)
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")

    def drip(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(start)
        for _ in range(200):
            connection.sendall(more)
            time.sleep(0.05)

    began = time.monotonic()
    with a_port(drip) as port:
        assert run("send", payslip, *SEND, "--service", f"http://127.0.0.1:{port}").code == 6
    assert time.monotonic() - began < 4


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"])
@pytest.mark.parametrize("is_encrypted", [True, False])
def test_an_answer_that_pours_without_end_is_given_up(
    run, payslip, authority, tmp_path, monkeypatch, start, is_encrypted
) -> None:
    monkeypatch.setattr(service, "_GRACE_S", 0.5)
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    tls = trusted(authority, tmp_path, monkeypatch)
    more = (b"1\r\na\r\n" if start else b"HTTP/1.1 103 Early Hints\r\n\r\n") * 100

    def pour(plain: socket.socket) -> None:
        with tls.wrap_socket(plain, server_side=True) if is_encrypted else plain as near:
            near.recv(65536)
            near.sendall(start)
            until = time.monotonic() + 10
            while time.monotonic() < until:
                near.sendall(more)

    began = time.monotonic()
    with a_port(pour) as port:
        scheme = "https" if is_encrypted else "http"
        assert run("send", payslip, *SEND, "--service", f"{scheme}://127.0.0.1:{port}").code == 6
    assert time.monotonic() - began < 6


@pytest.mark.parametrize("is_encrypted", [True, False])
def test_an_upload_that_crawls_is_given_up(run, authority, tmp_path, monkeypatch, is_encrypted) -> None:
    monkeypatch.setattr(service, "_GRACE_S", 0.5)
    monkeypatch.setattr(service, "_SLOWEST_BYTES_PER_S", 2**30)
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    file = samples.write(tmp_path, "big.pdf", samples.pdf(size=9 * 2**20))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    opened = json.dumps({"state": "open", "missing": [digest]}).encode()
    tls = trusted(authority, tmp_path, monkeypatch)

    def crawl(plain: socket.socket) -> None:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with tls.wrap_socket(plain, server_side=True) if is_encrypted else plain as near:
            near.recv(65536)
            near.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n%s" % (len(opened), opened))
            while near.recv(65536):
                time.sleep(0.05)

    began = time.monotonic()
    with a_port(crawl) as port:
        scheme = "https" if is_encrypted else "http"
        outcome = run("send", file, *SEND, "--service", f"{scheme}://127.0.0.1:{port}")
    assert outcome.code == 6
    assert "did not answer in time" in outcome.err
    assert time.monotonic() - began < 6


def test_several_workers_shake_hands_at_the_same_time(run, tmp_path, authority, monkeypatch) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.setattr(connection, "_CONNECT_S", 1.0)
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    rows = ["to,subject,category,type,id,documents"]
    for number in range(6):
        samples.write(tmp_path, f"{number}.pdf", samples.pdf(number))
        rows.append(f"benefits,unemployment,employer,payslips,{PERSON},{number}.pdf")
    manifest = samples.write(tmp_path, "batch.csv", "\n".join(rows).encode())
    began = time.monotonic()
    with a_port(lambda _: time.sleep(10)) as port:  # takes connections, and never says a word
        assert (
            run("send", "--batch", manifest, "--service", f"https://127.0.0.1:{port}", "--jobs", "6").code
            == 7
        )
    assert time.monotonic() - began < 4, "one after another would take six seconds"


def test_what_comes_behind_an_answer_is_no_answer_to_the_next_request(run, payslip, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    digest = hashlib.sha256(payslip.read_bytes()).hexdigest()
    opened = json.dumps({"state": "open", "missing": [digest]}).encode()
    stray = b"HTTP/1.1 409 Conflict\r\nContent-Type: application/problem+json\r\nContent-Length: 43\r\n\r\n"
    heads: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        heads.append(connection.recv(65536))
        answer = b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n%s" % (len(opened), opened)
        connection.sendall(answer + stray + b'{"type": "urn:docsend:problem:key-reused"}\n')
        connection.recv(65536)

    with a_port(talk) as port:
        assert run("send", payslip, *SEND, "--service", f"http://127.0.0.1:{port}").code == 6
    assert [head.split()[0] for head in heads] == [b"PUT", b"PUT", b"POST"], "each over a new connection"


def test_a_service_that_stays_busy_is_asked_six_times(run, payslip, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "300")
    with doubles.service(lambda _: doubles.Reply(503, headers={"Retry-After": "0"})) as (url, asked):
        assert run("send", payslip, *SEND, "--service", url).code == 6
        assert len(asked) == 6


# -- answers that pretend ----------------------------------------------------------------------------------


def test_an_answer_that_calls_itself_compressed_is_not_read(run, sandbox, payslip, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")

    with doubles.relay(sandbox.url, lambda *_: None, add={"Content-Encoding": "br"}) as (url, _):
        assert run("send", payslip, *SEND, "--service", url).code == 6
    assert sandbox.count() == 0


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
