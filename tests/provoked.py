"""Every problem code: what provokes it, and what such a run shows. Checked by test_problems.py.

A code has one row, or more: what somebody does or meets, and a function that makes it happen, through the
public door, against a real socket or a thing that is really broken. What bad_input.py and bad_manifests.py
provoke is taken from there. `python tests/provoked.py` runs all of it and writes docs/problems.md.
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
from problem_causes import EVERY_TIME, BY_NAME, CLAIM, EMPLOYER, LONG_AGO, ONLY_FROM_SERVICE
from problem_runs import SEND, ProblemCase, RunResult, World, run_masked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PART = pages.Part(
    Path(__file__).parent.parent / "docs" / "problems.md",
    "<!-- problems: made by tests/provoked.py -->",
    "<!-- end of problems -->",
)

OPENAPI = Path(docsend.__file__).parent / "sandbox" / "openapi.yaml"


def _run_bad_input(case: bad_input.Case) -> Callable[[World], RunResult]:
    def make(_: World) -> RunResult:
        seen = bad_input.run_case(case)
        return RunResult(seen.exit_code, seen.result["problems"], seen.err)

    return make


def _run_bad_manifest(case: bad_manifests.Case) -> Callable[[World], RunResult]:
    def make(_: World) -> RunResult:
        seen = bad_manifests.observe(dataclasses.replace(case, options=(*case.options, "--json")))
        return RunResult.from_output(seen.exit_code, seen.out, "\n".join(seen.lines))

    return make


def _cases_of_other_tables() -> Iterator[ProblemCase]:
    """Give the first case of each code that stands alone in one of the other two tables."""
    for one in bad_input.CASES:
        if len(one.codes) == 1:
            yield ProblemCase(BY_NAME[one.codes[0]], one.what, _run_bad_input(one))
    for case in bad_manifests.CASES:
        if len(case.codes) == 1:
            yield ProblemCase(BY_NAME[case.codes[0]], f"in a manifest: {case.what}", _run_bad_manifest(case))


P = ProblemCase
CASES: list[ProblemCase] = [
    # -- something needed is not given
    P(Code.CATEGORY_MISSING, "no category", causes.without_option(SEND, "--category")),
    P(
        Code.EMPLOYER_FILE_MISSING,
        "no number of the employer's file",
        causes.without_option(EMPLOYER, "--employer-file"),
    ),
    P(Code.MOBILE_MISSING, "no mobile number", causes.without_option(EMPLOYER, "--mobile")),
    P(Code.DOCUMENTS_MISSING, "no file", lambda here: here.run("send", *SEND)),
    # -- a check before sending found it
    P(
        Code.UNKNOWN_EMPLOYER_KIND,
        "`--employer-kind moon`",
        causes.with_options(EMPLOYER, "--employer-kind", "moon"),
    ),
    P(
        Code.UNKNOWN_REQUIRED,
        "`required upload` of an id that nobody asked for",
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
        "the service says so",
        causes.service_refuses(Code.BRANCH_TOO_LONG),
        exit_code=ExitCode.REFUSED,
        reason=ONLY_FROM_SERVICE,
    ),
    P(
        Code.REQUIRED_DOCUMENTS_PENDING,
        "another document about a subject of which the service asks for one",
        causes.send_before_required,
    ),
    P(Code.DOCUMENT_CHANGED, "a file that is saved anew while it is being sent", causes.change_while_sending),
    P(Code.MANIFEST_TOO_LARGE, "a manifest of more rows than are read", causes.manifest_with_too_many_rows),
    # -- worth knowing
    P(Code.SIZE_NEAR_LIMIT, "a PDF of 10,000,001 bytes", causes.document_near_limit),
    P(
        Code.ONLINE_FORM_POSSIBLE,
        "a claim of which no page of the institute says for sure that it is filed online",
        lambda here: here.dry_run("--to", "benefits", *CLAIM, *bad_input.PERSON),
    ),
    P(
        Code.EMPLOYER_FILE_UNUSUAL,
        "a deduction file number that begins with 8",
        causes.with_value(EMPLOYER, "--employer-file", "800000000"),
    ),
    P(Code.ZEROS_RESTORED, "in a manifest: a mobile number without its 0", causes.manifest_without_zeros),
    # -- the command line, the settings, the network's settings
    P(Code.CERTIFICATE_AUTHORITY, "an authority that nobody knows", causes.over_tls(is_trusted=False)),
    P(Code.CERTIFICATE_NAME, "the certificate of another machine", causes.over_tls("documents.example")),
    P(
        Code.CERTIFICATE_DATE,
        "a certificate that expired",
        causes.over_tls(not_before=LONG_AGO, not_after=LONG_AGO),
    ),
    P(Code.CERTIFICATE_INVALID, "a chain longer than its authority allows", causes.over_tls(path_length=0)),
    P(Code.PROXY_AUTHENTICATION, "a proxy that answers 407", causes.proxy_with_status(407)),
    P(Code.HOST_NOT_SERVED, "the service refuses so (421)", causes.service_refuses(Code.HOST_NOT_SERVED)),
    # -- a sign-in is needed, or was refused
    P(Code.SIGN_IN_REFUSED, "a wrong password", causes.wrong_password),
    P(Code.LOCKED_OUT, "a sign-in after many wrong passwords", causes.locked_out),
    # -- refused by the service for good
    P(Code.INVALID, "the service refuses so (422)", causes.service_refuses(Code.INVALID)),
    P(Code.KEY_REUSED, "the service refuses so (409)", causes.service_refuses(Code.KEY_REUSED)),
    P(Code.WITHDRAWN, "`receipts withdraw`, and then the same command again", causes.send_after_withdrawal),
    P(
        Code.LIMIT_ON_THE_WAY,
        "a web page of 413, as proxies have it",
        lambda here: here.send_to_reply(causes.html_page(413, "Request Entity Too Large")),
    ),
    P(
        Code.DECLARATION_TOO_LARGE,
        "the service refuses so (413), in one exchange and staged",
        causes.service_refuses(Code.DECLARATION_TOO_LARGE),
    ),
    P(Code.REFUSED, "`receipts withdraw` of what has its receipt", causes.withdraw_received),
    # -- it broke off
    P(Code.NAME_UNKNOWN, "a name that no name server knows", causes.unknown_host_name),
    P(Code.CONNECTION_REFUSED, "an address where nobody listens", causes.closed_port),
    P(Code.NO_ROUTE, "an address that no way leads to", lambda here: here.send_to("http://127.255.255.255")),
    P(Code.TIMED_OUT, "a service that never answers", causes.silent_service),
    P(
        Code.CONNECTION_BROKEN,
        "a connection that is cut before the response",
        lambda here: here.send_to_reply(doubles.Reply(cut=True)),
    ),
    P(Code.ENCRYPTION_FAILED, "`https` to a port that speaks `http`", causes.https_to_http_port),
    P(Code.PROXY_REFUSED, "a proxy that answers 403", causes.proxy_with_status(403)),
    P(
        Code.REDIRECTED,
        "a redirect (302)",
        lambda here: here.send_to_reply(doubles.Reply(302, headers={"Location": "http://portal.example/"})),
    ),
    P(
        Code.PAGE_INSTEAD,
        "the sign-in page of a hotel",
        lambda here: here.send_to_reply(causes.html_page(200, "Hotel Wi-Fi")),
    ),
    P(
        Code.PAGE_INSTEAD,
        "a web page of 403, to what the service does not know",
        causes.firewall_refuses_put,
        exit_code=ExitCode.REFUSED,
        reason="nothing of it has arrived, and the same command again would not pass either",
    ),
    P(Code.CONTRACT_BROKEN, "a response without a body", lambda here: here.send_to_reply(doubles.Reply())),
    P(Code.SERVICE_BUSY, "503 for as long as patience lasts", lambda here: here.send_to_reply(doubles.Reply(503))),
    P(Code.MALFORMED, "the service refuses so (400)", causes.service_refuses(Code.MALFORMED)),
    P(Code.LENGTH_REQUIRED, "the service refuses so (411)", causes.service_refuses(Code.LENGTH_REQUIRED)),
    P(Code.METHOD_NOT_ALLOWED, "the service refuses so (405)", causes.service_refuses(Code.METHOD_NOT_ALLOWED)),
    P(
        Code.MEDIA_TYPE_NOT_ACCEPTED,
        "the service refuses so (415)",
        causes.service_refuses(Code.MEDIA_TYPE_NOT_ACCEPTED),
    ),
    P(Code.ORIGIN_NOT_ALLOWED, "the service refuses so (403)", causes.service_refuses(Code.ORIGIN_NOT_ALLOWED)),
    P(
        Code.NOT_TRIED,
        "a batch after a row whose failure no other row would survive",
        causes.batch_ends_early,
        exit_code=ExitCode.SOME_ROWS,
        reason="a batch",
    ),
    P(
        Code.UNFINISHED,
        "a service that forgets what was declared to it",
        causes.refuse_call("/documents/", Code.NOT_FOUND, times=EVERY_TIME),
    ),
    # -- this machine, and docsend itself
    P(Code.LOCAL_FAILURE, "a ledger that is no database", causes.damaged_ledger),
    P(Code.LOCAL_FAILURE, "a full disk", causes.full_disk),
    P(Code.BUG, "a bug that was put in", causes.bug_inside),
    P(Code.INTERRUPTED, "Ctrl-C while the service thinks", causes.signal_while_waiting(signal.SIGINT)),
    P(
        Code.TERMINATED,
        "SIGTERM while the service thinks",
        causes.signal_while_waiting(signal.SIGTERM),
        exit_code=ExitCode.TERMINATED,
        reason="128 and the number of the signal",
    ),
]

# What no run ends with: docsend acts upon it, and `does` says how.
HANDLED_CASES: list[ProblemCase] = [
    P(
        Code.DOCUMENT_IN_TWO_ROWS,
        "in a manifest: the same document in two rows",
        causes.document_in_two_rows,
        handling="docsend tells it on stderr before anything is sent; it is in no row's JSON",
    ),
    P(
        Code.ALREADY_RECEIVED,
        "`receipts withdraw` of what was received, though its answer was lost",
        causes.withdraw_after_lost_response,
        exit_code=ExitCode.REFUSED,
        handling="docsend keeps the receipt that comes with it, and says `refused`",
        run_persistent=causes.withdraw_after_lost_response,
        final_code=Code.REFUSED,
    ),
    P(
        Code.ONE_EXCHANGE_TOO_LARGE,
        "the service says so (413)",
        causes.refuse_call("PUT ", Code.ONE_EXCHANGE_TOO_LARGE, staged=False),
        exit_code=ExitCode.RECEIVED,
        handling="docsend sends the same submission in several requests",
    ),
    P(
        Code.OWN_FAULT,
        "the service says so (500)",
        causes.refuse_call("PUT ", Code.OWN_FAULT, staged=False),
        exit_code=ExitCode.RECEIVED,
        handling="docsend tries again for as long as patience lasts",
        run_persistent=causes.refuse_call("PUT ", Code.OWN_FAULT, staged=False, times=EVERY_TIME),
        final_code=Code.SERVICE_BUSY,
    ),
    P(
        Code.TOO_SLOW,
        "the service says so (408)",
        causes.refuse_call("PUT ", Code.TOO_SLOW, staged=False),
        exit_code=ExitCode.RECEIVED,
        handling="docsend sends it in several requests, and tries again for as long as patience lasts",
        run_persistent=causes.refuse_call("PUT ", Code.TOO_SLOW, staged=False, times=EVERY_TIME),
        final_code=Code.SERVICE_BUSY,
    ),
    P(
        Code.NOT_FOUND,
        "the service has forgotten the declaration (404)",
        causes.refuse_call("/documents/", Code.NOT_FOUND),
        exit_code=ExitCode.RECEIVED,
        handling="docsend declares it anew, three times at most",
        run_persistent=causes.refuse_call("/documents/", Code.NOT_FOUND, times=EVERY_TIME),
        final_code=Code.UNFINISHED,
    ),
    P(
        Code.INCOMPLETE,
        "the service lacks a document (409)",
        causes.refuse_call("/send", Code.INCOMPLETE, missing=[]),
        exit_code=ExitCode.RECEIVED,
        handling="docsend sends what is missing, three times at most",
        run_persistent=causes.refuse_call("/send", Code.INCOMPLETE, missing=[], times=EVERY_TIME),
        final_code=Code.UNFINISHED,
    ),
    P(
        Code.DIGEST_MISMATCH,
        "the service got other bytes than were sent (400)",
        causes.refuse_call("/documents/", Code.DIGEST_MISMATCH),
        exit_code=ExitCode.RECEIVED,
        handling="docsend sends them again for as long as patience lasts",
        run_persistent=causes.refuse_call("/documents/", Code.DIGEST_MISMATCH, times=EVERY_TIME),
        final_code=Code.CONTRACT_BROKEN,
    ),
]
# What no run can have: it stands for a check that failed and found nothing, and each names what it found.
NEVER_REPORTED = {Code.FAULTY: "each check that fails names what it found instead"}


def all_cases() -> list[ProblemCase]:
    """Give all that is provoked, in the order of the codes; one from elsewhere only if there is none here."""
    here = [*CASES, *HANDLED_CASES]
    known = {each.code for each in here}
    for each in _cases_of_other_tables():
        if each.code not in known:
            known.add(each.code)
            here.append(each)
    order = list(Code)
    return sorted(here, key=lambda each: order.index(each.code))


# -- the page ----------------------------------------------------------------------------------------------


def page(run: Callable[[Callable[[World], RunResult]], RunResult] = run_masked) -> str:
    """Give the page's tables, one for each kind; `see` runs each provocation."""
    return "\n\n".join(_section(kind, run) for kind in Kind)


