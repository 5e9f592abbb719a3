"""Strict reader for the JSON objects in responses.

Every member that is read is required. If a member is missing, null, malformed or of the wrong type, reading
it raises a `ContractViolation` that names the member. Members that the contract does not define are ignored.
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
# RFC 3339 in UTC, with or without milliseconds, as the contract defines it.
_TIME = re.compile(r"(2[0-9]{3}-[0-9]{2}-[0-9]{2})T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{3})?Z")
# No control characters, no characters that change the text direction, no surrogates.
_TEXT = re.compile("[^\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")
_DATE = re.compile(r"2[0-9]{3}-[0-9]{2}-[0-9]{2}")
_YEARS = range(2000, 2101)
LABELS = ("he", "en", "fr")
MAX_CODE_LENGTH, MAX_LABEL_LENGTH = 100, 500


class JsonObject(NamedTuple):
    """The members of a JSON object, and its path in the response.

    Each method returns one member's value, and raises ContractViolation unless the value is as expected.
    """

    values: dict[str, Any]
    path: str = ""

    def text(self, name: str, max_length: int) -> str:
        """Return a text of 1 to `max_length` characters that is not blank and has no control characters."""
        value = self.values.get(name)
        if (
            isinstance(value, str)
            and len(value) <= max_length
            and _TEXT.fullmatch(value)
            and not value.isspace()
        ):
            return value
        raise self.violation(name)

    def display_text(self, name: str) -> str:
        """Return a string that is not empty. Control characters in it are escaped on output."""
        value = self.values.get(name)
        if isinstance(value, str) and value:
            return value
        raise self.violation(name)

    def printable(self, name: str, max_length: int) -> str:
        """Return a string of 1 to `max_length` printable characters, with no blanks around them."""
        value = self.text(name, max_length)
        if value.isprintable() and value == value.strip():
            return value
        raise self.violation(name)

    def matching(self, name: str, pattern: re.Pattern[str]) -> str:
        value = self.values.get(name)
        if isinstance(value, str) and pattern.fullmatch(value):
            return value
        raise self.violation(name)

    def code(self, name: str) -> str:
        """Return a catalog code, of at most 100 characters."""
        return self.text(name, MAX_CODE_LENGTH)

    def time(self, name: str) -> str:
        """Return a time as `YYYY-MM-DDThh:mm:ss[.fff]Z`. It is not compared with this machine's clock."""
        value = self.matching(name, _TIME)
        self._check_date(name, value[:10])
        return value

    def day(self, name: str) -> str:
        """Return a date as `YYYY-MM-DD`."""
        value = self.matching(name, _DATE)
        self._check_date(name, value)
        return value

    def integer(self, name: str, minimum: int, maximum: int) -> int:
        value = self.values.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and minimum <= value <= maximum:
            return value
        raise self.violation(name)

    def check_null(self, name: str) -> None:
        if name not in self.values or self.values[name] is not None:
            raise self.violation(name)

    def labels(self, name: str) -> dict[str, str]:
        """Return a name in English, French and Hebrew, keyed by language code."""
        labels = self.child(name)
        return {language: labels.text(language, MAX_LABEL_LENGTH) for language in LABELS}

    def child(self, name: str) -> JsonObject:
        value = self.values.get(name)
        if isinstance(value, dict):
            return JsonObject(value, self._path_to(name))
        raise self.violation(name)

    def children(self, name: str, min_items: int, max_items: int) -> list[JsonObject]:
        """Return the objects in an array that has between `min_items` and `max_items` of them."""
        entries = self.array(name, min_items, max_items)
        if all(isinstance(entry, dict) for entry in entries):
            return [JsonObject(entry, f"{self._path_to(name)}[{n}]") for n, entry in enumerate(entries)]
        raise self.violation(name)

    def array(self, name: str, min_items: int, max_items: int) -> list[Any]:
        value = self.values.get(name)
        if isinstance(value, list) and min_items <= len(value) <= max_items:
            return value
        raise self.violation(name)

    def digests(self, name: str, max_items: int) -> frozenset[str]:
        """Return the SHA-256 digests in an array, which must not contain duplicates."""
        value = self.array(name, 0, max_items)
        if all(isinstance(digest, str) and SHA256.fullmatch(digest) for digest in value):
            digests = frozenset(value)
            if len(digests) == len(value):
                return digests
        raise self.violation(name)

    def violation(self, name: str) -> ContractViolation:
        """Return the exception for a member that is missing or malformed."""
        return ContractViolation(Message("{member} is missing or malformed", member=self._path_to(name)))

    def _path_to(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def _check_date(self, name: str, day: str) -> None:
        try:
            year = date.fromisoformat(day).year
        except ValueError:
            raise self.violation(name) from None
        if year not in _YEARS:
            raise self.violation(name)


def read(body: bytes) -> JsonObject:
    """Return the JSON object (RFC 8259, UTF-8) in a body.

    Raise ContractViolation if the body is not a JSON object or has a duplicate member.
    """
    try:
        value = json.loads(
            body.decode("utf-8"), object_pairs_hook=_reject_duplicates, parse_constant=_reject_constant
        )
    except (ValueError, RecursionError):
        raise ContractViolation(Message("it is not valid JSON, or contains the same name twice")) from None
    if not isinstance(value, dict):
        raise ContractViolation(Message("it is not a JSON object"))
    return JsonObject(value)


def _reject_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are not JSON
