"""Registers functions as commands that take the common options and explain their exit codes in the help."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.core
from typer._click.exceptions import BadOptionUsage

from docsend.errors import EXIT_MEANINGS, ExitCode, UsageError
from docsend.i18n import ENGLISH, Message

if TYPE_CHECKING:
    from docsend.model.fields import Field

Key = Annotated[str, typer.Argument(metavar="KEY", help="A submission's key, or its first characters.")]

_COMMON: dict[str, tuple[Any, Any]] = {
    "service": (
        Annotated[
            str | None,
            typer.Option(
                "--service",
                metavar="NAME|URL",
                help="Service to use: `sandbox`, a configured name or a URL. [env: DOCSEND_SERVICE]",
            ),
        ],
        None,
    ),
    "lang": (
        Annotated[
            str | None,
            typer.Option("--lang", metavar="en|fr|he", help="Language of messages, help and labels."),
        ],
        None,
    ),
    "as_json": (
        Annotated[bool, typer.Option("--json", help="Print the result as JSON, even on failure.")],
        False,
    ),
    "quiet": (Annotated[bool, typer.Option("--quiet", "-q", help="Print only results and errors.")], False),
    "verbose": (
        Annotated[
            bool, typer.Option("--verbose", "-v", help="Print more details: addresses, folders, tracebacks.")
        ],
        False,
    ),
    "no_input": (Annotated[bool, typer.Option("--no-input", help="Never ask questions.")], False),
}


class _RejectsConflictingValues:
    """Mixin for commands and groups that rejects an option that is given twice with different values.

    Click would silently use the last value. With `--batch a.csv --batch b.csv`, only b.csv would be sent.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        this: Any = self
        try:
            _, _, order = this.make_parser(ctx).parse_args(args=list(args))
        except BadOptionUsage as error:
            error.ctx = ctx  # The parser does not set it.
            raise
        for parameter in _repeated_options(order):
            parameter.multiple = True  # The parser then returns all values, not only the last one.
            values, _, _ = this.make_parser(ctx).parse_args(args=list(args))
            parameter.multiple = False
            if len(set(values[parameter.name])) > 1:
                raise conflicting_values_error(max(parameter.opts, key=len))
        parent: Any = super()
        rest: list[str] = parent.parse_args(ctx, args)
        return rest


class Command(_RejectsConflictingValues, typer.core.TyperCommand):
    """A command that rejects surplus arguments with docsend's own message."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.allow_extra_args = True  # They are rejected below, with docsend's own message.
        rest = super().parse_args(ctx, args)
        if rest:
            raise usage_error(
                Message("unexpected arguments: {words}", words=" ".join(rest)), ctx.command_path
            )
        return rest


class Group(_RejectsConflictingValues, typer.core.TyperGroup):
    """A group of commands that suggests the nearest name for an unknown command."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0]
        if name not in self.commands and not name.startswith("-"):
            from docsend.model.search import nearest

            message = Message("no such command: {command}", command=name)
            if close := nearest(name, self.commands):
                message = Message(
                    "no such command: {command}; did you mean {close}?", command=name, close=close
                )
            raise usage_error(message, ctx.command_path)
        return super().resolve_command(ctx, args)


def usage_error(message: Message, path: str) -> UsageError:
    """Return the error for an invalid command line. `path` is the command's full name ("docsend send")."""
    return UsageError(message, Message("run `{path} --help` for usage", path=path))


def _repeated_options(order: Sequence[Any]) -> list[Any]:
    """Return the options that take a single value but appear more than once on the command line."""
    return [
        parameter
        for parameter in dict.fromkeys(order)
        if isinstance(parameter, typer.core.TyperOption)
        and not (parameter.is_flag or parameter.multiple or parameter.count)
        and order.count(parameter) > 1
    ]


def conflicting_values_error(option: str) -> UsageError:
    """Return the error for an option that was given twice with different values."""
    return UsageError(
        Message("{option} was given twice with different values", option=option),
        Message("give it once; to do both, run the command twice"),
    )


_DEFAULT_SUCCESS = Message("done")
# Exit codes that every command may return, in addition to its own.
_COMMON_EXITS = (ExitCode.BUG, ExitCode.USAGE, ExitCode.LOCAL, ExitCode.INTERRUPTED, ExitCode.TERMINATED)


