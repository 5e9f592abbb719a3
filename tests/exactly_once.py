"""Situations in which something could be sent twice, and the table in docs/exactly-once.md made from them.

Each situation runs real commands against a sandbox: what a person or a script does around docsend. `python
tests/exactly_once.py` writes the table; test_exactly_once.py runs every row.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import bad_manifests
import doubles
import old_ledgers
import pages
import samples
from bad_input import EMPLOYER, EMPLOYER_WHO
from faults import lab

if TYPE_CHECKING:
    from collections.abc import Callable

    from doubles import ReceivedRequest, Reply
    from problem_runs import RunResult, World

PART = pages.GeneratedSection(
    Path(__file__).parent.parent / "docs" / "exactly-once.md",
    "<!-- situations: made by tests/exactly_once.py -->",
    "<!-- end of situations -->",
)


class Place:
    """A computer with documents, and a sandbox behind a network that can fail before or after a request."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.failing: str | None = None  # "before" or "after" the service acts
        self.failure = doubles.Reply(503)
        self.url = world.start_relay(self._intercept)

    def _intercept(self, request: ReceivedRequest, _count: int, phase: str) -> Reply | None:
        is_sending = request.method in ("PUT", "POST") and "/submissions/" in request.path
        return self.failure if is_sending and phase == self.failing else None

    def send(self, *more: str | Path, file: Path | None = None) -> RunResult:
        if file is not None:
            self.world.payslip = file
        return self.world.send("--service", self.url, *more)

    def send_failing(self, when: str, *more: str) -> None:
        """Send while every request fails, before or after the service has acted."""
        self.failing = when
        assert self.send(*more).exit_code == 6
        self.failing = None

    def export_anew(self) -> None:
        """Write the document again with other bytes, as a payroll program does."""
        self.world.payslip.write_bytes(self.world.payslip.read_bytes() + b"% exported anew\n")

    def send_batch(self, *rows: str, more: tuple[str, ...] = (), head: str = bad_manifests.HEAD) -> RunResult:
        manifest = samples.write(
            self.world.folder, "batch.csv", bad_manifests.rows(*rows, head=head).encode()
        )
        for number in (1, 2, 3):
            if not (file := self.world.folder / f"{number}.pdf").exists():
                samples.write(self.world.folder, file.name, samples.pdf(number))
        return self.world.run("send", "--batch", manifest, "--service", self.url, "--jobs", "1", *more)

    def export_batch_anew(self) -> None:
        for number in (1, 2, 3):
            file = self.world.folder / f"{number}.pdf"
            file.write_bytes(file.read_bytes() + b"% exported anew\n")

    def count(self) -> int:
        """Return how many submissions the service has received."""
        return len(lab.received_submissions(self.world.folder / "sandbox"))


@dataclass(frozen=True)
class Situation:
    """What happens, what docsend does about it, and the results of the last run.

    `received` is the number of submissions that the service has received in the end.
    """

    what: str
    does: str
    run: Callable[[Place], RunResult]
    exit_code: int
    received: int
    codes: tuple[str, ...] = ()


def _same_again(place: Place) -> RunResult:
    place.send()
    return place.send()


def _after_failure(when: str) -> Callable[[Place], RunResult]:
    def run(place: Place) -> RunResult:
        place.send_failing(when)
        return place.send()

    return run


def _blocked_by_proxy(place: Place) -> RunResult:
    """Send while a proxy answers with an error page, after the service has acted."""
    place.failing = "after"
    place.failure = doubles.Reply(
        413, b"<html>too large</html>", {"Content-Type": "text/html"}, echoes_id=False
    )
    return place.send()


def _without_ledger(place: Place) -> RunResult:
    place.send()
    (place.world.home / "ledger.sqlite3").unlink()
    return place.send()


def _occurrence(*numbers: str) -> Callable[[Place], RunResult]:
    def run(place: Place) -> RunResult:
        return [place.send("--occurrence", number) for number in numbers][-1]

    return run


def _occurrence_after_failure(place: Place) -> RunResult:
    place.send_failing("before")
    return place.send("--occurrence", "2")


def _occurrence_after_withdrawal(place: Place) -> RunResult:
    place.send_failing("before")
    (entry,) = lab.run(["receipts", "--json"], lab.environment(place.world.home.parent)).result["receipts"]
    assert place.world.run("receipts", "withdraw", entry["key"]).exit_code == 0
    assert place.send().exit_code == 5
    return place.send("--occurrence", "2")


