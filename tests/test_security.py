"""Claims of docs/security.md that no other test proves; every test that the page names exists."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import re
import socket
import ssl
import stat
import struct
import sys
import tomllib
from pathlib import Path

import pytest
import trustme

import doubles
import samples
from conftest import ABOUT, PERSON, WHO, Outcome, RunningSandbox, force_staged_upload
from declarations import DECLARATION
from docsend.model import catalog
from docsend.sandbox import server
from sockets import tcp_server, tls_service

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
SEND = (*ABOUT, *WHO)
JSON = {"Content-Type": "application/json"}
KEY = "A" * 52
HTTP = "HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"


# -- the page ----------------------------------------------------------------------------------------------


def _rows() -> list[list[str]]:
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines()]
    return [row for row in cells if len(row) == 4 and row[0].isdecimal()]


def test_every_test_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`((?:\w+/)?test_\w+\.py)::(test_\w+)`", PAGE))
    assert len(named) > 40
    for file, name in sorted(named):
        tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
        there = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert name in there, f"{file}::{name}"


def test_every_item_of_the_page_names_a_test_or_says_why_not() -> None:
    rows = _rows()
    assert [int(row[0]) for row in rows] == list(range(1, len(rows) + 1))
    for number, item, guarantee, proof in rows:
        assert item, number
        assert guarantee, number
        assert "::test_" in proof or "not tested: " in proof or "faults/" in proof, number


# -- the connection to the service -------------------------------------------------------------------------


def _ask_for_required(
    run, answer, monkeypatch, tmp_path, token: str = "t"
) -> tuple[Outcome, list[doubles.ReceivedRequest]]:
    """Request the required documents from a service that issues this token and gives this answer."""
    file = tmp_path / "password"
    file.write_text("fictional\n")
    file.chmod(0o600)
    monkeypatch.setenv("DOCSEND_CODE", "1001")
    monkeypatch.setenv("DOCSEND_PASSWORD_FILE", str(file))
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    session = doubles.Reply(200, json.dumps({"token": token, "expires_in": 60}).encode(), JSON)
    with doubles.service(lambda request: session if request.method == "POST" else answer) as (url, requests):
        return run("required", "--service", url), requests


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_carries_a_token_elsewhere(run, monkeypatch, tmp_path, status) -> None:
    with doubles.service(lambda _: doubles.Reply(200, b'{"required": []}', JSON)) as (elsewhere, requests):
        answer = doubles.Reply(status, headers={"Location": f"{elsewhere}/v1/required"})
        outcome, _ = _ask_for_required(run, answer, monkeypatch, tmp_path)
    assert (outcome.code, requests) == (6, [])


@pytest.mark.parametrize("token", ["t\r\nX-Evil: 1", "t\nHost: evil", "t t", "t\x00", "\u05d0", ""])
def test_an_invalid_token_is_never_put_into_a_header(run, monkeypatch, tmp_path, token) -> None:
    outcome, requests = _ask_for_required(run, doubles.Reply(200), monkeypatch, tmp_path, token)
    assert outcome.code == 6
    assert [request.method for request in requests] == ["POST"]


def test_long_tokens_are_sent_unchanged(run, monkeypatch, tmp_path) -> None:
    answer = doubles.Reply(200, b'{"required": []}', JSON)
    outcome, requests = _ask_for_required(run, answer, monkeypatch, tmp_path, "t" * 3000)
    assert (outcome.code, requests[-1].headers["authorization"]) == (0, f"Bearer {'t' * 3000}")


def test_netrc_is_never_read(run, payslip, home, monkeypatch) -> None:
    for name in (".netrc", "_netrc"):
        samples.write(home, name, b"machine 127.0.0.1 login canary password canary\n").chmod(0o600)
    monkeypatch.setenv("NETRC", str(home / ".netrc"))
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    with doubles.service(lambda _: doubles.Reply(500)) as (url, requests):
        run("send", payslip, *SEND, "--service", url)
    assert requests
    assert not [request for request in requests if "authorization" in request.headers]


@pytest.mark.parametrize("way", ["in one exchange", "staged"])
def test_file_names_and_identities_are_never_in_urls_or_headers(run, sandbox, tmp_path, way) -> None:
    file = samples.write(tmp_path, "canary; filename=x.pdf", samples.pdf(5))
    with doubles.relay(sandbox.url, lambda *_: None) as (url, requests):
        if way == "staged":
            force_staged_upload(url)
        assert run("send", file, *SEND, "--service", url).code == 0
    sent = " ".join(f"{request.path} {request.headers}" for request in requests)
    if way == "staged":
        assert len(requests) == 3
    else:
        (whole,) = requests
        _, declaration, document = whole.body.split(b"--" + whole.path[-52:].encode())[:3]
        assert b"canary" in declaration
        sent += document.replace(file.read_bytes(), b"").replace(b'filename="1"', b"").decode()
    assert not re.search("canary|filename|000000018|User-Agent: python", sent, re.IGNORECASE)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.mark.everywhere
def test_tls_session_keys_are_never_written(run, payslip, authority, tmp_path, monkeypatch) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    with tls_service(authority.issue_cert("127.0.0.1")) as (url, requests):
        run("send", payslip, *SEND, "--service", url)
    assert len(requests) == 1
    assert not (tmp_path / "keys").exists()


@pytest.mark.everywhere
def test_no_environment_variable_disables_certificate_checks(
    run, payslip, authority, tmp_path, monkeypatch
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTPX_CA_BUNDLE", "PIP_CERT"):
        monkeypatch.setenv(name, str(tmp_path / "ca.pem"))
    for name, value in (
        ("PYTHONHTTPSVERIFY", "0"),
        ("NODE_TLS_REJECT_UNAUTHORIZED", "0"),
        ("SSL_VERIFY", "0"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    with tls_service(authority.issue_cert("127.0.0.1")) as (url, requests):
        outcome = run("send", payslip, *SEND, "--service", url)
    assert (outcome.code, requests) == (2, [])
    assert "which this machine does not trust" in outcome.err


@pytest.fixture
def _offers_all_that_openssl_has(monkeypatch) -> None:
    """Make Python's defaults as permissive as OpenSSL allows, with every TLS version, as on Debian 12."""
    original = ssl.SSLContext.__new__

    def new(cls, protocol=None):
        context = original(cls, protocol)
        if cls is ssl.SSLContext:  # Not a wrapper of it.
            context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            context.set_ciphers("ALL:@SECLEVEL=0")
        return context

    monkeypatch.setattr(ssl.SSLContext, "__new__", new)


