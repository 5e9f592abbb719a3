"""One or more runs for every problem code, checked by test_problems.py.

Each case describes a situation and has a function that produces it through the command line, against a real
socket or a resource that is really broken. Cases of bad_input.py and bad_manifests.py are reused. `python
tests/problem_cases.py` runs all cases and writes docs/problems.md.
"""

from __future__ import annotations

import dataclasses
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

import bad_input
import bad_manifests
import docsend
import doubles
import pages
import problem_causes as causes
from docsend.codes import Code, Kind
from docsend.errors import ExitCode
from docsend.service import responses
from problem_causes import BY_NAME, CLAIM, EMPLOYER, EVERY_TIME, LONG_AGO, ONLY_FROM_SERVICE
from problem_runs import SEND, ProblemCase, RunResult, World, run_masked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PART = pages.GeneratedSection(
    Path(__file__).parent.parent / "docs" / "problems.md",
    "<!-- problems: made by tests/problem_cases.py -->",
    "<!-- end of problems -->",
)

OPENAPI = Path(docsend.__file__).parent / "sandbox" / "openapi.yaml"


def _run_bad_input(case: bad_input.Case) -> Callable[[World], RunResult]:
    def run(_: World) -> RunResult:
        result = bad_input.run_case(case)
        return RunResult(result.exit_code, result.json["problems"], result.err)

    return run


def _run_bad_manifest(case: bad_manifests.Case) -> Callable[[World], RunResult]:
    def run(_: World) -> RunResult:
        result = bad_manifests.observe(dataclasses.replace(case, options=(*case.options, "--json")))
        return RunResult.from_output(result.exit_code, result.out, "\n".join(result.lines))

    return run


def _cases_of_other_tables() -> Iterator[ProblemCase]:
    """Yield the cases of bad_input.py and bad_manifests.py that have a single code."""
    for case in bad_input.CASES:
        if len(case.codes) == 1:
            yield ProblemCase(BY_NAME[case.codes[0]], case.description, _run_bad_input(case))
    for manifest_case in bad_manifests.CASES:
        if len(manifest_case.codes) == 1:
            description = f"in a manifest: {manifest_case.what}"
            yield ProblemCase(BY_NAME[manifest_case.codes[0]], description, _run_bad_manifest(manifest_case))