def _exported_anew(*more: str, times: int = 1) -> Callable[[Place], RunResult]:
    def run(place: Place) -> RunResult:
        place.send("--reference", "4711")
        place.export_anew()
        return [place.send("--reference", "4711", *more) for _ in range(times)][-1]

    return run


def _exported_anew_looking_alike(place: Place) -> RunResult:
    """Export anew under references that people would call the same, one after another."""
    place.send("--reference", "A-47 11")
    results = []
    for reference in _ALIKE:
        place.export_anew()
        results.append(place.send("--reference", reference))
    assert {result.exit_code for result in results} == {3}, results
    return results[-1]


def _exported_anew_after_failure(when: str) -> Callable[[Place], RunResult]:
    def run(place: Place) -> RunResult:
        place.send_failing(when, "--reference", "4711")
        place.export_anew()
        return place.send("--reference", "4711")

    return run


def _old_command_after_new_export(place: Place) -> RunResult:
    place.send_failing("before", "--reference", "4711")
    first = place.world.payslip.read_bytes()
    place.export_anew()
    assert place.send("--reference", "4711").exit_code == 0
    place.world.payslip.write_bytes(first)
    return place.send("--reference", "4711")


def _sent_anyway_then_first_again(when: str, *more: str) -> Callable[[Place], RunResult]:
    """Lose a request or a response, send an export anew with `--anyway`, and run the first command again."""

    def run(place: Place) -> RunResult:
        place.send_failing(when, "--reference", "4711")
        first = place.world.payslip.read_bytes()
        place.export_anew()
        assert place.send("--reference", "4711", "--anyway").exit_code == 0
        place.world.payslip.write_bytes(first)
        return place.send("--reference", "4711", *more)

    return run


def _withdrawn_and_sent_all_the_same(place: Place) -> RunResult:
    assert _old_command_after_new_export(place).exit_code == 5
    return [place.send("--reference", "4711", "--occurrence", "2", "--anyway") for _ in range(2)][-1]


def _both_unfinished(when: str, which: str) -> Callable[[Place], RunResult]:
    """Leave two exports unfinished in a ledger of docsend 0.1.0, and run one of their commands again."""

    def run(place: Place) -> RunResult:
        exports = {"first": place.world.payslip.read_bytes()}
        place.send_failing("before", "--reference", "4711")
        place.export_anew()
        exports["second"] = place.world.payslip.read_bytes()
        place.send_failing(when, "--reference", "4711", "--anyway")
        old_ledgers.rewrite_as(place.world.home / "ledger.sqlite3", 3)
        place.world.payslip.write_bytes(exports[which])
        return place.send("--reference", "4711")

    return run


def _anyway_unfinished_then_first_again(*more: str) -> Callable[[Place], RunResult]:
    """Lose the requests of an export and of one anew with `--anyway`, and run the first command again."""

    def run(place: Place) -> RunResult:
        place.send_failing("before", "--reference", "4711")
        first = place.world.payslip.read_bytes()
        place.export_anew()
        place.send_failing("before", "--reference", "4711", "--anyway")
        place.world.payslip.write_bytes(first)
        return place.send("--reference", "4711", *more)

    return run


def _batch_row_unfinished(*more: str) -> Callable[[Place], RunResult]:
    """Leave a row unfinished, send an export anew with `--anyway`, and send the batch of the first again."""

    def run(place: Place) -> RunResult:
        row = bad_manifests.good(1, documents="1.pdf")
        place.failing = "before"
        assert place.send_batch(row).exit_code == 7
        place.failing = None
        first = (place.world.folder / "1.pdf").read_bytes()
        place.export_batch_anew()
        assert place.send_batch(row, more=("--anyway",)).exit_code == 0
        (place.world.folder / "1.pdf").write_bytes(first)
        return place.send_batch(row, more=more)

    return run


def _resumed(place: Place) -> RunResult:
    """Leave a declared submission unfinished, send an export anew with `--anyway`, and resume."""
    lab.store_catalog(lab.environment(place.world.home.parent), place.url, None)
    place.send_failing("after", "--reference", "4711")
    place.export_anew()
    assert place.send("--reference", "4711", "--anyway").exit_code == 0
    return place.world.run("receipts", "resume", "--service", place.url)


