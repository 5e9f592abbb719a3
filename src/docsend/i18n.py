"""Messages for people, and their translation.

A `Message` is an English template with values. It is not a `str`. Where text for people is written (console,
help, prompts, proofs), a `Translator` renders it in the user's language. No other code needs to know the
language. Functions that take a text for people take a `Message`, so that the type checker finds texts that
would not be translated. Whatever programs read (codes, JSON, the ledger) is always in English.

The translations are gettext catalogs, `locale/*/LC_MESSAGES/docsend.po`, maintained by
`tools/locale/build.py`.
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

# U+202F: French groups digits with a narrow no-break space.
_DIGIT_SEPARATORS = {"en": ",", "fr": "\u202f", "he": ","}
_DECIMAL_POINTS = {"en": ".", "fr": ",", "he": "."}
_RIGHT_TO_LEFT = ("he",)
# Unicode isolates (UAX 9): the text inside has its own direction and does not affect the text around it.
_LTR_ISOLATE, _FIRST_STRONG_ISOLATE, _POP_ISOLATE = "\u2066", "\u2068", "\u2069"
# These parts of a right-to-left sentence are read from left to right: code in backquotes, and sequences of
# ASCII words with the values attached to them, as in `--to {code}` or [services.{name}]. While they are
# matched, a private use character stands for each value; escaped text contains no such character.
_SIGN = r"[A-Za-z0-9_./~+\-=@%#&*<>|\[\]$\ue000-\uf8ff]"
_WORD = rf"(?=[^ \u0590-\u05ff]*[A-Za-z0-9\-.\[]){_SIGN}+(?:[:,]{_SIGN}+)*(?<!\.)"
_RUN = rf"`[^`\u0590-\u05ff]+`|{_WORD}(?: {_WORD})*|[\ue000-\uf8ff]"
_FIRST_PLACEHOLDER = 0xE000
_MAX_VALUE_LENGTH = 1000  # characters


class Message:
    """A text for people: an English template with values for its placeholders, such as `{name}`.

    A message is not a `str` and cannot be converted to one. Only a `Translator` can render it. Values that
    are messages or localized names are translated too. All other values are inserted unchanged, but for the
    end of a very long text. A placeholder can have a format specification, as in `str.format`: `{size:,}`
    groups digits with the language's separator.
    """

    __slots__ = ("count", "one", "template", "values")
    template: str
    values: Mapping[str, object]
    one: str | None
    count: int

    def __init__(self, template: str, /, **values: object) -> None:
        _set_fields(self, template, values)

    @classmethod
    def plural(cls, one: str, many: str, /, count: int, **values: object) -> Message:
        """Return a message that uses `one` for a count of 1, else `many`. `{count}` inserts the number."""
        message = cls.__new__(cls)
        _set_fields(message, many, {"count": count, **values}, one, count)
        return message

    @classmethod
    def verbatim(cls, text: object) -> Message:
        """Return a message whose text is never translated, for example because it comes from a service."""
        return cls("{text}", text=text)

    def with_values(self, **values: object) -> Message:
        """Return a message with the same template and only these values. The old values are dropped."""
        return Message(self.template, **values)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"cannot change {name} of a Message")

    def __str__(self) -> NoReturn:
        """Raise TypeError, because conversion to a `str`, as in an f-string, would lose the translation."""
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
        return _unpickle_message, (self.template, dict(self.values), self.one, self.count)


def _set_fields(
    message: Message, template: str, values: dict[str, object], one: str | None = None, count: int = 0
) -> None:
    change = object.__setattr__
    change(message, "template", template)
    change(message, "values", MappingProxyType(values))
    change(message, "one", one)
    change(message, "count", count)


def _unpickle_message(template: str, values: dict[str, object], one: str | None, count: int) -> Message:
    message = Message.__new__(Message)
    _set_fields(message, template, values, one, count)
    return message


class LocalizedName:
    """A name in several languages, such as a branch's name. Like a Message, it is not a `str`."""

    __slots__ = ("names",)
    names: Mapping[str, str]

    def __init__(self, names: Mapping[str, str]) -> None:
        object.__setattr__(self, "names", names)

    def in_language(self, language: Language) -> str:
        """Return the name in a language, or the English name if there is none."""
        return self.names.get(language) or self.names["en"]

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"cannot change {name} of a LocalizedName")

    def __str__(self) -> NoReturn:
        """Raise TypeError, because conversion to a `str`, as in an f-string, would lose the translation."""
        raise TypeError("a LocalizedName is rendered by a Translator")

    def __repr__(self) -> str:
        return f"LocalizedName({self.names['en']!r})"

    def __eq__(self, other: object) -> bool:
        return self.names == other.names if isinstance(other, LocalizedName) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.names["en"])

    def __reduce__(self) -> tuple[Any, ...]:
        return LocalizedName, (dict(self.names),)


# A code, a number or a file name, which is displayed unchanged in every language. A plain `str` is not
# displayable, so that an English sentence cannot be mistaken for data.
Data = NewType("Data", str)
Displayable: TypeAlias = Message | LocalizedName | Data


def join(parts: Sequence[Displayable], separator: str = ", ") -> Message:
    """Return one message that joins several texts. Each text is translated separately."""
    values = {f"_{index}": part for index, part in enumerate(parts)}
    return Message(separator.join(f"{{{name}}}" for name in values), **values)


