"""What makes a function a command: the options that all of them take, the exit codes in its help."""

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

Key = Annotated[str, typer.Argument(metavar="KEY", help="A submission's key, or how it begins.")]

_COMMON: dict[str, tuple[Any, Any]] = {
    "service": (
        Annotated[
            str | None,
            typer.Option(
                "--service",
                metavar="NAME|URL",
                help="Where to send: `sandbox`, a name or an address. [env: DOCSEND_SERVICE]",
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
        Annotated[bool, typer.Option("--json", help="Print the result as JSON, on failure too.")],
        False,
    ),
    "quiet": (Annotated[bool, typer.Option("--quiet", "-q", help="No talk, only errors.")], False),
    "verbose": (
        Annotated[bool, typer.Option("--verbose", "-v", help="Tell more: addresses, folders, traces.")],
        False,
    ),
    "no_input": (Annotated[bool, typer.Option("--no-input", help="Never ask.")], False),
}


class _RefusesContradictions:
    """A command or group that refuses an option which is given twice with different values.

    Click would keep the last one in silence: of `--batch a.csv --batch b.csv` only b.csv would be sent.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        this: Any = self
        try:
            _, _, order = this.make_parser(ctx).parse_args(args=list(args))
        except BadOptionUsage as error:
            error.ctx = ctx  # which the parser does not tell
            raise
        for parameter in _given_again(order):
            parameter.multiple = True  # so that the parser keeps each of the values
            values, _, _ = this.make_parser(ctx).parse_args(args=list(args))
            parameter.multiple = False
            if len(set(values[parameter.name])) > 1:
                raise conflicting_values_error(max(parameter.opts, key=len))
        above: Any = super()
        rest: list[str] = above.parse_args(ctx, args)
        return rest


class Command(_RefusesContradictions, typer.core.TyperCommand):
    """A command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.allow_extra_args = True  # so that they are told here
        rest = super().parse_args(ctx, args)
        if rest:
            raise usage_error(Message("too many words: {words}", words=" ".join(rest)), ctx.command_path)
        return rest


class Group(_RefusesContradictions, typer.core.TyperGroup):
    """A group of commands."""

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
    """Return the error for a command line that cannot be understood; `path` are the words of its command."""
    return UsageError(message, Message("`{path} --help` tells what it takes", path=path))


def _given_again(order: Sequence[Any]) -> list[Any]:
    """Give the options that take one value and stand more than once on the command line."""
    return [
        parameter
        for parameter in dict.fromkeys(order)
        if isinstance(parameter, typer.core.TyperOption)
        and not (parameter.is_flag or parameter.multiple or parameter.count)
        and order.count(parameter) > 1
    ]


def conflicting_values_error(option: str) -> UsageError:
    return UsageError(
        Message("{option} is given twice, with different values", option=option),
        Message("give it once; to do both, run the command twice"),
    )


_DONE = Message("done")
# What any command may end with; the others are its own.
_ALWAYS = (ExitCode.BUG, ExitCode.USAGE, ExitCode.LOCAL, ExitCode.INTERRUPTED, ExitCode.TERMINATED)


def command(
    app: typer.Typer,
    name: str | None,
    *,
    exits: tuple[ExitCode, ...],
    example: str,
    success: Message = _DONE,
    omitted_options: tuple[str, ...] = (),
    fields: "Sequence[Field]" = (),
    tolerate_errors: bool = False,
    **typer_options: Any,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a function a command: it gets a Session, the common options, an example and its exit codes.

    Without a name it is what a group of commands does by itself, when none of them is asked for. `done` says
    what exit code 0 means, `without` names the common options that mean nothing to it. `fields` of a
    submission become options in the place of the function's parameter `given`, which gets what was said of
    them. An examination begins whatever the settings are.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        parameters, names = _parameters(function, fields)

        def run(context: typer.Context, common: dict[str, Any], **values: Any) -> None:
            if name is None and context.invoked_subcommand is not None:
                _refuse_what_would_be_lost(context, values)
                return
            from docsend.cli.context import CommandContext

            if names:
                values["given"] = {name: value for name in names if (value := values.pop(name)) is not None}
            function(CommandContext.create(**common, tolerate_errors=tolerate_errors), **values)

        run.__doc__ = function.__doc__
        # In English, as all that Typer gets; `cli.help` translates it.
        meanings = {
            code: ENGLISH.render(said) for code, said in {**EXIT_MEANINGS, ExitCode.RECEIVED: success}.items()
        }
        codes = "\n".join(f"{code.value:>3}  {meanings[code]}" for code in sorted((*_ALWAYS, *exits)))
        epilog = f"\b\nExample:\n{example}\n\n\b\nExit codes:\n{codes}"
        decorate = app.callback if name is None else app.command
        kind = {"cls": Group} if name is None else {"cls": Command, "name": name}
        arguments = {"epilog": epilog, **kind, **typer_options}
        return decorate(**arguments)(with_common_options(run, parameters, omitted_options))

    return register


def _parameters(
    function: Callable[..., None], fields: "Sequence[Field]"
) -> tuple[list[inspect.Parameter], list[str]]:
    """Return the parameters of a command but for its session, and the names of those that are fields."""
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
    """Make of `function(context, common, **values)` one that takes these parameters and the common options.

    The common options may stand behind each part of a command line: `docsend --json receipts show KEY` and
    `docsend receipts show KEY --json` are the same. `common` is what was said of them so far.
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
        # Typer makes one `meta` for all parts of a command line.
        common = context.meta.setdefault(
            __name__, {option: default for option, (_, default) in _COMMON.items()}
        )
        for option, (_, default) in _COMMON.items():
            if (value := values.pop(option, default)) != default:
                if common[option] not in (default, value):  # said before, behind another part
                    raise conflicting_values_error(f"--{option}")
                common[option] = value
        function(context, common, **values)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__doc__ = function.__doc__
    return run


def _refuse_what_would_be_lost(context: typer.Context, values: Mapping[str, Any]) -> None:
    """Raise UsageFault if a group's own option was given to one of its commands."""
    for parameter, value in values.items():
        if value is not None and value is not False:  # a flag that was not given
            command_ = context.invoked_subcommand
            raise UsageError(
                Message(
                    "--{option} is not an option of `{path} {command}`",
                    option=parameter.replace("_", "-"),
                    path=context.command_path,
                    command=command_,
                ),
                Message(
                    "`{path} {command} --help` tells what it takes",
                    path=context.command_path,
                    command=command_,
                ),
            )
