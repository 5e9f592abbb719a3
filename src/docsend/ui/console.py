"""Everything a person sees: each result of a command, in words, as a table or card, or as JSON.

How it gets onto the streams, and what may not, is the business of `streams`.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from docsend import signals
from docsend.checks.document_rules import in_words
from docsend.errors import LocalFailure
from docsend.i18n import Data, LocalizedName, Message, joined, moment
from docsend.model.document import Document
from docsend.model.states import IN_WORDS
from docsend.text import escape_for_terminal
from docsend.ui import shapes
from docsend.ui.progress import CHECKED, SENT, Ends, Heartbeat, Lines, Silence, duration
from docsend.ui.result import of_row
from docsend.ui.terminal import NOT_APPROVED, SEVERITY, Streams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from docsend.config.address import Endpoint
    from docsend.config.senders import Sender
    from docsend.delivery.batch import Outcome, Tally
    from docsend.delivery.preflight import Plan
    from docsend.diagnostics import Finding
    from docsend.errors import DocsendError
    from docsend.i18n import Shown
    from docsend.model.catalog import Catalog, Entry
    from docsend.model.document import UnreadDocument
    from docsend.model.problem import Problem
    from docsend.model.receipt import Receipt
    from docsend.model.required import RequiredDocument
    from docsend.model.submission import CheckedSubmission, Submission
    from docsend.service.client import Watcher
    from docsend.storage.ledger import Entry as Kept
    from docsend.ui.progress import RowProgress, Told
    from docsend.ui.result import BatchSummary, Result

_MOST_WARNINGS = 10
_VERY_WIDE = 150  # columns of a terminal
# What `docsend doctor` looks at, and how it judges.
_JUDGED = {"ok": Message("good"), "warning": Message("warning"), "error": Message("BAD")}
_PARTS = {
    "version": Message("version"),
    "configuration": Message("configuration"),
    "data": Message("data"),
    "catalog": Message("catalog"),
    "ledger": Message("ledger"),
    "keyring": Message("keyring"),
    "terminal": Message("terminal"),
    "service": Message("service"),
    "network": Message("network"),
    "clock": Message("clock"),
}
NOT_THE_INSTITUTE = Message("sandbox: nothing here reaches the institute")


class Resumed(NamedTuple):
    """One submission after the attempt to finish it: as the ledger has it now, and what is in the way."""

    entry: Kept
    receipt: Receipt | None
    error: DocsendError | None


class Console(Streams):
    """The two streams, and what this run may put on them."""

    # -- talk --------------------------------------------------------------------------------------------

    # -- results -----------------------------------------------------------------------------------------

    def failure(self, error: DocsendError, result: Result) -> None:
        """Show a command that failed: in words on stderr, and as JSON on stdout if asked."""
        signals.settle()
        unwritten = None
        if self._as_json:
            try:
                self.json(result.as_json())
            except LocalFailure as failure:
                unwritten = failure
        self.error(error.message, None if error.problems else error.hint)
        if error.cause is not None:
            self.detail(Message("cause: {code}", code=error.cause))
        self.problems(problem for problem in result.problems if error.problems or not problem.is_error)
        if unwritten is not None:
            # The first failure keeps its exit code: it says what to do next.
            self.error(unwritten.message)

    def received(self, result: Result, checked: CheckedSubmission, receipt: Receipt) -> None:
        """Show a receipt: a panel for a person, lines for a file."""
        signals.settle()
        if self._as_json:
            self.json(result.as_json())
            return
        heading = Message("received before") if result.is_repeated else Message("received")
        rows: list[tuple[Shown, Shown]] = [
            *self._receipt_rows(receipt),
            (
                Message("for"),
                _whom(checked),
            ),
            (Message("about"), Data(_about(checked))),
            *([(Message("reference"), Data(checked.reference))] if checked.reference else []),
            *([(Message("occurrence"), Data(str(checked.occurrence)))] if checked.occurrence > 1 else []),
            *self._document_rows(receipt),
        ]
        if result.is_repeated:
            self.say(Message("this submission had been received before; it was not received again"))
        self._card(heading, rows)

    def summary(
        self, checked: CheckedSubmission, catalog: Catalog, sender: str | None, endpoint: Endpoint | None
    ) -> None:
        """Show what is about to be sent, as talk: for a last look before it is."""
        about = [
            (Message("destination"), catalog.destinations.get(checked.to)),
            (Message("subject"), catalog.subjects.get(checked.subject or "")),
            (Message("category"), catalog.categories.get(checked.category)),
            (Message("type"), next((each for each in catalog.types if each.code == checked.type), None)),
            (Message("branch"), catalog.branches.get(checked.branch or "")),
        ]
        who = _whom(checked)
        rows: list[tuple[Message, Shown]] = [
            (Message("for"), Message("{sender}, {number}", sender=sender, number=who) if sender else who),
            *(
                (name, Message("{label} ({code})", label=LocalizedName(entry.labels), code=entry.code))
                for name, entry in about
                if entry is not None
            ),
            *_said(checked),
            *([(Message("service"), Data(endpoint.name))] if endpoint else []),
            *(
                (Message("document"), Message("{name}, {size:,} bytes", name=each.name, size=each.size))
                for each in checked.documents
            ),
        ]
        width = max(len(self.render(name)) for name, _ in rows)
        self._tell_line("")
        for name, value in rows:
            self._tell_line(f"{self.render(name).ljust(width)}  {self.render(value)}", indent=2)
        self.problems(checked.warnings)
        self._tell_line("")

    def checked(self, result: Result, catalog_limit: int | None) -> None:
        """Show what a dry run found: a line a document, then the problems."""
        signals.settle()
        if self._as_json:
            self.json(result.as_json())
            return
        submission = result.submission
        if submission is not None:
            self.findings(submission, result.problems, catalog_limit)
        self.say(Message("checked clean; nothing was sent"))

    def findings(
        self,
        submission: Submission | CheckedSubmission,
        problems: Sequence[Problem],
        limit: int | None,
    ) -> None:
        """Show each document with its format, size against the limit, digest and verdict."""
        rows = [
            (
                Data(document.name),
                Data((document.format or "?") if isinstance(document, Document) else "-"),
                Data("-") if document.size is None else _size(document.size, limit),
                Data(document.sha256[:16] if isinstance(document, Document) else "-"),
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
        rows: list[tuple[Shown, Shown]] = [
            *(self._receipt_rows(receipt) if receipt else [(Message("key"), Data(entry.key))]),
            (Message("service"), Data(entry.service)),
            (Message("about"), Data(_about(entry))),
            *([(Message("reference"), Data(entry.reference))] if entry.reference else []),
            *([(Message("occurrence"), Data(str(entry.occurrence)))] if entry.occurrence > 1 else []),
            *([(Message("problem"), Data(entry.problem))] if entry.problem else []),
            (Message("planned at"), Data(moment(entry.planned_at))),
            (Message("changed at"), Data(moment(entry.changed_at))),
            *[
                (
                    Data(document.name),
                    Message("{size:,} bytes, sha256 {digest}", size=document.size, digest=document.sha256),
                )
                for document in entry.documents
            ],
        ]
        self._card(Data(entry.state), rows, footnote=NOT_APPROVED if receipt else None)

    def receipts(self, entries: Iterable[tuple[Kept, Receipt | None]]) -> None:
        """List what the ledger holds, the latest first."""
        if self._as_json:
            listed = (shapes.kept(entry, receipt) for entry, receipt in entries)
            self._json_list({"schema": "docsend.receipts/1"}, "receipts", listed)
            return
        rows: list[dict[str, Shown]] = [
            {
                "key": Data(entry.key[:12]),
                "state": Data(entry.state),
                "receipt": Data(receipt.number if receipt else "-"),
                "time": Data(moment(receipt.received_at if receipt else entry.changed_at)),
                "about": Data("/".join(filter(None, (entry.to, entry.subject, entry.type)))),
                "reference": Data(entry.reference or "-"),
                "service": Data(entry.service),
            }
            for entry, receipt in entries
        ]
        if not rows:
            self.say(Message("nothing has been sent from here yet; `docsend send FILE` does"))
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
                    Message(
                        "and {count:,} more warnings; --verbose shows more of them",
                        count=plan.warned - len(warnings),
                    )
                )

    def checked_batch(self, plan: Plan) -> None:
        """Tell what the check of a batch came to, if nothing is sent."""
        if self._as_json:
            return
        found = Message.plural(
            "1 row, {size:,} bytes", "{count:,} rows, {size:,} bytes", plan.rows, size=plan.total_bytes
        )
        if not plan.rows:
            self._print(Message("the manifest has no rows"))
        elif plan.faulty:
            self._print(
                Message(
                    "{found}: {faulty:,} faulty, {good:,} good; nothing was sent",
                    found=found,
                    faulty=len(plan.faulty),
                    good=plan.good,
                )
            )
            if plan.good:
                self.say(Message("--only-valid sends the good ones"))
        else:
            self._print(Message("{found}: all good; nothing was sent", found=found))

    def row(self, outcome: Outcome, service: str | None) -> None:
        """Show one row of a batch as it ends: a line of JSON, if asked."""
        if self._as_json:
            self.json(of_row(outcome, service).as_json())

    def sent_batch(self, plan: Plan, tally: Tally) -> None:
        """Sum up a batch: the last thing that is said, and the rows that need somebody."""
        faulty = len(plan.faulty) + tally.counts["faulty"]
        counts = (
            (tally.received - tally.repeated, Message("{count:,} received")),
            (tally.repeated, Message("{count:,} received before")),
            (faulty, Message("{count:,} faulty")),
            (tally.counts["refused"], Message("{count:,} refused")),
            (tally.counts["unfinished"], Message("{count:,} unfinished")),
            (tally.counts["not tried"], Message("{count:,} not tried")),
        )
        for outcome in tally.failed:
            problem = next((p for p in outcome.problems if p.is_error), None)
            why = (
                Message("{message} [{code}]", message=problem.message, code=problem.code)
                if problem
                else Message("interrupted")
            )
            self._tell(
                Message(
                    "row {row}: {status}: {why}",
                    row=outcome.row.number,
                    status=IN_WORDS[outcome.status],
                    why=why,
                )
            )
        failed = sum(tally.counts[status] for status in ("faulty", "refused", "unfinished"))
        if failed > len(tally.failed):
            self._tell(
                Message(
                    "and {count:,} more rows; --report FILE has them all", count=failed - len(tally.failed)
                )
            )
        if not self._as_json:
            told = joined([phrase.with_values(count=count) for count, phrase in counts if count])
            self._print(_rows(plan.rows, told))
        if tally.worst is not None:
            hint = next((o.error.hint for o in tally.failed if o.error and o.error.code == tally.worst), None)
            self.say(hint or Message("see above"))
        elif tally.counts["unfinished"] or tally.counts["not tried"]:
            self.say(
                Message("nothing is lost: the same command again finishes the rest, and sends nothing twice")
            )

    def batch_ended(self, summary: BatchSummary) -> None:
        """Print the last line of a batch's JSON; people have read what it says."""
        if self._as_json:
            self.json(summary.as_json())

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
            self._put(f"{escape_for_terminal(file)}\n")

    def merged(self, lines: Iterable[str], rows: Sequence[dict[str, str]]) -> None:
        """Print a joined report, and sum it up."""
        for line in lines:
            self._put(line, encoding="utf-8")
        counts = Counter(row["status"] for row in rows)
        told = joined(
            [
                Message("{count:,} {status}", count=count, status=IN_WORDS[status])
                for status, count in counts.most_common()
            ]
        )
        sum_ = _rows(len(rows), told)
        self.say(sum_ if rows else Message("the reports have no rows"))

    @contextlib.contextmanager
    def checking(self) -> Iterator[Callable[[int], None]]:
        """Show how many rows are checked: on a terminal as they are, elsewhere every few seconds."""
        with self._counting(CHECKED, None) as shown:
            yield shown.count

    @contextlib.contextmanager
    def sending(self, plan: Plan, tally: Tally) -> Iterator[Ends]:
        """Show how many rows have ended, and how; the tally counts them."""
        with self._counting(SENT, plan.good) as shown:
            yield Ends(tally, shown)

    @contextlib.contextmanager
    def _counting(self, told: Told, total: int | None) -> Iterator[RowProgress]:
        if self._quiet:
            yield Silence()
        elif self._draws(sys.stderr) and not self._as_json:
            from docsend.ui.bars import rows

            with rows(told, total, self._translator) as shown:
                yield shown
        else:
            yield Heartbeat(self, told, total)

    def resumed(self, ends: Sequence[Resumed]) -> None:
        """Tell what became of each submission that was to be finished."""
        if self._as_json:
            listed = [{**shapes.kept(end.entry, end.receipt), "problems": _problems(end)} for end in ends]
            self.json({"schema": "docsend.receipts/1", "receipts": listed})
        elif not ends:
            self.say(Message("nothing is unfinished"))
        else:
            rows = [
                (
                    Data(end.entry.key[:12]),
                    Data(end.entry.state),
                    Data(end.receipt.number if end.receipt else "-"),
                    Data(end.entry.reference or "-"),
                )
                for end in ends
            ]
            self.table(("key", "state", "receipt", "reference"), rows)
        for end in ends:
            if end.error is not None:
                self.error(
                    Message("{key}: {message}", key=end.entry.key[:12], message=end.error.message),
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
            self.say(Message("nothing in the catalog matches {words!r}", words=words))
            return
        self.table(
            ("kind", "code", "label", "belongs to"),
            [(Data(kind), Data(row.code), LocalizedName(row.labels), _belongs(row)) for kind, row in rows],
        )

    def catalog_update(self, version: str, *, is_new: bool, alone: bool) -> None:
        """Tell which catalog is in force now; JSON has it only if the rows do not follow, as one object."""
        if self._as_json:
            if alone:
                self.json({"schema": "docsend.catalog-update/1", "version": version, "updated": is_new})
        elif is_new:
            self.say(Message("the service's catalog of {version} is in force now", version=version))
        else:
            self.say(Message("the catalog here is the service's current one"))

    def required(self, asked: Sequence[RequiredDocument]) -> None:
        """List the documents that the service asks for."""
        if self._as_json:
            self.json({"schema": "docsend.required/1", "required": [shapes.required(each) for each in asked]})
            return
        if not asked:
            self.say(Message("the service asks for no documents"))
            return
        self.table(
            ("id", "subject", "title", "due", "state"),
            [
                (
                    Data(each.id),
                    Data(each.subject),
                    LocalizedName(each.titles),
                    Data(each.due),
                    Data(each.state),
                )
                for each in asked
            ],
        )

    def signed_in(self, service: str, backend: str, expires_in: float) -> None:
        """Tell that somebody has signed in; never who."""
        if self._as_json:
            self.json(shapes.sign_in(service, Data(backend), "••••••", expires_in))
            return
        self._print(Message("signed in at {service}", service=service))
        self.say(
            Message(
                "code and password are kept in {backend}; the session lasts {duration}",
                backend=backend,
                duration=duration(expires_in),
            )
        )

    def sign_in_status(
        self, service: str, where: Shown | None, who: str | None, expires_in: float | None
    ) -> None:
        """Tell whether somebody is signed in, where the secret is, and how long the session lasts."""
        if self._as_json:
            self.json(shapes.sign_in(service, where, who, expires_in))
        elif where is None or who is None:
            self._print(Message("nobody is signed in at {service}", service=service))
            self.say(Message("`docsend login` signs in"))
        else:
            lasts = Message("no session")
            if expires_in is not None:
                lasts = Message("{duration} more", duration=duration(expires_in))
            self._card(
                Message("signed in"),
                [
                    (Message("service"), Data(service)),
                    (Message("who"), Data(who)),
                    (Message("kept in"), where),
                    (Message("session"), lasts),
                ],
                footnote=None,
            )

    def forgotten(self, service: str, *, was_there: bool) -> None:
        if self._as_json:
            self.json(shapes.sign_in(service, None, None, None))
            return
        done = Message("there was nothing to forget: {service}", service=service)
        if was_there:
            done = Message("code, password and session are removed: {service}", service=service)
        self._print(done)

    def findings_of_doctor(self, findings: Sequence[Finding]) -> None:
        """Show what an examination found: a line a part, and under it the cure of what is not good."""
        if self._as_json:
            listed = [shapes.finding(finding) for finding in findings]
            self.json({"schema": "docsend.doctor/2", "findings": listed})
            return
        marks = {severity: self._out(said) for severity, said in _JUDGED.items()}
        parts = {finding.part: self._out(_PARTS[finding.part]) for finding in findings}
        wide, wider = max(map(len, marks.values())), max(map(len, parts.values()))
        for finding in findings:
            mark, part = marks[finding.severity].ljust(wide), parts[finding.part].ljust(wider)
            self._put(f"{mark}  {part}  {self._out(finding.message)}\n")
            if finding.hint:
                self._put(f"{' ' * wide}  {' ' * wider}  {self._out(finding.hint)}\n")
        if all(finding.severity == "ok" for finding in findings):
            self.say(Message("all is well"))

    def senders(self, known: Mapping[str, Sender]) -> None:
        """List the senders, with nothing of their numbers but what a mask leaves."""
        if self._as_json:
            listed = [shapes.sender(name, sender) for name, sender in known.items()]
            self.json({"schema": "docsend.senders/1", "senders": listed})
        elif not known:
            self.say(Message("no sender is kept yet; `docsend senders add NAME` keeps one"))
        else:
            rows = [(Data(name), Data(sender.kind), Data(sender.masked)) for name, sender in known.items()]
            self.table(("sender", "kind", "number"), rows)

    def sender_kept(self, name: str, sender: Sender, *, has_booklet: bool) -> None:
        if self._as_json:
            self.json({"schema": "docsend.senders/1", "senders": [shapes.sender(name, sender)]})
            return
        self._print(Message("kept: {name}, {number}", name=name, number=sender.masked))
        if has_booklet:
            self.say(Message("the booklet number is in the keyring"))
        elif sender.whose == "employer":
            self.say(Message("no booklet number is kept: each send needs --booklet"))

    def sender_forgotten(self, name: str) -> None:
        if self._as_json:
            self.json({"schema": "docsend.senders/1", "senders": []})
            return
        self._print(Message("forgotten: {name}", name=name))

    def address(self, address: str, folder: Path) -> None:
        """Tell where the sandbox is: the address alone on stdout, so that a script can read it."""
        if self._as_json:
            self.json({"schema": "docsend.sandbox/1", "address": address, "data": str(folder)})
        else:
            self._put(address + "\n")

    def lines(self) -> Watcher:
        """Give a watcher that only tells when something has to be tried again."""
        return Lines(self, ())

    @contextlib.contextmanager
    def watching(self, documents: Sequence[Document]) -> Iterator[Watcher]:
        """Watch documents on their way: with a bar on a terminal, a line a document elsewhere."""
        if self._quiet or self._as_json or not self._draws(sys.stderr):
            yield Lines(self, documents)
            return
        from docsend.ui.bars import bar

        with bar(documents, self._translator) as watcher:
            yield watcher

    # -- how ---------------------------------------------------------------------------------------------

    def _receipt_rows(self, receipt: Receipt) -> list[tuple[Shown, Shown]]:
        branch = Message(
            "{name} ({code})", name=LocalizedName(receipt.branch_names), code=receipt.branch_code
        )
        return [
            (Message("receipt"), Data(receipt.number)),
            (Message("issued by"), Data(receipt.issuer)),
            (Message("received at"), Data(moment(receipt.received_at))),
            (Message("branch"), branch),
            (Message("key"), Data(receipt.key)),
        ]

    def _document_rows(self, receipt: Receipt) -> list[tuple[Shown, Shown]]:
        total = sum(document.size for document in receipt.documents)
        count = len(receipt.documents)
        return [
            (Message("documents"), Message("{count}, {size:,} bytes", count=count, size=total)),
            *[
                (
                    Data(""),
                    Message(
                        "{name}  {size:,} bytes  sha256 {digest}",
                        name=document.name,
                        size=document.size,
                        digest=document.sha256[:16],
                    ),
                )
                for document in receipt.documents
            ],
        ]


def _said(checked: CheckedSubmission) -> Iterator[tuple[Message, Shown]]:
    """Give what a submission says in fields that no catalog has names for; a first occurrence is no news."""
    from docsend.model import fields

    for field in fields.OF_CONTENT:
        value = getattr(checked, field.name)
        if value and not field.is_of_catalog and (field.name, value) != ("occurrence", 1):
            yield field.label or Message.verbatim(field.name), Data(str(value))


def _rows(count: int, told: Message) -> Message:
    return Message.plural("1 row: {told}", "{count:,} rows: {told}", count, told=told)


def _size(size: int, limit: int | None) -> Message:
    if limit is None:
        return Message("{size:,}", size=size)
    return Message("{size:,} of {limit}", size=size, limit=in_words(limit))


def _row_fault(problem: Problem) -> Message:
    """One line for one fault of a batch: row, column, what, code, cure."""
    where = Message("row {row}", row=problem.row)
    if problem.field:
        where = Message("row {row}, {field}", row=problem.row, field=problem.field)
    fault = Message(
        "{severity}: {where}: {message} [{code}]",
        severity=SEVERITY[problem.severity],
        where=where,
        message=problem.message,
        code=problem.code,
    )
    return Message("{fault} ({cure})", fault=fault, cure=problem.hint) if problem.hint else fault


def _problems(end: Resumed) -> list[dict[str, Any]]:
    return [] if end.error is None else [shapes.problem(end.error.as_problem())]


def _whom(checked: CheckedSubmission) -> Data | Message:
    return Data(checked.masked_identity) if checked.masked_identity else Message("the signed-in account")


def _about(sent: Kept | CheckedSubmission) -> str:
    return " / ".join(filter(None, (sent.to, sent.subject, sent.category, sent.type)))


def _belongs(row: Entry) -> Message:
    """Tell where a row has its place: subject or destinations, then category."""
    subject, category = getattr(row, "subject", None), getattr(row, "category", None)
    above = subject or " ".join(getattr(row, "to", ()))
    return joined(
        [Message("any") if part == "*" else Data(part) for part in (above, category) if part], " / "
    )


def _verdict(document: Document | UnreadDocument, problems: Sequence[Problem]) -> Shown:
    codes = [problem.code.value for problem in problems if problem.path == document.path]
    return Data(", ".join(codes)) if codes else Message("good")
