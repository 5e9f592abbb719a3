"""Senders: numbers are stored once, then used by name, and shown only masked."""

from __future__ import annotations

import csv
import json
import stat
import tomllib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

import samples
from conftest import ABOUT, PERSON, WHO
from terminals import Terminal

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.everywhere

EMPLOYER = "900000019"
BOOKLET = "7134-22"
LETTER = ("--to", "employer-collection", "--category", "correspondence", "--type", "correction-letter")


@pytest.fixture
def config(home: Path) -> Path:
    return home / "docsend" / "config.toml"


@pytest.fixture
def keyring(monkeypatch) -> None:
    """Store secrets in a file in the home folder of the test."""
    monkeypatch.setenv("DOCSEND_KEYRING", "keyrings.alt.file.PlaintextKeyring")


def add_employer(spawn, name: str = "bakery"):
    return spawn(
        *("senders", "add", name, "--employer-file", EMPLOYER, "--mobile", "0501234567", "--booklet-stdin"),
        stdin=None,
        input=BOOKLET.encode(),
    )


def test_a_sender_is_stored_listed_masked_used_and_removed(run, sandbox, payslip, config) -> None:
    assert run("senders").err == "no senders are stored yet; run `docsend senders add NAME` to add one\n"
    added = run("senders", "add", "client-4711", "--id", PERSON)
    assert (added.code, added.out) == (0, "stored: client-4711, ••••••018\n")
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert PERSON not in run("senders").out
    listed = run("senders", "--json").json["senders"]
    assert listed == [{"name": "client-4711", "kind": "insured", "number": "••••••018"}]
    by_name = run("send", payslip, *ABOUT, "--sender", "client-4711", "--service", sandbox.url, "--json")
    by_number = run("send", payslip, *ABOUT, *WHO, "--service", sandbox.url, "--json")
    assert by_number.json["key"] == by_name.json["key"]
    assert by_number.json["repeated"]
    assert run("senders", "remove", "client-4711").code == 0
    assert tomllib.loads(config.read_text()) == {}


def test_a_booklet_number_goes_to_the_keyring_and_nowhere_else(
    run, spawn, sandbox, payslip, config, keyring, home
) -> None:
    added = add_employer(spawn)
    assert added.code == 0, added.err
    assert BOOKLET not in config.read_text("utf-8")
    sent = run("send", payslip, *LETTER, "--sender", "bakery", "--service", sandbox.url, "--json")
    assert sent.code == 0, sent.err
    (declared,) = sandbox.select("SELECT declaration FROM submission")[0]
    assert json.loads(declared)["identity"]["booklet"] == BOOKLET
    assert run("senders", "remove", "bakery").code == 0
    assert run("send", payslip, *LETTER, "--sender", "bakery", "--service", sandbox.url).code == 2


def test_on_a_terminal_the_booklet_number_is_asked_for_and_never_echoed(
    run, sandbox, payslip, keyring
) -> None:
    terminal = Terminal("senders", "add", "bakery", "--employer-file", EMPLOYER, "--mobile", "0501234567")
    terminal.answer("(leave empty to store none):", f"{BOOKLET}\r")
    assert terminal.finish() == 0
    assert "stored: bakery" in terminal.text
    assert BOOKLET not in terminal.raw
    assert run("send", payslip, *LETTER, "--sender", "bakery", "--service", sandbox.url).code == 0
    (declared,) = sandbox.select("SELECT declaration FROM submission")[0]
    assert json.loads(declared)["identity"]["booklet"] == BOOKLET


@pytest.mark.parametrize("answer", ["\r", "\x04"], ids=["Enter", "Ctrl-D"])
def test_on_a_terminal_an_empty_answer_stores_a_sender_without_a_booklet_number(
    run, payslip, keyring, answer
) -> None:
    terminal = Terminal("senders", "add", "bakery", "--employer-file", EMPLOYER, "--mobile", "0501234567")
    terminal.answer("(leave empty to store none):", answer)
    assert terminal.finish() == 0
    checked = run("send", payslip, *LETTER, "--sender", "bakery", "--dry-run", "--json")
    assert (checked.code, checked.problems) == (2, ["booklet-missing"])


