"""In one exchange or staged: which way a submission goes, and what is remembered of a service."""

from __future__ import annotations

import dataclasses
import json
import sqlite3
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import doubles
import samples
from conftest import ABOUT, WHO, goes_staged
from docsend.config import settings
from docsend.model import catalog
from docsend.sandbox import server
from docsend.storage import catalogs
from doubles import kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SEND = (*ABOUT, *WHO)
HTML = {"Content-Type": "text/html"}
STAGED = ["declare", "put", "send"]
LIMIT = catalogs.load().one_exchange_bytes or 0


def page(status: int) -> doubles.Reply:
    return doubles.Reply(status, b"<html><title>Firewall</title></html>", HTML)


def ways(asked: list[doubles.Asked]) -> list[str]:
    """Give the calls that were made, and forget them."""
    calls = [kind(request) for request in asked]
    asked.clear()
    return calls


def refusing(reply: doubles.Reply, *, times: int = 10**9) -> Callable[..., doubles.Reply | None]:
    """A fate: one exchange is answered so, before the service sees it."""
    left = [times]

    def fate(asked: doubles.Asked, _count: int, now: str) -> doubles.Reply | None:
        if kind(asked) != "whole" or now != "before" or not left[0]:
            return None
        left[0] -= 1
        return reply

    return fate


# -- what one exchange is ----------------------------------------------------------------------------------


def test_what_is_small_goes_in_one_request_and_every_try_is_the_same_bytes(run, sandbox, tmp_path) -> None:
    files = [samples.write(tmp_path, name, samples.pdf(n)) for n, name in enumerate(("b.pdf", "קבצים.pdf"))]
    lost = iter([doubles.Reply(cut=True)])

    def fate(_asked, _count, now):
        return next(lost, None) if now == "after" else None

    with doubles.relay(sandbox.url, fate) as (url, asked):
        outcome = run("send", *files, *SEND, "--service", url, "--json")
    assert (outcome.code, outcome.json["repeated"]) == (0, False), "the lost receipt was this sender's own"
    key = outcome.json["key"]
    first, second = asked
    assert first.body == second.body
    for request in asked:
        assert (request.method, request.path) == ("PUT", f"/v1/submissions/{key}")
        assert request.headers["content-type"] == f"multipart/form-data; boundary={key}"
        assert int(request.headers["content-length"]) == len(request.body)
        assert not {"expect", "transfer-encoding"} & request.headers.keys()
    opening, *parts, closing = first.body.split(f"--{key}".encode())
    assert (opening, closing) == (b"", b"--\r\n")
    heads = [part.partition(b"\r\n\r\n")[0].decode() for part in parts]
    octets = "Content-Type: application/octet-stream"
    assert heads == [
        '\r\nContent-Disposition: form-data; name="declaration"\r\nContent-Type: application/json',
        f'\r\nContent-Disposition: form-data; name="document"; filename="1"\r\n{octets}',
        f'\r\nContent-Disposition: form-data; name="document"; filename="2"\r\n{octets}',
    ]
    assert sandbox.content(key) == {file.name: file.read_bytes() for file in files}
    assert "sent b.pdf, 618 bytes (1 of 2)" in outcome.err


def test_documents_go_in_one_exchange_up_to_the_catalog_s_limit_together(run, sandbox, tmp_path) -> None:
    whole, rest = LIMIT // 2, LIMIT - LIMIT // 2
    with doubles.relay(sandbox.url, lambda *_: None) as (url, asked):
        for more, expected in ((0, ["whole"]), (1, ["declare", "put", "put", "send"])):
            files = [
                samples.write(tmp_path, f"{more}-{seed}.pdf", samples.pdf(seed, size=size))
                for seed, size in enumerate((whole, rest + more))
            ]
            assert run("send", *files, *SEND, "--service", url).code == 0
            assert ways(asked) == expected
    assert sandbox.count() == 2


