"""Whether a submission is sent in one exchange or staged, and what is remembered about a service."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import doubles
import samples
from conftest import ABOUT, WHO, force_staged_upload
from docsend.config import settings
from docsend.model import catalog
from docsend.sandbox import server
from docsend.storage import catalogs
from doubles import call_name
from middleboxes import HTML, STAGED, page, refuse_one_exchange, take_calls

if TYPE_CHECKING:
    from pathlib import Path

SEND = (*ABOUT, *WHO)
LIMIT = catalogs.load().one_exchange_bytes or 0


def test_a_small_submission_is_one_request_and_every_attempt_sends_the_same_bytes(
    run, sandbox, tmp_path
) -> None:
    files = [samples.write(tmp_path, name, samples.pdf(n)) for n, name in enumerate(("b.pdf", "קבצים.pdf"))]
    lost = iter([doubles.Reply(cut=True)])

    def intercept(_request, _count, phase):
        return next(lost, None) if phase == "after" else None

    with doubles.relay(sandbox.url, intercept) as (url, requests):
        outcome = run("send", *files, *SEND, "--service", url, "--json")
    assert (outcome.code, outcome.json["repeated"]) == (0, False), "the lost receipt belongs to this sender"
    key = outcome.json["key"]
    first, second = requests
    assert first.body == second.body
    for request in requests:
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


def test_one_exchange_is_used_up_to_the_catalog_s_limit(run, sandbox, tmp_path) -> None:
    whole, rest = LIMIT // 2, LIMIT - LIMIT // 2
    with doubles.relay(sandbox.url, lambda *_: None) as (url, requests):
        for more, expected in ((0, ["submit"]), (1, ["declare", "put", "put", "send"])):
            files = [
                samples.write(tmp_path, f"{more}-{seed}.pdf", samples.pdf(seed, size=size))
                for seed, size in enumerate((whole, rest + more))
            ]
            assert run("send", *files, *SEND, "--service", url).code == 0
            assert take_calls(requests) == expected
    assert sandbox.count() == 2


def test_a_service_whose_catalog_has_no_limit_is_never_sent_one_exchange(run, sandbox, payslip) -> None:
    with doubles.relay(sandbox.url, lambda *_: None) as (url, requests):
        force_staged_upload(url)
        assert run("send", payslip, *SEND, "--service", url).code == 0
    assert take_calls(requests) == STAGED


# -- services without one exchange -------------------------------------------------------------------------

REFUSALS = {
    "400 malformed": doubles.problem(400, "malformed"),
    "404 not-found": doubles.problem(404, "not-found"),
    "404 of an intermediary": doubles.json_reply(404, {"error": "no route"}),
    "405": doubles.problem(405, "method-not-allowed"),
    "405 of an intermediary": doubles.Reply(405, b"no", {"Content-Type": "text/plain"}),
    "411": doubles.problem(411, "length-required"),
    "413 declaration-too-large": doubles.problem(413, "declaration-too-large"),
    "415 of the request's type": doubles.problem(415, "media-type-not-accepted"),
    "415 of an intermediary": doubles.Reply(415),
    "501": doubles.Reply(501, b"Not Implemented"),
    "a page of 400": page(400),
    "a page of 403": page(403),
    "a page of 404": page(404),
    "a page of 501": page(501),
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_refusal_of_one_exchange_is_remembered_and_the_submission_is_sent_staged(
    run, sandbox, tmp_path, refusal
) -> None:
    files = [samples.write(tmp_path, f"{n}.pdf", samples.pdf(n)) for n in range(2)]
    with doubles.relay(sandbox.url, refuse_one_exchange(REFUSALS[refusal])) as (url, requests):
        first = run("send", files[0], *SEND, "--service", url, "--json")
        assert (first.code, first.json["repeated"], take_calls(requests)) == (
            0,
            False,
            ["submit", *STAGED],
        )
        assert first.err == "sent 0.pdf, 618 bytes (1 of 1)\n", "no message about the fallback"
        assert run("receipts", "--json").json["receipts"][0]["state"] == "received"
        second = run("send", files[1], *SEND, "--service", url)
        assert (second.code, take_calls(requests)) == (0, STAGED)
        findings = run("doctor", "--service", url, "--json").json["findings"]
    facts = {finding["part"]: finding["facts"] for finding in findings}
    assert facts["catalog"]["one_exchange_bytes"] == 0, "doctor shows it"
    assert sandbox.count() == 2


def test_a_refusal_as_too_large_does_not_affect_other_submissions(run, sandbox, tmp_path) -> None:
    files = [samples.write(tmp_path, f"{n}.pdf", samples.pdf(n)) for n in range(2)]
    too_large = refuse_one_exchange(doubles.problem(413, "one-exchange-too-large"))
    with doubles.relay(sandbox.url, too_large) as (url, requests):
        for file in files:
            assert run("send", file, *SEND, "--service", url).code == 0
            assert take_calls(requests) == ["submit", *STAGED]


def test_a_413_page_is_remembered_as_a_size_limit(run, sandbox, tmp_path) -> None:
    def intercept(request, _count, phase):
        is_large = len(request.body) > 100_000
        return page(413) if call_name(request) == "submit" and is_large and phase == "before" else None

    sizes = (200_000, 300_000, 150_000, 200_000, 90_000, 199_999, 150_000, 149_999)
    with doubles.relay(sandbox.url, intercept) as (url, requests):
        first_calls = []
        for number, size in enumerate(sizes):
            file = samples.write(tmp_path, f"{number}.pdf", samples.pdf(number, size=size))
            assert run("send", file, *SEND, "--service", url).code == 0
            first_calls.append(take_calls(requests)[0])
    assert first_calls == [
        "submit",
        "declare",
        "submit",
        "declare",
        "submit",
        "declare",
        "declare",
        "submit",
    ]


@pytest.mark.parametrize("status", [100, 102])
def test_a_firewall_that_alters_multipart_is_remembered_after_two_attempts(
    run, sandbox, tmp_path, status
) -> None:
    files = [samples.write(tmp_path, f"{n}.pdf", samples.pdf(n)) for n in range(2)]
    times = status - 99
    altered = refuse_one_exchange(doubles.problem(400, "digest-mismatch"), times=times)
    with doubles.relay(sandbox.url, altered) as (url, requests):
        assert run("send", files[0], *SEND, "--service", url).code == 0
        first = take_calls(requests)
        assert run("send", files[1], *SEND, "--service", url).code == 0
        second = take_calls(requests)
    if times == 1:  # a single alteration may be an accident
        assert (first, second) == (["submit", "submit"], ["submit"])
    else:
        assert (first, second) == (["submit", "submit", *STAGED], STAGED)


@pytest.mark.parametrize(
    ("reply", "attempts"),
    [
        (doubles.Reply(cut=True), 2),
        (doubles.problem(408, "too-slow"), 1),
        (doubles.Reply(408, b"<html>Request Timeout</html>", HTML), 1),
    ],
)
def test_a_lost_exchange_is_sent_staged_and_the_next_submission_uses_one_exchange(
    run, sandbox, tmp_path, reply, attempts
) -> None:
    files = [samples.write(tmp_path, f"{n}.pdf", samples.pdf(n)) for n in range(2)]
    with doubles.relay(sandbox.url, refuse_one_exchange(reply)) as (url, requests):
        for file in files:
            outcome = run("send", file, *SEND, "--service", url, "--json")
            assert (outcome.code, outcome.json["repeated"]) == (0, False)
            assert take_calls(requests) == ["submit"] * attempts + STAGED


@pytest.mark.parametrize(
    "reply", [page(200), page(511), page(500), page(503), doubles.Reply(302, headers={"Location": "/"})]
)
def test_a_captive_portal_and_a_5xx_do_not_turn_one_exchange_off(
    run, sandbox, payslip, monkeypatch, reply
) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    with doubles.relay(sandbox.url, refuse_one_exchange(reply, times=1)) as (url, requests):
        assert run("send", payslip, *SEND, "--service", url).code == 6
        assert take_calls(requests) == ["submit"]
        other = ("--reference", "another", "--anyway")  # else the first one is withdrawn before
        assert run("send", payslip, *SEND, *other, "--service", url).code == 0
        assert take_calls(requests) == ["submit"]


def test_nothing_is_remembered_before_the_staged_submission_has_its_receipt(run, sandbox, payslip) -> None:
    closed = [True]

    def intercept(request, _count, phase):
        return page(404) if closed[0] and phase == "before" else None

    with doubles.relay(sandbox.url, intercept) as (url, requests):
        assert run("send", payslip, *SEND, "--service", url).code == 6
        assert take_calls(requests) == ["submit", "declare"]
        # The intermediary may have forwarded the request: from now on the client asks for the key first.
        assert run("receipts", "--json").json["receipts"][0]["state"] == "sending"
        closed.clear()
        closed.append(False)
        assert run("send", payslip, *SEND, "--service", url).code == 0
        assert take_calls(requests) == STAGED
        assert not limit_file(url).exists()


def limit_file(url: str) -> Path:
    file = settings.resolve(service=url).catalog_file
    assert file is not None
    return file.with_suffix(".one-exchange.json")


@pytest.mark.parametrize(
    "content", [b"", b"no JSON", b"[]", b"{}", b'{"catalog": 5}', b"[" * 4000, b" " * 10_000, None]
)
def test_a_limit_file_that_cannot_be_read_costs_one_request(run, sandbox, tmp_path, content) -> None:
    files = [samples.write(tmp_path, f"{n}.pdf", samples.pdf(n)) for n in range(2)]
    with doubles.relay(sandbox.url, refuse_one_exchange(REFUSALS["405"])) as (url, requests):
        assert run("send", files[0], *SEND, "--service", url).code == 0
        take_calls(requests)
        file = limit_file(url)
        assert json.loads(file.read_bytes())["fewer_than"] == 0
        file.unlink()
        if content is None:
            file.mkdir()  # so that it cannot be written, either
        else:
            file.write_bytes(content)
        assert run("send", files[1], *SEND, "--service", url).code == 0
        assert take_calls(requests) == ["submit", *STAGED]


def test_a_limit_is_remembered_until_the_service_has_another_catalog(run, tmp_path, payslip) -> None:
    files = [samples.write(tmp_path, f"{n}.pdf", samples.pdf(n)) for n in range(4)]
    offered = json.loads(catalog.BUNDLED.read_bytes())
    urls = []
    for version, refusal in enumerate((REFUSALS["405"], None)):
        offered["version"] = f"2030-01-0{version + 1}"
        with (
            server.run_in_background(
                tmp_path / "sandbox", catalog_bytes=json.dumps(offered).encode()
            ) as sandbox_url,
            doubles.relay(sandbox_url, refuse_one_exchange(refusal) if refusal else lambda *_: None) as (
                url,
                requests,
            ),
        ):
            urls.append(url)
            if version:  # the same service on another port
                old, new = settings.resolve(service=urls[0]), settings.resolve(service=url)
                assert old.catalog_file
                assert new.catalog_file
                for suffix in (".json", ".etag", ".one-exchange.json"):
                    new.catalog_file.with_suffix(suffix).write_bytes(
                        old.catalog_file.with_suffix(suffix).read_bytes()
                    )
                assert run("send", files[2], *SEND, "--service", url).code == 0
                assert take_calls(requests) == STAGED, "still remembered"
            assert run("catalog", "--update", "--service", url).code == 0
            take_calls(requests)
            assert run("send", files[version], *SEND, "--service", url).code == 0
            assert take_calls(requests) == (["submit"] if version else ["submit", *STAGED])


def test_a_batch_finds_out_once_that_a_service_has_no_one_exchange(run, sandbox, tmp_path) -> None:
    for number in range(30):
        samples.write(tmp_path, f"{number}.pdf", samples.pdf(number))
    manifest = tmp_path / "batch.csv"
    manifest.write_text("files\n" + "".join(f"{number}.pdf\n" for number in range(30)))
    with doubles.relay(sandbox.url, refuse_one_exchange(REFUSALS["400 malformed"])) as (url, requests):
        assert run("send", "--batch", manifest, *SEND, "--jobs", "2", "--service", url).code == 0
    assert take_calls(requests).count("submit") <= 2, "once for each worker"
    assert sandbox.count() == 30


def test_a_firewall_that_cuts_every_multipart_is_detected_after_two_submissions(
    run, sandbox, tmp_path
) -> None:
    for number in range(12):
        samples.write(tmp_path, f"{number}.pdf", samples.pdf(number))
    manifest = tmp_path / "batch.csv"
    manifest.write_text("files\n" + "".join(f"{number}.pdf\n" for number in range(12)))
    with doubles.relay(sandbox.url, refuse_one_exchange(doubles.Reply(cut=True))) as (url, requests):
        assert run("send", "--batch", manifest, *SEND, "--jobs", "1", "--service", url).code == 0
        # Each attempt is sent twice, over a reused and over a new connection; a submission has two attempts.
        assert take_calls(requests).count("submit") <= 8
        assert not limit_file(url).exists(), "the firewall may be gone tomorrow"
    assert sandbox.count() == 12