P = ProblemCase
CASES: list[ProblemCase] = [
    # -- missing values
    P(Code.CATEGORY_MISSING, "no category", causes.without_option(SEND, "--category")),
    P(
        Code.EMPLOYER_FILE_MISSING,
        "no employer file number",
        causes.without_option(EMPLOYER, "--employer-file"),
    ),
    P(Code.MOBILE_MISSING, "no mobile number", causes.without_option(EMPLOYER, "--mobile")),
    P(Code.DOCUMENTS_MISSING, "no file", lambda world: world.run("send", *SEND)),
    # -- invalid values and documents
    P(
        Code.UNKNOWN_EMPLOYER_KIND,
        "`--employer-kind moon`",
        causes.with_options(EMPLOYER, "--employer-kind", "moon"),
    ),
    P(
        Code.UNKNOWN_REQUIRED,
        "`required upload` of an id that the service does not ask for",
        causes.upload_unknown_required,
    ),
    P(
        Code.BOOKLET_INVALID,
        "a booklet number with a full stop",
        causes.with_value(EMPLOYER, "--booklet", "12.345"),
    ),
    P(Code.OCCURRENCE_INVALID, "`--occurrence 0`", causes.with_options(SEND, "--occurrence", "0")),
    P(
        Code.REQUIRED_TOO_LONG,
        "in a manifest: an id of 101 characters in the column `required`",
        causes.manifest_rows(
            "to,subject,category,type,required,documents",
            f"personal,unemployment,employer,payslips,{'R' * 101},one.pdf",
        ),
    ),
    P(
        Code.BRANCH_TOO_LONG,
        "the service responds with this code",
        causes.service_refuses(Code.BRANCH_TOO_LONG),
        exit_code=ExitCode.REFUSED,
        reason=ONLY_FROM_SERVICE,
    ),
    P(
        Code.REQUIRED_DOCUMENTS_PENDING,
        "another document about a subject for which the service requires one",
        causes.send_before_required,
    ),
    P(
        Code.DOCUMENT_CHANGED,
        "a file that is saved again while it is being sent",
        causes.change_while_sending,
    ),
    P(
        Code.REFERENCE_RECEIVED_BEFORE,
        "a payslip that was exported anew, with the reference of the one that was received",
        causes.send_new_export,
    ),
    P(
        Code.CONTENT_RECEIVED_BEFORE,
        "the file that was received, under another name",
        causes.send_under_another_name,
    ),
    P(
        Code.OCCURRENCE_TOO_EARLY,
        "`--occurrence 3`, and the second was never sent",
        causes.skip_an_occurrence,
    ),
    P(Code.MANIFEST_TOO_LARGE, "a manifest with too many rows", causes.manifest_with_too_many_rows),
    # -- warnings
    P(Code.SIZE_NEAR_LIMIT, "a PDF of 10,000,001 bytes", causes.document_near_limit),
    P(
        Code.PASSWORD_UNKNOWN,
        "an AES-256 PDF, and the extra `documents` is not installed",
        causes.encryption_that_is_not_checked,
    ),
    P(Code.NOT_DECODED, "`--thorough`, and decoding takes too long", causes.slow_decoder),
    P(
        Code.ONLINE_FORM_POSSIBLE,
        "a claim for which no page of the institute confirms the online form",
        lambda world: world.dry_run("--to", "benefits", *CLAIM, *bad_input.PERSON),
    ),
    P(
        Code.EMPLOYER_FILE_UNUSUAL,
        "a deduction file number that starts with 8",
        causes.with_value(EMPLOYER, "--employer-file", "800000000"),
    ),
    P(
        Code.ZEROS_RESTORED,
        "in a manifest: a mobile number without its leading 0",
        causes.manifest_without_zeros,
    ),
    P(
        Code.ZEROS_MISSING,
        "in a manifest: a booklet number that is a number",
        causes.manifest_with_a_booklet_as_a_number,
    ),
    P(
        Code.EARLIER_WITHDRAWN,
        "a payslip that was exported anew, and the first one did not reach the service",
        causes.send_new_export_after_a_failure,
    ),
    P(
        Code.PERHAPS_RECEIVED_BEFORE,
        "the same reference in a ledger of docsend 0.1.0, and the remark differs",
        causes.send_reference_of_an_old_ledger,
    ),
    P(Code.HIDDEN_ROWS, "a workbook with a hidden row", causes.workbook_with_hidden_rows),
    P(Code.LIMITED_READER, "an OpenDocument spreadsheet", causes.workbook_for_the_limited_reader),
    # -- settings of this machine or the network
    P(Code.CERTIFICATE_AUTHORITY, "a certificate of an unknown authority", causes.over_tls(is_trusted=False)),
    P(Code.CERTIFICATE_NAME, "the certificate of another host", causes.over_tls("documents.example")),
    P(
        Code.CERTIFICATE_DATE,
        "an expired certificate",
        causes.over_tls(not_before=LONG_AGO, not_after=LONG_AGO),
    ),
    P(
        Code.CERTIFICATE_INVALID,
        "a certificate chain that is longer than its authority allows",
        causes.over_tls(path_length=0),
    ),
    P(Code.PROXY_AUTHENTICATION, "a proxy that responds with 407", causes.proxy_with_status(407)),
    P(
        Code.HOST_NOT_SERVED,
        "the service responds with this code (421)",
        causes.service_refuses(Code.HOST_NOT_SERVED),
    ),
    # -- sign-in
    P(Code.SIGN_IN_REFUSED, "a wrong password", causes.wrong_password),
    P(Code.LOCKED_OUT, "a sign-in after many wrong passwords", causes.locked_out),
    # -- refused by the service
    P(Code.INVALID, "the service responds with this code (422)", causes.service_refuses(Code.INVALID)),
    P(Code.KEY_REUSED, "the service responds with this code (409)", causes.service_refuses(Code.KEY_REUSED)),
    P(Code.WITHDRAWN, "`receipts withdraw`, and then the same command again", causes.send_after_withdrawal),
    P(
        Code.LIMIT_ON_THE_WAY,
        "a web page with status 413, as proxies send it",
        lambda world: world.send_to_reply(causes.html_page(413, "Request Entity Too Large")),
    ),
    P(
        Code.DECLARATION_TOO_LARGE,
        "the service responds with this code (413), to one request and to several",
        causes.service_refuses(Code.DECLARATION_TOO_LARGE),
    ),
    P(Code.REFUSED, "`receipts withdraw` of a submission that has its receipt", causes.withdraw_received),
    # -- unfinished
    P(Code.NAME_UNKNOWN, "a host name that no name server knows", causes.unknown_host_name),
    P(Code.CONNECTION_REFUSED, "an address where nothing listens", causes.closed_port),
    P(Code.NO_ROUTE, "an address without a route", lambda world: world.send_to("http://127.255.255.255")),
    P(Code.TIMED_OUT, "a service that never responds", causes.silent_service),
    P(
        Code.CONNECTION_BROKEN,
        "a connection that is cut before the response",
        lambda world: world.send_to_reply(doubles.Reply(cut=True)),
    ),
    P(Code.ENCRYPTION_FAILED, "`https` to a port that speaks `http`", causes.https_to_http_port),
    P(Code.PROXY_REFUSED, "a proxy that responds with 403", causes.proxy_with_status(403)),
    P(
        Code.REDIRECTED,
        "a redirect (302)",
        lambda world: world.send_to_reply(doubles.Reply(302, headers={"Location": "http://portal.example/"})),
    ),
    P(
        Code.PAGE_INSTEAD,
        "the sign-in page of a hotel network",
        lambda world: world.send_to_reply(causes.html_page(200, "Hotel Wi-Fi")),
    ),
    P(
        Code.PAGE_INSTEAD,
        "a web page with status 403, for a submission that the service does not know",
        causes.firewall_refuses_put,
        exit_code=ExitCode.REFUSED,
        reason="nothing was received, and the same command would fail again",
    ),
    P(Code.CONTRACT_BROKEN, "a response without a body", lambda world: world.send_to_reply(doubles.Reply())),
    P(
        Code.SERVICE_BUSY,
        "503 until the retry time is over",
        lambda world: world.send_to_reply(doubles.Reply(503)),
    ),
    P(Code.MALFORMED, "the service responds with this code (400)", causes.service_refuses(Code.MALFORMED)),
    P(
        Code.LENGTH_REQUIRED,
        "the service responds with this code (411)",
        causes.service_refuses(Code.LENGTH_REQUIRED),
    ),
    P(
        Code.METHOD_NOT_ALLOWED,
        "the service responds with this code (405)",
        causes.service_refuses(Code.METHOD_NOT_ALLOWED),
    ),
    P(
        Code.MEDIA_TYPE_NOT_ACCEPTED,
        "the service responds with this code (415)",
        causes.service_refuses(Code.MEDIA_TYPE_NOT_ACCEPTED),
    ),
    P(
        Code.ORIGIN_NOT_ALLOWED,
        "the service responds with this code (403)",
        causes.service_refuses(Code.ORIGIN_NOT_ALLOWED),
    ),
    P(
        Code.NOT_TRIED,
        "a row of a batch after a failure that affects all rows",
        causes.batch_ends_early,
        exit_code=ExitCode.ROWS_UNFINISHED,
        reason="a batch",
    ),
    P(
        Code.UNFINISHED,
        "a service that forgets every declaration",
        causes.refuse_call("/documents/", Code.NOT_FOUND, times=EVERY_TIME),
    ),
    # -- this machine and docsend itself
    P(Code.LOCAL_FAILURE, "a ledger that is not a database", causes.damaged_ledger),
    P(Code.LOCAL_FAILURE, "a full disk", causes.full_disk),
    P(Code.BUG, "a planted bug", causes.bug_inside),
    P(
        Code.INTERRUPTED,
        "Ctrl-C while the service processes the request",
        causes.signal_while_waiting(signal.SIGINT),
    ),
    P(
        Code.TERMINATED,
        "SIGTERM while the service processes the request",
        causes.signal_while_waiting(signal.SIGTERM),
        exit_code=ExitCode.TERMINATED,
        reason="128 plus the signal number",
    ),
]