def test_a_service_whose_catalog_has_no_limit_is_never_sent_one_exchange(run, sandbox, payslip) -> None:
    with doubles.relay(sandbox.url, lambda *_: None) as (url, asked):
        goes_staged(url)
        assert run("send", payslip, *SEND, "--service", url).code == 0
    assert ways(asked) == STAGED


# -- services without it -----------------------------------------------------------------------------------

WITHOUT = {
    "400 malformed": doubles.problem(400, "malformed"),
    "404 not-found": doubles.problem(404, "not-found"),
    "404 of somebody else": doubles.json_reply(404, {"error": "no route"}),
    "405": doubles.problem(405, "method-not-allowed"),
    "405 of somebody else": doubles.Reply(405, b"no", {"Content-Type": "text/plain"}),
    "411": doubles.problem(411, "length-required"),
    "413 declaration-too-large": doubles.problem(413, "declaration-too-large"),
    "415 of the request's type": doubles.problem(415, "media-type-not-accepted"),
    "415 of somebody else": doubles.Reply(415),
    "501": doubles.Reply(501, b"Not Implemented"),
    "a page of 400": page(400),
    "a page of 403": page(403),
    "a page of 404": page(404),
    "a page of 501": page(501),
}


@pytest.mark.parametrize("refusal", WITHOUT)
def test_a_service_without_one_exchange_is_sent_the_same_staged_and_that_is_remembered(
    run, sandbox, tmp_path, refusal
) -> None:
    files = [samples.write(tmp_path, f"{n}.pdf", samples.pdf(n)) for n in range(2)]
    with doubles.relay(sandbox.url, refusing(WITHOUT[refusal])) as (url, asked):
        first = run("send", files[0], *SEND, "--service", url, "--json")
        assert (first.code, first.json["repeated"], ways(asked)) == (0, False, ["whole", *STAGED])
        assert first.err == "sent 0.pdf, 618 bytes (1 of 1)\n", "nobody is told"
        assert run("receipts", "--json").json["receipts"][0]["state"] == "received"
        second = run("send", files[1], *SEND, "--service", url)
        assert (second.code, ways(asked)) == (0, STAGED)
        findings = run("doctor", "--service", url, "--json").json["findings"]
    facts = {finding["part"]: finding["facts"] for finding in findings}
    assert facts["catalog"]["one_exchange_bytes"] == 0, "support sees it"
    assert sandbox.count() == 2


def test_what_is_too_large_for_one_exchange_says_nothing_of_other_submissions(run, sandbox, tmp_path) -> None:
    files = [samples.write(tmp_path, f"{n}.pdf", samples.pdf(n)) for n in range(2)]
    too_large = refusing(doubles.problem(413, "one-exchange-too-large"))
    with doubles.relay(sandbox.url, too_large) as (url, asked):
        for file in files:
            assert run("send", file, *SEND, "--service", url).code == 0
            assert ways(asked) == ["whole", *STAGED]


def test_a_page_of_413_is_remembered_as_a_size(run, sandbox, tmp_path) -> None:
    def fate(asked, _count, now):
        is_large = len(asked.body) > 100_000
        return page(413) if kind(asked) == "whole" and is_large and now == "before" else None

    sizes = (200_000, 300_000, 150_000, 200_000, 90_000, 199_999, 150_000, 149_999)
    with doubles.relay(sandbox.url, fate) as (url, asked):
        seen = []
        for number, size in enumerate(sizes):
            file = samples.write(tmp_path, f"{number}.pdf", samples.pdf(number, size=size))
            assert run("send", file, *SEND, "--service", url).code == 0
            seen.append(ways(asked)[0])
    assert seen == ["whole", "declare", "whole", "declare", "whole", "declare", "declare", "whole"]


