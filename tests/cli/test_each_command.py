"""Every command once, in a separate process, in the order in which an office would use them."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

import pytest

import samples
from conftest import ABOUT, SCHEMAS, WHO
from docsend.cli.app import build_command_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Outcome

pytestmark = pytest.mark.everywhere
SEND = (*ABOUT, *WHO)
PERSONAL = "--to personal --subject reserve --category service --type reserve-service-certificate"


def commands(group: Any, *before: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command, including those of groups."""
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
    docsend("receipts repair", code=0)
    docsend(f"receipts withdraw {key}", code=5)
    docsend("senders remove client-4711")

    signed_in = {"DOCSEND_CODE": "1001", "DOCSEND_PASSWORD_FILE": str(tmp_path / "password")}
    docsend("login --status", code=0, **signed_in)
    required = json.loads(docsend("required --json", code=0, **signed_in))["required"]
    docsend(f"required upload {required[0]['id']} third.pdf", code=0, **signed_in)
    assert sandbox.count() == 3
    docsend("doctor", code=0, **signed_in)
    docsend("sandbox --port 99999", code=2)
    missed = [
        words
        for words in commands(build_command_tree())
        if not any(words == line[: len(words)] for line in called)
    ]
    assert not missed


# Every command that takes --json, with its schema and exit code, in an order in which each has results.
WITH_JSON = (
    ("send payslip.pdf -n", "docsend.result/2", 0),
    ("send payslip.pdf", "docsend.result/2", 0),
    ("send payslip.pdf", "docsend.result/2", 0),
    ("send nowhere.pdf", "docsend.result/2", 3),
    ("send --nonsense", "docsend.result/2", 2),
    ("send --batch rows.csv -n", "docsend.batch/1", 0),
    ("send --batch rows.csv --report result.csv", "docsend.batch/1", 0),
    ("send --batch rows.csv", "docsend.batch/1", 0),
    ("send --batch nowhere.csv", "docsend.result/2", 2),
    ("login --status", "docsend.login/2", 0),
    ("required", "docsend.required/1", 0),
    ("required upload R-4711 third.pdf", "docsend.result/2", 0),
    ("catalog", "docsend.catalog-rows/1", 0),
    ("catalog 1514", "docsend.catalog-rows/1", 0),
    ("catalog --update", "docsend.catalog-update/1", 0),
    ("catalog --update", "docsend.catalog-update/1", 0),
    ("catalog 1514 --update", "docsend.catalog-rows/1", 0),
    ("catalog nothing of this kind", "docsend.catalog-rows/1", 0),
    ("receipts", "docsend.receipts/1", 0),
    ("receipts show KEY", "docsend.receipts/1", 0),
    ("receipts show KEY --ask", "docsend.receipts/1", 0),
    ("receipts resume", "docsend.receipts/1", 0),
    ("receipts repair", "docsend.repair/1", 0),
    ("receipts withdraw KEY", "docsend.result/2", 5),
    ("receipts export KEY", "docsend.export/1", 0),
    ("receipts export KEY --format json", "docsend.proof/1", 0),
    ("senders", "docsend.senders/1", 0),
    ("senders add client-4711 --id 000000018", "docsend.senders/1", 0),
    ("senders add bakery --employer-file 900000019 --mobile 0501234567", "docsend.senders/1", 0),
    ("senders", "docsend.senders/1", 0),
    ("senders remove client-4711", "docsend.senders/1", 0),
    ("doctor", "docsend.doctor/2", 0),
    ("sandbox --port 99999", "docsend.result/2", 2),
)


def test_the_json_of_every_command_keeps_its_schema(run, sandbox, payslip, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCSEND_SERVICE", sandbox.url)
    monkeypatch.setenv("DOCSEND_CODE", "1001")
    samples.write(tmp_path, "password", b"fictional-pending\n").chmod(0o600)
    monkeypatch.setenv("DOCSEND_PASSWORD_FILE", str(tmp_path / "password"))
    samples.write(tmp_path, "second.pdf", samples.pdf(2))
    samples.write(tmp_path, "third.pdf", samples.pdf(3))
    (tmp_path / "rows.csv").write_text("reference,documents\none,second.pdf\ntwo,third.pdf\n")
    key, seen = "", set()
    for command, schema, code in WITH_JSON:
        words = shlex.split(command.replace("KEY", key))
        more = SEND if words[0] == "send" and "--nonsense" not in words else ()
        outcome = run(*words, *more, "--json")
        assert outcome.code == code, (command, outcome)
        lines = [*outcome.rows, outcome.summary]
        assert lines[-1]["schema"] == schema, command
        key = key or next((line["key"] for line in lines if line.get("status") == "received"), "")
        seen.add(tuple(word for word in words if word.isalpha())[:2])
    assert {schema for _, schema, _ in WITH_JSON} | {"docsend.sandbox/1"} == set(SCHEMAS)
    missed = [
        words
        for words in commands(build_command_tree())
        if not any(words == each[: len(words)] for each in seen)
    ]
    assert missed == [("receipts", "merge")], "it prints the rows of a report"


def test_the_summary_of_a_batch_counts_its_rows_and_says_whether_a_repeat_helps(
    run, sandbox, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for number in range(3):
        samples.write(tmp_path, f"{number}.pdf", samples.pdf(number))
    (tmp_path / "rows.csv").write_text("documents,id\n0.pdf,\n1.pdf,\n2.pdf,000000019\n")
    batch = ("send", "--batch", "rows.csv", *SEND, "--json")

    def summary_of(*more: str, code: int) -> tuple[dict[str, int], bool]:
        outcome = run(*batch, *more)
        assert outcome.code == code, outcome
        summary = outcome.summary
        counts = {name: count for name, count in summary["counts"].items() if count}
        assert summary["rows"] == sum(counts.values()) - counts.get("repeated", 0) == len(outcome.rows) == 3
        return counts, summary["repeat_helps"]

    assert summary_of("-n", code=3) == ({"checked": 2, "faulty": 1}, False)
    assert summary_of("--service", sandbox.url, code=3) == ({"checked": 2, "faulty": 1}, False)
    dead = ("--only-valid", "--service", "http://127.0.0.1:9")
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    assert summary_of(*dead, code=7) == ({"unfinished": 2, "faulty": 1}, True)
    alive = ("--only-valid", "--service", sandbox.url, "--report", "result.csv")
    assert summary_of(*alive, code=9) == ({"received": 2, "faulty": 1}, False)
    assert summary_of(*alive, code=9) == ({"received": 2, "repeated": 2, "faulty": 1}, False)
    assert run(*batch, *alive).summary["report"] == "result.csv"
