"""`docsend send`: check, send, print the receipt."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from docsend.cli.identity import Email, EmployerFile, EmployerKind, IdNumber, Mobile
from docsend.cli.session import Session, command
from docsend.errors import (
    EXIT_MEANINGS,
    DocsendError,
    ExitCode,
    FaultySubmission,
    Interrupted,
    LocalFailure,
    UsageFault,
)
from docsend.language import Phrase

if TYPE_CHECKING:
    from docsend.account import Account
    from docsend.ledger import Ledger
    from docsend.rules import Faulty
    from docsend.senders import Senders
    from docsend.submission import CheckedSubmission, Delivery, Problem, Submission

# Of `required upload`, too; batches have one more.
EXITS = (ExitCode.RECEIVED, ExitCode.FAULTY, ExitCode.SIGN_IN, ExitCode.REFUSED, ExitCode.UNFINISHED)


def register(app: typer.Typer) -> None:
    command(
        app,
        "send",
        exits=(*EXITS, ExitCode.SOME_ROWS),
        example="docsend send payslip.pdf --to benefits --subject unemployment \\\n"
        "    --category employer --type payslips --id 000000018 --service sandbox\n"
        "docsend send --batch payroll.csv --report result.csv --service sandbox",
        done=EXIT_MEANINGS[ExitCode.RECEIVED],
    )(send)


def _code(option: str, help_: str) -> Any:
    return typer.Option(f"--{option}", metavar="CODE", help=help_)


def send(
    session: Session,
    files: Annotated[list[str] | None, typer.Argument(metavar="FILE...", help="The documents.")] = None,
    *,
    to: Annotated[
        str | None,
        _code(
            "to", "Destination: benefits, insured-collection, employer-collection, health-funds or personal."
        ),
    ] = None,
    subject: Annotated[str | None, _code("subject", "What they are about, as in unemployment.")] = None,
    category: Annotated[str | None, _code("category", "What kind of documents.")] = None,
    type_: Annotated[str | None, _code("type", "Which document, as in payslips.")] = None,
    id_number: IdNumber = None,
    employer_file: EmployerFile = None,
    employer_kind: EmployerKind = None,
    booklet: Annotated[
        str | None, typer.Option("--booklet", metavar="NUMBER", help="The booklet's identification number.")
    ] = None,
    mobile: Mobile = None,
    email: Email = None,
    sender: Annotated[
        str | None,
        typer.Option("--sender", metavar="NAME", help="Who it is for, as `docsend senders` knows them."),
    ] = None,
    remark: Annotated[
        str | None, typer.Option("--remark", metavar="TEXT", help="A remark for the clerk, optional.")
    ] = None,
    branch: Annotated[
        str | None, _code("branch", "The branch that handles it; the default is by residence.")
    ] = None,
    reference: Annotated[
        str | None, typer.Option("--reference", metavar="TEXT", help="Your own reference, optional.")
    ] = None,
    required: Annotated[
        str | None, typer.Option("--required", metavar="ID", help="The required document that this is.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Check everything, show the findings, send nothing.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Send once more what has been received before.")
    ] = False,
    batch: Annotated[
        str | None,
        typer.Option("--batch", metavar="MANIFEST", help="Send many: one submission a row; - reads stdin."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", metavar="N", min=1, max=64, help="Rows sent at once; 4 if not said."),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="FILE", help="What became of each row, as .csv or .jsonl."),
    ] = None,
    only_valid: Annotated[
        bool, typer.Option("--only-valid", help="Send the good rows of a batch although others are faulty.")
    ] = False,
    allow_outside: Annotated[
        bool, typer.Option("--allow-outside", help="Take documents from outside the manifest's folder.")
    ] = False,
    shard: Annotated[
        str | None, typer.Option("--shard", metavar="K/N", help="Only this machine's share of the rows.")
    ] = None,
    batch_template: Annotated[
        str | None,
        typer.Option("--batch-template", metavar="csv|jsonl", help="Print an example manifest and exit."),
    ] = None,
) -> None:
    """Check documents against the institute's rules, send them exactly once, and print the receipt.

    Everything that is wrong is told at once, before a byte leaves. Running the same command again
    finishes what was interrupted and sends nothing twice. `docsend catalog` finds the codes; on a terminal
    what is missing is asked for.

    With --batch each row of a manifest is a submission (docs/manifest.md); the other options are defaults
    for rows that do not say them.
    """
    if batch_template is not None:
        from docsend.cli.batch import print_template  # noqa: PLC0415 - only who asks for it

        print_template(session, batch_template)
        return
    from docsend.submission import Submission  # noqa: PLC0415 - --help does without

    stated = Submission(
        to=to,
        subject=subject,
        category=category,
        type=type_,
        id_number=id_number,
        employer_file=employer_file,
        employer_kind=employer_kind,
        booklet=booklet,
        mobile=mobile,
        email=email,
        remark=remark,
        branch=branch,
        reference=reference,
        required=required,
    )
    if batch is None:
        of_batches = {
            "--jobs": jobs is not None,
            "--report": report is not None,
            "--only-valid": only_valid,
            "--allow-outside": allow_outside,
            "--shard": shard is not None,
        }
        _refuse_if_any(of_batches, Phrase("{option} is for batches"), Phrase("name a manifest with --batch"))
        send_one(session, stated, files_of(files or ()), sender=sender, dry_run=dry_run, again=again)
        return
    of_one = {"FILE": bool(files), "--again": again}
    _refuse_if_any(
        of_one,
        Phrase("{option} does not go with --batch"),
        Phrase("the rows name the documents; --again is said for one"),
    )
    from docsend.cli import batch as batches  # noqa: PLC0415

    options = batches.Options(batch, jobs or 4, report, only_valid, allow_outside, shard, dry_run, sender)
    batches.run(session, stated, options)


def _refuse_if_any(given: Mapping[str, bool], why: Phrase, hint: Phrase) -> None:
    for option, is_given in given.items():
        if is_given:
            raise UsageFault(why.about(option=option), hint)


def send_one(
    session: Session,
    stated: "Submission",
    paths: Sequence[Path],
    *,
    sender: str | None,
    dry_run: bool,
    again: bool,
) -> None:
    """Send what the command line states, after asking for what it leaves open, if anybody is there."""
    if sender is not None:
        senders = session.senders()
        require_sender(senders, sender)
        stated = senders.applied(sender, stated)
    if session.can_ask:
        from docsend.cli import guided  # noqa: PLC0415 - only on a terminal

        guided.run(session, stated, paths, sender=sender, dry_run=dry_run, again=again)
    else:
        check_and_deliver(session, stated, paths, dry_run=dry_run, again=again)


def check_and_deliver(
    session: Session,
    stated: "Submission",
    paths: Sequence[Path],
    *,
    account: "Account | None" = None,
    dry_run: bool,
    again: bool = False,
) -> None:
    """Read, check, and show the findings or send; `account` is the one to use, if it is known already."""
    from docsend import documents, rules  # noqa: PLC0415 - --help does without

    catalog = session.catalog()
    most = rules.largest_document(stated, catalog)
    stated = stated.of(documents.read_all(paths, at_most=most))
    checked = rules.check(stated, catalog)
    limit = most if stated.to in catalog.destinations else None
    if isinstance(checked, rules.Faulty):
        _refuse(session, stated, checked, limit, dry_run=dry_run)
        return
    if catalog.destinations[checked.to].is_personal and not dry_run:
        account = account or session.needed_account()
    if account is not None:
        checked = checked.of_account(account.code)
    if dry_run:
        _show_clean(session, checked, limit)
    else:
        _deliver(session, checked, account, again=again)


def require_sender(senders: "Senders", name: str) -> None:
    """Raise UsageFault if there is no sender of this name."""
    if name not in senders:
        raise UsageFault(*senders.unknown(name))


def files_of(given: Sequence[str]) -> list[Path]:
    """Give the files meant: Windows shells leave patterns to the program, and so do quotes elsewhere."""
    import glob  # noqa: PLC0415 - --help does without

    paths: list[Path] = []
    for name in given:
        if not name:
            raise UsageFault(
                Phrase("the name of a file is empty"), Phrase("is a variable of the script empty?")
            )
        path = Path(name)
        # Not Path.exists, which raises for a folder that may not be entered.
        is_pattern = glob.has_magic(name) and not os.path.exists(name)  # noqa: PTH110
        found = sorted(glob.glob(name)) if is_pattern else []  # noqa: PTH207
        paths += map(Path, found) if found else [path]
    return paths


def _refuse(
    session: Session, stated: "Submission", faulty: "Faulty", limit: int | None, *, dry_run: bool
) -> None:
    """Tell all that is wrong and end: with 2 if options are missing, with 3 if what is there is faulty."""
    from docsend import result  # noqa: PLC0415 - only for a fault

    problems = faulty.problems
    missing = [_option(problem) for problem in problems if problem.code.endswith("-missing")]
    error: DocsendError = FaultySubmission.of(problems)
    if missing:
        error = UsageFault(Phrase("missing: {options}", options=", ".join(missing)), problems=problems)
    if dry_run and stated.documents and not session.settings.as_json:
        session.console.findings(stated, problems, limit)
    endpoint = session.settings.endpoint
    session.console.failure(error, result.of_error(error, stated, endpoint.name if endpoint else None))
    raise typer.Exit(error.code)


def _option(problem: "Problem") -> str:
    field = problem.field or ""
    return "FILE" if field == "documents" else "--" + field.replace("_", "-")


def _show_clean(session: Session, checked: "CheckedSubmission", limit: int | None) -> None:
    from docsend.result import Result  # noqa: PLC0415

    endpoint = session.settings.endpoint
    clean = Result(
        status="checked",
        exit_code=ExitCode.RECEIVED,
        service=endpoint.name if endpoint else None,
        submission=checked,
        problems=checked.warnings,
    )
    session.console.problems(checked.warnings)
    session.console.checked(clean, limit)


def _deliver(
    session: Session, checked: "CheckedSubmission", account: "Account | None", *, again: bool
) -> None:
    """Send, and show the receipt or how far it came."""
    from docsend import result  # noqa: PLC0415

    service = session.settings.chosen_endpoint().name
    session.console.problems(checked.warnings)
    try:
        with session.ledger() as ledger:
            is_new_here = False
            if again:
                checked = _next_occurrence(checked, service, ledger)
                is_new_here = ledger.find(service, checked.key) is None
            delivery = _deliver_watched(session, checked, account, ledger)
            while is_new_here and delivery.is_repeated:
                # It had been sent from elsewhere, and once more was asked for.
                checked = checked.again(checked.occurrence + 1)
                delivery = _deliver_watched(session, checked, account, ledger)
    except DocsendError as error:
        session.console.failure(error, result.of_error(error, checked, service, checked.warnings))
        raise typer.Exit(error.code) from error
    received = result.Result(
        status="received",
        exit_code=ExitCode.RECEIVED,
        is_repeated=delivery.is_repeated,
        service=service,
        submission=checked,
        receipt=delivery.receipt,
        problems=checked.warnings,
    )
    try:
        session.console.received(received, checked, delivery.receipt)
    except LocalFailure as failure:
        raise LocalFailure(
            Phrase(
                "received as {number}, but {message}", number=delivery.receipt.number, message=failure.message
            ),
            Phrase("`docsend receipts show {key}` shows the receipt", key=checked.key[:12]),
        ) from failure


def _deliver_watched(
    session: Session, checked: "CheckedSubmission", account: "Account | None", ledger: "Ledger"
) -> "Delivery":
    from docsend import receipts  # noqa: PLC0415

    service = session.settings.chosen_endpoint().name
    if (known := ledger.find(service, checked.key)) and (before := receipts.delivered(known)):
        return before
    from docsend import send as journey  # noqa: PLC0415 - brings the network, which a repeated run needs not

    try:
        with session.console.watching(checked) as watcher, session.service(watcher, account) as far_side:
            return journey.deliver(checked, far_side, ledger)
    except KeyboardInterrupt as stop:
        raise Interrupted.by(stop, *_how_far(checked, service, ledger)) from None


def _next_occurrence(checked: "CheckedSubmission", service: str, ledger: "Ledger") -> "CheckedSubmission":
    """Give the first occurrence that has not ended: one that was interrupted is finished first."""
    while (known := ledger.find(service, checked.key)) and known.state in ("received", "withdrawn"):
        checked = checked.again(checked.occurrence + 1)
    return checked


def _how_far(checked: "CheckedSubmission", service: str, ledger: "Ledger") -> tuple[str, str]:
    known = ledger.find(service, checked.key)
    come = {
        None: Phrase("interrupted: nothing was sent"),
        "planned": Phrase("interrupted: nothing was received, perhaps it was declared"),
        "open": Phrase("interrupted: declared, perhaps some documents were sent, nothing was received"),
        "sending": Phrase("interrupted: all documents were sent, perhaps it was received"),
    }
    message = come.get(known.state if known else None, Phrase("interrupted"))
    return message, Phrase("nothing is lost: run the same command again")