@pytest.mark.parametrize("status", [100, 102])
def test_a_firewall_that_alters_multipart_is_remembered_after_two_tries(
    run, sandbox, tmp_path, status
) -> None:
    files = [samples.write(tmp_path, f"{n}.pdf", samples.pdf(n)) for n in range(2)]
    times = status - 99
    altered = refusing(doubles.problem(400, "digest-mismatch"), times=times)
    with doubles.relay(sandbox.url, altered) as (url, asked):
        assert run("send", files[0], *SEND, "--service", url).code == 0
        first = ways(asked)
        assert run("send", files[1], *SEND, "--service", url).code == 0
        second = ways(asked)
    if times == 1:  # once is an accident
        assert (first, second) == (["whole", "whole"], ["whole"])
    else:
        assert (first, second) == (["whole", "whole", *STAGED], STAGED)


@pytest.mark.parametrize(
    ("reply", "tries"),
    [
        (doubles.Reply(cut=True), 2),
        (doubles.problem(408, "too-slow"), 1),
        (doubles.Reply(408, b"<html>Request Timeout</html>", HTML), 1),
    ],
)
def test_what_does_not_get_through_goes_staged_and_the_next_one_is_tried_again(
    run, sandbox, tmp_path, reply, tries
) -> None:
    files = [samples.write(tmp_path, f"{n}.pdf", samples.pdf(n)) for n in range(2)]
    with doubles.relay(sandbox.url, refusing(reply)) as (url, asked):
        for file in files:
            outcome = run("send", file, *SEND, "--service", url, "--json")
            assert (outcome.code, outcome.json["repeated"]) == (0, False)
            assert ways(asked) == ["whole"] * tries + STAGED


@pytest.mark.parametrize(
    "reply", [page(200), page(511), page(500), page(503), doubles.Reply(302, headers={"Location": "/"})]
)
def test_a_captive_page_and_a_5xx_turn_nothing_off(run, sandbox, payslip, monkeypatch, reply) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    with doubles.relay(sandbox.url, refusing(reply, times=1)) as (url, asked):
        assert run("send", payslip, *SEND, "--service", url).code == 6
        assert ways(asked) == ["whole"]
        other = ("--reference", "another")
        assert run("send", payslip, *SEND, *other, "--service", url).code == 0
        assert ways(asked) == ["whole"]


def test_nothing_is_remembered_before_the_receipt_has_come_staged(run, sandbox, payslip) -> None:
    closed = [True]

    def fate(asked, _count, now):
        return page(404) if closed[0] and now == "before" else None

    with doubles.relay(sandbox.url, fate) as (url, asked):
        assert run("send", payslip, *SEND, "--service", url).code == 6
        assert ways(asked) == ["whole", "declare"]
        # Who answers in the service's place may have passed it on: from now on its key is asked for.
        assert run("receipts", "--json").json["receipts"][0]["state"] == "sending"
        closed.clear()
        closed.append(False)
        assert run("send", payslip, *SEND, "--service", url).code == 0
        assert ways(asked) == STAGED
        assert not memory_of(url).exists()


def memory_of(url: str) -> Path:
    file = settings.resolve(service=url).catalog_file
    assert file is not None
    return file.with_suffix(".one-exchange.json")


@pytest.mark.parametrize(
    "kept", [b"", b"no JSON", b"[]", b"{}", b'{"catalog": 5}', b"[" * 4000, b" " * 10_000, None]
)
def test_a_memory_that_cannot_be_read_costs_one_request(run, sandbox, tmp_path, kept) -> None:
    files = [samples.write(tmp_path, f"{n}.pdf", samples.pdf(n)) for n in range(2)]
    with doubles.relay(sandbox.url, refusing(WITHOUT["405"])) as (url, asked):
        assert run("send", files[0], *SEND, "--service", url).code == 0
        ways(asked)
        file = memory_of(url)
        assert json.loads(file.read_bytes())["fewer_than"] == 0
        file.unlink()
        if kept is None:
            file.mkdir()  # and it cannot be written anew
        else:
            file.write_bytes(kept)
        assert run("send", files[1], *SEND, "--service", url).code == 0
        assert ways(asked) == ["whole", *STAGED]


