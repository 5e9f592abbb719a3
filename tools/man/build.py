"""Write the manual pages in man/ (mdoc format). With --check, only check that they are up to date.

Commands, options, exit codes, examples and manifest columns come from the program. The rest is in `written/`,
one file for each page, as mdoc sections.
"""

import re
import sys
from pathlib import Path
from typing import Any

from docsend import __version__
from docsend.cli.app import COMMANDS, build_command_tree
from docsend.errors import EXIT_MEANINGS
from docsend.manifest.columns import COLUMNS
from docsend.model.fields import FIELDS

_HERE = Path(__file__).parent
_MAN = _HERE.parent.parent / "man"
_DATE = "November 23, 2026"
_SHARED = ("--service", "--lang", "--json", "--quiet", "--verbose", "--no-input", "--help")
# Manifest columns that are not fields of a submission.
_OTHER_COLUMNS = {
    "sender": "Name of a sender stored with `docsend senders`.",
    "documents": "The paths of the documents, separated by semicolons.",
}
_INDENT = ".Bl -tag -width Ds"


def pages() -> dict[str, str]:
    """Return the text of each page by its path below man/."""
    root: Any = build_command_tree()
    texts = {"man1/docsend.1": _root_page(root)}
    for name in COMMANDS:
        texts[f"man1/docsend-{name}.1"] = _command_page(name, root.commands[name])
    texts["man5/docsend-manifest.5"] = _format_page("docsend-manifest", "a batch file of docsend")
    texts["man5/docsend-config.5"] = _format_page("docsend-config", "the configuration of docsend")
    return {name: re.sub(r"\n{2,}", "\n", text) for name, text in texts.items()}


def _root_page(root: Any) -> str:
    commands = "\n".join(
        f".It Xr docsend-{name} 1\n{_text(_brief(root.commands[name]))}" for name in COMMANDS
    )
    codes = "\n".join(
        f".It {code.value}\n{_text(meaning.template)}" for code, meaning in EXIT_MEANINGS.items()
    )
    return "\n".join(
        [
            _head("DOCSEND", "1"),
            ".Sh NAME\n.Nm docsend\n.Nd send documents to a national insurance institute's document service",
            ".Sh SYNOPSIS\n.Nm\n.Op Ar options\n.Ar command\n.Op Ar arguments",
            _written("docsend", "DESCRIPTION"),
            f".Sh COMMANDS\n{_INDENT}\n{commands}\n.El",
            ".Sh OPTIONS\nThese options are accepted before and after every command.",
            _options(root, with_shared=True),
            _written("docsend", "ENVIRONMENT"),
            _written("docsend", "FILES"),
            f".Sh EXIT STATUS\n{_INDENT}\n{codes}\n.El",
            _written("docsend", "EXAMPLES"),
            _see_also(
                [*[f"docsend-{name} 1" for name in COMMANDS], "docsend-config 5", "docsend-manifest 5"]
            ),
        ]
    )


def _command_page(name: str, command: Any) -> str:
    subcommands = getattr(command, "commands", {})
    brief = _text(_brief(command)).rstrip(".")
    parts = [
        _head(f"DOCSEND-{name.upper()}", "1"),
        f".Sh NAME\n.Nm docsend-{name}\n.Nd {brief[:1].lower()}{brief[1:]}",
        ".Sh SYNOPSIS",
        _synopsis(name, command),
        *(_synopsis(f"{name} {sub}", each) for sub, each in subcommands.items()),
        f".Sh DESCRIPTION\n{_paragraphs(command.help)}",
        _options(command),
    ]
    for sub, each in subcommands.items():
        parts += [f".Ss docsend {name} {sub}", _paragraphs(each.help), _options(each)]
    if (_HERE / "written" / f"docsend-{name}.mdoc").exists():
        parts.append(_written(f"docsend-{name}", "MORE"))
    parts.append(_epilogs([command, *subcommands.values()]))
    others = [f"docsend-{each} 1" for each in COMMANDS if each != name]
    parts.append(_see_also(["docsend 1", *others, "docsend-config 5", "docsend-manifest 5"]))
    return "\n".join(parts)


def _format_page(name: str, about: str) -> str:
    described = {**{field.name: field.help for field in FIELDS}, **_OTHER_COLUMNS}
    items = [f".It Li {column}\n{_text(described[column])}" for column in COLUMNS]
    columns = f"{_INDENT}\n" + "\n".join(items) + "\n.El"
    text = _written(name, "").replace("@COLUMNS@", columns)
    return "\n".join(
        [
            _head(name.upper(), "5"),
            f".Sh NAME\n.Nm {name}\n.Nd {about}",
            text,
            _see_also(["docsend 1", "docsend-send 1", *(["docsend-config 5"] if "manifest" in name else [])]),
        ]
    )


