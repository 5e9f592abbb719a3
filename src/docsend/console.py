"""Everything a person sees. The result goes to stdout, talk to stderr; the only user of rich.

Rules:
- every string that was made elsewhere passes `safe` before a terminal or a log sees it (invariant 7);
- pictures (panels, bars, colours) only on a terminal that can draw them, judged for each stream by itself;
  everywhere else plain lines, which a script or a log can keep;
- `--quiet` leaves errors and the result; `--json` makes the result one line of JSON and silences the bars;
- a stream that is closed, or cannot write a letter, never stops the work.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sys
import textwrap
import time
import unicodedata
from collections import Counter
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from docsend import shapes
from docsend.errors import LocalFailure
from docsend.language import Label, Phrase, Reader, joined, moment
from docsend.result import of_row, problem_of
from docsend.rules import in_words
from docsend.submission import Document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from docsend.batch import Outcome, Plan, Tally
    from docsend.catalog import Catalog, Entry
    from docsend.doctor import Finding
    from docsend.errors import DocsendError
    from docsend.language import Language
    from docsend.ledger import Entry as Kept
    from docsend.result import Result
    from docsend.senders import Sender
    from docsend.service import Watcher
    from docsend.settings import Endpoint, Settings
    from docsend.submission import (
        CheckedSubmission,
        Problem,
        Receipt,
        RequiredDocument,
        Submission,
        UnreadDocument,
    )

# Columns of a terminal.
_WIDE, _VERY_WIDE = 80, 150
_MOST_WARNINGS = 10
_IN_ONE_PIECE = ("code", "key", "state", "receipt", "time", "due")
# What `docsend doctor` looks at, and how it judges.
_VERDICTS = {"good": Phrase("good"), "warning": Phrase("warning"), "bad": Phrase("BAD")}
_PARTS = {
    "version": Phrase("version"),
    "configuration": Phrase("configuration"),
    "data": Phrase("data"),
    "catalog": Phrase("catalog"),
    "ledger": Phrase("ledger"),
    "keyring": Phrase("keyring"),
    "terminal": Phrase("terminal"),
    "service": Phrase("service"),
    "network": Phrase("network"),
    "clock": Phrase("clock"),
}
# The heads of tables, by the names that the code has for them.
_HEADS = {
    "document": Phrase("document"),
    "format": Phrase("format"),
    "bytes": Phrase("bytes"),
    "sha256": Phrase("sha256"),
    "verdict": Phrase("verdict"),
    "key": Phrase("key"),
    "state": Phrase("state"),
    "receipt": Phrase("receipt"),
    "time": Phrase("time"),
    "about": Phrase("about"),
    "reference": Phrase("reference"),
    "service": Phrase("service"),
    "kind": Phrase("kind"),
    "code": Phrase("code"),
    "label": Phrase("label"),
    "belongs to": Phrase("belongs to"),
    "id": Phrase("id"),
    "subject": Phrase("subject"),
    "title": Phrase("title"),
    "due": Phrase("due"),
    "sender": Phrase("sender"),
    "number": Phrase("number"),
}
NOT_THE_INSTITUTE = Phrase("sandbox: nothing here reaches the institute")
NOT_APPROVED = Phrase('"received" means that the service has everything; it does not mean approved')


def safe(text: object) -> str:
    r"""Give foreign text with all that could steer a terminal or a log written out: \x1b, \u202e."""
    return "".join(
        character if unicodedata.category(character) not in _STEERING else _written_out(character)
        for character in str(text)
    )


_STEERING = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


# Of a long list of JSON: what stays in memory, and what is written at once.
_HELD_BYTES, _PIECE = 8 * 2**20, 2**20
_UNSAFE_IN_JSON = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def _written_out(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


class Resumed(NamedTuple):
    """One submission after the attempt to finish it: as the ledger has it now, and what is in the way."""

    entry: Kept
    receipt: Receipt | None
    error: DocsendError | None


class Console:
    """The two streams, and what this run may put on them."""

    def __init__(
        self, settings: Settings | None = None, *, as_json: bool = False, language: Language = "en"
    ) -> None:
        """Make the console of a run; without settings, that of one that failed before it had any."""
        self._as_json = settings.as_json if settings else as_json
        self._quiet = settings.quiet if settings else False
        self._verbose = settings.verbose if settings else False
        self._reader = Reader(settings.language if settings else language)
        self._said: set[str] = set()
        self._is_dumb = settings.has_dumb_terminal if settings else True

    # -- talk --------------------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """Tell something that is good to know and may be missed."""
        if not self._quiet:
            self._tell(text)

    def say_once(self, text: str) -> None:
        """Tell it the first time only."""
        if text not in self._said:
            self._said.add(text)
            self.say(text)

    def command(self, heading: Phrase, command: str) -> None:
        """Tell a command to be copied: in one line, however narrow the terminal is."""
        if not self._quiet:
            self._tell(heading)
            _write(sys.stderr, f"  {safe(command)}\n")

    def detail(self, text: str) -> None:
        """Tell what only `--verbose` wants to know."""
        if self._verbose:
            self._tell(text, indent=2)

    def error(self, message: str, hint: str | None = None) -> None:
        self._tell(Phrase("docsend: {message}", message=message))
        if hint:
            self._tell(hint, indent=2)

    def problems(self, problems: Iterable[Problem]) -> None:
        """Tell what was found, each with its code and its cure; with `--quiet` errors only."""
        for problem in problems:
            if problem.is_error or not self._quiet:
                self._tell(_found(problem), indent=2)
                if problem.hint:
                    self._tell(problem.hint, indent=4)

    def reads(self, text: str) -> str:
        """Give a text as it is shown on stderr: safe, and in the reader's language."""
        return self._reader.text(text, safe=safe, isolated=self._draws(sys.stderr))

    @property
    def draws_talk(self) -> bool:
        """Whether talk goes to a terminal that can draw."""
        return self._draws(sys.stderr)

    @property
    def pages(self) -> bool:
        """Whether a person reads the result on a terminal, where a list without an end helps nobody."""
        return not self._as_json and self._draws(sys.stdout)

    # -- results -----------------------------------------------------------------------------------------

    def failure(self, error: DocsendError, result: Result) -> None:
        """Show a command that failed: in words on stderr, and as JSON on stdout if asked."""
        unwritten = None
        if self._as_json:
            try:
                self.json(result.as_json())
            except LocalFailure as failure:
                unwritten = failure
        self.error(error.message, None if error.problems else error.hint)
        self.problems(problem for problem in result.problems if error.problems or not problem.is_error)
        if unwritten is not None:
            # The first failure keeps its exit code: it says what to do next.
            self.error(unwritten.message)

    def json(self, value: Any) -> None:
        self._put(_json_text(value) + "\n")

    def _json_list(self, head: dict[str, str], name: str, items: Iterable[Any]) -> None:
        """Write one object with a list of any length in it, as a whole or, if an item fails, not at all."""
        from tempfile import SpooledTemporaryFile  # noqa: PLC0415 - only lists that may be long

        with SpooledTemporaryFile(_HELD_BYTES, "w+", encoding="utf-8", newline="") as text:
            text.write(_json_text({**head, name: []}).removesuffix("]}"))
            for count, item in enumerate(items):
                text.write((", " if count else "") + _json_text(item))
            text.write("]}\n")
            text.seek(0)
            while piece := text.read(_PIECE):
                self._put(piece)

    def received(self, result: Result, checked: CheckedSubmission, receipt: Receipt) -> None:
        """Show a receipt: a panel for a person, lines for a file."""
        if self._as_json:
            self.json(result.as_json())
            return
        heading = Phrase("received before") if result.is_repeated else Phrase("received")
        rows = [
            *self._receipt_rows(receipt),
            (
                Phrase("for"),
                str(checked.identity) if checked.identity else Phrase("the signed-in account"),
            ),
            (Phrase("about"), _about(checked)),
            *([(Phrase("reference"), checked.reference)] if checked.reference else []),
            *self._document_rows(receipt),
        ]
        if result.is_repeated:
            self.say(Phrase("this submission had been received before; no document was sent again"))
        self._card(heading, rows)

    def summary(
        self, checked: CheckedSubmission, catalog: Catalog, sender: str | None, endpoint: Endpoint | None
    ) -> None:
        """Show what is about to be sent, as talk: for a last look before it is."""
        about = [
            (Phrase("destination"), catalog.destinations.get(checked.to)),
            (Phrase("subject"), catalog.subjects.get(checked.subject or "")),
            (Phrase("category"), catalog.categories.get(checked.category)),
            (Phrase("type"), next((each for each in catalog.types if each.code == checked.type), None)),
            (Phrase("branch"), catalog.branches.get(checked.branch or "")),
        ]
        who: str = str(checked.identity) if checked.identity else Phrase("the signed-in account")
        rows: list[tuple[str, str]] = [
            (Phrase("for"), Phrase("{sender}, {number}", sender=sender, number=who) if sender else who),
            *(
                (name, Phrase("{label} ({code})", label=Label(entry.labels), code=entry.code))
                for name, entry in about
                if entry is not None
            ),
            *([(Phrase("required document"), checked.required)] if checked.required else []),
            *([(Phrase("remark"), checked.remark)] if checked.remark else []),
            *([(Phrase("reference"), checked.reference)] if checked.reference else []),
            *([(Phrase("service"), endpoint.name)] if endpoint else []),
            *(
                (Phrase("document"), Phrase("{name}, {size:,} bytes", name=each.name, size=each.size))
                for each in checked.documents
            ),
        ]
        width = max(len(self.reads(name)) for name, _ in rows)
        self._tell("")
        for name, value in rows:
            self._tell(f"{self.reads(name).ljust(width)}  {self.reads(value)}", indent=2, is_ready=True)
        self.problems(checked.warnings)
        self._tell("")

    def checked(self, result: Result, catalog_limit: int | None) -> None:
        """Show what a dry run found: a line a document, then the problems."""
        if self._as_json:
            self.json(result.as_json())
            return
        submission = result.submission
        if submission is not None:
            self.findings(submission, result.problems, catalog_limit)
        self.say(Phrase("checked clean; nothing was sent"))

    def findings(
        self,
        submission: Submission | CheckedSubmission,
        problems: Sequence[Problem],
        limit: int | None,
    ) -> None:
        """Show each document with its format, size against the limit, digest and verdict."""
        rows = [
            (
                document.name,
                (document.format or "?") if isinstance(document, Document) else "-",
                "-" if document.size is None else _size(document.size, limit),
                document.sha256[:16] if isinstance(document, Document) else "-",
                _verdict(document, problems),
            )
            for document in submission.documents
        ]
        heads = ("document", "format", "bytes", "sha256", "verdict")
        self.table(heads, rows)

    def kept(self, entry: Kept, receipt: Receipt | None) -> None:
        """Show one submission of the ledger with all that is known of it."""
        if self._as_json:
            self.json({"schema": "docsend.receipts/1", "receipts": [shapes.kept(entry, receipt)]})
            return
        rows = [
            *(self._receipt_rows(receipt) if receipt else [(Phrase("key"), entry.key)]),
            (Phrase("service"), entry.service),
            (
                Phrase("about"),
                " / ".join(filter(None, (entry.to, entry.subject, entry.category, entry.type))),
            ),
            *([(Phrase("reference"), entry.reference)] if entry.reference else []),
            *([(Phrase("occurrence"), str(entry.occurrence))] if entry.occurrence > 1 else []),
            *([(Phrase("problem"), entry.problem)] if entry.problem else []),
            (Phrase("planned"), moment(entry.planned_at)),
            (Phrase("changed"), moment(entry.changed_at)),
            *[
                (
                    document.name,
                    Phrase("{size:,} bytes, sha256 {digest}", size=document.size, digest=document.sha256),
                )
                for document in entry.documents
            ],
        ]
        self._card(entry.state, rows, footnote=NOT_APPROVED if receipt else None)

    def receipts(self, entries: Iterable[tuple[Kept, Receipt | None]]) -> None:
        """List what the ledger holds, the latest first."""
        if self._as_json:
            listed = (shapes.kept(entry, receipt) for entry, receipt in entries)
            self._json_list({"schema": "docsend.receipts/1"}, "receipts", listed)
            return
        rows = [
            {
                "key": entry.key[:12],
                "state": entry.state,
                "receipt": receipt.number if receipt else "-",
                "time": moment(receipt.received_at if receipt else entry.changed_at),
                "about": "/".join(filter(None, (entry.to, entry.subject, entry.type))),
                "reference": entry.reference or "-",
                "service": entry.service,
            }
            for entry, receipt in entries
        ]
        if not rows:
            self.say(Phrase("nothing has been sent from here yet; `docsend send FILE` does"))
            return
        # `receipts show` has the rest.
        narrow = ("key", "state", "receipt", "time", "reference")
        is_narrow = self._draws(sys.stdout) and shutil.get_terminal_size().columns < _VERY_WIDE
        heads = narrow if is_narrow else tuple(rows[0])
        self.table(heads, [[row[head] for head in heads] for row in rows])

    def faults(self, plan: Plan) -> None:
        """Tell what is wrong with the rows of a batch, one line each; warnings only if there are few."""
        for problems in plan.faulty.values():
            for problem in problems:
                self._tell(_row_fault(problem))
        warnings = plan.warnings if self._verbose else plan.warnings[:_MOST_WARNINGS]
        if not self._quiet:
            for problem in warnings:
                self._tell(_row_fault(problem))
            if plan.warned > len(warnings):
                self._tell(
                    Phrase(
                        "and {count:,} more warnings; --verbose shows more of them",
                        count=plan.warned - len(warnings),
                    )
                )

    def checked_batch(self, plan: Plan) -> None:
        """Tell what the check of a batch came to, if nothing is sent."""
        if self._as_json:
            return
        found = Phrase.counted(
            "1 row, {size:,} bytes", "{count:,} rows, {size:,} bytes", plan.rows, size=plan.total_bytes
        )
        if not plan.rows:
            self._print(Phrase("the manifest has no rows"))
        elif plan.faulty:
            self._print(
                Phrase(
                    "{found}: {faulty:,} faulty, {good:,} good; nothing was sent",
                    found=found,
                    faulty=len(plan.faulty),
                    good=plan.good,
                )
            )
            if plan.good:
                self.say(Phrase("--only-valid sends the good ones"))
        else:
            self._print(Phrase("{found}: all good; nothing was sent", found=found))

    def row(self, outcome: Outcome, service: str | None) -> None:
        """Show one row of a batch as it ends: a line of JSON, if asked."""
        if self._as_json:
            self.json(of_row(outcome, service).as_json())

    def sent_batch(self, plan: Plan, tally: Tally) -> None:
        """Sum up a batch: the last thing that is said, and the rows that need somebody."""
        faulty = len(plan.faulty) + tally.counts["faulty"]
        counts = (
            (tally.counts["received"], Phrase("{count:,} received")),
            (tally.counts["before"], Phrase("{count:,} received before")),
            (faulty, Phrase("{count:,} faulty")),
            (tally.counts["refused"], Phrase("{count:,} refused")),
            (tally.counts["unfinished"], Phrase("{count:,} unfinished")),
            (tally.counts["not tried"], Phrase("{count:,} not tried")),
        )
        for outcome in tally.failed:
            problem = next((p for p in outcome.problems if p.is_error), None)
            why = (
                Phrase("{message} [{code}]", message=problem.message, code=problem.code)
                if problem
                else Phrase("interrupted")
            )
            self._tell(
                Phrase("row {row}: {status}: {why}", row=outcome.row.number, status=outcome.status, why=why)
            )
        failed = sum(tally.counts[status] for status in ("faulty", "refused", "unfinished"))
        if failed > len(tally.failed):
            self._tell(
                Phrase(
                    "and {count:,} more rows; --report FILE has them all", count=failed - len(tally.failed)
                )
            )
        if not self._as_json:
            told = joined([phrase.about(count=count) for count, phrase in counts if count])
            self._print(_rows(plan.rows, told))
        if tally.worst is not None:
            hint = next((o.error.hint for o in tally.failed if o.error and o.error.code == tally.worst), None)
            self.say(hint or Phrase("see above"))
        elif tally.counts["unfinished"] or tally.counts["not tried"]:
            self.say(
                Phrase("nothing is lost: the same command again finishes the rest, and sends nothing twice")
            )

    def template(self, text: str) -> None:
        """Print an example manifest, as a file would have it."""
        self._put(text, encoding="utf-8")

    def proof(self, content: bytes) -> None:
        """Put a proof of sending on stdout, byte for byte as a file would have it."""
        self._put(content)

    def exported(self, file: Path, form: str, key: str, content: bytes) -> None:
        """Tell which file has a proof of sending: its path alone on stdout, so that a script can read it."""
        if self._as_json:
            self.json(shapes.exported(file, form, key, content))
        else:
            self._put(f"{safe(file)}\n")

    def merged(self, lines: Iterable[str], rows: Sequence[dict[str, str]]) -> None:
        """Print a joined report, and sum it up."""
        for line in lines:
            self._put(line, encoding="utf-8")
        counts = Counter(row["status"] or Phrase("without a status") for row in rows)
        told = joined(
            [
                Phrase("{count:,} {status}", count=count, status=status)
                for status, count in counts.most_common()
            ]
        )
        sum_ = _rows(len(rows), told)
        self.say(sum_ if rows else Phrase("the reports have no rows"))

    @contextlib.contextmanager
    def checking(self) -> Iterator[Callable[[int], None]]:
        """Show how many rows are checked: on a terminal as they are, elsewhere every few seconds."""
        with self._counting(_CHECKED, None) as count:
            yield count

    @contextlib.contextmanager
    def sending(self, plan: Plan) -> Iterator[Ends]:
        """Show how many rows have ended, and how."""
        from docsend.batch import Tally  # noqa: PLC0415

        tally = Tally()
        with self._counting(_SENT, plan.good) as count:
            yield Ends(tally, count)

    @contextlib.contextmanager
    def _counting(self, told: Told, total: int | None) -> Iterator[Callable[..., None]]:
        if self._quiet:
            yield lambda *_: None
        elif self._draws(sys.stderr) and not self._as_json:
            from docsend.progress import rows  # noqa: PLC0415 - only a terminal pays for rich

            with rows(told, total, self._reader) as count:
                yield count
        else:
            yield _Heartbeat(self, told, total)

    def resumed(self, ends: Sequence[Resumed]) -> None:
        """Tell what became of each submission that was to be finished."""
        if self._as_json:
            listed = [{**shapes.kept(end.entry, end.receipt), "problems": _problems(end)} for end in ends]
            self.json({"schema": "docsend.receipts/1", "receipts": listed})
        elif not ends:
            self.say(Phrase("nothing is unfinished"))
        else:
            rows = [
                (
                    end.entry.key[:12],
                    end.entry.state,
                    end.receipt.number if end.receipt else "-",
                    end.entry.reference or "-",
                )
                for end in ends
            ]
            self.table(("key", "state", "receipt", "reference"), rows)
        for end in ends:
            if end.error is not None:
                self.error(
                    Phrase("{key}: {message}", key=end.entry.key[:12], message=end.error.message),
                    end.error.hint,
                )

    def catalog(self, rows: Sequence[tuple[str, Entry]], words: str) -> None:
        """List rows of the catalog, with their label in the reader's language."""
        if self._as_json:
            self.json(
                {
                    "schema": "docsend.catalog-rows/1",
                    "rows": [shapes.catalog_row(kind, row) for kind, row in rows],
                }
            )
            return
        if not rows:
            self.say(Phrase("nothing in the catalog matches {words!r}", words=words))
            return
        self.table(
            ("kind", "code", "label", "belongs to"),
            [(kind, row.code, Label(row.labels), _belongs(row)) for kind, row in rows],
        )

    def table(self, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Show rows under their heads; on a terminal as wide as it is, elsewhere in plain columns."""
        heads_ = [self._out(_HEADS[head]) for head in heads]
        cells = [[self._out(cell) for cell in row] for row in rows]
        if not self._draws(sys.stdout):
            widths = [max(map(len, column)) for column in zip(heads_, *cells, strict=True)]
            for row in [heads_, *cells]:
                padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
                self._put("  ".join(padded).rstrip() + "\n")
            return
        from rich import box, table  # noqa: PLC0415 - only a terminal pays for rich

        drawn = table.Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
        is_wide = shutil.get_terminal_size().columns >= _WIDE
        for head, shown in zip(heads, heads_, strict=True):
            # What is meant to be copied stays in one piece where there is room for it.
            drawn.add_column(_as_text(shown), overflow="fold", no_wrap=is_wide and head in _IN_ONE_PIECE)
        for row in cells:
            drawn.add_row(*map(_as_text, row))
        self._draw(drawn)

    def required(self, asked: Sequence[RequiredDocument]) -> None:
        """List the documents that the service asks for."""
        if self._as_json:
            self.json({"schema": "docsend.required/1", "required": [shapes.required(each) for each in asked]})
            return
        if not asked:
            self.say(Phrase("the service asks for no documents"))
            return
        self.table(
            ("id", "subject", "title", "due", "state"),
            [(each.id, each.subject, Label(each.titles), each.due, each.state) for each in asked],
        )

    def signed_in(self, service: str, backend: str, expires_in: float) -> None:
        """Tell that somebody has signed in; never who."""
        if self._as_json:
            self.json(shapes.sign_in(service, backend, "••••••", expires_in))
            return
        self._print(Phrase("signed in at {service}", service=service))
        self.say(
            Phrase(
                "code and password are kept in {backend}; the session lasts {duration}",
                backend=backend,
                duration=_duration(expires_in),
            )
        )

    def sign_in_status(
        self, service: str, where: str | None, who: str | None, expires_in: float | None
    ) -> None:
        """Tell whether somebody is signed in, where the secret is, and how long the session lasts."""
        if self._as_json:
            self.json(shapes.sign_in(service, where, who, expires_in))
        elif where is None or who is None:
            self._print(Phrase("nobody is signed in at {service}", service=service))
            self.say(Phrase("`docsend login` signs in"))
        else:
            lasts = Phrase("no session")
            if expires_in is not None:
                lasts = Phrase("{duration} more", duration=_duration(expires_in))
            self._card(
                Phrase("signed in"),
                [
                    (Phrase("service"), service),
                    (Phrase("who"), who),
                    (Phrase("kept in"), where),
                    (Phrase("session"), lasts),
                ],
                footnote=None,
            )

    def forgotten(self, service: str, *, was_there: bool) -> None:
        if self._as_json:
            self.json(shapes.sign_in(service, None, None, None))
            return
        done = Phrase("there was nothing to forget: {service}", service=service)
        if was_there:
            done = Phrase("code, password and session are removed: {service}", service=service)
        self._print(done)

    def findings_of_doctor(self, findings: Sequence[Finding]) -> None:
        """Show what an examination found: a line a part, and under it the cure of what is not good."""
        if self._as_json:
            listed = [shapes.finding(finding) for finding in findings]
            self.json({"schema": "docsend.doctor/1", "findings": listed})
            return
        marks = {verdict: self._out(_VERDICTS[verdict]) for verdict in _VERDICTS}
        parts = {finding.part: self._out(_PARTS[finding.part]) for finding in findings}
        wide, wider = max(map(len, marks.values())), max(map(len, parts.values()))
        for finding in findings:
            mark, part = marks[finding.verdict].ljust(wide), parts[finding.part].ljust(wider)
            self._put(f"{mark}  {part}  {self._out(finding.told)}\n")
            if finding.cure:
                self._put(f"{' ' * wide}  {' ' * wider}  {self._out(finding.cure)}\n")
        if all(finding.verdict == "good" for finding in findings):
            self.say(Phrase("all is well"))

    def senders(self, known: Mapping[str, Sender]) -> None:
        """List the senders, with nothing of their numbers but what a mask leaves."""
        if self._as_json:
            listed = [shapes.sender(name, sender) for name, sender in known.items()]
            self.json({"schema": "docsend.senders/1", "senders": listed})
        elif not known:
            self.say(Phrase("no sender is kept yet; `docsend senders add NAME` keeps one"))
        else:
            rows = [
                (name, sender.employer_kind or sender.kind, sender.masked) for name, sender in known.items()
            ]
            self.table(("sender", "kind", "number"), rows)

    def sender_kept(self, name: str, sender: Sender, *, has_booklet: bool) -> None:
        if self._as_json:
            self.json({"schema": "docsend.senders/1", "senders": [shapes.sender(name, sender)]})
            return
        self._print(Phrase("kept: {name}, {number}", name=name, number=sender.masked))
        if has_booklet:
            self.say(Phrase("the booklet number is in the keyring"))
        elif sender.kind == "employer":
            self.say(Phrase("no booklet number is kept: each send needs --booklet"))

    def sender_forgotten(self, name: str) -> None:
        if self._as_json:
            self.json({"schema": "docsend.senders/1", "senders": []})
            return
        self._print(Phrase("forgotten: {name}", name=name))

    def address(self, address: str, folder: Path) -> None:
        """Tell where the sandbox is: the address alone on stdout, so that a script can read it."""
        if self._as_json:
            self.json({"schema": "docsend.sandbox/1", "address": address, "data": str(folder)})
        else:
            self._put(address + "\n")

    def lines(self) -> Watcher:
        """Give a watcher that only tells when something has to be tried again."""
        return _Lines(self, 0)

    @contextlib.contextmanager
    def watching(self, checked: CheckedSubmission) -> Iterator[Watcher]:
        """Watch a submission on its way: a bar on a terminal, a line a document elsewhere."""
        if self._quiet or self._as_json or not self._draws(sys.stderr):
            yield _Lines(self, len(checked.documents))
            return
        from docsend.progress import bar  # noqa: PLC0415 - only a terminal pays for rich

        with bar(checked, self._reader) as watcher:
            yield watcher

    # -- how ---------------------------------------------------------------------------------------------

    def _receipt_rows(self, receipt: Receipt) -> list[tuple[str, str]]:
        branch = Phrase("{name} ({code})", name=Label(receipt.branch_names), code=receipt.branch_code)
        return [
            (Phrase("receipt"), receipt.number),
            (Phrase("issued by"), receipt.issuer),
            (Phrase("received at"), moment(receipt.received_at)),
            (Phrase("branch"), branch),
            (Phrase("key"), receipt.key),
        ]

    def _document_rows(self, receipt: Receipt) -> list[tuple[str, str]]:
        total = sum(document.size for document in receipt.documents)
        count = len(receipt.documents)
        return [
            (Phrase("documents"), Phrase("{count}, {size:,} bytes", count=count, size=total)),
            *[
                (
                    "",
                    Phrase(
                        "{name}  {size:,} bytes  sha256 {digest}",
                        name=document.name,
                        size=document.size,
                        digest=document.sha256[:16],
                    ),
                )
                for document in receipt.documents
            ],
        ]

    def _card(
        self, heading: str, rows: Sequence[tuple[str, str]], *, footnote: str | None = NOT_APPROVED
    ) -> None:
        """Show one thing with its properties: a panel on a terminal, an indented list elsewhere."""
        clean = [(self._out(label), self._out(value)) for label, value in rows]
        if not self._draws(sys.stdout):
            width = max(len(label) for label, _ in clean)
            self._print(heading)
            for label, value in clean:
                self._put(f"  {label.ljust(width)}  {value}\n")
            if footnote:
                self.say(footnote)
            return
        from rich import console, panel, table  # noqa: PLC0415 - only a terminal pays for rich
        from rich.text import Text  # noqa: PLC0415

        grid = table.Table.grid(padding=(0, 2))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(overflow="fold")
        for label, value in clean:
            grid.add_row(_as_text(label), _as_text(value))
        title = _as_text(f" {self._out(heading)} ")
        below = [Text(""), Text(self._out(footnote), style="dim italic")] if footnote else []
        self._draw(panel.Panel(console.Group(grid, *below), title=title, title_align="left"))

    def _draw(self, renderable: Any) -> None:
        import rich.console  # noqa: PLC0415 - only a terminal pays for rich

        console = rich.console.Console(file=sys.stdout, highlight=False, emoji=False, markup=False)
        with console.capture() as drawn:
            console.print(renderable)
        self._put(drawn.get())

    def _out(self, text: str) -> str:
        """Give a text for stdout: safe, and in the reader's language."""
        return self._reader.text(text, safe=safe, isolated=self._draws(sys.stdout))

    def _print(self, text: str) -> None:
        self._put(self._out(text) + "\n")

    @staticmethod
    def _put(text: str | bytes, *, encoding: str | None = None) -> None:
        """Put a part of the result on stdout; raise LocalFailure if the disk does not take it.

        With an encoding, those very bytes: what is redirected into a file is not for the terminal's encoding.
        """
        if (failure := _write(sys.stdout, text, encoding)) is not None:
            raise LocalFailure(
                Phrase("the result cannot be written: {reason}", reason=failure.strerror),
                Phrase("look at where the output goes"),
            )

    def _tell(self, text: str, *, indent: int = 0, is_ready: bool = False) -> None:
        """Put a line of talk on stderr, broken between words if a terminal is too narrow for it."""
        is_terminal = self._draws(sys.stderr)
        text = text if is_ready else self.reads(text)
        lines = [text]
        if is_terminal:
            width = max(shutil.get_terminal_size().columns - indent, 20)
            lines = textwrap.wrap(text, width, break_on_hyphens=False) or [""]
        for line in lines:
            _write(sys.stderr, f"{' ' * indent}{line}\n")

    def _draws(self, stream: IO[str] | None) -> bool:
        return stream is not None and not self._is_dumb and stream.isatty()


class Ends:
    """Counts how the rows of a batch end, and shows it."""

    def __init__(self, tally: Tally, show: Callable[..., None]) -> None:
        self.tally = tally
        self._show = show

    def ended(self, outcome: Outcome) -> None:
        self.tally.add(outcome)
        done = sum(self.tally.counts.values())
        self._show(done, done - self.tally.received)


class Told(NamedTuple):
    """How the progress of a batch is told: with a total, and without."""

    heading: Phrase
    of_total: Phrase
    so_far_only: Phrase

    def so_far(self, done: int, total: int | None) -> Phrase:
        return (
            self.so_far_only.about(done=done)
            if total is None
            else self.of_total.about(done=done, total=total)
        )


_CHECKED = Told(
    Phrase("checked"), Phrase("checked {done:,} of {total:,} rows"), Phrase("checked {done:,} rows")
)
_SENT = Told(Phrase("sent"), Phrase("sent {done:,} of {total:,} rows"), Phrase("sent {done:,} rows"))


class _Heartbeat:
    """Progress of a batch without a terminal: a plain line every few seconds, none for a short one."""

    EVERY_S = 5.0

    def __init__(self, console: Console, told: Told, total: int | None) -> None:
        self._console = console
        self._told = told
        self._total = total
        self._began = self._last = time.monotonic()

    def __call__(self, done: int, failed: int = 0) -> None:
        now = time.monotonic()
        if now - self._last < self.EVERY_S:
            return
        self._last = now
        rate = done / (now - self._began)
        parts: list[str] = [self._told.so_far(done, self._total)]
        if failed:
            parts.append(Phrase("{count:,} not received", count=failed))
        parts.append(Phrase("{rate:.0f} a second", rate=rate))
        if self._total and rate:
            parts.append(Phrase("{duration} left", duration=_duration((self._total - done) / rate)))
        self._console.say(joined(parts))


class _Lines:
    """Progress without a terminal: a line for each document that has arrived."""

    def __init__(self, console: Console, count: int) -> None:
        self._console = console
        self._count = count
        self._arrived = 0

    def declared(self, missing_bytes: int) -> None:
        pass

    def sent(self, document: Document, sent_bytes: int) -> None:
        pass

    def arrived(self, document: Document) -> None:
        self._arrived += 1
        self._console.say(arrived(document, self._arrived, self._count))

    def waiting(self, reason: str, seconds: float) -> None:
        self._console.say(trying_again(reason, seconds))


def arrived(document: Document, number: int, count: int) -> Phrase:
    """Say that the service has a document, which is the `number`th of `count`."""
    return Phrase(
        "sent {name}, {size:,} bytes ({number} of {count})",
        name=document.name,
        size=document.size,
        number=number,
        count=count,
    )


def trying_again(reason: str, seconds: float) -> Phrase:
    return Phrase("{reason}; trying again in {seconds:.1f} s", reason=reason, seconds=seconds)


def _json_text(value: Any) -> str:
    """Give a value as JSON that stdout can write and no terminal takes for anything else."""
    stream = sys.stdout
    plain = not stream or (stream.encoding or "").lower().replace("-", "") != "utf8"
    # A lone surrogate, as in the name of a file that is not UTF-8, can only be written escaped.
    text = json.dumps(value, ensure_ascii=plain)
    # In JSON these stand in texts only, and an escape is the same character.
    return _UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _duration(seconds: float) -> Phrase:
    if seconds >= 120:
        return Phrase("{minutes:.0f} min", minutes=seconds / 60)
    return Phrase("{seconds:.0f} s", seconds=seconds)


def _rows(count: int, told: Phrase) -> Phrase:
    return Phrase.counted("1 row: {told}", "{count:,} rows: {told}", count, told=told)


def _size(size: int, limit: int | None) -> Phrase:
    if limit is None:
        return Phrase("{size:,}", size=size)
    return Phrase("{size:,} of {limit}", size=size, limit=in_words(limit))


_SEVERITY = {"error": Phrase("error"), "warning": Phrase("warning")}


def _found(problem: Problem) -> Phrase:
    """One line for one finding: what, and its code."""
    if problem.row is None:
        template = Phrase("{severity}: {message} [{code}]")
    else:
        template = Phrase("{severity}: row {row}: {message} [{code}]")
    return template.about(
        severity=_SEVERITY[problem.severity], row=problem.row, message=problem.message, code=problem.code
    )


def _row_fault(problem: Problem) -> Phrase:
    """One line for one fault of a batch: row, column, what, code, cure."""
    where = Phrase("row {row}", row=problem.row)
    if problem.field:
        where = Phrase("row {row}, {field}", row=problem.row, field=problem.field)
    fault = Phrase(
        "{severity}: {where}: {message} [{code}]",
        severity=_SEVERITY[problem.severity],
        where=where,
        message=problem.message,
        code=problem.code,
    )
    return Phrase("{fault} ({cure})", fault=fault, cure=problem.hint) if problem.hint else fault


def _problems(end: Resumed) -> list[dict[str, Any]]:
    return [] if end.error is None else [shapes.problem(problem_of(end.error))]


def _about(sent: Kept | CheckedSubmission) -> str:
    return " / ".join(filter(None, (sent.to, sent.subject, sent.category, sent.type)))


def _belongs(row: Entry) -> Phrase:
    """Tell where a row has its place: subject or destinations, then category."""
    subject, category = getattr(row, "subject", None), getattr(row, "category", None)
    above = subject or " ".join(getattr(row, "to", ()))
    return joined([Phrase("any") if part == "*" else part for part in (above, category) if part], " / ")


def _verdict(document: Document | UnreadDocument, problems: Sequence[Problem]) -> str:
    codes = [problem.code for problem in problems if problem.path == document.path]
    return ", ".join(codes) or Phrase("good")


def _as_text(text: str) -> Any:
    """Give text to rich as what it is, and not as markup."""
    from rich.text import Text  # noqa: PLC0415 - only a terminal pays for rich

    return Text(text)


def _write(stream: IO[str] | None, text: str | bytes, encoding: str | None = None) -> OSError | None:
    """Write, whatever the stream is: closed (`>&-`), gone (`| head`) or of an old encoding.

    Nobody reads a broken pipe any more: the work goes on, and its exit code still tells how it ended. Any
    other failure is given back.
    """
    if stream is None:
        return None
    try:
        if isinstance(text, str) and encoding is not None:
            text = text.encode(encoding, "backslashreplace")
        if isinstance(text, str):
            stream.write(text)
        elif hasattr(stream, "buffer"):
            stream.buffer.write(text)
        else:
            stream.write(text.decode("utf-8", "replace"))
        stream.flush()
    except OSError as failure:
        # What did not get out must not be tried again when the process ends.
        with contextlib.suppress(OSError):
            _point_to_nowhere(stream)
        return None if isinstance(failure, BrokenPipeError) else failure
    return None


def _point_to_nowhere(stream: IO[str]) -> None:
    import os  # noqa: PLC0415

    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
