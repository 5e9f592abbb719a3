"""Shell completion: `docsend _complete WORD...` prints candidates for the last word.

Each candidate is a line `VALUE<Tab>LABEL`. The line `!files pdf,jpg` makes the shell offer files with these
extensions. The scripts in completions/ call this command. The command reads `data/commands.json`, the
catalog, config.toml and the ledger. It never contacts a service and does not import Typer. If something
fails, it prints nothing, because an error message would garble the command line that is being typed.
"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from docsend.config import settings
from docsend.config.address import SANDBOX
from docsend.errors import DocsendError
from docsend.i18n import Message, Translator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from docsend.config.settings import Settings
    from docsend.model.catalog import Catalog, CatalogEntry

COMMANDS = Path(__file__).parent.parent / "data" / "commands.json"
_MAX_KEYS = 50
_SANDBOX_LABEL = Message("a test service on this machine")


class Candidate(NamedTuple):
    """A value to insert, with a label for the reader."""

    value: str
    label: str = ""


class Files(NamedTuple):
    """Files with these extensions, or any files if no extensions are given."""

    extensions: tuple[str, ...] = ()


class _CommandLine(NamedTuple):
    """The parsed words before the last one: the command, its arguments, and the values of its options."""

    command: Mapping[str, Any]
    options: Mapping[str, str]
    arguments: Sequence[str]


def main(words: Sequence[str]) -> int:
    """Print the candidates for the last word. Always return 0."""
    with contextlib.suppress(DocsendError, OSError, ValueError, KeyError):
        lines = [
            f"!files {','.join(item.extensions)}" if isinstance(item, Files) else "\t".join(item).rstrip("\t")
            for item in candidates(words or [""])
        ]
        # Text from a service or a manifest must not control the terminal (invariant 7). The tab and the
        # no-break spaces are harmless.
        lines = [
            "".join(c if c.isprintable() or c in "\t\u00a0\u202f" else "?" for c in line) for line in lines
        ]
        if sys.stdout is not None:
            # Always UTF-8, whatever the locale: labels may be Hebrew.
            sys.stdout.buffer.write("".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))
            sys.stdout.flush()
    return 0


def candidates(words: Sequence[str]) -> Iterator[Candidate | Files]:
    """Yield the candidates for the last of these words.

    Errors in the configuration, the catalog or the ledger are raised here. `main` ignores them.
    """
    *before, current = words
    root: dict[str, Any] = json.loads(COMMANDS.read_text("utf-8"))
    line, pending_option = _parse(root, before)
    if pending_option is not None:
        yield from _matching(current, _values_of(pending_option, line))
    elif current.startswith("--") and "=" in current:
        option, _, value = current.partition("=")
        for item in _matching(value, _values_of(option, line)):
            yield item if isinstance(item, Files) else Candidate(f"{option}={item.value}", item.label)
    elif current.startswith("-"):
        options = line.command["options"]
        yield from _matching(current, _with_help(options, line))
    else:
        commands = {} if line.arguments else line.command.get("commands", {})
        yield from _matching(current, _with_help(commands, line))
        yield from _matching(current, _arguments(line))


def _parse(root: Mapping[str, Any], before: Sequence[str]) -> tuple[_CommandLine, str | None]:
    """Parse the words before the last one.

    Return the result, and the option whose value the last word is, or None.
    """
    command = root
    options: dict[str, str] = {}
    arguments: list[str] = []
    pending_option: str | None = None
    for word in before:
        if pending_option is not None:
            options[pending_option], pending_option = word, None
        elif word.startswith("-") and len(word) > 1:
            name, equals, value = word.partition("=")
            if equals:
                options[name] = value
            elif command["options"].get(name, {}).get("takes"):
                pending_option = name
        elif not arguments and word in command.get("commands", {}):
            command = command["commands"][word]
        else:
            arguments.append(word)
    return _CommandLine(command, options, arguments), pending_option


def _matching(current: str, items: Iterator[Candidate | Files]) -> Iterator[Candidate | Files]:
    for item in items:
        if isinstance(item, Files) or item.value.lower().startswith(current.lower()):
            yield item


def _with_help(descriptions: Mapping[str, Any], line: _CommandLine) -> Iterator[Candidate]:
    """Yield options or commands with their help in the user's language."""
    translator = _translator(line)
    for name, description in descriptions.items():
        yield Candidate(name, translator.render(Message(description["help"])))


# -- option values -----------------------------------------------------------------------------------------


def _values_of(option: str, line: _CommandLine) -> Iterator[Candidate | Files]:
    description = line.command["options"].get(option) or {}
    completer = _COMPLETERS.get(description.get("takes", ""))
    return completer(line) if completer else iter(())


def _translator(line: _CommandLine) -> Translator:
    return Translator(settings.language_of(line.options.get("--lang")))


def _settings(line: _CommandLine) -> Settings:
    return settings.resolve(service=line.options.get("--service"), language=line.options.get("--lang"))


def _catalog(line: _CommandLine) -> tuple[Catalog, Settings]:
    """Return the catalog in use (the service's own, if it was downloaded) and the settings."""
    from docsend.storage import catalogs

    settings_ = _settings(line)
    return catalogs.load(catalogs.current_file(settings_.catalog_file)), settings_