def _versions_offered(hello: bytes) -> set[int]:
    """Return the TLS versions of a ClientHello (RFC 8446, 4.1.2): supported_versions, or legacy_version."""
    at = 5 + 4 + 2 + 32  # record, handshake, legacy version, random
    at += 1 + hello[at]  # session
    at += 2 + int.from_bytes(hello[at : at + 2], "big")  # cipher suites
    at += 1 + hello[at]  # compression
    end = at + 2 + int.from_bytes(hello[at : at + 2], "big")
    at += 2
    while at < end:
        kind, length = struct.unpack_from(">HH", hello, at)
        if kind == 43:
            return set(struct.unpack_from(f">{hello[at + 4] // 2}H", hello, at + 5))
        at += 4 + length
    return {int.from_bytes(hello[9:11], "big")}


@pytest.mark.everywhere
@pytest.mark.usefixtures("_offers_all_that_openssl_has")
def test_tls_below_1_2_is_never_offered(run, payslip, monkeypatch) -> None:
    received: list[bytes] = []
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    with tcp_server(lambda connection: received.append(connection.recv(16384))) as port:
        assert run("send", payslip, *SEND, "--service", f"https://127.0.0.1:{port}").code == 6
    versions = _versions_offered(received[0])
    assert versions
    assert min(versions) >= 0x0303  # 1.2