def _head(title: str, section: str) -> str:
    source = f"docsend {__version__}"
    return (
        f'.\\" Made by tools/man/build.py from the program and tools/man/written; do not edit.\n'
        f".Dd {_DATE}\n.Dt {title} {section}\n.Os {source}"
    )


def _written(page: str, section: str) -> str:
    """Return a hand-written section of a page, or all of them if `section` is empty."""
    text = (_HERE / "written" / f"{page}.mdoc").read_text("utf-8")
    if section in ("", "MORE"):
        return text.strip()
    found = re.search(rf"^\.Sh {section}\n.*?(?=^\.Sh |\Z)", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise LookupError(f"{page} has no section {section}")
    return found[0].strip()


def _synopsis(path: str, command: Any) -> str:
    arguments = []
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            name = (parameter.metavar or parameter.name.upper()).strip("[]")
            plain = name.replace("...", "")
            more = " ..." if "..." in name or parameter.nargs == -1 else ""
            arguments.append(f".Op Ar {plain}{more}" if not parameter.required else f".Ar {plain}{more}")
    lines = [f".Nm docsend {path}", ".Op Ar options", *arguments]
    return "\n".join(lines)


def _options(command: Any, *, with_shared: bool = False) -> str:
    items = []
    for parameter in command.params:
        is_shared = parameter.opts[0] in _SHARED and not with_shared
        if parameter.param_type_name == "argument" or is_shared:
            continue
        names = " , ".join(_flag(name) for name in sorted(parameter.opts, key=len))
        value = "" if parameter.is_flag else f" Ar {_word(parameter.metavar or 'VALUE')}"
        items.append(f".It {names}{value}\n{_text(parameter.help or '')}")
    return f"{_INDENT}\n" + "\n".join(items) + "\n.El" if items else ""


def _flag(name: str) -> str:
    return f"Fl Fl {name[2:]}" if name.startswith("--") else f"Fl {name[1:]}"


def _epilogs(commands: list[Any]) -> str:
    """Return the exit codes and examples of a page, taken from the epilogs of its commands."""
    examples: list[str] = []
    codes: dict[int, str] = {}
    for command in commands:
        example, _, exit_codes = (command.epilog or "").partition("Exit codes:")
        examples += example.replace("\b", "").replace("Example:", "").strip().splitlines()
        for line in exit_codes.strip().splitlines():
            code, meaning = line.split(None, 1)
            codes.setdefault(int(code), meaning)
    literal = "\n".join(_literal(line) for line in examples)
    items = "\n".join(f".It {code}\n{_text(text)}" for code, text in sorted(codes.items()))
    status = f".Sh EXIT STATUS\n{_INDENT}\n{items}\n.El"
    return f"{status}\n.Sh EXAMPLES\n.Bd -literal -offset indent\n{literal}\n.Ed"


def _see_also(pages_: list[str]) -> str:
    ordered = sorted(pages_, key=lambda page: (page.split()[1], page))
    return ".Sh SEE ALSO\n" + " ,\n".join(f".Xr {page}" for page in ordered)


def _brief(command: Any) -> str:
    return " ".join((command.short_help or (command.help or "").split("\n\n")[0]).split())


def _paragraphs(text: str) -> str:
    return "\n.Pp\n".join(_text(" ".join(part.split())) for part in (text or "").strip().split("\n\n"))


def _text(text: str) -> str:
    """Return text as mdoc: one sentence a line, code in bold, and no line taken for a macro."""
    text = text.replace("\\", "\\e")
    text = re.sub(r"`([^`]*)`", lambda found: f"\\fB{found[1]}\\fR", text)
    text = re.sub(r"(?<=[.:;!?]) (?=[A-Z\\])", "\n", text)
    return "\n".join(f"\\&{line}" if line.startswith((".", "'")) else line for line in text.splitlines())


def _literal(line: str) -> str:
    line = line.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{line}" if line.startswith((".", "'")) else line


def _word(metavar: str) -> str:
    return metavar.replace("|", " | ").replace(" | ", "|")


def main() -> int:
    stale = []
    for name, text in pages().items():
        file = _MAN / name
        if "--check" in sys.argv[1:]:
            if not file.exists() or file.read_text("utf-8") != text + "\n":
                stale.append(name)
            continue
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n", "utf-8")
    if stale:
        print(f"out of date: {', '.join(stale)}; run make docs")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
