"""Each command once, as a process of its own, in the order in which an office would use them."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

import pytest

import samples
from conftest import ABOUT, WHO
from docsend.cli.app import tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Outcome

pytestmark = pytest.mark.everywhere
SEND = (*ABOUT, *WHO)
PERSONAL = "--to personal --subject reserve --category service --type reserve-service-certificate"


def commands(group: Any, *before: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command and command of a group."""
    for name, command in getattr(group, "commands", {}).items():
        yield (*before, name)
        yield from commands(command, *before, name)


def test_each_command_does_its_work(spawn, sandbox, payslip, tmp_path, monkeypatch) -> None:
    called: list[tuple[str, ...]] = []
    monkeypatch.setenv("DOCSEND_SERVICE", sandbox.url)
    samples.write(tmp_path, "second.pdf", samples.pdf(2))
    samples.write(tmp_path, "third.pdf", samples.pdf(3))
    (tmp_path / "password").write_text("fictional-pending\n")
    (tmp_path / "password").chmod(0o600)

    def docsend(line: str, *more: str, code: int = 0, **environment: str) -> str:
        words = shlex.split(line)
        called.append(tuple(words))
        outcome: Outcome = spawn(*words, *more, cwd=tmp_path, env=environment)
        assert outcome.code == code, (line, outcome)
        return outcome.out

    assert docsend("--version").startswith("docsend ")
    assert "payslips" in docsend("catalog payslips")
    docsend("senders add client-4711 --id 000000018")
    assert "client-4711" in docsend("senders")
    sent = json.loads(docsend("send payslip.pdf --json", *SEND))
    assert sent["status"] == "received"
    key, number = sent["key"], sent["receipt"]["number"]
    assert number in docsend("receipts")
    assert number in docsend(f"receipts show {key} --ask")
    assert docsend(f"receipts export {key}") == f"receipt-{number}.pdf\n"
    (tmp_path / "rows.csv").write_text(
        f"to,subject,category,type,sender,documents\n{','.join(ABOUT[1::2])},client-4711,second.pdf\n"
    )
    docsend("send --batch rows.csv --report result.csv")
    assert sandbox.count() == 2
    assert len(docsend("receipts merge result.csv").splitlines()) == 2
    docsend("receipts resume")
    docsend(f"receipts withdraw {key}", code=5)
    docsend("senders remove client-4711")

    signed_in = {"DOCSEND_CODE": "1001", "DOCSEND_PASSWORD_FILE": str(tmp_path / "password")}
    docsend("login --status", code=0, **signed_in)
    required = json.loads(docsend("required --json", code=0, **signed_in))["required"]
    docsend(f"required upload {required[0]['id']} third.pdf", code=0, **signed_in)
    assert sandbox.count() == 3
    docsend("doctor", code=0, **signed_in)
    docsend("sandbox --port 99999", code=2)
    missed = [words for words in commands(tree()) if not any(words == line[: len(words)] for line in called)]
    assert not missed
