"""Write the description of the command line, `data/commands.json`, which completion reads.

With --check, only check that it is up to date. Commands, options, arguments and help texts come from Typer's
command tree. The tables below say which values an option or argument takes, unless it takes any text.
"""

import json
import sys
from typing import Any

from docsend.cli.app import build_command_tree
from docsend.cli.complete import COMMANDS
from docsend.model.fields import FIELDS

_TAKES = {
    **{field.option: field.completion for field in FIELDS},
    "--sender": "sender",
    "--lang": "language",
    "--service": "service",
    "--batch": "manifest",
    "--report": "report",
    "--data": "file",
    "--batch-template": "template",
    "--format": "proof",
    "--output": "file",
}
_ARGUMENTS = {
    "files": "document",
    "file": "document",
    "key": "key",
    "keys": "key",
    "reports": "report",
    "name": "sender",
}


def describe() -> dict[str, Any]:
    """Return the command line as JSON values."""
    return _describe_command(build_command_tree(), "")


def _describe_command(command: Any, path: str) -> dict[str, Any]:
    description: dict[str, Any] = {
        "path": path,
        "help": _first_sentence(command),
        "options": {},
        "arguments": [],
    }
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            description["arguments"].append(_ARGUMENTS.get(parameter.name, "text"))
            continue
        takes = "" if parameter.is_flag else _TAKES.get(parameter.opts[0], "text")
        for name in parameter.opts:
            description["options"][name] = {"help": parameter.help or "", "takes": takes}
    description["options"] |= {
        name: {"help": "Show this message and exit.", "takes": ""} for name in ("-h", "--help")
    }
    if commands := getattr(command, "commands", None):
        description["commands"] = {
            name: _describe_command(each, f"{path} {name}".strip()) for name, each in commands.items()
        }
    return description


def _first_sentence(command: Any) -> str:
    text = command.short_help or (command.help or "").split("\n\n")[0]
    return " ".join(text.split())


def main() -> int:
    text = json.dumps(describe(), ensure_ascii=False, indent=1) + "\n"
    if "--check" in sys.argv[1:]:
        if not COMMANDS.exists() or COMMANDS.read_text("utf-8") != text:
            print(f"{COMMANDS.name} is out of date: run make docs")
            return 1
        return 0
    COMMANDS.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