def _section(kind: Kind, run: Callable[[Callable[[World], RunResult]], RunResult]) -> str:
    codes = [code for code in Code if code.kind is kind]
    lines = [
        f"## {kind.value[0].upper()}{kind.value[1:]}",
        "",
        f"Severity: {codes[0].severity}.",
        "",
        "| code | what it means | provoked by | what to do, as docsend says it | exit |",
        "|---|---|---|---|---|",
    ]
    for each in all_cases():
        if each.code.kind is kind:
            seen = run(each.run)
            lines.append(_table_row(each.code, each.description, _hint_cell(each, seen), _exit_cell(each, seen, run)))
    lines += [_table_row(code, "nothing", f"no run has it: {NEVER_REPORTED[code]}", "—") for code in codes if code in NEVER_REPORTED]
    return "\n".join(lines)


def _table_row(code: Code, what: str, hint: str, exit_code: str) -> str:
    about = f" (`{code.field}`)" if code.field else ""
    cells = (f"`{code}`", f"{code.meaning}{about}", what, hint, exit_code)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|').replace('<', '&lt;') for cell in cells)} |"


def _hint_cell(case: ProblemCase, result: RunResult) -> str:
    if case.handling:
        return case.handling
    found = result.with_code(case.code)
    assert found, f"{case.code} was not provoked: {result.problems} {result.err}"
    hint = found[0]["hint"]
    return f"*{hint}*" if hint else "—"