def format_time(rfc3339: str) -> str:
    """Return an RFC 3339 time as "2026-11-23 05:00:00 UTC", without fractions of a second."""
    return rfc3339[:19].replace("T", " ") + (" UTC" if rfc3339.endswith("Z") else rfc3339[19:])


def choose_language(flag: str | None, environment: Mapping[str, str]) -> Language:
    """Return the language from the flag, else from DOCSEND_LANG, else from the locale, else English.

    Raise ValueError if the flag or DOCSEND_LANG names an unknown language.
    """
    requested = flag or environment.get("DOCSEND_LANG")
    locale = environment.get("LC_ALL") or environment.get("LC_MESSAGES") or environment.get("LANG") or ""
    # "iw" was the code for Hebrew until 1989, and some systems still use it.
    language = {"he": "he", "iw": "he", "fr": "fr"}.get(re.split("[_.@-]", locale.lower())[0], "en")
    for known in LANGUAGES:
        if known == (requested or language):
            return known
    raise ValueError(requested)


class Translator:
    """Renders messages in one language."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._translations = None if language == "en" else _load_translations(language)

    @property
    def is_right_to_left(self) -> bool:
        """Whether the language is written from right to left."""
        return self.language in _RIGHT_TO_LEFT

    def render(
        self, text: Displayable, *, escape: Callable[[object], str] = str, isolate: bool = False
    ) -> str:
        """Return the text in this language. Data is not translated.

        `escape` is applied to data and to a message's values, because they may come from outside docsend. In
        a right-to-left language, `isolate` encloses numbers, names and paths in Unicode isolates, so that
        they do not change the direction of the text around them.
        """
        isolate = isolate and self.is_right_to_left
        if isinstance(text, LocalizedName):
            text = Data(text.in_language(self.language))
        if not isinstance(text, Message):
            escaped = escape(text)
            return f"{_FIRST_STRONG_ISOLATE}{escaped}{_POP_ISOLATE}" if isolate and text else escaped
        if self._translations is None:
            return escape(_render_in_english(text))
        if text.one is None:
            template = self._translations.gettext(text.template) if text.template else ""
        else:
            template = self._translations.ngettext(text.one, text.template, text.count)
        return self._format(template, text.values, escape, isolate=isolate)

    def _format(
        self, template: str, values: Mapping[str, object], escape: Callable[[object], str], *, isolate: bool
    ) -> str:
        from string import Formatter

        formatter = Formatter()
        parts: list[str] = []
        texts: list[str] = []  # the rendered values
        source = template if values else _escape_braces(template)
        for literal, name, spec, conversion in formatter.parse(source):
            parts.append(literal)
            if name is None:
                continue
            value = values[name]
            if isinstance(value, Message | LocalizedName):
                text = self.render(value, escape=escape, isolate=isolate)
            else:
                value = _shortened(value)
                text = escape(format(formatter.convert_field(value, conversion), spec or ""))
                text = self._localize_number(text, spec) if spec else text
                text = f"{_FIRST_STRONG_ISOLATE}{text}{_POP_ISOLATE}" if isolate else text
            texts.append(text)
            parts.append(chr(_FIRST_PLACEHOLDER + len(texts) - 1) if isolate else text)
        joined = "".join(parts)
        return re.sub(_RUN, lambda run: _isolate_run(run[0], texts), joined) if isolate else joined

    def _localize_number(self, text: str, spec: str) -> str:
        """Return a number in English format with the separators of this language instead."""
        if "," in spec:
            return text.replace(",", _DIGIT_SEPARATORS[self.language])
        return text.replace(".", _DECIMAL_POINTS[self.language]) if spec[-1] in "fg" else text


ENGLISH = Translator("en")


def _render_in_english(message: Message) -> str:
    template = message.one if message.one is not None and message.count == 1 else message.template
    if not message.values:
        return template
    values = {
        name: ENGLISH.render(value) if isinstance(value, Message | LocalizedName) else _shortened(value)
        for name, value in message.values.items()
    }
    return template.format(**values)


def _shortened(value: object) -> object:
    """Return a value of a message without the end of a text that nobody would read."""
    is_long = isinstance(value, str) and len(value) > _MAX_VALUE_LENGTH
    return f"{value[:_MAX_VALUE_LENGTH]}…" if is_long else value  # type: ignore[index]


def _isolate_run(run: str, texts: Sequence[str]) -> str:
    """Insert the values into a left-to-right run of characters, and isolate the run.

    A run that is a single value stays as it is, because the value is already isolated.
    """
    values = {chr(_FIRST_PLACEHOLDER + index): text for index, text in enumerate(texts)}
    text = "".join(values.get(character, character) for character in run)
    return text if len(run) == 1 and text != run else f"{_LTR_ISOLATE}{text}{_POP_ISOLATE}"


def _escape_braces(template: str) -> str:
    return template.replace("{", "{{").replace("}", "}}")


def _load_translations(language: Language) -> GNUTranslations | None:
    import gettext

    translations = gettext.translation("docsend", FOLDER, [language], fallback=True)
    return translations if isinstance(translations, gettext.GNUTranslations) else None
