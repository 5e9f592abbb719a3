"""Keep the translations: collect the English texts, bring each `docsend.po` up to date, and compile it.

`--check` only looks, and fails for what is stale, and for a translation that lost a value such as `{name}`.
What waits for a translation is listed, and is shown in English until it has one. Texts come from the code
(`Message("...")`, `Message.plural("...", "...", ...)`) and from the help of every command.
To translate, edit src/docsend/locale/*/LC_MESSAGES/docsend.po, and run `make docs`.
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
# These make phrases of texts that they were given, beside their own.
_MAKERS = {"i18n.py", "cli/help.py", "cli/complete.py"}
_TRANSLATED = tuple(language for language in LANGUAGES if language != "en")
# Two forms in both: French has one for 0 and 1, Hebrew one for 1.
_PLURALS = {"fr": (2, "(n > 1)"), "he": (2, "(n != 1)")}
_NO_TIME = datetime(2026, 1, 1, tzinfo=UTC)

Key = str | tuple[str, str]


@functools.cache
def collected() -> dict[Key, set[str]]:
    """Give every text that people read in English, with the files that it stands in."""
    found: dict[Key, set[str]] = {}
    for file in sorted(SOURCE.rglob("*.py")):
        name = file.relative_to(SOURCE).as_posix()
        for text in _phrases(ast.parse(file.read_text("utf-8")), name):
            found.setdefault(text, set()).add(name)
    for text in collect_texts(build_command_tree()):
        found.setdefault(text, set()).add("--help")
    return found


def _phrases(tree: ast.AST, name: str) -> Iterator[Key]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id == "Message":
            literals = [_literal(each) for each in node.args]
            if len(literals) == 1 and literals[0]:
                yield literals[0]
            elif name not in _MAKERS:
                raise SystemExit(f"{name}:{node.lineno}: Message() takes one text that stands right there")
        elif isinstance(node.func, ast.Attribute) and node.func.attr == "plural":
            one, many = (_literal(each) for each in node.args[:2])
            if not one or not many:
                raise SystemExit(f"{name}:{node.lineno}: plural() takes two texts that stand right there")
            yield one, many


def _literal(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def place(language: str) -> Path:
    return FOLDER / language / "LC_MESSAGES" / "docsend.po"


def read(language: str) -> Catalog:
    if not place(language).exists():
        return Catalog(locale=language)
    return read_po(io.BytesIO(place(language).read_bytes()), locale=language, domain="docsend")


class _Catalog(Catalog):
    """A catalog that does not say which Babel wrote it: each new one would make every file stale."""

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


def current(language: str) -> Catalog:
    """Give the catalog of a language with today's texts, and the translations that it has of them."""
    known = read(language)
    catalog = _Catalog(
        locale=language,
        domain="docsend",
        project="docsend",
        version=docsend.__version__,
        header_comment=f"# What docsend says, in {language}. Kept by tools/locale/build.py.\n#",
        creation_date=_NO_TIME,
        revision_date=_NO_TIME,
        last_translator="the authors of docsend",
        language_team="the authors of docsend",
        fuzzy=False,
    )
    for text, files in sorted(collected().items(), key=lambda each: (min(each[1]), str(each[0]))):
        before = known.get(text[0] if isinstance(text, tuple) else text)
        said = before.string if before and before.id == text else ""
        flags = ["fuzzy"] if before and said and before.fuzzy else []
        catalog.add(text, said, locations=[(name, 0) for name in sorted(files)], flags=flags)
    return catalog


def written(catalog: Catalog) -> bytes:
    buffer = io.BytesIO()
    write_po(buffer, catalog, width=110, include_lineno=False, omit_header=False)
    return buffer.getvalue()


def waiting(catalog: Catalog) -> list[str]:
    """Give the English texts that have no translation yet, or not in each form of a plural."""
    return [_english(each)[0] for each in catalog if each.id and (each.fuzzy or not all(_said(each)))]


def faults(catalog: Catalog) -> Iterator[str]:
    """Give what is wrong with the translations of a language, one line for each."""
    for message in catalog:
        if not message.id:
            continue
        english, said = _english(message), _said(message)
        allowed = [_values(text) for text in (english[0], english[-1])]
        if any(text and _values(text) not in allowed for text in said):
            yield f"{catalog.locale}: other values than {english[-1]!r}: {said!r}"


def _english(message: Message) -> tuple[str, ...]:
    return _forms(message.id)


def _said(message: Message) -> tuple[str, ...]:
    return _forms(message.string)


def _forms(text: str | Sequence[str] | None) -> tuple[str, ...]:
    return ("",) if not text else (text,) if isinstance(text, str) else tuple(text)


def _values(text: str) -> list[tuple[str, str, str]]:
    """Give the values of a template with their forms: they may change their order, and nothing else."""
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
    wrong: list[str] = []
    for language in _TRANSLATED:
        catalog = current(language)
        wrong += faults(catalog)
        if untranslated := waiting(catalog):
            print(f"{language}: {len(untranslated)} without a translation, shown in English:")
            print("\n".join(f"  {text!r}" for text in untranslated))
        file, content = place(language), written(catalog)
        if is_check and (not file.exists() or file.read_bytes() != content):
            wrong.append(f"{file} is stale: run make docs")
        elif not is_check:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    if not is_check:
        compile_all()
    print("\n".join(wrong), file=sys.stderr, end="\n" if wrong else "")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
