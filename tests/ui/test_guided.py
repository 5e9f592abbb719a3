"""The guided send on a real pseudo-terminal: asks only for missing fields, sends nothing by accident."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest

import doubles
import samples
from conftest import ABOUT, PERSON, WHO
from docsend.model import fields
from terminals import Terminal, colors, contrast

pytestmark = pytest.mark.everywhere

ENTER, DOWN, CTRL_C, CTRL_D, CTRL_U = "\r", "\x1b[B", "\x03", "\x04", "\x15"


@pytest.fixture(autouse=True)
def _prompts(monkeypatch) -> None:
    """Disable the cursor position request, to which the terminal of a test responds late."""
    monkeypatch.setenv("PROMPT_TOOLKIT_NO_CPR", "1")


@pytest.fixture
def guided(sandbox):
    def start(*argv: object, **options: Any) -> Terminal:
        service = () if "--service" in argv else ("--service", sandbox.url)
        return Terminal("send", *argv, *service, **options)

    return start


def test_a_send_prompts_for_missing_fields_shows_a_summary_and_prints_the_command(
    guided, sandbox, payslip, run
) -> None:
    terminal = guided(payslip)
    terminal.answer("health-funds", "benefits" + ENTER)
    terminal.answer("id number of the insured person:", PERSON + ENTER)
    terminal.answer("subject:", "chomage" + ENTER)
    terminal.answer("category:", "employer" + ENTER)
    terminal.answer("document type:", "fiches" + ENTER)
    terminal.answer("branch", ENTER)
    terminal.answer("remark", "as agreed" + ENTER)
    summary = terminal.read_until("send it?")
    terminal.type(ENTER)  # a surplus Enter is not an answer
    assert "answer y or n" in terminal.read_until("answer y or n")
    assert sandbox.count() == 0
    for shown in ("Unemployment (unemployment)", "payslip.pdf, 618 bytes", "as agreed", "••••••018"):
        assert shown in summary, summary
    terminal.type("y" + ENTER)
    assert terminal.finish() == 0
    assert sandbox.count() == 1
    command = terminal.text.splitlines()[-1]
    for option in ("--to benefits", "--subject unemployment", "--type payslips", "--id '••••••018'"):
        assert option in terminal.text.replace("\n", ""), command
    assert PERSON not in terminal.text.split("send it?")[1]
    again = run("send", payslip, *ABOUT, *WHO, "--remark", "as agreed", "--service", sandbox.url, "--json")
    assert (again.code, again.json["repeated"]) == (0, True)


def test_every_given_field_is_in_the_summary_and_in_the_printed_command(guided, payslip) -> None:
    # Only the personal service accepts `required`.
    fields_ = [
        field for field in fields.CONTENT_FIELDS if not field.is_catalog_code and field.name != "required"
    ]
    options = [part for n, field in enumerate(fields_, 2) for part in (field.option, str(n))]
    terminal = guided(payslip, *ABOUT, *options, "--branch", "haifa", columns=400)
    terminal.answer("id number", PERSON + ENTER)
    summary = terminal.read_until("send it?")
    for n, field in enumerate(fields_, 2):
        label = field.label.template if field.label else field.name
        assert re.search(rf"{label}\s+{n}\b", summary), (field.name, summary)
    terminal.type("y" + ENTER)
    assert terminal.finish() == 3, "the lower occurrences were never sent"
    words = printed_command(terminal)
    for n, field in enumerate(fields_, 2):
        assert words[words.index(field.option) + 1] == str(n)


def test_nothing_is_asked_when_nothing_is_missing(guided, sandbox, payslip) -> None:
    terminal = guided(payslip, *ABOUT, *WHO)
    assert terminal.finish() == 0
    assert "send it?" not in terminal.text
    assert sandbox.count() == 1


def test_only_what_is_missing_is_asked(guided, sandbox, payslip) -> None:
    terminal = guided(payslip, *ABOUT, "--branch", "haifa", "--remark", "x")
    terminal.answer("id number of the insured person:", PERSON + ENTER)
    shown = terminal.read_until("send it?")
    assert not [word for word in ("subject:", "category:", "branch [", "remark (") if word in shown]
    terminal.type("y" + ENTER)
    assert terminal.finish() == 0


def test_the_arrow_keys_select_a_choice(guided, sandbox, payslip) -> None:
    terminal = guided(payslip)
    terminal.answer("health-funds", DOWN + DOWN + ENTER)
    terminal.read_until("Collection from insured persons")
    terminal.type(ENTER)
    assert "id number of the insured person" in terminal.read_until("id number")
    assert "insured-collection" in terminal.text
    terminal.type(CTRL_C)
    assert terminal.finish() == 130


@pytest.mark.parametrize("words", ["דמי אבטלה", "assurance chômage", "unemploy"])
def test_words_of_any_language_find_a_choice_in_any_language(guided, payslip, words) -> None:
    terminal = guided(payslip, "--to", "benefits", *WHO, "--lang", "fr")
    terminal.read_until("unemployment")
    terminal.type(words)
    terminal.read_until(words.split()[0])
    terminal.type(ENTER)
    shown = terminal.read_until("(unemployment)")
    assert "(unemployment)" in shown, shown
    terminal.type(CTRL_C)
    assert terminal.finish() == 130


def test_an_invalid_number_is_reported_before_the_next_question(guided, payslip) -> None:
    terminal = guided(payslip, *ABOUT)
    terminal.answer("id number of the insured person:", "123456789" + ENTER)
    assert "invalid id number" in terminal.read_until("invalid id number")
    terminal.type(CTRL_U + PERSON + ENTER)
    assert "branch" in terminal.read_until("branch")
    terminal.type(CTRL_C)
    assert terminal.finish() == 130


@pytest.mark.parametrize("key", [CTRL_C, CTRL_D])
@pytest.mark.parametrize("question", ["destination:", "send it?"])
def test_canceling_a_prompt_sends_nothing(guided, sandbox, payslip, key, question) -> None:
    about = () if question == "destination:" else (*ABOUT, "--branch", "haifa", "--remark", "x")
    terminal = guided(payslip, *about)
    if about:
        terminal.answer("id number", PERSON + ENTER)
    terminal.answer(question, key)
    assert terminal.finish() == 130
    assert "nothing was sent" in terminal.text
    assert sandbox.select("SELECT * FROM submission") == []


def test_a_no_at_the_end_sends_nothing(guided, sandbox, payslip) -> None:
    terminal = guided(payslip, *ABOUT, "--branch", "haifa", "--remark", "x")
    terminal.answer("id number", PERSON + ENTER)
    terminal.answer("send it?", "n" + ENTER)
    assert terminal.finish() == 130
    assert sandbox.select("SELECT * FROM submission") == []


def test_without_files_one_is_asked_for(guided, sandbox, payslip) -> None:
    terminal = guided(*ABOUT, *WHO, "--branch", "haifa", "--remark", "x")
    terminal.answer("document:", str(payslip) + ENTER)
    terminal.answer("send it?", "y" + ENTER)
    assert terminal.finish() == 0
    assert sandbox.count() == 1


def test_errors_that_no_answer_can_fix_are_reported_before_any_question(guided, tmp_path) -> None:
    broken = samples.write(tmp_path, "payslip.pdf", b"no PDF at all")
    terminal = guided(broken)
    assert terminal.finish() == 2
    assert "[content-mismatch]" in terminal.text
    assert "destination:" not in terminal.text.replace("--to", "").split("[")[0]


def test_a_dry_run_prompts_and_sends_nothing(guided, sandbox, payslip) -> None:
    terminal = guided(payslip, *ABOUT, "--branch", "haifa", "--remark", "x", "--dry-run")
    terminal.answer("id number", PERSON + ENTER)
    assert terminal.finish() == 0
    assert "no errors found; nothing was sent" in terminal.text
    assert "without questions:" in terminal.text
    assert sandbox.select("SELECT * FROM submission") == []


def test_documents_are_read_once_and_sent_as_shown(guided, sandbox, payslip) -> None:
    before = payslip.read_bytes()
    terminal = guided(payslip, *ABOUT, "--branch", "haifa", "--remark", "x")
    terminal.answer("id number", PERSON + ENTER)
    terminal.read_until("send it?")
    payslip.unlink()
    terminal.type("y" + ENTER)
    assert terminal.finish() == 0
    ((key,),) = sandbox.select("SELECT key FROM submission")
    assert list(sandbox.content(key).values()) == [before]


def test_the_command_is_printed_even_if_the_document_is_too_large_for_the_chosen_destination(
    guided, tmp_path, monkeypatch
) -> None:
    password = samples.write(tmp_path, "password", b"fictional-clear\n")
    password.chmod(0o600)
    large = samples.write(tmp_path, "large.pdf", samples.pdf(size=7 * 2**20))
    about = ("--subject", "unemployment", "--category", "employer", "--type", "payslips")
    printed_command = {"DOCSEND_CODE": "1002", "DOCSEND_PASSWORD_FILE": str(password)}
    terminal = guided(large, *about, **printed_command)
    terminal.answer("destination", "personal" + ENTER)
    terminal.answer("remark", "x" + ENTER)
    assert terminal.finish() == 3
    assert "document-too-large" in terminal.text
    assert "without questions:" in terminal.text


def test_an_employer_is_asked_for_and_the_booklet_number_is_not_echoed(guided, sandbox, payslip) -> None:
    terminal = guided(payslip, "--to", "employer-collection")
    terminal.answer("kind of employer file", ENTER)
    terminal.answer("employer's file number:", "900000019" + ENTER)
    terminal.answer("booklet's identification number:", "7134-22" + ENTER)
    terminal.answer("mobile number:", "0501234567" + ENTER)
    terminal.answer("category:", "correspondence" + ENTER)
    terminal.answer("document type:", "correction-letter" + ENTER)
    terminal.answer("branch [", ENTER)
    terminal.answer("remark", ENTER)
    terminal.answer("send it?", "y" + ENTER)
    assert terminal.finish() == 0
    assert sandbox.count() == 1
    assert "7134-22" not in terminal.raw


def test_a_stored_sender_can_be_chosen(guided, sandbox, payslip, run) -> None:
    assert run("senders", "add", "client-4711", "--id", PERSON).code == 0
    terminal = guided(payslip, *ABOUT, "--branch", "haifa", "--remark", "x")
    terminal.answer("client-4711", "client" + ENTER)
    terminal.answer("send it?", "y" + ENTER)
    assert terminal.finish() == 0
    assert sandbox.count() == 1
    assert "--sender client-4711" in terminal.text.replace("\n", "")
    assert PERSON not in terminal.raw


def test_somebody_other_than_the_stored_senders_can_be_chosen(guided, sandbox, payslip, run) -> None:
    assert run("senders", "add", "client-4711", "--id", "000000026").code == 0
    terminal = guided(payslip, *ABOUT, "--branch", "haifa", "--remark", "x")
    terminal.answer("sender:", "somebody" + ENTER)
    terminal.answer("id number of the insured person:", PERSON + ENTER)
    terminal.answer("send it?", "y" + ENTER)
    assert terminal.finish() == 0
    (declared,) = sandbox.select("SELECT declaration FROM submission")[0]
    assert json.loads(declared)["identity"] == {"id_number": PERSON}
    assert "--sender" not in terminal.text


def test_a_given_kind_of_employer_file_is_not_asked_for(guided, payslip) -> None:
    terminal = guided(payslip, "--to", "employer-collection", "--employer-kind", "household")
    shown = terminal.read_until("employer's file number:")
    assert "employer's file number:" in shown, shown
    assert "kind of employer file" not in shown
    terminal.type(CTRL_C)
    assert terminal.finish() == 130


def test_only_the_result_goes_to_stdout(guided, sandbox, payslip, tmp_path) -> None:
    receipt = tmp_path / "receipt.txt"
    command = [sys.executable, "-m", "docsend", "send", str(payslip), *ABOUT, "--service", sandbox.url]
    terminal = Terminal.from_command("/bin/sh", "-c", f"{subprocess.list2cmdline(command)} > {receipt}")
    terminal.answer("id number", PERSON + ENTER)
    terminal.answer("branch", ENTER)
    terminal.answer("remark", ENTER)
    terminal.answer("send it?", "y" + ENTER)
    assert terminal.finish() == 0
    lines = receipt.read_text("utf-8").splitlines()
    assert lines[0] == "received"
    assert not [line for line in lines if "?" in line or "id number" in line]


@pytest.mark.parametrize("more", [("--no-input",), ("--json",)])
def test_without_prompts_the_missing_options_are_named(guided, payslip, more) -> None:
    terminal = guided(payslip, *more)
    assert terminal.finish() == 2
    assert "--to" in terminal.text


def test_without_a_terminal_the_missing_options_are_named(run, payslip, sandbox) -> None:
    outcome = run("send", payslip, "--service", sandbox.url)
    assert outcome.code == 2
    assert "missing: --to" in outcome.err


def test_a_missing_service_is_reported_before_any_question(payslip) -> None:
    terminal = Terminal("send", payslip)
    assert terminal.finish() == 2
    assert "no service is chosen" in terminal.text
    assert "health-funds" not in terminal.text


def test_a_missing_sign_in_is_reported_before_further_questions(guided, payslip) -> None:
    terminal = guided(payslip)
    terminal.answer("health-funds", "personal" + ENTER)
    assert terminal.finish() == 8  # the test has no keyring with credentials
    assert "subject:" not in terminal.text


def printed_command(terminal: Terminal) -> list[str]:
    """Return the printed command as words, split by a shell."""
    quoted = terminal.text.split("without questions:\n")[1].split("\n")[0]
    command = f"for word in {quoted}; do printf '%s\\0' \"$word\"; done"
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=True, text=True)
    return done.stdout.split("\0")[:-1]


@pytest.mark.parametrize("remark", ["as agreed", "l'accord", "שלום"])
def test_the_printed_command_returns_the_same_receipt(guided, sandbox, payslip, run, remark) -> None:
    terminal = guided(payslip, *ABOUT, columns=400)
    terminal.answer("id number", PERSON + ENTER)
    terminal.answer("branch", "haifa" + ENTER)
    terminal.answer("remark", remark + ENTER)
    terminal.answer("send it?", "y" + ENTER)
    assert terminal.finish() == 0
    words = [PERSON if word.startswith("••") else word for word in printed_command(terminal)]
    again = run(*words[1:], "--json")
    assert (again.code, again.json["repeated"]) == (0, True), again.err


@pytest.mark.parametrize(
    "name",
    ["-scan.pdf", "--to.pdf", "a b.pdf", "a\u200db.pdf", "l'\u200d.pdf", "a\U000e0001b.pdf"],
    ids=ascii,
)
def test_the_printed_command_quotes_any_file_name(sandbox, run, tmp_path, monkeypatch, name) -> None:
    samples.write(tmp_path, name, samples.pdf())
    monkeypatch.chdir(tmp_path)
    about = (*ABOUT, "--branch", "haifa", "--remark", "x", "--service", sandbox.url)
    terminal = Terminal("send", *about, "--", name, columns=400)
    terminal.answer("id number", PERSON + ENTER)
    terminal.answer("send it?", "y" + ENTER)
    assert terminal.finish() == 0
    words = [PERSON if word.startswith("••") else word for word in printed_command(terminal)]
    assert name in words
    again = run("--json", *words[1:])
    assert (again.code, again.json["repeated"]) == (0, True), again.err


def test_the_printed_command_has_anyway_and_an_id_that_differs_from_the_sender(guided, payslip, run) -> None:
    assert run("senders", "add", "client", "--id", PERSON).code == 0
    about = (*ABOUT, "--branch", "haifa")
    terminal = guided(
        payslip, *about[:-4], "--sender", "client", "--id", "000000026", "--anyway", columns=400
    )
    terminal.answer("document type", "payslips" + ENTER)
    terminal.answer("branch", ENTER)
    terminal.answer("remark", ENTER)
    terminal.answer("send it?", "n" + ENTER)
    assert terminal.finish() == 130
    words = printed_command(terminal)
    assert words[words.index("--id") + 1].endswith("026")
    assert words[words.index("--sender") + 1] == "client"
    assert "--anyway" in words


def test_the_printed_command_has_a_placeholder_for_the_booklet_number(guided, payslip) -> None:
    who = ("--employer-file", "900000019", "--booklet", "713422", "--mobile", "0501234567")
    terminal = guided(
        payslip, "--to", "employer-collection", *who, "--category", "correspondence", columns=400
    )
    terminal.answer("document type:", "correction-letter" + ENTER)
    terminal.answer("branch", ENTER)
    terminal.answer("remark", ENTER)
    terminal.answer("send it?", "n" + ENTER)
    terminal.finish()
    assert printed_command(terminal)[printed_command(terminal).index("--booklet") + 1] == "…"


def test_the_printed_command_has_the_booklet_option_only_if_it_was_given_with_the_sender(
    guided, payslip, spawn, monkeypatch
) -> None:
    monkeypatch.setenv("DOCSEND_KEYRING", "keyrings.alt.file.PlaintextKeyring")
    who = ("--employer-file", "900000019", "--mobile", "0501234567", "--booklet-stdin")
    assert spawn("senders", "add", "bakery", *who, stdin=None, input=b"713422").code == 0
    for more, is_told in (((), False), (("--booklet", "8"), True)):
        about = ("--to", "employer-collection", "--category", "correspondence", "--sender", "bakery", *more)
        terminal = guided(payslip, *about, columns=400)
        terminal.answer("document type:", "correction-letter" + ENTER)
        terminal.answer("branch", ENTER)
        terminal.answer("remark", ENTER)
        terminal.answer("send it?", "n" + ENTER)
        terminal.finish()
        assert ("--booklet" in printed_command(terminal)) == is_told


def test_a_type_that_is_filed_online_can_be_chosen_and_shows_its_address(guided, payslip) -> None:
    terminal = guided(payslip, "--to", "benefits", "--subject", "unemployment", *WHO)
    terminal.answer("category:", "claim" + ENTER)
    terminal.answer("document type", ENTER if "document type [" in terminal.text else "claim" + ENTER)
    assert terminal.finish() == 3
    assert "[online-form-required]" in terminal.text
    assert "https://" in terminal.text


def test_only_destinations_that_accept_the_given_fields_are_offered(guided, payslip, run) -> None:
    run("senders", "add", "client", "--id", PERSON)
    terminal = guided(payslip, "--sender", "client")
    shown = terminal.read_until("health-funds")
    assert "benefits" in shown
    assert "employer-collection" not in shown
    terminal.type(CTRL_C)
    terminal.finish()


def test_senders_are_found_by_any_part_of_their_names(guided, payslip, run) -> None:
    run("senders", "add", "Client 77 Cohen", "--id", PERSON)
    terminal = guided(payslip, *ABOUT, "--branch", "haifa", "--remark", "x")
    terminal.answer("sender:", "cohen" + ENTER)
    terminal.answer("send it?", "y" + ENTER)
    assert terminal.finish() == 0


def test_a_missing_file_is_asked_for_again_and_the_tilde_is_expanded(guided, home, run) -> None:
    samples.write(home, "scan.pdf", samples.pdf())
    terminal = guided(*ABOUT, *WHO, "--branch", "haifa", "--remark", "x")
    terminal.answer("document:", "~/scam.pdf" + ENTER)
    assert "there is no file" in terminal.read_until("there is no file")
    terminal.type(CTRL_U + "~/scan.pdf" + ENTER)
    terminal.answer("send it?", "y" + ENTER)
    assert terminal.finish() == 0


def test_the_menu_reopens_after_a_deletion(guided, payslip) -> None:
    terminal = guided(payslip)
    terminal.answer("health-funds", "person")
    terminal.settle()
    terminal.type("\x7f" * 6)
    assert "health-funds" in terminal.read_until("health-funds")
    terminal.type(CTRL_C)
    assert terminal.finish() == 130


@pytest.mark.parametrize(
    ("ground", "ink"), [("000000", "d7dae0"), ("ffffff", "000000")], ids=["dark", "light"]
)
def test_every_character_contrasts_with_its_background(guided, payslip, ground, ink) -> None:
    def faint() -> list[str]:
        return [
            cell.data
            for row in terminal.screen.buffer.values()
            for cell in row.values()
            if cell.data.strip() and contrast(*colors(cell, ground, ink)) < 3
        ]

    terminal = guided(payslip)
    assert "Benefit departments" in terminal.read_until("Benefit departments")
    terminal.type(DOWN)  # mark one of the choices
    terminal.settle()
    assert "".join(faint()) == ""
    terminal.type(CTRL_U + "nothing like it" + ENTER)
    assert "no choice matches" in terminal.read_until("no choice matches")
    assert "".join(faint()) == ""


# -- what was sent before ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("answer", "code", "received"), [("n", 0, 1), ("y", 0, 2)])
def test_what_was_received_is_sent_once_more_only_after_a_yes(
    guided, sandbox, payslip, run, answer, code, received
) -> None:
    assert run("send", payslip, *ABOUT, *WHO, "--service", sandbox.url).code == 0
    terminal = guided(payslip, *ABOUT, *WHO, columns=200)
    shown = terminal.read_until("--occurrence 2?")
    assert "receipt SANDBOX-000001 of 20" in shown
    terminal.type(answer + ENTER)
    assert terminal.finish() == code
    assert sandbox.count() == received
    assert f"SANDBOX-00000{received}" in terminal.text


@pytest.mark.parametrize("what", ["reference", "content"])
@pytest.mark.parametrize(("answer", "code", "received"), [("n", 130, 1), ("y", 0, 2)])
def test_what_resembles_an_earlier_submission_is_sent_only_after_a_yes(
    guided, sandbox, payslip, run, what, answer, code, received
) -> None:
    send = (*ABOUT, *WHO, "--reference", "4711")
    assert run("send", payslip, *send, "--service", sandbox.url).code == 0
    if what == "reference":
        payslip.write_bytes(payslip.read_bytes() + b"% exported anew\n")
    else:
        payslip = payslip.rename(payslip.with_name("copy.pdf"))
    terminal = guided(payslip, *send, columns=200)
    shown = terminal.read_until("send it all the same?")
    assert f"[{what}-received-before]" in shown
    assert "receipt SANDBOX-000001 of 20" in shown
    terminal.type(answer + ENTER)
    assert terminal.finish() == code
    assert sandbox.count() == received


def test_a_question_about_an_earlier_submission_can_be_canceled(guided, sandbox, payslip, run) -> None:
    assert run("send", payslip, *ABOUT, *WHO, "--service", sandbox.url).code == 0
    terminal = guided(payslip, *ABOUT, *WHO, "--remark", "x", columns=200)
    terminal.answer("send it all the same?", CTRL_C)
    assert terminal.finish() == 130
    assert sandbox.count() == 1


def test_what_was_left_unfinished_is_sent_after_a_yes_although_another_version_was_received(
    guided, sandbox, payslip, run, monkeypatch
) -> None:
    monkeypatch.setenv("DOCSEND_PATIENCE", "0")
    is_down: list[bool] = [True]

    def intercept(request: doubles.ReceivedRequest, _count: int, _phase: str) -> doubles.Reply | None:
        return doubles.Reply(503) if is_down and request.method == "PUT" else None

    with doubles.relay(sandbox.url, intercept) as (url, _):
        send = (*ABOUT, *WHO, "--reference", "4711")
        first = payslip.read_bytes()
        assert run("send", payslip, *send, "--service", url).code == 6
        is_down.clear()
        payslip.write_bytes(first + b"% exported anew\n")
        assert run("send", payslip, *send, "--service", url, "--anyway").code == 0
        payslip.write_bytes(first)
        terminal = guided(payslip, *send, "--service", url, columns=200)
        assert "[reference-received-before]" in terminal.read_until("send it all the same?")
        terminal.type("y" + ENTER)
        assert terminal.finish() == 0
    assert sandbox.count() == 2


def test_a_yes_to_sending_once_more_is_asked_about_if_another_version_was_received_since(
    guided, sandbox, payslip, run
) -> None:
    send = (*ABOUT, *WHO, "--reference", "4711")
    first = payslip.read_bytes()
    assert run("send", payslip, *send, "--service", sandbox.url).code == 0
    payslip.write_bytes(first + b"% exported anew\n")
    assert run("send", payslip, *send, "--service", sandbox.url, "--anyway").code == 0
    payslip.write_bytes(first)
    terminal = guided(payslip, *send, columns=200)
    terminal.answer("--occurrence 2?", "y" + ENTER)
    assert "[reference-received-before]" in terminal.read_until("send it all the same?")
    terminal.type("y" + ENTER)
    assert terminal.finish() == 0
    assert sandbox.count() == 3


def test_canceling_the_question_whether_to_send_once_more_says_how_to_see_the_receipt(
    guided, sandbox, payslip, run
) -> None:
    assert run("send", payslip, *ABOUT, *WHO, "--service", sandbox.url).code == 0
    terminal = guided(payslip, *ABOUT, *WHO, columns=200)
    terminal.answer("--occurrence 2?", CTRL_C)
    assert terminal.finish() == 130
    assert "to see the receipt" in terminal.text
    assert sandbox.count() == 1