def _exported_anew_unreachable(place: Place) -> RunResult:
    place.send_failing("before", "--reference", "4711")
    place.export_anew()
    place.url, url = "http://127.0.0.1:9", place.url
    result = place.world.send("--service", url, "--reference", "4712")
    assert result.exit_code == 0, "another reference is another submission"
    return place.send("--reference", "4711")


def _exported_anew_without_reference(place: Place) -> RunResult:
    place.send()
    place.export_anew()
    return place.send()


def _exported_anew_for_another(*other: str) -> Callable[[Place], RunResult]:
    def run(place: Place) -> RunResult:
        place.send("--reference", "4711")
        place.export_anew()
        options = list(bad_manifests_options(other))
        return place.world.run("send", place.world.payslip, *options, "--service", place.url)

    return run


def bad_manifests_options(changes: tuple[str, ...]) -> list[str]:
    """Return the options of a submission with reference 4711, of which `changes` replace some."""
    options = {
        "--to": "benefits",
        "--subject": "unemployment",
        "--category": "employer",
        "--type": "payslips",
        "--id": "000000018",
        "--reference": "4711",
        **dict(zip(changes[::2], changes[1::2], strict=True)),
    }
    return [part for pair in options.items() for part in pair]


def _renamed(*more: str, times: int = 1) -> Callable[[Place], RunResult]:
    def run(place: Place) -> RunResult:
        place.send()
        copy = samples.write(place.world.folder, "copy.pdf", place.world.payslip.read_bytes())
        return [place.send(*more, file=copy) for _ in range(times)][-1]

    return run


def _with(*more: str) -> Callable[[Place], RunResult]:
    def run(place: Place) -> RunResult:
        place.send()
        return place.send(*more)

    return run


def _renamed_after_failure(when: str) -> Callable[[Place], RunResult]:
    def run(place: Place) -> RunResult:
        place.send_failing(when)
        copy = samples.write(place.world.folder, "copy.pdf", place.world.payslip.read_bytes())
        return place.send(file=copy)

    return run


def _employer(place: Place) -> RunResult:
    """Send for an employer, and again with another mobile number, under the same reference."""
    send: list[str | Path] = ["send", place.world.payslip, *EMPLOYER, *EMPLOYER_WHO, "--reference", "4711"]
    assert place.world.run(*send, "--service", place.url).exit_code == 0
    place.export_anew()
    send[send.index("--mobile") + 1] = "0509999999"
    return place.world.run(*send, "--service", place.url)


def _personal(*more: str) -> Callable[[Place], RunResult]:
    def run(place: Place) -> RunResult:
        place.world.set_account("1002", "fictional-clear")
        options = bad_manifests_options(("--to", "personal"))
        del options[options.index("--id") : options.index("--id") + 2]
        assert place.world.run("send", place.world.payslip, *options, "--service", place.url).exit_code == 0
        place.export_anew()
        return place.world.run("send", place.world.payslip, *options, "--service", place.url, *more)

    return run


def _personal_batch(place: Place) -> RunResult:
    """Send a personal row, export it anew, and check the batch."""
    place.world.set_account("1002", "fictional-clear")
    row = "personal,unemployment,employer,payslips,4711,1.pdf"
    head = "to,subject,category,type,reference,documents"
    assert place.send_batch(row, head=head).exit_code == 0
    place.export_batch_anew()
    return place.send_batch(row, head=head, more=("--dry-run",))


def _required(when: str | None, *, is_anew: bool = True) -> Callable[[Place], RunResult]:
    """Upload a required document while requests fail, export it anew, and upload it again."""

    def run(place: Place) -> RunResult:
        place.world.set_account("1001", "fictional-pending")
        upload = ("required", "upload", "R-4711", place.world.payslip, "--service", place.url)
        place.failing = when
        assert place.world.run(*upload).exit_code == (6 if when else 0)
        place.failing = None
        if is_anew:
            place.export_anew()
        return place.world.run(*upload)

    return run


def _batch(*rows: str, more: tuple[str, ...] = (), times: int = 1) -> Callable[[Place], RunResult]:
    return lambda place: [place.send_batch(*rows, more=more) for _ in range(times)][-1]


