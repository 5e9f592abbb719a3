"""Compile the translation catalogs: a build hook for hatchling, and a script.

Nothing else writes `docsend.mo`. hatchling runs it for wheels and editable installations,
`tools/locale/build.py` after an update, and make when a `docsend.po` is newer than its `docsend.mo`. It does
not need Babel.
"""

import ast
import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_ROOT = Path(__file__).parents[2]
_CATALOGS = "src/docsend/locale/*/LC_MESSAGES/docsend.po"
_FIRST_LINE = re.compile(r'(msgid|msgid_plural|msgstr|msgstr\[\d\]) (".*")')
_MAGIC = 0x950412DE
_HEAD = struct.Struct("<7I")


def compile_all(root: Path = _ROOT) -> None:
    """Write each catalog's `docsend.mo` beside it, atomically."""
    for catalog in sorted(root.glob(_CATALOGS)):
        content = compile_catalog(catalog.read_text("utf-8"))
        temporary = catalog.with_suffix(f".{os.getpid()}.mo")
        temporary.write_bytes(content)
        temporary.replace(catalog.with_suffix(".mo"))


def compile_catalog(catalog: str) -> bytes:
    """Return the compiled form of a catalog (the GNU .mo format). Untranslated messages are omitted."""
    entries = sorted((text.encode(), translation.encode()) for text, translation in _translations(catalog))
    # Header, table of messages, table of translations, messages, translations. A table entry is a length and
    # an offset. Each string ends with a NUL that is not counted.
    offset = _HEAD.size + 16 * len(entries)
    tables, content = [], []
    for column in (0, 1):
        for entry in entries:
            tables.append(struct.pack("<2I", len(entry[column]), offset))
            content.append(entry[column] + b"\0")
            offset += len(content[-1])
    head = _HEAD.pack(_MAGIC, 0, len(entries), _HEAD.size, _HEAD.size + 8 * len(entries), 0, 0)
    return b"".join((head, *tables, *content))


def _translations(catalog: str) -> Iterator[tuple[str, str]]:
    """Yield messages and translations; plural forms are joined by NUL, as in the compiled format."""
    for block in re.split(r"\n{2,}", catalog.strip()):
        parts: dict[str, str] = {}
        is_fuzzy = False
        name = ""
        for line in block.splitlines():
            if line.startswith("#"):
                is_fuzzy |= line.startswith("#,") and "fuzzy" in line
            elif first := _FIRST_LINE.fullmatch(line):
                name = first[1]
                parts[name] = ast.literal_eval(first[2])
            elif name and line.startswith('"'):
                parts[name] += ast.literal_eval(line)
            else:
                raise ValueError(f"unexpected line in a catalog: {line}")
        texts = [parts[name] for name in ("msgid", "msgid_plural") if name in parts]
        translations = [parts[name] for name in sorted(parts) if name.startswith("msgstr")]
        if texts and all(translations) and not is_fuzzy:
            yield "\0".join(texts), "\0".join(translations)


class BuildHook(BuildHookInterface[Any]):
    """hatchling calls it before it collects the files of a wheel."""

    def initialize(self, _version: str, build_data: dict[str, Any]) -> None:
        """Compile the translations and add them to the wheel, although git ignores them."""
        compile_all(Path(self.root))
        build_data["artifacts"].append(Path(_CATALOGS).with_suffix(".mo").as_posix())


if __name__ == "__main__":
    compile_all()