@pytest.mark.everywhere
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
@pytest.mark.usefixtures("_offers_all_that_openssl_has")
def test_nothing_is_sent_to_a_server_that_supports_only_tls_1_1(
    run, payslip, authority, tmp_path, monkeypatch
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(old)
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    with doubles.service(lambda _: doubles.Reply(503), tls=old) as (url, requests):
        outcome = run("send", payslip, *SEND, "--service", url.replace("http://", "https://"))
    assert (outcome.code, requests) == (6, [])


@pytest.mark.parametrize("what", ["a body", "a header", "many headers"])
def test_a_response_that_is_too_large_is_rejected(run, payslip, monkeypatch, what) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    start = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    responses = {
        "a body": start + b"\r\n" + b" " * (2**20 + 2**16),
        "a header": start + b"X: " + b"a" * 2**20 + b"\r\n\r\n",
        "many headers": start + b"X: a\r\n" * 2**17 + b"\r\n",
    }

    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        with contextlib.suppress(OSError):
            connection.sendall(responses[what])

    with tcp_server(serve) as port:
        assert run("send", payslip, *SEND, "--service", f"http://127.0.0.1:{port}").code == 6


# -- this machine ------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
@pytest.mark.parametrize("umask", [0, 0o177], ids=oct)
def test_stored_files_are_private_whatever_the_umask(spawn, payslip, home, tmp_path, umask) -> None:
    manifest, made = tmp_path / "rows.csv", tmp_path / "made"
    manifest.write_text(f"id,documents\n{PERSON},{payslip}\n")
    made.mkdir(mode=0o700)
    loose = {"umask": umask, "env": {"DOCSEND_SERVICE": "sandbox"}}
    for command in (
        ("send", payslip, *SEND),
        ("send", "--batch", manifest, *ABOUT, "--report", made / "report.csv", "--allow-outside"),
        ("senders", "add", "client", "--id", PERSON),
        ("catalog", "--update"),
    ):
        done = spawn(*command, **loose)
        assert done.code == 0, done.err
    key = json.loads(spawn("receipts", "--json", **loose).out)["receipts"][0]["key"]
    for form in ("pdf", "text", "json"):
        export = ("receipts", "export", key, "--format", form, "--output", made / f"proof.{form}")
        assert spawn(*export, **loose).code == 0
    top = home / "docsend"
    found = {path: stat.S_IMODE(path.stat().st_mode) for path in (top, *top.rglob("*"), *made.iterdir())}
    names = {path.parent.name if path.parent.name == "documents" else path.name for path in found}
    assert {"ledger.sqlite3", "sandbox.sqlite3", "config.toml", "documents", "report.csv"} <= names
    wrong = {path: oct(mode) for path, mode in found.items() if mode != (0o700 if path.is_dir() else 0o600)}
    assert wrong == {}


def test_nothing_in_the_current_folder_is_taken_for_configuration(spawn, payslip, tmp_path) -> None:
    (tmp_path / ".env").write_text("DOCSEND_SERVICE=sandbox\nDOCSEND_LANG=he\n")
    for name in ("config.toml", "docsend.toml", ".docsend.toml", "pyproject.toml"):
        (tmp_path / name).write_text(
            'default_service = "sandbox"\n[tool.docsend]\ndefault_service = "sandbox"\n'
        )
    (tmp_path / "keyringrc.cfg").write_text("[backend]\ndefault-keyring=keyring.backends.null.Keyring\n")
    outcome = spawn("send", payslip, *SEND, cwd=tmp_path)
    assert (outcome.code, "no service is chosen" in outcome.err) == (2, True)
    assert spawn("login", "--status", "--service", "sandbox", cwd=tmp_path).code == 8


def test_keyring_s_own_configuration_cannot_choose_a_plaintext_keyring(spawn, home, monkeypatch) -> None:
    monkeypatch.delenv("PYTHON_KEYRING_BACKEND")
    folder = home / "config" / "python_keyring"
    folder.mkdir(parents=True)
    name = "keyrings.alt.file.PlaintextKeyring"
    (folder / "keyringrc.cfg").write_text(f"[backend]\ndefault-keyring={name}\n")
    outcome = spawn(
        "login", "--status", "--service", "sandbox", env={"XDG_CONFIG_HOME": str(home / "config")}
    )
    assert (outcome.code, f"only {name}" in outcome.err) == (8, True)


def test_no_option_takes_a_password(run) -> None:
    for option in ("--password", "--token", "--pass"):
        assert run("login", "--code", "1", option, "canary", "--service", "sandbox").code == 2
    assert "canary" not in run("login", "--password", "canary").err


def test_text_from_a_service_never_becomes_a_path(run, home, tmp_path) -> None:
    raw = json.loads(catalog.BUNDLED.read_text(encoding="utf-8"))
    raw["version"] = "../../../canary"
    reply = doubles.Reply(200, json.dumps(raw).encode(), {**JSON, "ETag": '"../../canary"'})
    before = set(tmp_path.rglob("*"))
    with doubles.service(lambda _: reply) as (url, _):
        assert run("catalog", "--update", "--service", url).code == 0
    name = hashlib.sha256(url.encode()).hexdigest()[:16]
    stored = {path.name for path in home.rglob("*") if path.is_file()}
    assert stored == {f"{name}.json", f"{name}.etag"}
    assert set(tmp_path.rglob("*")) == before


def test_a_symbolic_link_is_sent_as_its_target(run, sandbox, payslip, tmp_path) -> None:
    link = tmp_path / "link.pdf"
    link.symlink_to(payslip)
    result = run("send", link, *SEND, "--service", sandbox.url, "--json").json
    assert sandbox.content(result["key"]) == {"link.pdf": payslip.read_bytes()}


def test_the_client_has_few_dependencies() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert len(project["dependencies"]) <= 10


# -- the sandbox -------------------------------------------------------------------------------------------


def _send_raw(url: str, request: bytes) -> bytes:
    """Send exactly these bytes to the sandbox, and return everything that it answers within a second."""
    port = int(url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(request)
        answer = b""
        with contextlib.suppress(OSError):
            while piece := connection.recv(65536):
                answer += piece
                connection.settimeout(1)  # The sandbox may keep the connection open for a while.
    return answer


@pytest.fixture
def declared(sandbox, payslip) -> str:
    """Declare one document, and return the path for its upload."""
    return _declare(sandbox.url, payslip)


def _declare(url: str, payslip: Path) -> str:
    content = payslip.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    documents = [{"name": "payslip.pdf", "bytes": len(content), "sha256": digest}]
    body = json.dumps({**DECLARATION, "documents": documents}).encode()
    head = f"PUT /v1/submissions/{KEY} {HTTP}Content-Length: {len(body)}\r\n\r\n"
    assert b" 201 " in _send_raw(url, head.encode() + body)[:20]
    return f"/v1/submissions/{KEY}/documents/{digest}"


@pytest.mark.parametrize(
    ("headers", "cut", "status"),
    [
        ("Content-Length: {less}", 0, 400),
        ("Content-Length: {more}", 0, 400),
        ("Content-Length: 99999999999", 0, 413),
        ("Content-Length: {right}", 1, 408),
        ("Content-Length: {right}\r\nContent-Length: {less}", 0, 400),
        ("Content-Length: {right}\r\nTransfer-Encoding: chunked", 0, 400),
        ("Transfer-Encoding: chunked", 0, 411),
        ("Content-Length: -1", 0, 400),
        ("Content-Length: +5", 0, 400),
        ("X-Nothing: 1", 0, 411),
    ],
)
def test_a_body_with_a_false_length_is_not_stored(payslip, tmp_path, headers, cut, status) -> None:
    folder = tmp_path / "hurried"
    # The short time limit applies to announced bytes that do not arrive.
    with server.run_in_background(folder, request_timeout=lambda _: 0.3) as url:
        _check_nothing_is_stored(RunningSandbox(url, folder), payslip, headers, cut, status)


def _check_nothing_is_stored(
    sandbox: RunningSandbox, payslip: Path, headers: str, cut: int, status: int
) -> None:
    declared = _declare(sandbox.url, payslip)
    content = payslip.read_bytes()
    right = len(content)
    lines = headers.format(right=right, less=right - 1, more=right + 1)
    request = f"PUT {declared} {HTTP}{lines}\r\n\r\n".encode()
    answer = _send_raw(sandbox.url, request + content[: right - cut])
    assert b" 201 " not in answer[:20]
    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer[:200]
    assert list((sandbox.folder / "documents").iterdir()) == []
    assert sandbox.select("SELECT file FROM document") == [(None,)]


def test_the_sandbox_chooses_the_file_names_of_documents(run, sandbox, payslip) -> None:
    assert run("send", payslip, *SEND, "--service", sandbox.url).code == 0
    names = [path.name for path in (sandbox.folder / "documents").iterdir()]
    assert [bool(re.fullmatch("[0-9a-f]{32}", name)) for name in names] == [True]


def test_the_sandbox_listens_only_on_this_machine(run, sandbox) -> None:
    port = int(sandbox.url.rpartition(":")[2])
    assert sandbox.url.startswith("http://127.0.0.1:")
    if sys.platform == "linux":  # On Linux all of 127.0.0.0/8 is this machine.
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), timeout=5).close()
    assert run("sandbox", "--host", "0.0.0.0").code == 2  # noqa: S104 - the option must not exist


def test_responses_of_the_sandbox_reveal_no_paths_and_no_sql(sandbox, payslip, declared, monkeypatch) -> None:
    (sandbox.folder / "documents").rmdir()
    content = payslip.read_bytes()
    head = f"PUT {declared} {HTTP}Content-Length: {len(content)}\r\n\r\n"
    answer = _send_raw(sandbox.url, head.encode() + content)
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert not re.search(rb"Traceback|\.py|/tmp|sqlite|SELECT|Errno|server:", answer, re.IGNORECASE)