def _labeled(entries: Sequence[CatalogEntry], settings_: Settings) -> Iterator[Candidate]:
    seen: set[str] = set()
    for entry in entries:
        if entry.code not in seen:
            seen.add(entry.code)
            yield Candidate(entry.code, entry.labels[settings_.language])


def _destinations(line: _CommandLine) -> Iterator[Candidate]:
    catalog, settings_ = _catalog(line)
    return _labeled(tuple(catalog.destinations.values()), settings_)


def _subjects(line: _CommandLine) -> Iterator[Candidate]:
    catalog, settings_ = _catalog(line)
    to = line.options.get("--to", "")
    return _labeled(catalog.subjects_of(to) if to in catalog.destinations else (), settings_)


def _categories(line: _CommandLine) -> Iterator[Candidate]:
    catalog, settings_ = _catalog(line)
    to = line.options.get("--to", "")
    matching = catalog.categories_of(to, line.options.get("--subject")) if to in catalog.destinations else ()
    return _labeled(matching, settings_)


def _types(line: _CommandLine) -> Iterator[Candidate]:
    catalog, settings_ = _catalog(line)
    to, category = line.options.get("--to", ""), line.options.get("--category")
    matching = catalog.types_of(to, line.options.get("--subject")) if to in catalog.destinations else ()
    return _labeled([item for item in matching if category in (None, item.category)], settings_)


def _branches(line: _CommandLine) -> Iterator[Candidate]:
    catalog, settings_ = _catalog(line)
    return _labeled(tuple(catalog.branches.values()), settings_)


def _senders(_: _CommandLine) -> Iterator[Candidate]:
    """Yield the senders' names, but not their numbers, because others might see the screen."""
    yield from (Candidate(name, sender.party) for name, sender in settings.resolve().senders.items())


def _employer_kinds(_: _CommandLine) -> Iterator[Candidate]:
    from docsend.model.identity import EMPLOYER_KINDS

    return (Candidate(kind) for kind in EMPLOYER_KINDS)


def _languages(_: _CommandLine) -> Iterator[Candidate]:
    names = {"en": "English", "fr": "français", "he": "עברית"}
    return (Candidate(code, name) for code, name in names.items())


def _services(line: _CommandLine) -> Iterator[Candidate]:
    yield Candidate(SANDBOX, _translator(line).render(_SANDBOX_LABEL))
    yield from (Candidate(name, service.url) for name, service in settings.resolve().services.items())


def _manifests(_: _CommandLine) -> Iterator[Files]:
    yield Files(("csv", "tsv", "txt", "jsonl", "xlsx", "xlsm", "xlsb", "xls", "ods"))


def _reports(_: _CommandLine) -> Iterator[Files]:
    yield Files(("csv", "jsonl"))


def _any_files(_: _CommandLine) -> Iterator[Files]:
    yield Files()


def _template_formats(_: _CommandLine) -> Iterator[Candidate]:
    return (Candidate(name) for name in ("csv", "jsonl", "xlsx"))


def _export_formats(_: _CommandLine) -> Iterator[Candidate]:
    return iter((Candidate("pdf"), Candidate("text"), Candidate("json")))


# -- arguments ---------------------------------------------------------------------------------------------


def _arguments(line: _CommandLine) -> Iterator[Candidate | Files]:
    kinds: list[str] = line.command.get("arguments", [])
    if not kinds:
        return iter(())
    kind = kinds[min(len(line.arguments), len(kinds) - 1)]
    completer = _COMPLETERS.get(kind)
    return completer(line) if completer else iter(())


def _documents(line: _CommandLine) -> Iterator[Files]:
    """Yield the destination's file formats, or those of all destinations if none is given yet."""
    catalog, _ = _catalog(line)
    to = "personal" if line.command["path"].startswith("required") else line.options.get("--to", "")
    destinations = [catalog.destinations[to]] if to in catalog.destinations else catalog.destinations.values()
    yield Files(tuple(dict.fromkeys(name for destination in destinations for name in destination.formats)))


def _keys(_: _CommandLine) -> Iterator[Candidate]:
    """Yield the latest keys in the ledger, without waiting for another process that is writing to it."""
    file = settings.resolve().ledger_file
    if not file.exists():
        return
    from docsend.storage import ledger_queries

    for entry in ledger_queries.latest_keys(file, limit=_MAX_KEYS):
        label = " ".join(filter(None, (entry.state, entry.planned_at[:10], entry.reference)))
        yield Candidate(entry.key, label)


_COMPLETERS: dict[str, Callable[[_CommandLine], Iterator[Candidate | Files]]] = {
    "destination": _destinations,
    "subject": _subjects,
    "category": _categories,
    "type": _types,
    "branch": _branches,
    "sender": _senders,
    "employer-kind": _employer_kinds,
    "language": _languages,
    "service": _services,
    "manifest": _manifests,
    "report": _reports,
    "file": _any_files,
    "template": _template_formats,
    "proof": _export_formats,
    "document": _documents,
    "key": _keys,
}