def _batch_exported_anew(*more: str, sent: int = 3) -> Callable[[Place], RunResult]:
    """Send some rows, export all of the documents anew, and send all rows."""

    def run(place: Place) -> RunResult:
        rows = [bad_manifests.good(n, documents=f"{n}.pdf") for n in (1, 2, 3)]
        assert place.send_batch(*rows[:sent]).exit_code == 0
        place.export_batch_anew()
        return place.send_batch(*rows, more=more)

    return run


def _batch_with_occurrences(place: Place) -> RunResult:
    head = f"{bad_manifests.HEAD},occurrence"
    rows = [bad_manifests.good(n, documents=f"{n}.pdf") for n in (1, 2)]
    assert place.send_batch(*(f"{row},{n}" for row in rows for n in (1, 2)), head=head).exit_code == 0
    place.export_batch_anew()
    (place.world.folder / "1.pdf").write_bytes(samples.pdf(1))
    return place.send_batch(f"{rows[0]},3", f"{rows[1]},2", head=head, more=("--dry-run",))


def _batch_exported_anew_after_failure(when: str) -> Callable[[Place], RunResult]:
    def run(place: Place) -> RunResult:
        rows = [bad_manifests.good(n, documents=f"{n}.pdf") for n in (1, 2, 3)]
        place.failing = when
        assert place.send_batch(*rows).exit_code != 0
        place.failing = None
        place.export_batch_anew()
        return place.send_batch(*rows)

    return run


def _same_file_for_another(place: Place) -> RunResult:
    place.send("--reference", "4711")
    options = bad_manifests_options(("--id", "000000026"))
    return place.world.run("send", place.world.payslip, *options, "--service", place.url)


def _rows_in_two_shares(place: Place) -> RunResult:
    """Send two shares of a manifest, each with one of two rows that have the same reference."""
    rows = (f"{_GOOD[0]},", f"{bad_manifests.good(1, documents='3.pdf')},01")
    head = f"{bad_manifests.HEAD},occurrence"
    shares = [place.send_batch(*rows, head=head, more=("--shard", f"{number}/2")) for number in (1, 2)]
    assert [len(share.problems) for share in shares] == [1, 1], "each share has one of the rows"
    assert shares[0].exit_code == shares[1].exit_code
    return shares[0]


def _rows_with_occurrences(place: Place) -> RunResult:
    head = f"{bad_manifests.HEAD},occurrence"
    rows = [f"{bad_manifests.good(1, documents='1.pdf')},{number}" for number in ("2", "", "3")]
    return [place.send_batch(*rows, head=head) for _ in range(2)][-1]


def _old_ledger(*first: str) -> Callable[[Place], RunResult]:
    """Send, turn the ledger into one of docsend 0.1.0, export anew, and send with the same reference."""

    def run(place: Place) -> RunResult:
        assert place.send("--reference", "4711", *first).exit_code == 0
        old_ledgers.rewrite_as(place.world.home / "ledger.sqlite3", 3)
        place.export_anew()
        return place.send("--reference", "4711")

    return run


def _old_batch(place: Place) -> RunResult:
    rows = [bad_manifests.good(n, documents=f"{n}.pdf") for n in (1, 2, 3)]
    assert place.send_batch(*rows).exit_code == 0
    old_ledgers.rewrite_as(place.world.home / "ledger.sqlite3", 3)
    place.export_batch_anew()
    return place.send_batch(*rows, more=("--dry-run",))


def _without_key_file(place: Place) -> RunResult:
    place.send()
    (place.world.home / "ledger.key").unlink()
    return place.send("--reference", "another")