def test_what_was_remembered_holds_until_the_service_has_another_catalog(run, tmp_path, payslip) -> None:
    files = [samples.write(tmp_path, f"{n}.pdf", samples.pdf(n)) for n in range(4)]
    offered = json.loads(catalog.BUNDLED.read_bytes())
    seen = []
    for version, refusal in enumerate((WITHOUT["405"], None)):
        offered["version"] = f"2030-01-0{version + 1}"
        with (
            server.beside(tmp_path / "sandbox", offered=json.dumps(offered).encode()) as sandbox_url,
            doubles.relay(sandbox_url, refusing(refusal) if refusal else lambda *_: None) as (url, asked),
        ):
            seen.append(url)
            if version:  # the same service, at another port for this test
                old, new = settings.resolve(service=seen[0]), settings.resolve(service=url)
                assert old.catalog_file
                assert new.catalog_file
                for suffix in (".json", ".etag", ".one-exchange.json"):
                    new.catalog_file.with_suffix(suffix).write_bytes(
                        old.catalog_file.with_suffix(suffix).read_bytes()
                    )
                assert run("send", files[2], *SEND, "--service", url).code == 0
                assert ways(asked) == STAGED, "still remembered"
            assert run("catalog", "--update", "--service", url).code == 0
            ways(asked)
            assert run("send", files[version], *SEND, "--service", url).code == 0
            assert ways(asked) == (["whole"] if version else ["whole", *STAGED])


def test_a_batch_finds_out_once_that_a_service_has_no_one_exchange(run, sandbox, tmp_path) -> None:
    for number in range(30):
        samples.write(tmp_path, f"{number}.pdf", samples.pdf(number))
    manifest = tmp_path / "batch.csv"
    manifest.write_text("files\n" + "".join(f"{number}.pdf\n" for number in range(30)))
    with doubles.relay(sandbox.url, refusing(WITHOUT["400 malformed"])) as (url, asked):
        assert run("send", "--batch", manifest, *SEND, "--jobs", "2", "--service", url).code == 0
    assert ways(asked).count("whole") <= 2, "each worker once"
    assert sandbox.count() == 30


def test_a_firewall_that_cuts_every_multipart_is_found_out_after_two_submissions(
    run, sandbox, tmp_path
) -> None:
    for number in range(12):
        samples.write(tmp_path, f"{number}.pdf", samples.pdf(number))
    manifest = tmp_path / "batch.csv"
    manifest.write_text("files\n" + "".join(f"{number}.pdf\n" for number in range(12)))
    with doubles.relay(sandbox.url, refusing(doubles.Reply(cut=True))) as (url, asked):
        assert run("send", "--batch", manifest, *SEND, "--jobs", "1", "--service", url).code == 0
        # Each try goes twice, over a kept connection and over a new one, and each submission has two tries.
        assert ways(asked).count("whole") <= 8
        assert not memory_of(url).exists(), "tomorrow it may be gone"
    assert sandbox.count() == 12


# -- whose the receipt is ----------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["in one exchange", "staged"])
def test_a_receipt_that_somebody_else_got_is_a_repeated_one(run, sandbox, payslip, home, way) -> None:
    first = run("send", payslip, *SEND, "--service", sandbox.url, "--json").json
    (home / "docsend" / "ledger.sqlite3").unlink()  # as on another machine
    if way == "staged":
        goes_staged(sandbox.url)
    again = run("send", payslip, *SEND, "--service", sandbox.url, "--json").json
    assert (again["repeated"], again["receipt"]) == (True, first["receipt"])