def _exit_cell(case: ProblemCase, result: RunResult, run: Callable[[Callable[[World], RunResult]], RunResult]) -> str:
    if case.run_persistent is not None and case.run_persistent is not case.run:
        return f"{result.exit_code}; if it goes on, {run(case.run_persistent).exit_code} as `{case.final_code}`"
    if case.reason:
        return f"{result.exit_code} ({case.reason})"
    return f"{result.exit_code}, or 5" if case.code in SHARED_WITH_SERVICES else str(result.exit_code)


def contract_codes() -> tuple[frozenset[str], frozenset[str]]:
    """Give the codes of the contract: those of problems, and those of the errors in a 422."""
    schemas = yaml.safe_load(OPENAPI.read_text("utf-8"))["components"]["schemas"]
    types = schemas["Problem"]["properties"]["type"]["enum"]
    problems = frozenset(name.removeprefix(responses.PROBLEM_TYPE) for name in types)
    return problems, frozenset(schemas["Error"]["properties"]["code"]["enum"])


# What a check here finds, and a service says, too: then the service has refused, and the run ends with 5.
SHARED_WITH_SERVICES = frozenset(
    code
    for code in Code
    if code.kind in (Kind.MISSING, Kind.INVALID) and code.value in frozenset.union(*contract_codes())
)


if __name__ == "__main__":
    PART.write(page())
    sys.stdout.write(f"{len(all_cases())} rows\n")