# The reference `A-47 11` as people might write it, or a program might export it.
_ALIKE = (
    *("a-47 11", "A-47  11", "A-47\N{NO-BREAK SPACE}11", "\N{RIGHT-TO-LEFT MARK}A-47 11"),
    *("A-47 11\N{RIGHT-TO-LEFT MARK}", "A-4\N{ZERO WIDTH SPACE}7 11", "A-47 11\N{ZERO WIDTH JOINER}"),
    *("\N{FULLWIDTH LATIN CAPITAL LETTER A}-\N{FULLWIDTH DIGIT FOUR}7 11", "A\N{EN DASH}47 11"),
    *("A\N{NON-BREAKING HYPHEN}47 11", "A-47\N{IDEOGRAPHIC SPACE}11", "A-47 11\N{VARIATION SELECTOR-16}"),
)
_GOOD = [bad_manifests.good(n, documents=f"{n}.pdf") for n in (1, 2, 3)]
_REFUSED_REFERENCE = "refuses: `reference-received-before`, with the number and the date of the receipt"
_REFUSED_CONTENT = "refuses: `content-received-before`, with the number and the date of the receipt"
_FENCED = "withdraws the earlier one at the service, so that it can never be received, says so, and sends"
_KEPT = "asks the service, keeps the receipt of the earlier one, and refuses: "
SITUATIONS = (
    Situation(
        "the same command again",
        "shows the receipt, and how to send it once more: `--occurrence 2`",
        _same_again,
        0,
        1,
    ),
    Situation("the same command again, after the request was lost", "sends", _after_failure("before"), 0, 1),
    Situation(
        "the same command again, after the response was lost",
        "fetches the receipt",
        _after_failure("after"),
        0,
        1,
    ),
    Situation(
        "a proxy answers with a page that refuses the size, after the service has received everything",
        "asks the service, and keeps the receipt",
        _blocked_by_proxy,
        0,
        1,
    ),
    Situation(
        "the same command again, without the ledger",
        "fetches the receipt: the service knows the key",
        _without_ledger,
        0,
        1,
    ),
    Situation("`--occurrence 2`", "sends the same content a second time", _occurrence("1", "2"), 0, 2),
    Situation("`--occurrence 2`, several times", "sends it once", _occurrence("1", "2", "2", "2"), 0, 2),
    Situation(
        "`--occurrence 3`, and the second was never sent",
        "refuses",
        _occurrence("1", "3"),
        3,
        1,
        ("occurrence-too-early",),
    ),
    Situation(
        "`--occurrence 2`, and the first is unfinished",
        "refuses",
        _occurrence_after_failure,
        3,
        0,
        ("occurrence-too-early",),
    ),
    Situation("`--occurrence 2`, and the first was withdrawn", "sends", _occurrence_after_withdrawal, 0, 1),
    Situation(
        "exported anew: the same reference with other bytes",
        _REFUSED_REFERENCE,
        _exported_anew(),
        3,
        1,
        ("reference-received-before",),
    ),
    Situation("the same, with `--anyway`", "sends", _exported_anew("--anyway"), 0, 2),
    Situation(
        "the same, with `--anyway`, several times", "sends it once", _exported_anew("--anyway", times=3), 0, 2
    ),
    Situation(
        "exported anew, and the reference differs in blanks, kinds of dashes, upper case or invisible marks",
        _REFUSED_REFERENCE,
        _exported_anew_looking_alike,
        3,
        1,
        ("reference-received-before",),
    ),
    Situation(
        "exported anew, after the request was lost",
        _FENCED,
        _exported_anew_after_failure("before"),
        0,
        1,
        ("earlier-withdrawn",),
    ),
    Situation(
        "exported anew, after the response was lost",
        f"{_KEPT}`reference-received-before`",
        _exported_anew_after_failure("after"),
        3,
        1,
        ("reference-received-before",),
    ),
    Situation(
        "then the first export again",
        "refuses: that one was withdrawn",
        _old_command_after_new_export,
        5,
        1,
        ("withdrawn",),
    ),
    Situation(
        "the same, with `--occurrence 2 --anyway`, several times",
        "sends it once",
        _withdrawn_and_sent_all_the_same,
        0,
        2,
    ),
    Situation(
        "a request was lost, then an export anew was sent with `--anyway`, then the first again",
        "withdraws the first at the service, and refuses it: `reference-received-before`",
        _sent_anyway_then_first_again("before"),
        3,
        1,
        ("reference-received-before",),
    ),
    Situation(
        "the same, and the first had been received",
        "keeps its receipt",
        _sent_anyway_then_first_again("after"),
        0,
        2,
    ),
    Situation(
        "the same, with `--anyway`, and the first had not been received",
        "sends",
        _sent_anyway_then_first_again("before", "--anyway"),
        0,
        2,
    ),
    Situation(
        "the requests of an export and of one anew with `--anyway` were lost, then the first again",
        "leaves both: an earlier one does not withdraw a later one; says what to run if only one is meant",
        _anyway_unfinished_then_first_again(),
        6,
        0,
        ("unfinished",),
    ),
    Situation(
        "the same, with `--anyway`",
        "sends",
        _anyway_unfinished_then_first_again("--anyway"),
        0,
        1,
    ),
    Situation(
        "`receipts resume`, and the same reference was received since",
        "does not finish it: the ledger does not tell whether both are meant",
        _resumed,
        6,
        1,
    ),
    Situation(
        "exported anew, and the service cannot be asked",
        "sends nothing, and says to run the command again",
        _exported_anew_unreachable,
        6,
        1,
        ("connection-refused",),
    ),
    Situation(
        "exported anew, without a reference",
        "sends: nothing says that it is the same",
        _exported_anew_without_reference,
        0,
        2,
    ),
    Situation(
        "exported anew for another person", "sends", _exported_anew_for_another("--id", "000000026"), 0, 2
    ),
    Situation(
        "exported anew about another type",
        "sends",
        _exported_anew_for_another("--type", "termination-letter"),
        0,
        2,
    ),
    Situation(
        "exported anew for an employer, with another mobile number",
        _REFUSED_REFERENCE,
        _employer,
        3,
        1,
        ("reference-received-before",),
    ),
    Situation(
        "exported anew for the signed-in person",
        _REFUSED_REFERENCE,
        _personal(),
        3,
        1,
        ("reference-received-before",),
    ),
    Situation(
        "the same, with `--dry-run`",
        "shows this error",
        _personal("--dry-run"),
        3,
        1,
        ("reference-received-before",),
    ),
    Situation(
        "a required document, uploaded again",
        "shows the receipt",
        _required(None, is_anew=False),
        0,
        1,
    ),
    Situation(
        "a required document exported anew, and the first was received",
        "refuses: `reference-received-before`, because the id of the required document is the same",
        _required(None),
        3,
        1,
        ("reference-received-before",),
    ),
    Situation(
        "a required document exported anew, after the request was lost",
        _FENCED,
        _required("before"),
        0,
        1,
        ("earlier-withdrawn",),
    ),
    Situation(
        "a required document exported anew, after the response was lost",
        f"{_KEPT}`reference-received-before`",
        _required("after"),
        3,
        1,
        ("reference-received-before",),
    ),
    Situation(
        "the same file under another name", _REFUSED_CONTENT, _renamed(), 3, 1, ("content-received-before",)
    ),
    Situation(
        "the same, with `--anyway`, several times", "sends it once", _renamed("--anyway", times=3), 0, 2
    ),
    Situation(
        "the same file with another remark",
        _REFUSED_CONTENT,
        _with("--remark", "please"),
        3,
        1,
        ("content-received-before",),
    ),
    Situation(
        "the same file with another reference",
        _REFUSED_CONTENT,
        _with("--reference", "4711"),
        3,
        1,
        ("content-received-before",),
    ),
    Situation("the same file for another person", "sends", _same_file_for_another, 0, 2),
    Situation(
        "the same file under another name, after the request was lost",
        _FENCED,
        _renamed_after_failure("before"),
        0,
        1,
        ("earlier-withdrawn",),
    ),
    Situation(
        "the same file under another name, after the response was lost",
        f"{_KEPT}`content-received-before`",
        _renamed_after_failure("after"),
        3,
        1,
        ("content-received-before",),
    ),
    Situation("a batch again", "counts each row as received before", _batch(*_GOOD, times=2), 0, 3),
    Situation(
        "a batch, all of it exported anew",
        "refuses each row",
        _batch_exported_anew(),
        9,
        3,
        ("reference-received-before",) * 3,
    ),
    Situation(
        "the same, with `--dry-run`",
        "shows each of these errors",
        _batch_exported_anew("--dry-run"),
        3,
        3,
        ("reference-received-before",) * 3,
    ),
    Situation("the same, with `--anyway`", "sends", _batch_exported_anew("--anyway"), 0, 6),
    Situation(
        "a batch for the signed-in person exported anew, with `--dry-run`",
        "shows this error",
        _personal_batch,
        3,
        1,
        ("reference-received-before",),
    ),
    Situation(
        "a batch with higher occurrences, of which one row was exported anew, with `--dry-run`",
        "shows the error of that row",
        _batch_with_occurrences,
        3,
        4,
        ("reference-received-before",),
    ),
    Situation(
        "a batch of which one row was received, exported anew",
        "refuses that row and sends the others",
        _batch_exported_anew(sent=1),
        9,
        3,
        ("reference-received-before",),
    ),
    Situation(
        "a batch exported anew, after its requests were lost",
        f"{_FENCED} each row",
        _batch_exported_anew_after_failure("before"),
        0,
        3,
        ("earlier-withdrawn",) * 3,
    ),
    Situation(
        "a batch exported anew, after its responses were lost",
        f"{_KEPT}`reference-received-before`",
        _batch_exported_anew_after_failure("after"),
        9,
        3,
        ("reference-received-before",) * 3,
    ),
    Situation(
        "a batch whose row is unfinished, and an export anew of it was sent with `--anyway`",
        "withdraws the row at the service, and refuses it: `reference-received-before`",
        _batch_row_unfinished(),
        9,
        1,
        ("reference-received-before",),
    ),
    Situation(
        "the same, with `--dry-run`",
        "shows this error",
        _batch_row_unfinished("--dry-run"),
        3,
        1,
        ("reference-received-before",),
    ),
    Situation(
        "two rows with the same reference for the same person",
        "sends nothing",
        _batch(_GOOD[0], bad_manifests.good(1, documents="2.pdf")),
        3,
        0,
        ("reference-in-two-rows",),
    ),
    Situation(
        "the same, and the references differ in numbers of blanks or upper case",
        "sends nothing",
        _batch(
            bad_manifests.good(1, documents="1.pdf", reference="a b"),
            bad_manifests.good(1, documents="2.pdf", reference="A  B"),
        ),
        3,
        0,
        ("reference-in-two-rows",),
    ),
    Situation(
        "two rows with the same reference, and the rows are in different shares",
        "sends nothing, in either share",
        _rows_in_two_shares,
        3,
        0,
        ("reference-in-two-rows",),
    ),
    Situation(
        "two rows with the same document for the same person",
        "sends nothing",
        _batch(bad_manifests.good(1, documents="1.pdf"), bad_manifests.good(2, documents="1.pdf")),
        3,
        0,
        ("content-in-two-rows",),
    ),
    Situation(
        "either of them, with `--anyway`",
        "sends both",
        _batch(_GOOD[0], bad_manifests.good(1, documents="2.pdf"), more=("--anyway",), times=2),
        0,
        2,
    ),
    Situation(
        "three rows that differ in the column `occurrence` alone, twice",
        "sends each once, in their order",
        _rows_with_occurrences,
        0,
        3,
    ),
    Situation(
        "exported anew, and docsend 0.1.0 had sent the first",
        _REFUSED_REFERENCE,
        _old_ledger(),
        3,
        1,
        ("reference-received-before",),
    ),
    Situation(
        "a batch exported anew, and docsend 0.1.0 had sent the first, with `--dry-run`",
        "shows each of these errors",
        _old_batch,
        3,
        3,
        ("reference-received-before",) * 3,
    ),
    Situation(
        "exported anew, docsend 0.1.0 had sent the first, and the remark has changed since",
        "cannot tell whether it is for the same person: warns and sends",
        _old_ledger("--remark", "first"),
        0,
        2,
        ("perhaps-received-before",),
    ),
    Situation(
        "docsend 0.1.0 left two exports unfinished; the second was not received and its command runs",
        _FENCED,
        _both_unfinished("before", "second"),
        0,
        1,
        ("earlier-withdrawn",),
    ),
    Situation(
        "the same, and the second was received, and the command of the first runs",
        "keeps the receipt of the second, withdraws the first and refuses it: `reference-received-before`",
        _both_unfinished("after", "first"),
        3,
        1,
        ("reference-received-before",),
    ),
    Situation(
        "the ledger's key file is missing", "sends nothing", _without_key_file, 8, 1, ("local-failure",)
    ),
)


def table() -> str:
    """Return the table for docs/exactly-once.md."""
    lines = ["| situation | what docsend does | exit code | received in all |", "|---|---|---|---|"]
    lines += [f"| {each.what} | {each.does} | {each.exit_code} | {each.received} |" for each in SITUATIONS]
    return "\n".join(lines)


if __name__ == "__main__":
    PART.write(table())
    sys.stdout.write(f"{len(SITUATIONS)} rows\n")
