"""docsend closes all files after every kind of failure; the tests count open files."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trustme

import doubles
import samples
from conftest import ABOUT, WHO

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = [
    pytest.mark.everywhere,
    pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files as Linux lists them"),
]
# The garbage collector is disabled, so that it does not close forgotten files. The first run may open files
# that stay open for the following ones.
COUNT = """
import contextlib, gc, io, json, os, sys
from docsend.cli.app import main

def opened():
    return sorted(os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")[:-1])

def fail():
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return main(sys.argv[1:])

gc.disable()
fail()
before = opened()
codes = [fail() for _ in range(3)]
print(json.dumps([codes, before, opened()]))
"""
SEND = (*ABOUT, *WHO, "--no-input")


def problem_answer(status: int, code: str) -> Callable[[doubles.ReceivedRequest], doubles.Reply]:
    """Return what answers each request with a problem of the contract."""
    return lambda _: doubles.problem(status, code)


@pytest.fixture
def run_in_one_process(payslip: Path, tmp_path: Path) -> Callable[..., tuple[int, list[str], list[str]]]:
    """Return a function that runs a command line several times in one process.

    It returns the exit code, and the open files before and after.
    """

    def run_repeatedly(*argv: object, **environment: str) -> tuple[int, list[str], list[str]]:
        done = subprocess.run(
            [sys.executable, "-c", COUNT, *map(str, argv)],
            env={**os.environ, "DOCSEND_PATIENCE": "0", **environment},
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        codes, before, after = json.loads(done.stdout)
        assert len(set(codes)) == 1, codes
        return codes[0], before, after

    return run_repeatedly


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        pytest.param("send payslip.pdf --sujet x", 2, id="an unknown option"),
        pytest.param("send --batch nowhere.csv", 2, id="a manifest that is not there"),
        pytest.param("send payslip.pdf --to benefits -n", 2, id="what is missing"),
        pytest.param(f"send nowhere.pdf {' '.join(SEND)} -n", 3, id="a document that is not there"),
        pytest.param(f"send damaged.pdf {' '.join(SEND)} -n", 3, id="a damaged document"),
        pytest.param(f"send . {' '.join(SEND)} -n", 3, id="a folder"),
        pytest.param("send --batch rows.csv -n", 3, id="a faulty row"),
        pytest.param("send --batch rows.csv -n --report /dev/full", 2, id="a report that cannot be written"),
        pytest.param("receipts show AAAAAAAAAA", 2, id="an unknown key"),
        pytest.param("receipts merge payslip.pdf", 2, id="a report that is none"),
        pytest.param("required --service sandbox", 8, id="no keyring"),
    ],
)
def test_a_failure_of_the_client_leaves_nothing_open(
    run_in_one_process, payslip, tmp_path, argv, code
) -> None:
    samples.write(tmp_path, "damaged.pdf", payslip.read_bytes()[:100])
    (tmp_path / "rows.csv").write_text(
        f"to,subject,category,type,id,documents\n{','.join(SEND[1:10:2])},nowhere.pdf\n"
    )
    exit_code, before, after = run_in_one_process(*argv.split())
    assert (exit_code, after) == (code, before)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        pytest.param(problem_answer(503, "busy"), 6, id="busy"),
        pytest.param(problem_answer(500, "broken"), 6, id="broken"),
        pytest.param(problem_answer(409, "key-reused"), 5, id="refused"),
        pytest.param(problem_answer(401, "sign-in-needed"), 4, id="sign-in needed"),
        pytest.param(lambda _: doubles.Reply(302, headers={"Location": "/"}), 6, id="a redirect"),
        pytest.param(
            lambda _: doubles.Reply(200, b"{", {"Content-Type": "application/json"}), 6, id="no JSON"
        ),
        pytest.param(lambda _: doubles.Reply(cut=True), 6, id="cut off"),
    ],
)
@pytest.mark.parametrize("form", ["one", "batch"])
def test_a_service_that_fails_leaves_nothing_open(run_in_one_process, tmp_path, answer, code, form) -> None:
    (tmp_path / "rows.csv").write_text(
        f"to,subject,category,type,id,documents\n{','.join(SEND[1:10:2])},payslip.pdf\n"
    )
    what = ["payslip.pdf", *SEND] if form == "one" else ["--batch", "rows.csv", "--jobs", "2"]
    with doubles.service(answer) as (url, requests):
        exit_code, before, after = run_in_one_process("send", *what, "--service", url)
        assert requests
    assert (exit_code, after) == (code if form == "one" else exit_code, before)
    assert exit_code != 0


def test_an_unreachable_service_leaves_nothing_open(run_in_one_process) -> None:
    exit_code, before, after = run_in_one_process(
        "send", "payslip.pdf", *SEND, "--service", "http://127.0.0.1:9"
    )
    assert (exit_code, after) == (6, before)


def test_an_invalid_certificate_leaves_nothing_open(run_in_one_process) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    with doubles.service(lambda _: doubles.Reply(503), tls=tls) as (url, _):
        exit_code, before, after = run_in_one_process(
            "send", "payslip.pdf", *SEND, "--service", url.replace("http", "https")
        )
    assert (exit_code, after) == (2, before)


def _damaged(path: Path) -> None:
    path.write_bytes(b"not what it should be" * 100)


def _unreadable(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("damage", [_damaged, _unreadable])
@pytest.mark.parametrize(
    ("file", "argv", "code"),
    [
        ("ledger.sqlite3", ("receipts",), 8),
        ("ledger.sqlite3", ("send", "payslip.pdf", *SEND, "--service", "http://127.0.0.1:9"), 8),
        ("config.toml", ("receipts",), 2),
    ],
    ids=["ledger, receipts", "ledger, send", "config.toml"],
)
def test_a_damaged_file_of_docsend_leaves_nothing_open(
    run_in_one_process, home, damage, file, argv, code
) -> None:
    (home / "docsend").mkdir()
    damage(home / "docsend" / file)
    exit_code, before, after = run_in_one_process(*argv)
    assert (exit_code, after) == (code, before)


def test_the_count_detects_an_open_file() -> None:
    leaky = COUNT.replace("return main(sys.argv[1:])", "os.open(os.devnull, os.O_RDONLY)")
    done = subprocess.run([sys.executable, "-c", leaky], capture_output=True, text=True, check=True)
    _, before, after = json.loads(done.stdout)
    assert after.count(os.devnull) == before.count(os.devnull) + 3
