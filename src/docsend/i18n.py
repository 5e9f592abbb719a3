"""What people read, in their language. What programs read (codes, JSON, the ledger) is English always.

A `Message` is made where it is known: an English template, and the values in it. It is a value and no text; a
`Translator` renders it at the edges, where people read (console, help, prompts, a proof), and where JSON is
written, which is English always. Nothing else has to know which language is spoken. Whoever takes a text for
people takes a `Message`, so that the type checker finds a translation that would be lost.

Translations are gettext catalogs, `locale/*/LC_MESSAGES/docsend.po`, kept by `tools/locale/build.py`.
"""

from __future__ import annotations

import re
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NewType, NoReturn, TypeAlias

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


class Message:
    """A text for people: an English template, and the values that stand in it, such as `{name}`.

    It is no `str` and does not become one by itself: only a `Translator` renders it, in one language. Values
    that are messages or localized names are translated with it; all others are shown as they are. A value can
    be formatted as in `str.format`: `{size:,}` groups its digits as the reader's language does.
    """

    __slots__ = ("count", "one", "template", "values")
    template: str
    values: Mapping[str, object]
    one: str | None
    count: int

    def __init__(self, template: str, /, **values: object) -> None:
        _fill(self, template, values)

    @classmethod
    def plural(cls, one: str, many: str, /, count: int, **values: object) -> Message:
        """Return `one` for a count of 1 and `many` for all others; `{count}` is the number."""
        message = cls.__new__(cls)
        _fill(message, many, {"count": count, **values}, one, count)
        return message

    @classmethod
    def verbatim(cls, text: object) -> Message:
        """Return a message that is somebody else's text, such as a service's; it is never translated."""
        return cls("{text}", text=text)

    def replace_values(self, **values: object) -> Message:
        """Return a message of this template, from a table, with the values of one case."""
        return Message(self.template, **values)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"cannot change {name} of a Message")

    def __str__(self) -> NoReturn:
        """Refuse to become a text, as in an f-string: it would be English for ever."""
        raise TypeError("a Message is rendered by a Translator")

    def __repr__(self) -> str:
        return f"Message({self.template!r}, {dict(self.values)!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Message):
            return NotImplemented
        mine = (self.template, self.one, self.count, self.values)
        return mine == (other.template, other.one, other.count, other.values)

    def __hash__(self) -> int:
        return hash((self.template, self.one, self.count))

    def __reduce__(self) -> tuple[Any, ...]:
        return _message, (self.template, dict(self.values), self.one, self.count)


def _fill(
    message: Message, template: str, values: dict[str, object], one: str | None = None, count: int = 0
) -> None:
    change = object.__setattr__
    change(message, "template", template)
    change(message, "values", MappingProxyType(values))
    change(message, "one", one)
    change(message, "count", count)


def _message(template: str, values: dict[str, object], one: str | None, count: int) -> Message:
    message = Message.__new__(Message)
    _fill(message, template, values, one, count)
    return message


class LocalizedName:
    """A name that somebody gave in each language, such as a branch's. Like a Message it is no `str`."""

    __slots__ = ("names",)
    names: Mapping[str, str]

    def __init__(self, names: Mapping[str, str]) -> None:
        object.__setattr__(self, "names", names)

    def in_language(self, language: Language) -> str:
        """Return the name in a language, in English if there is none."""
        return self.names.get(language) or self.names["en"]

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"cannot change {name} of a LocalizedName")

    def __str__(self) -> NoReturn:
        """Refuse to become a text, as in an f-string: it would be English for ever."""
        raise TypeError("a LocalizedName is rendered by a Translator")

    def __repr__(self) -> str:
        return f"LocalizedName({self.names['en']!r})"

    def __eq__(self, other: object) -> bool:
        return self.names == other.names if isinstance(other, LocalizedName) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.names["en"])

    def __reduce__(self) -> tuple[Any, ...]:
        return LocalizedName, (dict(self.names),)


