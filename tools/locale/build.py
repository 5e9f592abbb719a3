"""Update the translation catalogs: collect the English messages, update each `docsend.po`, and compile it.

With --check, nothing is written, and the exit code is 1 if a catalog is out of date or a translation has
other placeholders than its message. Untranslated messages are listed; they are shown in English. Messages
come from the code (`Message("...")`, `Message.plural("...", "...", ...)`) and from the help of every command.
To translate, edit src/docsend/locale/*/LC_MESSAGES/docsend.po and run `make docs`.
"""

import ast
import functools
import io
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from string import Formatter

from babel.messages.catalog import Catalog, Message
from babel.messages.pofile import read_po, write_po
from hatch_build import compile_all

import docsend
from docsend.cli.app import build_command_tree
from docsend.cli.help import collect_texts
from docsend.i18n import FOLDER, LANGUAGES

SOURCE = Path(docsend.__file__).parent
# Modules that may also create messages from variables.
_MAKERS = {"i18n.py", "cli/help.py", "cli/complete.py"}
_TRANSLATED = tuple(language for language in LANGUAGES if language != "en")
# Number of forms and gettext expression. French uses the singular for 0 and 1, Hebrew for 1.
_PLURALS = {"fr": (2, "(n > 1)"), "he": (2, "(n != 1)")}
_NO_TIME = datetime(2026, 1, 1, tzinfo=UTC)

Key = str | tuple[str, str]


@functools.cache
def collect() -> dict[Key, set[str]]:
    """Return every English message with the files that contain it."""
    found: dict[Key, set[str]] = {}
    for file in sorted(SOURCE.rglob("*.py")):
        name = file.relative_to(SOURCE).as_posix()
        for text in _messages(ast.parse(file.read_text("utf-8")), name):
            found.setdefault(text, set()).add(name)
    for text in collect_texts(build_command_tree()):
        found.setdefault(text, set()).add("--help")
    return found


def _messages(tree: ast.AST, name: str) -> Iterator[Key]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id == "Message":
            literals = [_literal(each) for each in node.args]
            if len(literals) == 1 and literals[0]:
                yield literals[0]
            elif name not in _MAKERS:
                raise SystemExit(f"{name}:{node.lineno}: Message() needs a literal template")
        elif isinstance(node.func, ast.Attribute) and node.func.attr == "plural":
            one, many = (_literal(each) for each in node.args[:2])
            if not one or not many:
                raise SystemExit(f"{name}:{node.lineno}: plural() needs two literal templates")
            yield one, many


def _literal(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def catalog_file(language: str) -> Path:
    return FOLDER / language / "LC_MESSAGES" / "docsend.po"


def read(language: str) -> Catalog:
    if not catalog_file(language).exists():
        return Catalog(locale=language)
    return read_po(io.BytesIO(catalog_file(language).read_bytes()), locale=language, domain="docsend")


class _Catalog(Catalog):
    """A catalog without the version of Babel, so that an update of Babel does not change the files."""

    @property
    def mime_headers(self) -> list[tuple[str, str]]:
        return [each for each in super().mime_headers if each[0] != "Generated-By"]

    @mime_headers.setter
    def mime_headers(self, headers: list[tuple[str, str]]) -> None:
        Catalog.mime_headers.__set__(self, headers)

    @property
    def num_plurals(self) -> int:
        return _PLURALS[str(self.locale)][0]

    @property
    def plural_expr(self) -> str:
        return _PLURALS[str(self.locale)][1]


def updated(language: str) -> Catalog:
    """Return the catalog of a language with the current messages and their existing translations."""
    existing = read(language)
    catalog = _Catalog(
        locale=language,
        domain="docsend",
        project="docsend",
        version=docsend.__version__,
        header_comment=f"# Messages of docsend, language {language}. Updated by tools/locale/build.py.\n#",
        creation_date=_NO_TIME,
        revision_date=_NO_TIME,
        last_translator="the authors of docsend",
        language_team="the authors of docsend",
        fuzzy=False,
    )
    for text, files in sorted(collect().items(), key=lambda each: (min(each[1]), str(each[0]))):
        entry = existing.get(text[0] if isinstance(text, tuple) else text)
        translation = entry.string if entry and entry.id == text else ""
        flags = ["fuzzy"] if entry and translation and entry.fuzzy else []
        catalog.add(text, translation, locations=[(name, 0) for name in sorted(files)], flags=flags)
    return catalog


def serialize(catalog: Catalog) -> bytes:
    buffer = io.BytesIO()
    write_po(buffer, catalog, width=110, include_lineno=False, omit_header=False)
    return buffer.getvalue()


def untranslated(catalog: Catalog) -> list[str]:
    """Return the messages without a translation, or without one of the plural forms."""
    return [_english(each)[0] for each in catalog if each.id and (each.fuzzy or not all(_translations(each)))]


def placeholder_errors(catalog: Catalog) -> Iterator[str]:
    """Yield a line for each translation whose placeholders differ from its message."""
    for message in catalog:
        if not message.id:
            continue
        english, translations = _english(message), _translations(message)
        allowed = [_placeholders(text) for text in (english[0], english[-1])]
        if any(text and _placeholders(text) not in allowed for text in translations):
            yield f"{catalog.locale}: other placeholders than {english[-1]!r}: {translations!r}"


def _english(message: Message) -> tuple[str, ...]:
    return _forms(message.id)


def _translations(message: Message) -> tuple[str, ...]:
    return _forms(message.string)


def _forms(text: str | Sequence[str] | None) -> tuple[str, ...]:
    return ("",) if not text else (text,) if isinstance(text, str) else tuple(text)


def _placeholders(text: str) -> list[tuple[str, str, str]]:
    """Return the placeholders of a template, sorted: a translation may only change their order."""
    try:
        parts = [
            (name, form or "", how or "")
            for _, name, form, how in Formatter().parse(text)
            if name is not None
        ]
    except ValueError:
        return []
    return sorted(parts)


def main() -> int:
    is_check = "--check" in sys.argv[1:]
    errors: list[str] = []
    for language in _TRANSLATED:
        catalog = updated(language)
        errors += placeholder_errors(catalog)
        if missing := untranslated(catalog):
            print(f"{language}: {len(missing)} untranslated, shown in English:")
            print("\n".join(f"  {text!r}" for text in missing))
        file, content = catalog_file(language), serialize(catalog)
        if is_check and (not file.exists() or file.read_bytes() != content):
            errors.append(f"{file} is out of date: run make docs")
        elif not is_check:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    if not is_check:
        compile_all()
    print("\n".join(errors), file=sys.stderr, end="\n" if errors else "")
    return bool(errors)


if __name__ == "__main__":
    sys.exit(main())
