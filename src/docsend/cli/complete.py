"""What a shell offers at a Tab: `docsend _complete WORD...`, the last word being the one that is typed.

One line a candidate, `VALUE<Tab>LABEL`; the line `!files pdf,jpg` lets the shell offer files of these kinds.
The thin scripts in completions/ call it. It reads `data/commands.json`, the catalog, config.toml and the
ledger; it never asks a service, imports no Typer, and says nothing when something fails: a Tab is no place
for errors.
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
_MOST_KEYS = 50
_A_SANDBOX = Message("a service on this machine, for trying")


class Candidate(NamedTuple):
    value: str
    label: str = ""


class Files(NamedTuple):
    """Files with these extensions, or of any kind if there are none."""

    extensions: tuple[str, ...] = ()


class _Typed(NamedTuple):
    """A command line so far: the command that it names, what its options say, and its arguments."""

    command: Mapping[str, Any]
    options: Mapping[str, str]
    arguments: Sequence[str]


def main(words: Sequence[str]) -> int:
    """Print the candidates for the last word."""
    with contextlib.suppress(DocsendError, OSError, ValueError, KeyError):
        lines = [
            f"!files {','.join(each.extensions)}" if isinstance(each, Files) else "\t".join(each).rstrip("\t")
            for each in candidates(words or [""])
        ]
        # What a service or a manifest said may not steer a terminal from here (invariant 7); blanks may.
        lines = [
            "".join(c if c.isprintable() or c in "\t\u00a0\u202f" else "?" for c in line) for line in lines
        ]
        if sys.stdout is not None:
            # In UTF-8, whatever the locale: labels may be Hebrew.
            sys.stdout.buffer.write("".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))
            sys.stdout.flush()
    return 0


def candidates(words: Sequence[str]) -> Iterator[Candidate | Files]:
    """Give what may stand in the place of the last word."""
    *before, current = words
    root: dict[str, Any] = json.loads(COMMANDS.read_text("utf-8"))
    typed, awaited = _typed(root, before)
    if awaited is not None:
        yield from _fitting(current, _values(awaited, typed))
    elif current.startswith("--") and "=" in current:
        option, _, value = current.partition("=")
        for each in _fitting(value, _values(option, typed)):
            yield each if isinstance(each, Files) else Candidate(f"{option}={each.value}", each.label)
    elif current.startswith("-"):
        options = typed.command["options"]
        yield from _fitting(current, _helped(options, typed))
    else:
        commands = {} if typed.arguments else typed.command.get("commands", {})
        yield from _fitting(current, _helped(commands, typed))
        yield from _fitting(current, _arguments(typed))


def _typed(root: Mapping[str, Any], before: Sequence[str]) -> tuple[_Typed, str | None]:
    """Take the words before the last apart; give also the option that awaits its value, if one does."""
    command = root
    options: dict[str, str] = {}
    arguments: list[str] = []
    awaited: str | None = None
    for word in before:
        if awaited is not None:
            options[awaited], awaited = word, None
        elif word.startswith("-") and len(word) > 1:
            name, equals, value = word.partition("=")
            if equals:
                options[name] = value
            elif command["options"].get(name, {}).get("takes"):
                awaited = name
        elif not arguments and word in command.get("commands", {}):
            command = command["commands"][word]
        else:
            arguments.append(word)
    return _Typed(command, options, arguments), awaited


def _fitting(current: str, offered: Iterator[Candidate | Files]) -> Iterator[Candidate | Files]:
    for each in offered:
        if isinstance(each, Files) or each.value.lower().startswith(current.lower()):
            yield each


def _helped(named: Mapping[str, Any], typed: _Typed) -> Iterator[Candidate]:
    """Offer options or commands with their help, in the language that is spoken."""
    translator = _translator(typed)
    for name, known in named.items():
        yield Candidate(name, translator.render(Message(known["help"])))


# -- values of options -------------------------------------------------------------------------------------


def _values(option: str, typed: _Typed) -> Iterator[Candidate | Files]:
    known = typed.command["options"].get(option) or {}
    make = _MAKERS.get(known.get("takes", ""))
    return make(typed) if make else iter(())


def _translator(typed: _Typed) -> Translator:
    return Translator(settings.language_of(typed.options.get("--lang")))


def _settings(typed: _Typed) -> Settings:
    return settings.resolve(service=typed.options.get("--service"), language=typed.options.get("--lang"))


def _catalog(typed: _Typed) -> tuple[Catalog, Settings]:
    """Give the catalog that is in force; the chosen service's own, if it was fetched."""
    from docsend.storage import catalogs

    chosen = _settings(typed)
    return catalogs.load(catalogs.current_file(chosen.catalog_file)), chosen