# No run ends with these codes, because docsend handles them as described in `handling`.
HANDLED_CASES: list[ProblemCase] = [
    P(
        Code.DOCUMENT_IN_TWO_ROWS,
        "in a manifest: the same document in two rows",
        causes.document_in_two_rows,
        handling="docsend prints it on stderr before sending; the JSON of the rows does not contain it",
    ),
    P(
        Code.ALREADY_RECEIVED,
        "`receipts withdraw` of a submission that was received, but whose response was lost",
        causes.withdraw_after_lost_response,
        exit_code=ExitCode.REFUSED,
        handling="docsend stores the receipt in the response, and reports `refused`",
        run_persistent=causes.withdraw_after_lost_response,
        final_code=Code.REFUSED,
    ),
    P(
        Code.ONE_EXCHANGE_TOO_LARGE,
        "the service responds with this code (413)",
        causes.refuse_call("PUT ", Code.ONE_EXCHANGE_TOO_LARGE, staged=False),
        exit_code=ExitCode.RECEIVED,
        handling="docsend sends the same submission in several requests",
    ),
    P(
        Code.OWN_FAULT,
        "the service responds with this code (500)",
        causes.refuse_call("PUT ", Code.OWN_FAULT, staged=False),
        exit_code=ExitCode.RECEIVED,
        handling="docsend retries until the retry time is over",
        run_persistent=causes.refuse_call("PUT ", Code.OWN_FAULT, staged=False, times=EVERY_TIME),
        final_code=Code.SERVICE_BUSY,
    ),
    P(
        Code.TOO_SLOW,
        "the service responds with this code (408)",
        causes.refuse_call("PUT ", Code.TOO_SLOW, staged=False),
        exit_code=ExitCode.RECEIVED,
        handling="docsend sends the submission in several requests, and retries until the retry time is over",
        run_persistent=causes.refuse_call("PUT ", Code.TOO_SLOW, staged=False, times=EVERY_TIME),
        final_code=Code.SERVICE_BUSY,
    ),
    P(
        Code.NOT_FOUND,
        "the service has forgotten the declaration (404)",
        causes.refuse_call("/documents/", Code.NOT_FOUND),
        exit_code=ExitCode.RECEIVED,
        handling="docsend declares the submission again, at most three times",
        run_persistent=causes.refuse_call("/documents/", Code.NOT_FOUND, times=EVERY_TIME),
        final_code=Code.UNFINISHED,
    ),
    P(
        Code.INCOMPLETE,
        "a document is missing at the service (409)",
        causes.refuse_call("/send", Code.INCOMPLETE, missing=[]),
        exit_code=ExitCode.RECEIVED,
        handling="docsend sends the missing documents, at most three times",
        run_persistent=causes.refuse_call("/send", Code.INCOMPLETE, missing=[], times=EVERY_TIME),
        final_code=Code.UNFINISHED,
    ),
    P(
        Code.DIGEST_MISMATCH,
        "the service received other bytes than were sent (400)",
        causes.refuse_call("/documents/", Code.DIGEST_MISMATCH),
        exit_code=ExitCode.RECEIVED,
        handling="docsend sends the document again until the retry time is over",
        run_persistent=causes.refuse_call("/documents/", Code.DIGEST_MISMATCH, times=EVERY_TIME),
        final_code=Code.CONTRACT_BROKEN,
    ),
]
# This code would stand for a check that failed without a problem, but every failed check has one.
NEVER_REPORTED = {Code.FAULTY: "every failed check reports a more specific code"}


