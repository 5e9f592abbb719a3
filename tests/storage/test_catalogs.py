"""The catalog of a service: it is downloaded, stored and validated."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest

import doubles
import samples
from batch_files import make_rows, save_manifest
from docsend.model import catalog
from other_catalogs import CATALOG as RAW

pytestmark = pytest.mark.everywhere


@pytest.fixture
def another_catalog():
    """Return a function that serves a catalog with the ETag "one", and returns the URL and the requests."""
    with contextlib.ExitStack() as stack:

        def serve(body: bytes) -> tuple[str, list[doubles.ReceivedRequest]]:
            def answer(request: doubles.ReceivedRequest) -> doubles.Reply:
                if request.headers.get("if-none-match") == '"one"':
                    return doubles.Reply(304, headers={"ETag": '"one"'})
                return doubles.Reply(200, body, {"ETag": '"one"', "Content-Type": "application/json"})

            return stack.enter_context(doubles.service(answer))

        yield serve


def test_the_service_s_catalog_replaces_the_bundled_one_including_its_limits(
    run, tmp_path, another_catalog
) -> None:
    smaller = json.loads(json.dumps(RAW))
    smaller["version"] = "2027-01-01"
    smaller["destinations"][0]["max_document_bytes"] = 2 * 2**20
    url, requests = another_catalog(json.dumps(smaller).encode())
    big = samples.write(tmp_path, "big.pdf", samples.pdf(size=3 * 2**20))
    about = ("--to", "benefits", "--subject", "unemployment", "--category", "employer", "--type", "payslips")
    arguments = ("send", big, *about, "--id", "000000018", "-n", "--json", "--service", url)
    assert run(*arguments).code == 0
    updated = run("catalog", "--update", "--service", url)
    assert (updated.code, "catalog of 2027-01-01" in updated.err) == (0, True)
    refused = run(*arguments)
    assert (refused.code, refused.problems) == (3, ["document-too-large"])
    assert "2 MB" in refused.json["problems"][0]["message"]
    again = run("catalog", "--update", "--service", url)
    assert (again.code, "up to date" in again.err) == (0, True)
    assert [request.headers.get("if-none-match") for request in requests] == [None, '"one"']


def test_the_size_limit_of_a_catalog_holds_in_a_batch(run, tmp_path, another_catalog) -> None:
    smaller = json.loads(json.dumps(RAW))
    smaller["destinations"][0]["max_document_bytes"] = 20_000
    url, _ = another_catalog(json.dumps(smaller).encode())
    assert run("catalog", "--update", "--service", url).code == 0
    rows = [*make_rows(tmp_path, 1, size=20_000), *make_rows(tmp_path, 1, size=20_001, first=1)]
    rows += make_rows(tmp_path, 1, size=100_000, first=2)
    outcome = run("send", "--batch", save_manifest(tmp_path, rows), "-n", "--json", "--service", url)
    codes = [
        [each["code"] for each in row["problems"] if each["severity"] == "error"] for row in outcome.rows
    ]
    assert codes == [[], ["document-too-large"], ["document-too-large"]]


def test_an_invalid_catalog_does_not_replace_the_current_one(run, another_catalog) -> None:
    url, _ = another_catalog(b'{"schema": "docsend.catalog/1", "destinations": []}')
    outcome = run("catalog", "--update", "--service", url)
    assert outcome.code == 6
    assert "stays in use" in outcome.err
    assert run("catalog", "unemployment", "--service", url).code == 0


def test_the_sandbox_serves_the_bundled_catalog(run, shared_sandbox) -> None:
    assert run("catalog", "--update", "--service", shared_sandbox.url).code == 0
    outcome = run("catalog", "--update", "--service", shared_sandbox.url)
    assert "up to date" in outcome.err


def test_a_damaged_stored_etag_costs_one_download(run, home, another_catalog) -> None:
    url, requests = another_catalog(json.dumps(RAW).encode())
    update = ("catalog", "--update", "--service", url)
    assert run(*update).code == 0
    (etag,) = (home / "docsend" / "catalogs").glob("*.etag")
    for odd in (b"\xff\xfe", b'"one"\r\nX-Injected: 1', b""):
        etag.write_bytes(odd)
        assert run(*update).code == 0
        assert requests[-1].headers.get("if-none-match") is None
        assert "x-injected" not in requests[-1].headers
    etag.unlink()
    etag.mkdir()
    outcome = run(*update)
    assert outcome.code == 8
    assert "cannot save the catalog in" in outcome.err


@pytest.mark.parametrize("etag", ['"\u00e9"', ""], ids=ascii)
def test_an_etag_that_is_not_a_valid_header_value_violates_the_contract(run, etag) -> None:
    reply = doubles.Reply(200, json.dumps(RAW).encode(), {"ETag": etag, "Content-Type": "application/json"})
    with doubles.service(lambda _: reply) as (url, _):
        assert run("catalog", "--update", "--service", url).code == 6


# -- a catalog that cannot be read -------------------------------------------------------------------------


def _make_pipe(file: Path) -> None:
    file.unlink()
    samples.named_pipe(file)


def _make_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _make_link_to(target: Path):
    def make(file: Path) -> None:
        file.unlink()
        file.symlink_to(target)

    return make


_UNREADABLE = {
    "damaged": lambda file: file.write_bytes(file.read_bytes()[:1000]),
    "not UTF-8": lambda file: file.write_bytes(b"\xff"),
    "huge": lambda file: file.write_bytes(b" " * (9 * 2**20)),
    "a pipe": _make_pipe,
    "a folder": _make_folder,
    "an endless device": _make_link_to(Path("/dev/zero")),
    "a link to itself": lambda file: _make_link_to(file)(file),
}


@pytest.mark.parametrize("kind", _UNREADABLE)
def test_an_unreadable_stored_catalog_is_reported_and_update_replaces_it(
    spawn, shared_sandbox, home, kind
) -> None:
    service = ("--service", shared_sandbox.url)
    assert spawn("catalog", "--update", *service).code == 0
    (file,) = (home / "docsend" / "catalogs").glob("*.json")
    _UNREADABLE[kind](file)
    outcome = spawn("catalog", "payslips", *service, timeout=20)
    assert outcome.code == 8
    assert f"cannot read the stored catalog {file}: " in outcome.err
    assert "run `docsend catalog --update` to download it again" in outcome.err
    if kind == "a folder":
        file.rmdir()  # a folder is not replaced automatically
    assert spawn("catalog", "--update", *service, timeout=20).code == 0
    assert spawn("catalog", "payslips", *service).code == 0


def test_a_damaged_bundled_catalog_is_repaired_by_installing_docsend_again(
    run, monkeypatch, tmp_path
) -> None:
    monkeypatch.setattr(catalog, "BUNDLED", tmp_path / "catalog.json")
    for content in (None, b"{}"):
        if content is not None:
            catalog.BUNDLED.write_bytes(content)
        outcome = run("catalog", "payslips")
        assert outcome.code == 8
        assert "cannot read the bundled catalog: " in outcome.err
        assert "reinstall docsend" in outcome.err
        assert "None" not in outcome.err
        assert "--update" not in outcome.err
        findings = run("doctor", "--json").json["findings"]
        (found,) = [finding for finding in findings if finding["part"] == "catalog"]
        assert (found["severity"], found["hint"]) == ("error", "reinstall docsend")


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("destinations", 0, "code"), "x" * 101),
        (("subjects", 0, "labels", "he"), "x" * 501),
        (("types", 0, "source"), "x" * 2001),
        (("version",), "x" * 101),
        (("destinations", 0, "formats"), ["pdf"] * 201),
        (("destinations",), [RAW["destinations"][0]] * 201),
        (("forms",), [{**RAW["forms"][0], "number": str(number)} for number in range(10_001)]),
    ],
    ids=["a code", "a label", "a text", "the version", "formats", "destinations", "forms"],
)
def test_every_text_and_list_of_a_catalog_is_limited(where, value) -> None:
    changed = json.loads(json.dumps(RAW))
    *path, last = where
    at = changed
    for step in path:
        at = at[step]
    at[last] = value
    with pytest.raises(catalog.MalformedCatalog):
        catalog.Catalog(json.dumps(changed).encode())
    if where == ("destinations",):
        return  # 200 copies of one destination lack the others
    at[last] = value[:-1]
    catalog.Catalog(json.dumps(changed).encode())


@pytest.mark.parametrize(
    ("where", "value", "why"),
    [
        (("types", 0, "labels", "he"), "שכר\x1b[31m", "characters that cannot be displayed"),
        (("version",), "2027\u202e", "characters that cannot be displayed"),
        (
            ("subjects", 0, "labels", "en"),
            "half of a character \ud800",
            "characters that cannot be displayed",
        ),
        (("destinations", 0, "formats"), [], "accepts no file format"),
        (("subjects",), [RAW["subjects"][0]] * 2, "duplicate code"),
        (("forms", 0, "url"), "javascript:alert(1)", "does not start with https://"),
        (("forms", 0, "labels"), {"en": "Form"}, "member fr is missing"),
        (("branches",), {}, "does not have the structure of a catalog"),
        (("destinations", 0, "max_document_bytes"), 1.5, "does not have the structure of a catalog"),
    ],
)
def test_an_invalid_catalog_is_reported_with_the_reason(run, another_catalog, where, value, why) -> None:
    changed = json.loads(json.dumps(RAW))
    *path, last = where
    at = changed
    for step in path:
        at = at[step]
    at[last] = value
    url, _ = another_catalog(json.dumps(changed).encode())
    outcome = run("catalog", "--update", "--service", url)
    assert (outcome.code, why in outcome.err) == (6, True), outcome.err
    assert "\x1b" not in outcome.err


@pytest.mark.parametrize("body", [b'{"version": "1", "version": "2"}', b"[" * 100_000, b"\xff"])
def test_a_catalog_that_is_not_a_json_object_violates_the_contract(run, another_catalog, body) -> None:
    url, _ = another_catalog(body)
    outcome = run("catalog", "--update", "--service", url)
    assert (outcome.code, "sent an invalid response" in outcome.err) == (6, True), outcome.err