def _labelled(entries: Sequence[CatalogEntry], chosen: Settings) -> Iterator[Candidate]:
    seen: set[str] = set()
    for entry in entries:
        if entry.code not in seen:
            seen.add(entry.code)
            yield Candidate(entry.code, entry.labels[chosen.language])


def _destinations(typed: _Typed) -> Iterator[Candidate]:
    known, chosen = _catalog(typed)
    return _labelled(tuple(known.destinations.values()), chosen)


def _subjects(typed: _Typed) -> Iterator[Candidate]:
    known, chosen = _catalog(typed)
    to = typed.options.get("--to", "")
    return _labelled(known.subjects_of(to) if to in known.destinations else (), chosen)


def _categories(typed: _Typed) -> Iterator[Candidate]:
    known, chosen = _catalog(typed)
    to = typed.options.get("--to", "")
    fitting = known.categories_of(to, typed.options.get("--subject")) if to in known.destinations else ()
    return _labelled(fitting, chosen)


def _types(typed: _Typed) -> Iterator[Candidate]:
    known, chosen = _catalog(typed)
    to, category = typed.options.get("--to", ""), typed.options.get("--category")
    fitting = known.types_of(to, typed.options.get("--subject")) if to in known.destinations else ()
    return _labelled([each for each in fitting if category in (None, each.category)], chosen)


def _branches(typed: _Typed) -> Iterator[Candidate]:
    known, chosen = _catalog(typed)
    return _labelled(tuple(known.branches.values()), chosen)


def _senders(_typed: _Typed) -> Iterator[Candidate]:
    """Offer the senders by name: their numbers are nobody's to see over a shoulder."""
    yield from (Candidate(name, sender.party) for name, sender in settings.resolve().senders.items())


def _employer_kinds(_typed: _Typed) -> Iterator[Candidate]:
    from docsend.model.identity import EMPLOYER_KINDS

    return (Candidate(kind) for kind in EMPLOYER_KINDS)


def _languages(_typed: _Typed) -> Iterator[Candidate]:
    names = {"en": "English", "fr": "français", "he": "עברית"}
    return (Candidate(code, name) for code, name in names.items())


def _services(typed: _Typed) -> Iterator[Candidate]:
    yield Candidate(SANDBOX, _translator(typed).render(_A_SANDBOX))
    yield from (Candidate(name, service.url) for name, service in settings.resolve().services.items())


def _manifests(_typed: _Typed) -> Iterator[Files]:
    yield Files(("csv", "jsonl", "xlsx"))


def _reports(_typed: _Typed) -> Iterator[Files]:
    yield Files(("csv", "jsonl"))


def _any_files(_typed: _Typed) -> Iterator[Files]:
    yield Files()


def _templates(_typed: _Typed) -> Iterator[Candidate]:
    return iter((Candidate("csv"), Candidate("jsonl")))


def _proofs(_typed: _Typed) -> Iterator[Candidate]:
    return iter((Candidate("pdf"), Candidate("text"), Candidate("json")))


# -- arguments ---------------------------------------------------------------------------------------------


def _arguments(typed: _Typed) -> Iterator[Candidate | Files]:
    takes: list[str] = typed.command.get("arguments", [])
    if not takes:
        return iter(())
    kind = takes[min(len(typed.arguments), len(takes) - 1)]
    make = _MAKERS.get(kind)
    return make(typed) if make else iter(())


def _documents(typed: _Typed) -> Iterator[Files]:
    """Offer only what the destination takes; all that any takes, as long as it is not said."""
    known, _ = _catalog(typed)
    to = "personal" if typed.command["path"].startswith("required") else typed.options.get("--to", "")
    chosen = [known.destinations[to]] if to in known.destinations else list(known.destinations.values())
    yield Files(tuple(dict.fromkeys(name for destination in chosen for name in destination.formats)))


def _keys(_typed: _Typed) -> Iterator[Candidate]:
    """Offer the latest keys of the ledger, read without waiting for anybody who writes."""
    file = settings.resolve().ledger_file
    if not file.exists():
        return
    from docsend.storage import ledger_queries

    for each in ledger_queries.latest_keys(file, limit=_MOST_KEYS):
        yield Candidate(each.key, " ".join(filter(None, (each.state, each.planned_at[:10], each.reference))))


_MAKERS: dict[str, Callable[[_Typed], Iterator[Candidate | Files]]] = {
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
    "template": _templates,
    "proof": _proofs,
    "document": _documents,
    "key": _keys,
}
