"""Describe the command line in `data/commands.json`, for completion, and check that it is current (--check).

The program itself is asked: commands, options, arguments and their help come from Typer's tree. What an
option or argument takes is said here, where it is not a plain text.
"""

import json
import sys
from pathlib import Path
from typing import Any

from docsend.cli.app import tree
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


def described() -> dict[str, Any]:
    """Give the whole command line as plain values."""
    return _command(tree(), "")


def _command(command: Any, path: str) -> dict[str, Any]:
    told: dict[str, Any] = {"path": path, "help": _first_sentence(command), "options": {}, "arguments": []}
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            told["arguments"].append(_ARGUMENTS.get(parameter.name, "text"))
            continue
        takes = "" if parameter.is_flag else _TAKES.get(parameter.opts[0], "text")
        for name in parameter.opts:
            told["options"][name] = {"help": parameter.help or "", "takes": takes}
    told["options"] |= {
        name: {"help": "Show this message and exit.", "takes": ""} for name in ("-h", "--help")
    }
    if commands := getattr(command, "commands", None):
        told["commands"] = {name: _command(each, f"{path} {name}".strip()) for name, each in commands.items()}
    return told


def _first_sentence(command: Any) -> str:
    text = command.short_help or (command.help or "").split("\n\n")[0]
    return " ".join(text.split())


def main() -> int:
    text = json.dumps(described(), ensure_ascii=False, indent=1) + "\n"
    if "--check" in sys.argv[1:]:
        if not COMMANDS.exists() or COMMANDS.read_text("utf-8") != text:
            print(f"{COMMANDS.name} is stale: run python {Path(__file__).name}")
            return 1
        return 0
    COMMANDS.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
