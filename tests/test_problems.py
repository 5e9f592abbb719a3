"""Every problem code is produced by a run or documented as handled; docs/problems.md is up to date.

The sandbox responds with exactly the codes of the contract.
"""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import docsend
import problem_cases
import problem_causes
import problem_runs
from docsend.codes import Code, Kind
from docsend.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from problem_runs import ProblemCase

# Codes without a hint. Except for DOCUMENTS_MISSING, docsend shows only the service's own text for them.
WITHOUT_A_HINT = {Code.BRANCH_TOO_LONG, Code.DECLARATION_TOO_LARGE, Code.INVALID, Code.DOCUMENTS_MISSING}
SANDBOX = Path(docsend.__file__).parent / "sandbox"
# Codes of the contract that only services other than the sandbox may use.
ONLY_OTHER_SERVICES: set[str] = set()

run_cached = functools.cache(problem_runs.run_masked)  # The page reuses the results of the other tests.


def case_id(case: ProblemCase) -> str:
    return f"{case.code}-{case.description}".replace(" ", "-")


# -- every code --------------------------------------------------------------------------------------------


def test_each_code_has_a_case_or_is_never_reported() -> None:
    codes = {case.code for case in problem_cases.all_cases()}
    assert codes | set(problem_cases.NEVER_REPORTED) == set(Code)
    assert not codes & set(problem_cases.NEVER_REPORTED)


def test_each_kind_has_its_exit_code() -> None:
    assert set(problem_runs.EXIT_OF_KIND) == set(Kind)


@pytest.mark.parametrize("case", problem_cases.all_cases(), ids=case_id)
def test_each_case_produces_its_code_with_severity_field_hint_and_exit_code(
    case: ProblemCase,
) -> None:
    result = run_cached(case.run)
    assert result.exit_code == case.expected, result
    if case.exit_code is not None:
        assert case.reason or case.handling, "an exit code that is not that of the kind needs a reason"
    problems = result.with_code(case.code)
    if case.handling:
        assert not problems, "no run should end with this code"
        return
    assert problems, result
    for problem in problems:
        assert problem["severity"] == case.code.severity
        assert problem["message"]
        assert problem["field"] == case.code.field or case.code.field is None
        assert bool(problem["hint"]) == (case.code not in WITHOUT_A_HINT)


@pytest.mark.parametrize(
    "case", [case for case in problem_cases.HANDLED_CASES if case.run_persistent], ids=case_id
)
def test_a_handled_problem_that_persists_ends_with_another_code(case: ProblemCase) -> None:
    assert case.run_persistent is not None
    assert case.final_code is not None
    result = run_cached(case.run_persistent)
    assert [problem["code"] for problem in result.problems] == [case.final_code.value]
    assert result.exit_code == problem_runs.EXIT_OF_KIND[case.final_code.kind]


def test_a_document_in_two_rows_is_reported_on_stderr() -> None:
    (case,) = [case for case in problem_cases.HANDLED_CASES if case.code is Code.DOCUMENT_IN_TWO_ROWS]
    assert "[document-in-two-rows]" in run_cached(case.run).err


@pytest.mark.parametrize("code", sorted(problem_cases.SHARED_WITH_SERVICES, key=str), ids=str)
def test_a_code_of_a_local_check_is_a_refusal_if_the_service_responds_with_it(code: Code) -> None:
    with problem_runs.new_world() as world:
        result = world.send_to_reply(problem_causes.refusal_with_code(code))
    assert result.exit_code == ExitCode.REFUSED
    assert [problem["severity"] for problem in result.with_code(code)] == [code.severity]


def test_the_page_is_up_to_date() -> None:
    assert problem_cases.PART.current_text() == problem_cases.page(run_cached), (
        "run python tests/problem_cases.py"
    )


def test_the_page_contains_no_numbers_of_people_and_no_paths_of_this_machine() -> None:
    page = problem_cases.PART.page.read_text("utf-8")
    assert not re.search(r"[0-9]{9}|127\.0\.0\.1:|/tmp/|/home/", page)


