"""Every problem code can be had, or is said to be none that a run ends with; docs/problems.md shows it.

And the sandbox gives the codes of the contract's table, all of them and no other.
"""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import docsend
import problem_causes
import problem_runs
import provoked
from docsend.codes import Code, Kind
from docsend.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from problem_runs import ProblemCase

# Where docsend shows no cure: of the last it could; of the others it has the service's own words alone.
WITHOUT_A_HINT = {Code.BRANCH_TOO_LONG, Code.DECLARATION_TOO_LARGE, Code.INVALID, Code.DOCUMENTS_MISSING}
SANDBOX = Path(docsend.__file__).parent / "sandbox"
# Codes of the contract's table that the sandbox never gives, and other services may.
ONLY_OTHER_SERVICES: set[str] = set()

run_cached = functools.cache(problem_runs.run_masked)  # the page is made of what was seen already


def case_id(each: ProblemCase) -> str:
    return f"{each.code}-{each.description}".replace(" ", "-")


# -- every code --------------------------------------------------------------------------------------------


def test_each_code_is_provoked_or_no_run_has_it() -> None:
    codes = {each.code for each in provoked.all_cases()}
    assert codes | set(provoked.NEVER_REPORTED) == set(Code)
    assert not codes & set(provoked.NEVER_REPORTED)


def test_each_kind_has_its_exit_code() -> None:
    assert set(problem_runs.EXIT_OF_KIND) == set(Kind)


@pytest.mark.parametrize("each", provoked.all_cases(), ids=case_id)
def test_what_provokes_a_code_gets_it_with_its_severity_its_field_its_cure_and_its_exit_code(
    each: ProblemCase,
) -> None:
    seen = run_cached(each.run)
    assert seen.exit_code == each.expected, seen
    if each.exit_code is not None:
        assert each.reason or each.handling, "another exit code than that of its kind has a reason"
    found = seen.with_code(each.code)
    if each.handling:
        assert not found, "it is said that no run ends with it"
        return
    assert found, seen
    for problem in found:
        assert problem["severity"] == each.code.severity
        assert problem["message"]
        assert problem["field"] == each.code.field or each.code.field is None
        assert bool(problem["hint"]) == (each.code not in WITHOUT_A_HINT)


@pytest.mark.parametrize(
    "each", [each for each in provoked.HANDLED_CASES if each.run_persistent], ids=case_id
)
def test_what_docsend_acts_upon_in_vain_ends_with_another_code(each: ProblemCase) -> None:
    assert each.run_persistent is not None
    assert each.final_code is not None
    seen = run_cached(each.run_persistent)
    assert [problem["code"] for problem in seen.problems] == [each.final_code.value]
    assert seen.exit_code == problem_runs.EXIT_OF_KIND[each.final_code.kind]


def test_a_document_in_two_rows_is_told_on_stderr() -> None:
    (each,) = [each for each in provoked.HANDLED_CASES if each.code is Code.DOCUMENT_IN_TWO_ROWS]
    assert "[document-in-two-rows]" in run_cached(each.run).err


@pytest.mark.parametrize("code", sorted(provoked.SHARED_WITH_SERVICES, key=str), ids=str)
def test_what_a_check_here_would_have_found_is_a_refusal_if_the_service_says_it(code: Code) -> None:
    with problem_runs.new_world() as here:
        seen = here.send_to_reply(problem_causes.refusal_with_code(code))
    assert seen.exit_code == ExitCode.REFUSED
    assert [problem["severity"] for problem in seen.with_code(code)] == [code.severity]


def test_the_page_shows_what_provokes_each_code() -> None:
    assert provoked.PART.shown() == provoked.page(run_cached), "run python tests/provoked.py"


def test_the_page_shows_nobody_s_numbers_and_nothing_of_this_machine() -> None:
    page = provoked.PART.page.read_text("utf-8")
    assert not re.search(r"[0-9]{9}|127\.0\.0\.1:|/tmp/|/home/", page)


# -- the contract's table ----------------------------------------------------------------------------------


def test_the_codes_of_the_contract_s_table_are_known_here() -> None:
    problems, errors = provoked.contract_codes()
    assert problems | errors <= set(problem_causes.BY_NAME)


def test_the_sandbox_gives_the_codes_of_the_contract_s_table_and_no_other() -> None:
    problems, errors = provoked.contract_codes()
    given_problems, given_errors = sandbox_codes()
    assert given_problems == problems - ONLY_OTHER_SERVICES
    assert given_errors == errors - ONLY_OTHER_SERVICES


def sandbox_codes() -> tuple[set[str], set[str]]:
    """Return the codes of problems and of errors that the sandbox's sources can make."""
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
    """A function of the sandbox, and which codes an expression in it may stand for."""

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
                raise AssertionError(f"{self.file}:{node.lineno}: which code that is, cannot be told")

    def codes_of_name(self, name: str) -> Iterator[str]:
        """Give the codes of a name: assigned in the function, or from a table of the module."""
        is_known = self.function.name == "add"  # its callers are looked at
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
        assert is_known, f"{self.file}: which codes {name!r} stands for, cannot be told"

    def codes_of_table(self, name: str) -> Iterator[str]:
        """Give the first of each tuple in a table of the module."""
        for node in self.module.body:
            match node:
                case ast.Assign(targets=[ast.Name(target)], value=ast.Dict(values=values)) if target == name:
                    for value in values:
                        match value:
                            case ast.Tuple([ast.Constant(str(code)), *_]):
                                yield code

    def argument_values(self, parameter: str) -> Iterator[str]:
        """Give what the module's calls of this function have for a parameter (after self)."""
        place = [each.arg for each in self.function.args.args].index(parameter) - 1
        for node in ast.walk(self.module):
            match node:
                case ast.Call(func=ast.Attribute(attr=called), args=args) if called == self.function.name:
                    match args[place]:
                        case ast.Constant(str(value)):
                            yield value