def all_cases() -> list[ProblemCase]:
    """Return all cases in the order of the codes. The other tables add the codes that are missing here."""
    cases = [*CASES, *HANDLED_CASES]
    codes = {case.code for case in cases}
    for case in _cases_of_other_tables():
        if case.code not in codes:
            codes.add(case.code)
            cases.append(case)
    order = list(Code)
    return sorted(cases, key=lambda case: order.index(case.code))


# -- the page ----------------------------------------------------------------------------------------------


def page(run: Callable[[Callable[[World], RunResult]], RunResult] = run_masked) -> str:
    """Return the tables of the page, one per kind; `run` runs each case."""
    return "\n\n".join(_section(kind, run) for kind in Kind)


def _section(kind: Kind, run: Callable[[Callable[[World], RunResult]], RunResult]) -> str:
    codes = [code for code in Code if code.kind is kind]
    lines = [
        f"## {kind.value[0].upper()}{kind.value[1:]}",
        "",
        f"Severity: {codes[0].severity}.",
        "",
        "| code | meaning | example | hint | exit code |",
        "|---|---|---|---|---|",
    ]
    for case in all_cases():
        if case.code.kind is kind:
            result = run(case.run)
            cells = (_hint_cell(case, result), _exit_cell(case, result, run))
            lines.append(_table_row(case.code, case.description, *cells))
    lines += [
        _table_row(code, "none", f"never reported: {NEVER_REPORTED[code]}", "—")
        for code in codes
        if code in NEVER_REPORTED
    ]
    return "\n".join(lines)