# A code, a number, a name of a file: shown as it is, in every language. A bare `str` is none of what people
# are shown, so that no English sentence slips in for data.
Data = NewType("Data", str)
Displayable: TypeAlias = Message | LocalizedName | Data


def join(parts: Sequence[Displayable], separator: str = ", ") -> Message:
    """Return several texts as one message, each to be translated by itself."""
    slots = {f"_{place}": part for place, part in enumerate(parts)}
    return Message(separator.join(f"{{{name}}}" for name in slots), **slots)


def format_time(rfc3339: str) -> str:
    """2026-11-23T05:00:00.123Z, as a person writes it."""
    return rfc3339[:19].replace("T", " ") + (" UTC" if rfc3339.endswith("Z") else rfc3339[19:])


def choose_language(flag: str | None, environment: Mapping[str, str]) -> Language:
    """Choose a language: flag > DOCSEND_LANG > locale > English. Raises ValueError if there is none such."""
    asked = flag or environment.get("DOCSEND_LANG")
    locale = environment.get("LC_ALL") or environment.get("LC_MESSAGES") or environment.get("LANG") or ""
    # "iw" is Hebrew's code of before 1989, which some systems still use.
    language = {"he": "he", "iw": "he", "fr": "fr"}.get(re.split("[_.@-]", locale.lower())[0], "en")
    for known in LANGUAGES:
        if known == (asked or language):
            return known
    raise ValueError(asked)


class Translator:
    """Renders messages in one language: the only maker of a text for people."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._translations = None if language == "en" else _translations(language)

    @property
    def is_right_to_left(self) -> bool:
        return self.language in _RIGHT_TO_LEFT

    def render(
        self, text: Displayable, *, escape: Callable[[object], str] = str, isolate: bool = False
    ) -> str:
        """Return what is shown as a text in this language; data stays as it is.

        Whatever comes from outside, data or the values in a message, passes `safe`. With `isolated`,
        numbers, names and paths in a right-to-left language are kept from turning their surroundings around.
        """
        isolate = isolate and self.is_right_to_left
        if isinstance(text, LocalizedName):
            text = Data(text.in_language(self.language))
        if not isinstance(text, Message):
            return f"{_BY_ITSELF}{escape(text)}{_END}" if isolate and text else escape(text)
        if self._translations is None:
            return escape(_in_english(text))
        if text.one is None:
            template = self._translations.gettext(text.template) if text.template else ""
        else:
            template = self._translations.ngettext(text.one, text.template, text.count)
        return self._formatted(template, text.values, escape, isolated=isolate)

    def _formatted(
        self, template: str, values: Mapping[str, object], safe: Callable[[object], str], *, isolated: bool
    ) -> str:
        from string import Formatter

        formatter = Formatter()
        parts: list[str] = []
        shown: list[str] = []
        for literal, name, form, conversion in formatter.parse(template if values else _literal(template)):
            parts.append(literal)
            if name is None:
                continue
            value = values[name]
            if isinstance(value, Message | LocalizedName):
                said = self.render(value, escape=safe, isolate=isolated)
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


ENGLISH = Translator("en")


def _in_english(message: Message) -> str:
    template = message.one if message.one is not None and message.count == 1 else message.template
    if not message.values:
        return template
    values = {
        name: ENGLISH.render(value) if isinstance(value, Message | LocalizedName) else value
        for name, value in message.values.items()
    }
    return template.format(**values)


def _isolated(run: str, shown: Sequence[str]) -> str:
    """Put the values into a run of left-to-right text, and keep it together; a lone value keeps itself."""
    places = {chr(_FIRST_VALUE + place): text for place, text in enumerate(shown)}
    said = "".join(places.get(each, each) for each in run)
    return said if len(run) == 1 and said != run else f"{_LEFT_TO_RIGHT}{said}{_END}"


def _literal(template: str) -> str:
    return template.replace("{", "{{").replace("}", "}}")


def _translations(language: Language) -> GNUTranslations | None:
    import gettext

    found = gettext.translation("docsend", FOLDER, [language], fallback=True)
    return found if isinstance(found, gettext.GNUTranslations) else None