# In the locale C.UTF-8, Python decodes invalid UTF-8 as surrogates; in others it raises an error.
@pytest.mark.parametrize(("errors", "code"), [("surrogateescape", 3), ("strict", 2)])
def test_a_booklet_number_on_standard_input_that_is_not_utf_8_is_refused_and_nothing_is_stored(
    spawn, config, keyring, errors, code
) -> None:
    outcome = spawn(
        *("senders", "add", "bakery", "--employer-file", EMPLOYER, "--booklet-stdin"),
        env={"PYTHONIOENCODING": f"utf-8:{errors}"},
        stdin=None,
        input=b"7134-\xe9",
    )
    assert (outcome.code, "bug" in outcome.err) == (code, False), outcome.err
    assert not config.exists()


def test_without_a_keyring_an_employer_with_a_booklet_number_is_not_stored(spawn, config) -> None:
    refused = add_employer(spawn)
    assert refused.code == 8
    assert not config.exists()


def test_a_failed_change_of_the_configuration_never_mixes_two_employers(
    run, spawn, payslip, config, keyring
) -> None:
    assert add_employer(spawn).code == 0
    inline = (
        f'senders = {{bakery = {{employer_file = "{EMPLOYER}", mobile = "0501234567", booklet_kept = true}}}}'
    )
    config.write_text(f"{inline}\n")
    checked = ("send", payslip, *LETTER, "--sender", "bakery", "--dry-run", "--json")
    assert run(*checked).code == 0
    other = ("--employer-file", "900000027", "--mobile", "0501234567", "--booklet-stdin")
    changed = spawn("senders", "add", "bakery", *other, stdin=None, input=b"99")
    if changed.code != 0:
        assert run(*checked).problems == ["booklet-missing"]
    else:
        assert "900000027" in config.read_text("utf-8")


def test_an_employer_without_a_stored_booklet_number_takes_it_from_the_option(
    run, sandbox, payslip, keyring
) -> None:
    added = run("senders", "add", "bakery", "--employer-file", EMPLOYER, "--mobile", "0501234567")
    assert "give --booklet NUMBER each time you send" in added.err
    without = run("send", payslip, *LETTER, "--sender", "bakery", "--service", sandbox.url)
    assert (without.code, "--booklet" in without.err) == (2, True)
    given = run("send", payslip, *LETTER, "--sender", "bakery", "--booklet", "7", "--service", sandbox.url)
    assert given.code == 0, given.err


def test_a_booklet_number_is_never_sent_for_another_employer_with_the_same_name(
    run, spawn, payslip, keyring, home
) -> None:
    assert add_employer(spawn).code == 0
    other = ("--employer-file", "900000027", "--mobile", "0501234567")
    assert "give --booklet NUMBER each time you send" in run("senders", "add", "bakery", *other).err
    checked = run("send", payslip, *LETTER, "--sender", "bakery", "--dry-run", "--json")
    assert checked.problems == ["booklet-missing"]
    stored = [
        file.read_text("utf-8") for file in home.rglob("*") if file.is_file() and "keyring" in file.name
    ]
    assert not [text for text in stored if "bakery" in text]


def test_an_employer_without_a_stored_booklet_number_needs_no_keyring(run, payslip) -> None:
    added = run(
        "senders", "add", "bakery", "--employer-file", EMPLOYER, "--mobile", "0501234567", "--no-input"
    )
    assert added.code == 0
    assert run("send", payslip, *LETTER, "--sender", "bakery", "--dry-run", "--json").problems == [
        "booklet-missing"
    ]
    assert run("send", payslip, *LETTER, "--sender", "bakery", "--booklet", "7", "--dry-run").code == 0
    assert run("senders", "remove", "bakery").code == 0


@pytest.mark.parametrize(
    "text", ['senders = {b = {id = "000000026"}}\n', 'senders.b.id = "000000026"\npatience = 7\n']
)
def test_a_configuration_in_an_unusual_form_is_changed_correctly_or_not_at_all(run, config, text) -> None:
    config.parent.mkdir()
    config.write_text(text)
    done = run("senders", "add", "a", "--id", PERSON)
    after = tomllib.loads(config.read_text("utf-8"))
    if done.code == 0:
        assert after == {**tomllib.loads(text), "senders": {"b": {"id": "000000026"}, "a": {"id": PERSON}}}
    else:
        assert (done.code, config.read_text("utf-8")) == (2, text)