def command(
    app: typer.Typer,
    name: str | None,
    *,
    exits: tuple[ExitCode, ...],
    example: str,
    success: Message = _DEFAULT_SUCCESS,
    omitted_options: tuple[str, ...] = (),
    fields: "Sequence[Field]" = (),
    tolerate_errors: bool = False,
    **typer_options: Any,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that registers a function as a command of `app`.

    The command takes the common options and calls the function with a CommandContext. Its help shows
    `example` and the meaning of the exit codes in `exits`.

    name: the command's name, or None to register what a group does without a subcommand.
    success: the meaning of exit code 0.
    omitted_options: names of common options that the command does not take.
    fields: fields of a submission that become options. The function's parameter `given` receives the values
        that the user gave, keyed by field name.
    tolerate_errors: whether the command runs even if the settings have errors.
    typer_options: further arguments for Typer's decorator.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        parameters, names = _parameters(function, fields)

        def run(context: typer.Context, common: dict[str, Any], **values: Any) -> None:
            if name is None and context.invoked_subcommand is not None:
                _reject_group_options(context, values)
                return
            from docsend.cli.context import CommandContext

            if names:
                values["given"] = {
                    field: value for field in names if (value := values.pop(field)) is not None
                }
            function(CommandContext.create(**common, tolerate_errors=tolerate_errors), **values)

        run.__doc__ = function.__doc__
        # In English, like all text passed to Typer; `cli.help` translates it.
        meanings = {
            code: ENGLISH.render(meaning)
            for code, meaning in {**EXIT_MEANINGS, ExitCode.RECEIVED: success}.items()
        }
        codes = "\n".join(f"{code.value:>3}  {meanings[code]}" for code in sorted((*_COMMON_EXITS, *exits)))
        epilog = f"\b\nExample:\n{example}\n\n\b\nExit codes:\n{codes}"
        decorate = app.callback if name is None else app.command
        kind = {"cls": Group} if name is None else {"cls": Command, "name": name}
        arguments = {"epilog": epilog, **kind, **typer_options}
        return decorate(**arguments)(with_common_options(run, parameters, omitted_options))

    return register


def _parameters(
    function: Callable[..., None], fields: "Sequence[Field]"
) -> tuple[list[inspect.Parameter], list[str]]:
    """Return a command's parameters without the context, and the names of the parameters that are fields."""
    parameters: list[inspect.Parameter] = []
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        parameters += map(_option, fields) if parameter.name == "given" else [parameter]
    return parameters, [field.name for field in fields]


def _option(field: "Field") -> inspect.Parameter:
    option = typer.Option(field.option, metavar=field.metavar, help=field.help)
    annotation = Annotated[str | None, option]
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def with_common_options(
    function: Callable[..., None], parameters: Sequence[inspect.Parameter], without: tuple[str, ...] = ()
) -> Callable[..., None]:
    """Wrap `function(context, common, **values)`, so that it takes `parameters` and the common options.

    Common options may follow any part of a command line: `docsend --json receipts show KEY` and `docsend
    receipts show KEY --json` are equivalent. `common` maps the common options to the values
    parsed so far. `without` names common options to leave out.
    """
    context_ = inspect.Parameter("context", inspect.Parameter.POSITIONAL_ONLY, annotation=typer.Context)
    parameters = [
        context_,
        *parameters,
        *(
            inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
            for option, (annotation, default) in _COMMON.items()
            if option not in without
        ),
    ]

    def run(*, context: typer.Context, **values: Any) -> None:
        # The contexts of a group and its subcommand share one `meta`.
        common = context.meta.setdefault(
            __name__, {option: default for option, (_, default) in _COMMON.items()}
        )
        for option, (_, default) in _COMMON.items():
            if (value := values.pop(option, default)) != default:
                if common[option] not in (default, value):  # Also given earlier.
                    raise conflicting_values_error(f"--{option}")
                common[option] = value
        function(context, common, **values)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__doc__ = function.__doc__
    return run


def _reject_group_options(context: typer.Context, values: Mapping[str, Any]) -> None:
    """Raise UsageError if a group's own option was given before a subcommand.

    The subcommand would ignore the option.
    """
    for parameter, value in values.items():
        if value is not None and value is not False:  # None and False mean that it was not given.
            command_ = context.invoked_subcommand
            raise usage_error(
                Message(
                    "--{option} is not an option of `{path} {command}`",
                    option=parameter.replace("_", "-"),
                    path=context.command_path,
                    command=command_,
                ),
                f"{context.command_path} {command_}",
            )