@pytest.mark.parametrize("then", ["in one exchange", "staged"])
@pytest.mark.parametrize("when", ["in this run", "in an earlier run"])
def test_a_receipt_that_was_lost_on_its_way_is_the_sender_s_own(
    run, sandbox, payslip, monkeypatch, when, then
) -> None:
    lost = iter([doubles.Reply(cut=True)] * (2 if then == "staged" else 1))

    def fate(asked, _count, now):
        return next(lost, None) if kind(asked) == "whole" and now == "after" else None

    with doubles.relay(sandbox.url, fate) as (url, asked):
        if when == "in an earlier run":
            monkeypatch.setenv("DOCSEND_PATIENCE", "0")
            first = run("send", payslip, *SEND, "--service", url)
            assert first.code == 6
            assert run("receipts", "--json").json["receipts"][0]["state"] == "sending"
        outcome = run("send", payslip, *SEND, "--service", url, "--json")
    assert (outcome.code, outcome.json["repeated"]) == (0, False)
    assert ("declare" in ways(asked)) == (then == "staged" or when == "in an earlier run")
    assert sandbox.count() == 1


def test_again_sends_once_more_what_somebody_else_had_sent(run, sandbox, payslip, home) -> None:
    first = run("send", payslip, *SEND, "--service", sandbox.url, "--json").json
    (home / "docsend" / "ledger.sqlite3").unlink()
    again = run("send", payslip, *SEND, "--service", sandbox.url, "--again", "--json").json
    assert (again["repeated"], again["key"] == first["key"], sandbox.count()) == (False, False, 2)


# -- what the ledger knows ---------------------------------------------------------------------------------


def test_a_dead_service_leaves_nothing_that_looks_as_if_it_was_sent(run, payslip, monkeypatch) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    assert run("send", payslip, *SEND, "--service", "http://127.0.0.1:9").code == 6
    assert run("receipts", "--json").json["receipts"][0]["state"] == "planned"


def test_a_personal_submission_is_on_the_disk_as_sending_before_it_leaves(
    run, sandbox, payslip, tmp_path, home, monkeypatch
) -> None:
    """Killed after the receipt, the next run must not refuse it for the requirement that it has met."""
    password = samples.write(tmp_path, "password", b"fictional-pending\n")
    password.chmod(0o600)
    monkeypatch.setenv("DOCSEND_CODE", "1001")
    monkeypatch.setenv("DOCSEND_PASSWORD_FILE", str(password))
    states: list[str] = []

    def fate(asked, _count, now):
        if kind(asked) == "whole" and now == "before":
            with sqlite3.connect(home / "docsend" / "ledger.sqlite3") as ledger:
                states.extend(ledger.execute("SELECT state FROM submission").fetchone())
            ledger.close()

    with doubles.relay(sandbox.url, fate) as (url, asked):
        upload = ("required", "upload", "R-4711", payslip, "--service", url, "--json")
        outcome = run(*upload)
        assert (outcome.code, states) == (0, ["sending"])
        ledger = sqlite3.connect(home / "docsend" / "ledger.sqlite3")
        with ledger:  # as a kill before the receipt was kept leaves it
            ledger.execute("DROP TRIGGER final_states_never_change")
            ledger.execute("UPDATE submission SET state = 'sending', receipt = NULL")
        ledger.close()
        ways(asked)
        again = run(*upload)
    assert (again.code, again.json["repeated"], again.json["receipt"]) == (0, False, outcome.json["receipt"])
    assert sandbox.count() == 1


def test_a_token_that_has_run_out_is_renewed_and_the_same_bytes_are_sent(
    run, sandbox, payslip, tmp_path, monkeypatch
) -> None:
    password = samples.write(tmp_path, "password", b"fictional-clear\n")
    password.chmod(0o600)
    monkeypatch.setenv("DOCSEND_CODE", "1002")
    monkeypatch.setenv("DOCSEND_PASSWORD_FILE", str(password))
    refused = refusing(doubles.problem(401, "sign-in-needed"), times=1)
    with doubles.relay(sandbox.url, refused) as (url, asked):
        outcome = run("send", payslip, "--to", "personal", *ABOUT[2:], "--service", url, "--json")
    assert outcome.code == 0, outcome.err
    first, second = [request for request in asked if kind(request) == "whole"]
    assert first.body == second.body
    assert first.headers["authorization"] != second.headers["authorization"]


