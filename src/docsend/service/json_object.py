"""JSON of a response, read member by member: each has the one form that the contract gives it, and is needed.

What is left out, null, of another type or of another form makes the response one that the contract does not
know (`ContractViolation`, which names the member). Members that the contract does not know are passed over.
"""

from __future__ import annotations

import json
import re
from datetime import date
from typing import Any, NamedTuple, NoReturn

from docsend.i18n import Message
from docsend.service.failures import ContractViolation

KEY = re.compile(r"[A-Z2-7]{52}")
SHA256 = re.compile(r"[0-9a-f]{64}")
# RFC 3339 in UTC, as the contract has it: whole seconds, or milliseconds.
_TIME = re.compile(r"(2[0-9]{3}-[0-9]{2}-[0-9]{2})T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{3})?Z")
# Neither control characters, nor what turns the reading direction, nor half of a character.
_TEXT = re.compile("[^\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
_DATE = re.compile(r"2[0-9]{3}-[0-9]{2}-[0-9]{2}")
_YEARS = range(2000, 2101)
LABELS = ("he", "en", "fr")
LONGEST_CODE, LONGEST_LABEL = 100, 500


class JsonObject(NamedTuple):
    """The members of a JSON object, and where in the response it stands."""

    values: dict[str, Any]
    place: str = ""

    def text(self, name: str, most: int) -> str:
        """Return a text of 1 to `most` characters, not only blanks, in which nothing steers a terminal."""
        value = self.values.get(name)
        if isinstance(value, str) and len(value) <= most and _TEXT.fullmatch(value) and not value.isspace():
            return value
        raise self.refusal(name)

    def for_people(self, name: str) -> str:
        """Return a text that is not empty; what may steer a terminal is made safe where it is shown."""
        value = self.values.get(name)
        if isinstance(value, str) and value:
            return value
        raise self.refusal(name)

    def printable(self, name: str, most: int) -> str:
        """Return a text of 1 to `most` printable characters, without blanks around it."""
        value = self.text(name, most)
        if value.isprintable() and value == value.strip():
            return value
        raise self.refusal(name)

    def matching(self, name: str, form: re.Pattern[str]) -> str:
        value = self.values.get(name)
        if isinstance(value, str) and form.fullmatch(value):
            return value
        raise self.refusal(name)

    def code(self, name: str) -> str:
        """Return a code of the catalog."""
        return self.text(name, LONGEST_CODE)

    def time(self, name: str) -> str:
        """Return a time as `YYYY-MM-DDThh:mm:ss[.fff]Z`; never held against this machine's clock."""
        value = self.matching(name, _TIME)
        self._need_day(name, value[:10])
        return value

    def day(self, name: str) -> str:
        """Return a date as `YYYY-MM-DD`."""
        value = self.matching(name, _DATE)
        self._need_day(name, value)
        return value

    def whole_number(self, name: str, least: int, most: int) -> int:
        value = self.values.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        raise self.refusal(name)

    def null(self, name: str) -> None:
        if name not in self.values or self.values[name] is not None:
            raise self.refusal(name)

    def labels(self, name: str) -> dict[str, str]:
        """Return a name in each language."""
        inner = self.members(name)
        return {language: inner.text(language, LONGEST_LABEL) for language in LABELS}

    def members(self, name: str) -> JsonObject:
        value = self.values.get(name)
        if isinstance(value, dict):
            return JsonObject(value, self._path(name))
        raise self.refusal(name)

    def each(self, name: str, least: int, most: int) -> list[JsonObject]:
        """Return the objects of a list of `least` to `most` entries."""
        entries = self.list_of(name, least, most)
        if all(isinstance(entry, dict) for entry in entries):
            return [JsonObject(entry, f"{self._path(name)}[{n}]") for n, entry in enumerate(entries)]
        raise self.refusal(name)

    def list_of(self, name: str, least: int, most: int) -> list[Any]:
        value = self.values.get(name)
        if isinstance(value, list) and least <= len(value) <= most:
            return value
        raise self.refusal(name)

    def digests(self, name: str, most: int) -> frozenset[str]:
        """Return a list of different SHA-256 digests."""
        value = self.list_of(name, 0, most)
        if all(isinstance(digest, str) and SHA256.fullmatch(digest) for digest in value):
            digests = frozenset(value)
            if len(digests) == len(value):
                return digests
        raise self.refusal(name)

    def refusal(self, name: str) -> ContractViolation:
        return ContractViolation(Message("{member} is missing, or of another form", member=self._path(name)))

    def _path(self, name: str) -> str:
        return f"{self.place}.{name}" if self.place else name

    def _need_day(self, name: str, day: str) -> None:
        try:
            year = date.fromisoformat(day).year
        except ValueError:
            raise self.refusal(name) from None
        if year not in _YEARS:
            raise self.refusal(name)


def read(body: bytes) -> JsonObject:
    """Read a body that is one JSON object (RFC 8259) in UTF-8, in which no member stands twice."""
    try:
        value = json.loads(
            body.decode("utf-8"), object_pairs_hook=_once_each, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError):
        raise ContractViolation(Message("not JSON, or a member stands twice in it")) from None
    if not isinstance(value, dict):
        raise ContractViolation(Message("not a JSON object"))
    return JsonObject(value)


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member twice")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are not JSON