# -- the codes of the contract -----------------------------------------------------------------------------


def test_all_codes_of_the_contract_are_known() -> None:
    problems, errors = problem_cases.contract_codes()
    assert problems | errors <= set(problem_causes.BY_NAME)


def test_the_sandbox_uses_exactly_the_codes_of_the_contract() -> None:
    problems, errors = problem_cases.contract_codes()
    given_problems, given_errors = sandbox_codes()
    assert given_problems == problems - ONLY_OTHER_SERVICES
    assert given_errors == errors - ONLY_OTHER_SERVICES


def sandbox_codes() -> tuple[set[str], set[str]]:
    """Return the codes of problems and of errors in the sandbox's source code."""
    problems: set[str] = set()
    errors: set[str] = set()
    for file in sorted(SANDBOX.glob("*.py")):
        module = ast.parse(file.read_text("utf-8"), file.name)
        for function in ast.walk(module):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            source = SandboxFunction(file.name, module, function)
            for node in ast.walk(function):
                match node:
                    case ast.Call(func=ast.Name("Refusal"), args=[_, code, *_]):
                        problems.update(source.codes(code))
                    case ast.Call(func=ast.Attribute(attr="add"), args=[_, code, _]):
                        errors.update(source.codes(code))
                    case ast.Dict(keys=[_, ast.Constant("code"), _], values=[_, code, _]):
                        errors.update(source.codes(code))
    return problems, errors


class SandboxFunction:
    """A function of the sandbox, and the codes that an expression in it can evaluate to."""

    def __init__(
        self, file: str, module: ast.Module, function: ast.FunctionDef | ast.AsyncFunctionDef
    ) -> None:
        self.file = file
        self.module = module
        self.function = function

    def codes(self, node: ast.expr) -> Iterator[str]:
        match node:
            case ast.Constant(str(code)):
                yield code
            case ast.IfExp(body=one, orelse=other):
                yield from self.codes(one)
                yield from self.codes(other)
            case ast.JoinedStr(
                [
                    ast.FormattedValue(ast.Call(ast.Attribute(ast.Name(name), "replace"))),
                    ast.Constant(str(rest)),
                ]
            ):
                yield from (f"{value}{rest}".replace("_", "-") for value in self.argument_values(name))
            case ast.Name(name):
                yield from self.codes_of_name(name)
            case _:
                raise AssertionError(f"{self.file}:{node.lineno}: cannot determine the code")

    def codes_of_name(self, name: str) -> Iterator[str]:
        """Yield the codes that a name can have: assigned in the function, or from a table of the module."""
        is_known = self.function.name == "add"  # Its callers are analyzed instead.
        for node in ast.walk(self.function):
            match node:
                case ast.Assign(targets=[ast.Name(target)], value=value) if target == name:
                    is_known = True
                    yield from self.codes(value)
                case ast.For(
                    target=ast.Tuple(targets), iter=ast.Call(func=ast.Attribute(ast.Name(table)))
                ) if name in {each.id for each in ast.walk(ast.Tuple(targets)) if isinstance(each, ast.Name)}:
                    is_known = True
                    yield from self.codes_of_table(table)
        assert is_known, f"{self.file}: cannot determine the codes of {name!r}"

    def codes_of_table(self, name: str) -> Iterator[str]:
        """Yield the first element of each tuple in a table of the module."""
        for node in self.module.body:
            match node:
                case ast.Assign(targets=[ast.Name(target)], value=ast.Dict(values=values)) if target == name:
                    for value in values:
                        match value:
                            case ast.Tuple([ast.Constant(str(code)), *_]):
                                yield code

    def argument_values(self, parameter: str) -> Iterator[str]:
        """Yield the constants that the module passes to this function for a parameter after self."""
        index = [each.arg for each in self.function.args.args].index(parameter) - 1
        for node in ast.walk(self.module):
            match node:
                case ast.Call(func=ast.Attribute(attr=called), args=args) if called == self.function.name:
                    match args[index]:
                        case ast.Constant(str(value)):
                            yield value