def test_a_sender_is_changed_in_place_and_comments_stay(run, config) -> None:
    config.parent.mkdir()
    lines = ("\ufeff[senders.a]  # first", 'id = "000000026"  # was', "", "# about b", "[senders.b]")
    config.write_bytes("\r\n".join((*lines, 'id = "000000034"', "")).encode())
    assert run("senders", "add", "a", "--id", PERSON).code == 0
    after = config.read_bytes().decode()
    for comment in ("# first", "# was", "# about b\r\n[senders.b]"):
        assert comment in after


def test_several_processes_that_store_senders_lose_none(spawn, config) -> None:
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda n: spawn("senders", "add", f"client-{n}", "--id", PERSON), range(12)))
    assert {outcome.code for outcome in done} == {0}
    assert len(tomllib.loads(config.read_text("utf-8"))["senders"]) == 12


def test_other_settings_in_the_configuration_stay_unchanged(run, config) -> None:
    config.parent.mkdir()
    config.write_text('# mine\npatience = 7  # short\n\n[services.office]\nurl = "https://a.example"\n')
    assert run("senders", "add", "בית המאפה", "--id", PERSON).code == 0
    text = config.read_text("utf-8")
    assert text.startswith('# mine\npatience = 7  # short\n\n[services.office]\nurl = "https://a.example"\n')
    assert tomllib.loads(text)["senders"] == {"בית המאפה": {"id": PERSON}}


def test_a_symbolic_link_to_the_configuration_stays_a_link(run, config, tmp_path) -> None:
    real = tmp_path / "dotfiles.toml"
    real.write_text("patience = 7\n")
    config.parent.mkdir()
    config.symlink_to(real)
    assert run("senders", "add", "a", "--id", PERSON).code == 0
    assert config.is_symlink()
    assert "[senders.a]" in real.read_text()


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (("add", "x"), 2, "either --id or --employer-file"),
        (("add", "x", "--id", PERSON, "--employer-file", EMPLOYER), 2, "either --id or --employer-file"),
        (("add", "x", "--id", "123456789"), 3, "invalid id number"),
        (("add", "x", "--employer-file", EMPLOYER, "--mobile", "1"), 3, "invalid mobile number"),
        (("add", "x" * 65, "--id", PERSON), 2, "invalid sender name"),
        (("add", "a\nb", "--id", PERSON), 2, "invalid sender name"),
        (("add", "x", "--id", PERSON, "--mobile", "0501234567"), 2, "are only for employers"),
        (("add", "-x", "--id", PERSON), 2, "no such option"),
        (("remove", "nobody"), 2, "unknown sender: 'nobody'"),
    ],
)
def test_an_invalid_sender_is_refused_and_nothing_is_stored(run, config, argv, code, message) -> None:
    outcome = run("senders", *argv)
    assert (outcome.code, message in outcome.err) == (code, True), outcome.err
    assert not config.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[senders.a]\n", "[senders.a] needs either id or employer_file"),
        ('[senders.a]\nid = "1"\nemployer_file = "2"\n', "[senders.a] needs either id or employer_file"),
        ("[senders.a]\nid = 123456782\n", "id must be a string"),
        ("[senders.a]\nid = '000000018'\nbooklet_kept = 'yes'\n", "booklet_kept must be true or false"),
        ("patience = " + "9" * 5000 + "\n", "a number is too long"),
        ('[senders.a]\nid = "1"\nbooklet = "7"\n', "a booklet number works as a password"),
        ('[senders.a]\nid = "1"\nmobil = "7"\n', "did you mean mobile?"),
        ("senders = 3\n", "senders must consist of tables"),
        ("[senders]\na = 3\n", "senders must consist of tables"),
    ],
)
def test_invalid_senders_in_config_toml_are_reported(run, config, text, message) -> None:
    config.parent.mkdir()
    config.write_text(text)
    outcome = run("senders")
    assert (outcome.code, message in outcome.err) == (2, True), outcome.err
    assert "123456782" not in outcome.err