def test_kill_9_in_the_middle_of_one_exchange_and_the_same_command_make_one_submission(
    run, sandbox, payslip, home
) -> None:
    for moment in ("before", "after"):
        reached, go_on = threading.Event(), threading.Event()

        def fate(asked, _count, now, moment=moment, reached=reached, go_on=go_on):
            if kind(asked) == "whole" and now == moment and not reached.is_set():
                reached.set()
                go_on.wait(20)

        about = (*SEND, "--reference", moment)
        with doubles.relay(sandbox.url, fate) as (url, _):
            command = [sys.executable, "-m", "docsend", "send", str(payslip), *about, "--service", url]
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
                assert reached.wait(20)
                client.kill()
                client.communicate()
            go_on.set()
            outcome = run("send", payslip, *about, "--service", url, "--json")
            assert (outcome.code, outcome.json["repeated"]) == (0, False)
    assert sandbox.count() == 2


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_resume_finishes_one_exchange_that_arrived_and_names_the_command_for_one_that_did_not(
    run, sandbox, payslip, monkeypatch, moment
) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")

    def fate(asked, _count, now):
        return doubles.Reply(503) if kind(asked) == "whole" and now == moment else None

    with doubles.relay(sandbox.url, fate) as (url, _):
        begun = run("send", payslip, *SEND, "--service", url, "--json")
        assert begun.code == 6
        resumed = run("receipts", "resume", "--json")
        (entry,) = resumed.json["receipts"]
        if moment == "after":
            assert (resumed.code, entry["state"]) == (0, "received")
        else:
            assert (resumed.code, entry["state"]) == (6, "sending")
            assert "docsend send" in entry["problems"][0]["hint"]
        again = run("send", payslip, *SEND, "--service", url, "--json")
        assert again.code == 0
    assert sandbox.count() == 1


def test_two_clients_with_one_key_one_staged_and_one_whole_make_one_receipt(
    run, spawn, sandbox, payslip, tmp_path
) -> None:
    """The staged one has declared and put when the other sends all of it at once."""

    def fate(asked, count, now):
        if kind(asked) == "send" and count == 1 and now == "before":
            other = spawn(
                "send", payslip, *SEND, "--service", sandbox.url, env={"DOCSEND_HOME": str(tmp_path)}
            )
            assert other.code == 0, other.err

    with doubles.relay(sandbox.url, fate) as (url, asked):
        goes_staged(url)
        outcome = run("send", payslip, *SEND, "--service", url, "--json")
    assert (outcome.code, ways(asked), sandbox.count()) == (0, STAGED, 1)


