"""Compile the translations: hatchling's build hook, and a script; the one writer of `docsend.mo`.

hatchling runs it for a wheel and for an editable installation, `tools/locale/build.py` after it has brought
the catalogs up to date, make where a `docsend.po` is newer than its `docsend.mo`. So it needs no Babel.
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
    """Write each catalog's `docsend.mo` beside it; whoever reads one meanwhile has the old or the new one."""
    for catalog in sorted(root.glob(_CATALOGS)):
        content = compiled(catalog.read_text("utf-8"))
        half = catalog.with_suffix(f".{os.getpid()}.mo")
        half.write_bytes(content)
        half.replace(catalog.with_suffix(".mo"))


def compiled(catalog: str) -> bytes:
    """Return what gettext reads, of the text of a catalog; a text without a translation is left out."""
    entries = sorted((text.encode(), said.encode()) for text, said in _translations(catalog))
    # Head, table of texts, table of translations, texts, translations. A table says how long each is and
    # where it stands; a zero stands behind each, and does not count.
    place = _HEAD.size + 16 * len(entries)
    tables, content = [], []
    for column in (0, 1):
        for entry in entries:
            tables.append(struct.pack("<2I", len(entry[column]), place))
            content.append(entry[column] + b"\0")
            place += len(content[-1])
    head = _HEAD.pack(_MAGIC, 0, len(entries), _HEAD.size, _HEAD.size + 8 * len(entries), 0, 0)
    return b"".join((head, *tables, *content))


def _translations(catalog: str) -> Iterator[tuple[str, str]]:
    """Give texts and translations as a compiled catalog has them: a zero between the forms of a plural."""
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
                raise ValueError(f"no line of a catalog that docsend keeps: {line}")
        texts = [parts[name] for name in ("msgid", "msgid_plural") if name in parts]
        said = [parts[name] for name in sorted(parts) if name.startswith("msgstr")]
        if texts and all(said) and not is_fuzzy:
            yield "\0".join(texts), "\0".join(said)


class BuildHook(BuildHookInterface[Any]):
    """What hatchling calls before it looks for the files of a wheel."""

    def initialize(self, _version: str, build_data: dict[str, Any]) -> None:
        """Compile the translations, and let them into the wheel, although git passes them over."""
        compile_all(Path(self.root))
        build_data["artifacts"].append(Path(_CATALOGS).with_suffix(".mo").as_posix())


if __name__ == "__main__":
    compile_all()