def test_an_unknown_sender_is_named_with_the_nearest(run, payslip) -> None:
    run("senders", "add", "client-4711", "--id", PERSON)
    outcome = run("send", payslip, *ABOUT, "--sender", "client-4712", "--dry-run")
    assert outcome.code == 2
    assert "did you mean client-4711?" in outcome.err


def test_options_override_the_values_of_a_sender(run, spawn, sandbox, payslip, keyring) -> None:
    assert add_employer(spawn).code == 0
    more = ("--mobile", "0529999999", "--booklet", "9")
    sent = run("send", payslip, *LETTER, "--sender", "bakery", *more, "--service", sandbox.url)
    assert sent.code == 0, sent.err
    (declared,) = sandbox.select("SELECT declaration FROM submission")[0]
    identity = json.loads(declared)["identity"]
    assert (identity["employer_file"], identity["mobile"], identity["booklet"]) == (
        EMPLOYER,
        "0529999999",
        "9",
    )


def test_the_sender_of_a_row_replaces_the_identity_of_the_command_line(
    run, spawn, sandbox, tmp_path, keyring
) -> None:
    assert add_employer(spawn).code == 0
    samples.write(tmp_path, "0.pdf", samples.pdf(0))
    file = samples.write(tmp_path, "batch.csv", b"sender,documents\nbakery,0.pdf\n")
    who = (
        "--employer-file",
        "900000027",
        "--mobile",
        "0529999999",
        "--booklet",
        "9",
        "--email",
        "a@b.example",
    )
    assert run("send", "--batch", file, *LETTER, *who, "--service", sandbox.url).code == 0
    (declared,) = sandbox.select("SELECT declaration FROM submission")[0]
    identity = json.loads(declared)["identity"]
    assert (identity["employer_file"], identity["booklet"], identity["email"]) == (EMPLOYER, BOOKLET, None)


def test_rows_of_a_manifest_name_senders_and_the_report_contains_no_number(run, sandbox, tmp_path) -> None:
    run("senders", "add", "client-1", "--id", PERSON)
    run("senders", "add", "client-2", "--id", "000000026")
    for n in range(4):
        samples.write(tmp_path, f"{n}.pdf", samples.pdf(n))
    rows = ["sender,id,documents", "client-1,,0.pdf", ",,1.pdf", ",000000034,2.pdf", "client-2,,3.pdf"]
    file = samples.write(tmp_path, "batch.csv", "\n".join(rows).encode())
    report = tmp_path / "result.csv"
    argv = ("send", "--batch", file, *ABOUT, "--sender", "client-2", "--service", sandbox.url)
    done = run(*argv, "--report", report)
    assert done.code == 0, done.err
    declared = {
        json.loads(text)["documents"][0]["name"]: json.loads(text)["identity"]["id_number"]
        for (text,) in sandbox.select("SELECT declaration FROM submission")
    }
    assert declared == {"0.pdf": PERSON, "1.pdf": "000000026", "2.pdf": "000000034", "3.pdf": "000000026"}
    written = list(csv.DictReader(report.read_text("utf-8").splitlines()))
    assert sorted(row["sender"] for row in written) == ["", "client-1", "client-2", "client-2"]
    assert PERSON not in report.read_text()
    assert run("send", "--batch", report, "--service", sandbox.url).out == "4 rows: 4 received before\n"


def test_a_row_with_an_unknown_sender_is_faulty(run, tmp_path, payslip) -> None:
    run("senders", "add", "client-1", "--id", PERSON)
    file = samples.write(tmp_path, "batch.csv", b"sender,documents\nclient-2,payslip.pdf\n")
    outcome = run("send", "--batch", file, *ABOUT, "--dry-run", "--json")
    assert outcome.code == 3
    problem = outcome.rows[0]["problems"][0]
    assert (problem["code"], problem["hint"]) == ("unknown-sender", "did you mean client-1?")


def test_a_configuration_that_cannot_be_written_is_a_local_failure(run, config) -> None:
    config.parent.write_text("a file where the folder should be")
    outcome = run("senders", "add", "a", "--id", PERSON)
    assert (outcome.code, "config.toml cannot be written" in outcome.err) == (8, True), outcome.err
