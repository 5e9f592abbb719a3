"""What people read, in their language. What programs read (codes, JSON, the ledger) is English always.

A message is made where it is known, as a `Phrase`: an English text that remembers the template and the values
it was made of. Only a `Reader` turns it into another language, at the edges where people read (console, help,
prompts, a proof): nothing else has to know which language is spoken, and JSON stays English by itself.

Translations are gettext catalogs, `locale/*/LC_MESSAGES/docsend.po`, kept by `tools/locale/build.py`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from gettext import GNUTranslations

Language: TypeAlias = Literal["en", "fr", "he"]
LANGUAGES: tuple[Language, ...] = ("en", "fr", "he")
FOLDER = Path(__file__).parent / "locale"

# U+202F: French groups digits with a narrow space that no line breaks at.
_GROUPS_DIGITS = {"en": ",", "fr": "\u202f", "he": ","}
_DECIMAL_POINT = {"en": ".", "fr": ",", "he": "."}
_RIGHT_TO_LEFT = ("he",)
# Unicode's isolates (UAX 9): what stands inside has its own direction and changes nothing around it.
_LEFT_TO_RIGHT, _BY_ITSELF, _END = "\u2066", "\u2068", "\u2069"
# In a sentence that runs right to left, these run left to right: code in backquotes, and words of ASCII, one
# or several in a row, with the values that hang on them, as in `--to {code}` or [services.{name}]. A value is
# a character of the private use area here, which no foreign text has once it is safe.
_SIGN = r"[A-Za-z0-9_./~+\-=@%#&*<>|\[\]$\ue000-\uf8ff]"
_WORD = rf"(?=[^ \u0590-\u05ff]*[A-Za-z0-9\-.\[]){_SIGN}+(?:[:,]{_SIGN}+)*(?<!\.)"
_RUN = rf"`[^`\u0590-\u05ff]+`|{_WORD}(?: {_WORD})*|[\ue000-\uf8ff]"
_FIRST_VALUE = 0xE000


class Phrase(str):
    """A text for people: the English of it, from a template with values such as `{name}`.

    Values that are phrases are translated with it; all others are shown as they are. A value can be formatted
    as in `str.format`: `{size:,}` groups its digits as the reader's language does.
    """

    __slots__ = ("number", "one", "template", "values")
    template: str
    values: Mapping[str, object]
    one: str | None
    number: int

    def __new__(cls, template: str, **values: object) -> Phrase:
        phrase = super().__new__(cls, template.format(**values) if values else template)
        phrase.template, phrase.values = template, values
        phrase.one, phrase.number = None, 0
        return phrase

    @classmethod
    def counted(cls, one: str, many: str, count: int, **values: object) -> Phrase:
        """Give `one` for a count of 1 and `many` for all others; `{count}` is the number."""
        values = {"count": count, **values}
        phrase = super().__new__(cls, (one if count == 1 else many).format(**values))
        phrase.template, phrase.values = many, values
        phrase.one, phrase.number = one, count
        return phrase

    def about(self, **values: object) -> Phrase:
        """Give a phrase of this template, from a table, with the values of one case."""
        return Phrase(self.template, **values)

    def __reduce__(self) -> tuple[Any, ...]:
        return _phrase, (str(self), self.template, dict(self.values), self.one, self.number)


def _phrase(text: str, template: str, values: Mapping[str, object], one: str | None, number: int) -> Phrase:
    phrase = str.__new__(Phrase, text)
    phrase.template, phrase.values, phrase.one, phrase.number = template, values, one, number
    return phrase


class Label(str):
    """A name that somebody gave in each language, such as a branch's; as a str it is the English one."""

    __slots__ = ("labels",)
    labels: Mapping[str, str]

    def __new__(cls, labels: Mapping[str, str]) -> Label:
        label = super().__new__(cls, labels["en"])
        label.labels = labels
        return label

    def __reduce__(self) -> tuple[Any, ...]:
        return Label, (dict(self.labels),)


def joined(parts: Sequence[str], separator: str = ", ") -> Phrase:
    """Give several phrases as one, each to be translated by itself."""
    slots = {f"_{place}": part for place, part in enumerate(parts)}
    return Phrase(separator.join(f"{{{name}}}" for name in slots), **slots)


