"""Shell completion: the candidates that docsend prints, and how real shells show and insert them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pexpect
import pyte
import pytest

import samples
from conftest import ABOUT, WHO
from docsend.cli import complete

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "completions"
EMPLOYER = ("--to", "benefits", "--subject", "unemployment", "--category", "employer")


def completions(capsys, *words: str) -> dict[str, str]:
    """Return what `docsend _complete` prints for these words, as a mapping of values to labels."""
    capsys.readouterr()
    assert complete.main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    return dict(([*line.split("\t", 1), ""])[:2] for line in lines)


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ([""], {"send", "login", "required", "catalog", "receipts", "senders", "doctor", "sandbox"}),
        (["re"], {"required", "receipts"}),
        (["receipts", ""], {"show", "resume", "repair", "merge", "export", "withdraw"}),
        (["--json", "receipts", "re"], {"resume", "repair"}),
        (["required", "u"], {"upload"}),
        (["send", "--dr"], {"--dry-run"}),
        (["receipts", "--mo"], {"--most"}),
        (["send", "--to", ""], {"benefits", "insured-collection", "employer-collection", "health-funds", "personal"}),
        (["send", "--to", "EMP"], {"employer-collection"}),
        (["send", "--to=emp"], {"--to=employer-collection"}),
        (["send", "--to", "benefits", "--subject", "unemp"], {"unemployment"}),
        (["send", *EMPLOYER, "--type", ""], {"certificate-1514", "termination-letter", "payslips"}),
        (["send", "a.pdf", *EMPLOYER, "--type", "pay"], {"payslips"}),
        (["send", "--to", "employer-collection", "--subject", ""], set()),
        (["send", "--employer-kind", "h"], {"household"}),
        (["send", "--branch", "haif"], {"haifa"}),
        (["catalog", "--lang", ""], {"en", "fr", "he"}),
        (["send", "--service", ""], {"sandbox"}),
        (["send", "--batch-template", ""], {"csv", "jsonl", "xlsx"}),
        (["send", "--to", "personal", ""], {"!files jpg,png,tif,tiff,pdf"}),
        (["send", "--to", "benefits", ""], {"!files jpeg,jpg,tiff,tif,png,bmp,pdf"}),
        (["send", "--batch", ""], {"!files csv,tsv,txt,jsonl,xlsx,xlsm,xlsb,xls,ods"}),
        (["required", "upload", ""], set()),
        (["required", "upload", "R-4711", ""], {"!files jpg,png,tif,tiff,pdf"}),
        (["receipts", "merge", ""], {"!files csv,jsonl"}),
        (["receipts", "merge", "a.csv", ""], {"!files csv,jsonl"}),
        (["receipts", "export", "--format", ""], {"pdf", "text", "json"}),
        (["receipts", "export", "--output", ""], {"!files"}),
        (["sandbox", "--data", ""], {"!files"}),
        (["send", "--id", ""], set()),
        (["nonsense", ""], set()),
        (["send", "--nonsense", ""], {"!files jpeg,jpg,tiff,tif,png,bmp,pdf"}),
    ],
    ids=lambda given: " ".join(sorted(given) if isinstance(given, set) else given),
)  # fmt: skip
def test_the_candidates_fit_the_words_before(capsys, words, values) -> None:
    if values and next(iter(values)).startswith("!files"):
        found = completions(capsys, *words)
        assert {name.strip() for name in found} == values
    else:
        assert set(completions(capsys, *words)) == values


def test_every_option_of_every_command_is_offered_with_its_help(run, capsys) -> None:
    for command in (("send",), ("login",), ("receipts",), ("receipts", "show"), ("catalog",), ("sandbox",)):
        help_text = run(*command, "--help").out
        for option, label in completions(capsys, *command, "--").items():
            assert option in help_text
            assert label


def test_labels_are_in_the_language_asked_for(capsys, monkeypatch) -> None:
    assert completions(capsys, "send", "--lang", "fr", "--to", "benefits", "--subject", "unem") == {
        "unemployment": "Chômage"
    }
    monkeypatch.setenv("DOCSEND_LANG", "he")
    assert completions(capsys, "send", "--to", "benefits", "--subject", "unem") == {"unemployment": "אבטלה"}


def test_keys_of_the_ledger_are_offered_and_services_of_the_configuration(
    run, shared_sandbox, payslip, home, capsys
) -> None:
    assert completions(capsys, "receipts", "show", "") == {}
    sent = run("send", payslip, *ABOUT, *WHO, "--service", shared_sandbox.url, "--json").json
    (home / "docsend" / "config.toml").write_text("[services.office]\nurl = 'https://documents.example'\n")
    found = completions(capsys, "receipts", "show", "")
    assert list(found) == list(completions(capsys, "receipts", "export", "")) == [sent["key"]]
    assert found[sent["key"]].startswith("received ")
    assert completions(capsys, "send", "--service", "o") == {"office": "https://documents.example"}


def test_senders_are_offered_by_name_and_without_their_numbers(run, capsys) -> None:
    assert completions(capsys, "send", "--sender", "") == {}
    run("senders", "add", "client-4711", "--id", WHO[1])
    assert completions(capsys, "send", "--sender", "c") == {"client-4711": "insured"}
    assert completions(capsys, "senders", "remove", "") == {"client-4711": "insured"}


def test_completion_prints_nothing_when_something_is_broken(home, capsys) -> None:
    (home / "docsend").mkdir()
    (home / "docsend" / "config.toml").write_text("nonsense")
    (home / "docsend" / "ledger.sqlite3").write_text("nonsense")
    assert completions(capsys, "send", "--to", "") == {}
    assert completions(capsys, "receipts", "show", "") == {}
    assert completions(capsys, "rec")


def test_the_description_of_the_command_line_is_current() -> None:
    command: list[str | Path] = [sys.executable, ROOT / "tools" / "cli" / "build.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


# -- real shells -------------------------------------------------------------------------------------------


class Shell:
    """An interactive shell on a pseudo-terminal, with docsend on PATH and its completion loaded."""

    def __init__(self, name: str, folder: Path) -> None:
        bin_ = folder / "bin"
        bin_.mkdir()
        (bin_ / "docsend").write_text(f'#!/bin/sh\nexec {sys.executable} -m docsend "$@"\n')
        (bin_ / "docsend").chmod(0o755)
        work = folder / "work"
        work.mkdir()
        for file in ("payslip.pdf", "photo.JPG", "notes.txt"):
            samples.write(work, file, b"x")
        (work / "scans").mkdir()
        start = {
            "bash": ("bash", ["--norc", "--noprofile", "-i"], f". {SCRIPTS / 'docsend.bash'}"),
            "zsh": (
                "zsh",
                ["-f", "-i"],
                f"fpath=({SCRIPTS} $fpath); autoload -U compinit; compinit -u -D; bindkey '^I' complete-word",
            ),
            "fish": ("fish", ["--no-config", "-i"], f"source {SCRIPTS / 'docsend.fish'}"),
        }[name]
        environment = {
            **os.environ,
            "PATH": f"{bin_}:{os.environ['PATH']}",
            "TERM": "xterm-256color",
            "PS1": "> ",
            "fish_history": "",
        }
        self._screen = pyte.Screen(200, 60)
        self._stream = pyte.Stream(self._screen)
        self._child = pexpect.spawn(
            start[0], start[1], env=environment, cwd=str(work), dimensions=(60, 200), encoding="utf-8",
            codec_errors="replace",
        )  # fmt: skip
        self.type(f"{start[2]}\r")
        self._child.send("clear\r")
        self._read(1.0)

    def type(self, keys: str, *, seen: str = "", seconds: float = 15) -> str:
        """Type keys; return the screen once `seen` is on it, or else when there is no more output."""
        self._child.send(keys)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._read(0.5)
            if seen and seen in self.screen:
                break
            if not seen:
                break
        return self.screen

    @property
    def screen(self) -> str:
        return "\n".join(line.rstrip() for line in self._screen.display).strip()

    def clear(self) -> None:
        self._child.send("\x03")
        self._child.send("clear\r")
        self._read(0.7)

    def close(self) -> None:
        self._child.close(force=True)

    def _read(self, quiet: float) -> None:
        while True:
            try:
                text = self._child.read_nonblocking(4096, timeout=quiet)
            except (pexpect.TIMEOUT, pexpect.EOF):
                return
            self._stream.feed(text)
            if "\x1b[c" in text:  # fish asks for the type of the terminal.
                self._child.send("\x1b[?62;c")


@pytest.fixture(
    params=["bash", *(pytest.param(name, marks=pytest.mark.needs(name)) for name in ("zsh", "fish"))]
)
def shell(request, tmp_path):
    shell = Shell(request.param, tmp_path)
    yield shell
    shell.close()


def test_a_shell_inserts_the_only_candidate(shell) -> None:
    assert "docsend send --to employer-collection" in shell.type(
        "docsend send --to empl\t", seen="docsend send --to employer-collection"
    )
    shell.clear()
    typed = "docsend send --to benefits --subject unem\t"
    assert "--subject unemployment" in shell.type(typed, seen="--subject unemployment")
    shell.clear()
    assert "docsend sandbox" in shell.type("docsend san\t", seen="docsend sandbox")


def test_a_shell_shows_several_candidates_with_their_labels(shell) -> None:
    line = f"docsend send {' '.join(EMPLOYER)} --type \t\t"
    screen = shell.type(line, seen="Termination letter")
    for expected in ("certificate-1514", "termination-letter", "payslips", "Termination letter"):
        assert expected in screen


def test_a_shell_offers_only_files_that_the_destination_takes(shell) -> None:
    screen = shell.type("docsend send --to benefits \t\t", seen="payslip.pdf")
    assert "payslip.pdf" in screen
    assert "scans" in screen
    assert "notes.txt" not in screen