def test_a_stop_lets_one_exchange_that_has_left_bring_its_receipt(sandbox, payslip, run) -> None:
    reached = threading.Event()

    def fate(asked, _count, now):
        if kind(asked) == "whole" and now == "before":
            reached.set()
            time.sleep(1)

    manifest = payslip.with_name("batch.csv")
    manifest.write_text(f"files\n{payslip.name}\n")
    with doubles.relay(sandbox.url, fate) as (url, _):
        command = [sys.executable, "-m", "docsend", "send", "--batch", str(manifest), *SEND, "--service", url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as client:
            assert reached.wait(20)
            client.terminate()
            client.communicate(timeout=20)
        assert client.returncode == 143
    assert run("receipts", "--json").json["receipts"][0]["state"] == "received"


# -- who lies on the way: the service has received it, and somebody answers in its place -------------------

LIES = {
    "a page of 524": page(524),
    "a page of 403": page(403),
    "a text of 403": doubles.Reply(403, b"no", {"Content-Type": "text/plain"}),
    "a text of 404": doubles.Reply(404, b"no", {"Content-Type": "text/plain"}),
    "JSON of 404": doubles.json_reply(404, {"message": "no"}),
    "a text of 501": doubles.Reply(501, b"no", {"Content-Type": "text/plain"}),
    "a captive page": page(200),
    "a redirect": doubles.Reply(302, b"", {"Location": "https://elsewhere.example/"}),
}


def lying(reply: doubles.Reply, calls: Callable[[doubles.Asked, int], bool]) -> Callable[..., Any]:
    """A fate: the service acts on some calls, and its answer is replaced by another one."""
    closing = dataclasses.replace(reply, headers={**reply.headers, "Connection": "close"}, echoes=False)

    def fate(asked: doubles.Asked, count: int, now: str) -> doubles.Reply | None:
        return closing if now == "after" and calls(asked, count) else None

    return fate


def first_whole(asked: doubles.Asked, count: int) -> bool:
    return kind(asked) == "whole" and count == 1


@pytest.mark.parametrize("reply", LIES.values(), ids=LIES)
def test_a_receipt_behind_a_foreign_answer_is_the_sender_s_own(
    run, sandbox, payslip, monkeypatch, reply
) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "5")
    with doubles.relay(sandbox.url, lying(reply, first_whole)) as (url, _):
        sent = run("send", payslip, *SEND, "--service", url, "--json")
        if sent.code == 6:  # a redirect or a captive page ends a run
            sent = run("send", payslip, *SEND, "--service", url, "--json")
    assert (sent.code, sent.json["status"], sent.json["repeated"]) == (0, "received", False)
    assert sandbox.count() == 1


@pytest.mark.parametrize("reply", LIES.values(), ids=LIES)
def test_again_sends_once_also_where_a_foreign_answer_hid_the_receipt(
    run, sandbox, payslip, monkeypatch, reply
) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "5")
    with doubles.relay(sandbox.url, lying(reply, first_whole)) as (url, _):
        sent = run("send", payslip, *SEND, "--service", url, "--again", "--json")
    assert sent.code in (0, 6)
    assert sandbox.count() == 1


def test_nothing_is_called_refused_that_a_filter_of_answers_may_hide(run, sandbox, payslip) -> None:
    def whatever(asked: doubles.Asked, _count: int) -> bool:
        return asked.method != "GET"

    with doubles.relay(sandbox.url, lying(page(403), whatever)) as (url, _):
        sent = run("send", payslip, *SEND, "--service", url, "--json")
        assert (sent.code, sent.json["status"]) == (6, "unfinished")
        assert sandbox.count() == 1
        again = run("receipts", "resume", "--json", "--service", url)
    assert again.json["receipts"][0]["state"] == "received"


def test_what_a_firewall_forbids_and_the_service_does_not_know_is_refused(run, sandbox, payslip) -> None:
    def fate(asked: doubles.Asked, _count: int, now: str) -> doubles.Reply | None:
        return page(403) if asked.method == "PUT" and now == "before" else None

    with doubles.relay(sandbox.url, fate) as (url, _):
        sent = run("send", payslip, *SEND, "--service", url, "--json")
    assert (sent.code, sent.json["status"], sent.problems) == (5, "refused", ["page-instead"])


def test_a_required_document_behind_a_foreign_answer_is_not_lost_to_its_sender(
    run, sandbox, payslip, monkeypatch, tmp_path
) -> None:
    password = tmp_path / "password"
    password.write_text("fictional-pending\n")
    password.chmod(0o600)
    monkeypatch.setenv("DOCSEND_CODE", "1001")
    monkeypatch.setenv("DOCSEND_PASSWORD_FILE", str(password))

    def twice(asked: doubles.Asked, count: int) -> bool:
        return kind(asked) == "whole" and count <= 2  # over the connection of the sign-in, and over a new one

    with doubles.relay(sandbox.url, lying(page(200), twice)) as (url, _):
        first = run("required", "upload", "R-4711", payslip, "--service", url, "--json")
        then = run("required", "upload", "R-4711", payslip, "--service", url, "--json")
    assert (first.code, then.code, then.json["status"]) == (6, 0, "received")
    assert sandbox.count() == 1