def moment(rfc3339: str) -> str:
    """2026-11-23T05:00:00.123Z, as a person writes it."""
    return rfc3339[:19].replace("T", " ") + (" UTC" if rfc3339.endswith("Z") else rfc3339[19:])


def spoken(flag: str | None, environment: Mapping[str, str]) -> Language:
    """Choose a language: flag > DOCSEND_LANG > locale > English. Raises ValueError if there is none such."""
    asked = flag or environment.get("DOCSEND_LANG")
    locale = environment.get("LC_ALL") or environment.get("LC_MESSAGES") or environment.get("LANG") or ""
    # "iw" is Hebrew's code of before 1989, which some systems still use.
    language = {"he": "he", "iw": "he", "fr": "fr"}.get(re.split("[_.@-]", locale.lower())[0], "en")
    for known in LANGUAGES:
        if known == (asked or language):
            return known
    raise ValueError(asked)


class Reader:
    """Somebody who reads one language."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._translations = None if language == "en" else _translations(language)

    @property
    def is_right_to_left(self) -> bool:
        return self.language in _RIGHT_TO_LEFT

    def text(self, text: str, *, safe: Callable[[object], str] = str, isolated: bool = False) -> str:
        """Give a text in the reader's language; one that is no Phrase is somebody else's, and stays.

        Whatever comes from outside, the text itself or the values in it, passes `safe`. With `isolated`,
        numbers, names and paths in a right-to-left language are kept from turning their surroundings around.
        """
        isolated = isolated and self.is_right_to_left
        if isinstance(text, Label):
            text = text.labels.get(self.language) or str(text)
        if not isinstance(text, Phrase):
            return f"{_BY_ITSELF}{safe(text)}{_END}" if isolated and text else safe(text)
        if self._translations is None:
            return safe(text)
        if text.one is None:
            template = self._translations.gettext(text.template) if text.template else ""
        else:
            template = self._translations.ngettext(text.one, text.template, text.number)
        return self._formatted(template, text.values, safe, isolated=isolated)

    def _formatted(
        self, template: str, values: Mapping[str, object], safe: Callable[[object], str], *, isolated: bool
    ) -> str:
        from string import Formatter  # noqa: PLC0415 - English does without

        formatter = Formatter()
        parts: list[str] = []
        shown: list[str] = []
        for literal, name, form, conversion in formatter.parse(template if values else _literal(template)):
            parts.append(literal)
            if name is None:
                continue
            value = values[name]
            if isinstance(value, Phrase | Label):
                said = self.text(value, safe=safe, isolated=isolated)
            else:
                said = safe(format(formatter.convert_field(value, conversion), form or ""))
                said = self._number(said, form or "") if form else said
                said = f"{_BY_ITSELF}{said}{_END}" if isolated else said
            shown.append(said)
            parts.append(chr(_FIRST_VALUE + len(shown) - 1) if isolated else said)
        text = "".join(parts)
        return re.sub(_RUN, lambda run: _isolated(run[0], shown), text) if isolated else text

    def _number(self, shown: str, form: str) -> str:
        """Write a number that was formatted in English as the reader's language does."""
        if "," in form:
            return shown.replace(",", _GROUPS_DIGITS[self.language])
        return shown.replace(".", _DECIMAL_POINT[self.language]) if form[-1] in "fg" else shown


def _isolated(run: str, shown: Sequence[str]) -> str:
    """Put the values into a run of left-to-right text, and keep it together; a lone value keeps itself."""
    places = {chr(_FIRST_VALUE + place): text for place, text in enumerate(shown)}
    said = "".join(places.get(each, each) for each in run)
    return said if len(run) == 1 and said != run else f"{_LEFT_TO_RIGHT}{said}{_END}"


def _literal(template: str) -> str:
    return template.replace("{", "{{").replace("}", "}}")


def _translations(language: Language) -> GNUTranslations | None:
    import gettext  # noqa: PLC0415 - English does without

    found = gettext.translation("docsend", FOLDER, [language], fallback=True)
    return found if isinstance(found, gettext.GNUTranslations) else None
