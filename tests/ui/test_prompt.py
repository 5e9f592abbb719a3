"""The prompts of `docsend login` on a real pseudo-terminal: no echo, and a sane terminal after Ctrl-C."""

from __future__ import annotations

import os
import sys
import termios

import pexpect
import pytest


@pytest.fixture
def login(sandbox):
    """Return a function that starts `docsend login` on a terminal, with a file as keyring."""
    environment = {
        **os.environ,
        "DOCSEND_KEYRING": "keyrings.alt.file.PlaintextKeyring",
        "DOCSEND_SERVICE": sandbox.url,
        "TERM": "xterm",
    }

    def start(*argv: str) -> pexpect.spawn[str]:
        # A shell in between keeps the terminal open, so that its state can be checked afterwards.
        child = pexpect.spawn("/bin/sh", env=environment, encoding="utf-8", timeout=20, dimensions=(24, 100))
        child.setecho(False)
        child.sendline("PS1='ready> '")
        child.expect("ready> ")
        child.sendline(f"{sys.executable} -m docsend login {' '.join(argv)}; echo exit=$?")
        return child

    return start


def test_code_and_password_are_asked_for_and_never_echoed(login) -> None:
    child = login()
    output = ""
    for prompt, answer in (("code: ", "1002"), ("password: ", "fictional-clear")):
        child.expect_exact(prompt)
        output += child.before
        assert not child.getecho()
        child.sendline(answer)
    child.expect(r"exit=(\d+)")
    output += child.before
    assert child.match.group(1) == "0"
    assert "signed in to" in output
    assert "1002" not in output
    assert "fictional-clear" not in output


def test_only_what_is_missing_is_asked_for(login) -> None:
    child = login("--code", "1002")
    child.expect_exact("password: ")
    assert "code: " not in child.before
    child.sendline("wrong")
    child.expect("exit=4")


@pytest.mark.parametrize("at", ["code: ", "password: "])
def test_ctrl_c_leaves_the_terminal_sane_and_exits_130(login, at) -> None:
    if sys.platform == "win32":
        pytest.skip("needs a POSIX terminal")
    child = login()
    child.setecho(True)
    before = termios.tcgetattr(child.child_fd)
    child.expect_exact("code: ")
    if at == "password: ":
        child.sendline("1002")
        child.expect_exact(at)
    assert not child.getecho()
    child.sendintr()
    child.expect("exit=130")
    assert "Traceback" not in child.before
    assert "interrupted" in child.before
    assert termios.tcgetattr(child.child_fd) == before


def test_end_of_input_is_reported(login) -> None:
    child = login()
    child.expect_exact("code: ")
    child.sendeof()
    child.expect("exit=2")
    assert "no code given" in child.before


def test_no_input_asks_nothing(login) -> None:
    child = login("--no-input")
    child.expect("exit=2")
    assert "missing: --code, --password-stdin" in child.before