def _table_row(code: Code, what: str, hint: str, exit_code: str) -> str:
    field = f" (`{code.field}`)" if code.field else ""
    cells = (f"`{code}`", f"{code.meaning}{field}", what, hint, exit_code)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|').replace('<', '&lt;') for cell in cells)} |"


def _hint_cell(case: ProblemCase, result: RunResult) -> str:
    if case.handling:
        return case.handling
    problems = result.with_code(case.code)
    assert problems, f"{case.code} was not reported: {result.problems} {result.err}"
    hint = problems[0]["hint"]
    return f"*{hint}*" if hint else "—"


def _exit_cell(
    case: ProblemCase, result: RunResult, run: Callable[[Callable[[World], RunResult]], RunResult]
) -> str:
    if case.run_persistent is not None and case.run_persistent is not case.run:
        return (
            f"{result.exit_code}; if it persists, {run(case.run_persistent).exit_code} as `{case.final_code}`"
        )
    if case.reason:
        return f"{result.exit_code} ({case.reason})"
    return f"{result.exit_code}, or 5" if case.code in SHARED_WITH_SERVICES else str(result.exit_code)


def contract_codes() -> tuple[frozenset[str], frozenset[str]]:
    """Return the codes in openapi.yaml: those of problems, and those of the errors in a 422."""
    schemas = yaml.safe_load(OPENAPI.read_text("utf-8"))["components"]["schemas"]
    types = schemas["Problem"]["properties"]["type"]["enum"]
    problems = frozenset(name.removeprefix(responses.PROBLEM_TYPE) for name in types)
    return problems, frozenset(schemas["Error"]["properties"]["code"]["enum"])


# Codes of docsend's own checks that a service also uses. If a service refuses with one, the run ends with 5.
SHARED_WITH_SERVICES = frozenset(
    code
    for code in Code
    if code.kind in (Kind.MISSING, Kind.INVALID) and code.value in frozenset.union(*contract_codes())
)


if __name__ == "__main__":
    PART.write(page())
    sys.stdout.write(f"{len(all_cases())} rows\n")
