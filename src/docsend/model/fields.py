"""The fields of a submission: one table, and all that follows from it.

`SubmissionFields` is the table. A field's name is the same in JSON, manifests and config.toml. Made from the
table are the options of `send` and `senders add` (`cli.options`), the columns of manifests
(`manifest.columns`), the keys of a sender (`config.senders`), what the guided send asks and masks
(`ui.interactive`), what completions offer (`tools/cli`), the members of a declaration (`submission`), and
what a service's JSON pointers mean (`service.refusals`). CONTRIBUTING.md says how to add a field:
here, a rule in `field_rules.RULES`, its texts, and by hand in the contract.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from docsend.i18n import Message

if TYPE_CHECKING:
    from collections.abc import Iterator

# Whose identity a field is part of. An account's own is in its token, and has no field.
Party: TypeAlias = Literal["insured", "employer"]
# How much of a value anybody may be shown: all; a few last characters; nothing, as of a password.
Display: TypeAlias = Literal["whole", "masked", "never"]


class Field(NamedTuple):
    """One field: its name, and what is said about it to people and machines.

    `metavar` and `help` are of its option, `question` is what the guided send asks, `label` what it is called
    where its value is shown; `member` is its name in
    a declaration; `offers` is what a completion offers for it; `is_number` says that a spreadsheet takes it
    for a number and damages it; `aliases` are further names of its column.
    """

    name: str
    metavar: str
    help: str
    question: Message | None = None
    label: Message | None = None
    member: str = ""
    party: Party | None = None
    display: Display = "whole"
    is_number: bool = False
    offers: str = "text"
    aliases: tuple[str, ...] = ()

    @property
    def option(self) -> str:
        """The option of the command line: `--employer-file`."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def is_of_catalog(self) -> bool:
        """Whether it is a code of the catalog, which judges it; all others have a rule in `RULES`."""
        return self.party is None and self.offers != "text"

    @property
    def pointer(self) -> str:
        """Where it stands in a declaration, as a JSON pointer (RFC 6901)."""
        return f"/identity/{self.member}" if self.party else f"/{self.member}"


def _field(metavar: str, help_: str, question: Message | None = None, **more: Any) -> Any:
    """Make a field of the table; `more` are further members of its `Field`."""
    about = {"metavar": metavar, "help": help_, "question": question, **more}
    return dataclasses.field(default=None, metadata=about)


@dataclass(frozen=True, slots=True, kw_only=True, init=False, repr=False, eq=False)
class SubmissionFields:
    """What a submission says, but for its documents. Nobody makes one: it is what submissions derive from."""

    to: str | None = _field(
        "CODE",
        "Destination: benefits, insured-collection, employer-collection, health-funds or personal.",
        Message("destination"),
        offers="destination",
    )
    subject: str | None = _field(
        "CODE", "What they are about, as in unemployment.", Message("subject"), offers="subject"
    )
    category: str | None = _field("CODE", "What kind of documents.", Message("category"), offers="category")
    type: str | None = _field(
        "CODE", "Which document, as in payslips.", Message("document type"), offers="type"
    )
    id: str | None = _field(
        "NUMBER",
        "The insured person's id number.",
        Message("id number of the insured person"),
        member="id_number",
        party="insured",
        display="masked",
        is_number=True,
        aliases=("id_number",),
    )
    employer_file: str | None = _field(
        "NUMBER",
        "The employer's file number.",
        Message("the employer's file number"),
        party="employer",
        display="masked",
        is_number=True,
    )
    employer_kind: str | None = _field(
        "KIND",
        "deduction (if not said otherwise), household or building-committee.",
        Message("kind of employer file"),
        party="employer",
        offers="employer-kind",
    )
    booklet: str | None = _field(
        "NUMBER",
        "The booklet's identification number.",
        Message("the booklet's identification number"),
        party="employer",
        display="never",
        is_number=True,
    )
    mobile: str | None = _field(
        "NUMBER",
        "The employer's mobile number.",
        Message("the employer's mobile number"),
        party="employer",
        display="masked",
        is_number=True,
    )
    email: str | None = _field(
        "ADDRESS", "The employer's e-mail address, optional.", party="employer", display="masked"
    )
    remark: str | None = _field(
        "TEXT", "A remark for the clerk, optional.", Message("remark, optional"), label=Message("remark")
    )
    branch: str | None = _field(
        "CODE", "The branch that handles it; the default is by residence.", Message("branch"), offers="branch"
    )
    reference: str | None = _field("TEXT", "Your own reference, optional.", label=Message("reference"))
    required: str | None = _field(
        "ID", "The required document that this is.", label=Message("required document")
    )
    occurrence: str | int | None = _field(
        "N", "Which sending of the same content this is; 1 if not said.", label=Message("occurrence")
    )

    def given(self) -> dict[str, Any]:
        """Return what is said, by the names of the fields."""
        values = ((name, getattr(self, name)) for name in NAMES)
        return {name: value for name, value in values if value is not None}


def _fields() -> Iterator[Field]:
    for each in dataclasses.fields(SubmissionFields):
        yield Field(name=each.name, **{"member": each.name, **each.metadata})


FIELDS: tuple[Field, ...] = tuple(_fields())
NAMES: tuple[str, ...] = tuple(field.name for field in FIELDS)
BY_NAME = {field.name: field for field in FIELDS}
BY_POINTER = {field.pointer: field for field in FIELDS}
IDENTITY_FIELDS = tuple(field for field in FIELDS if field.party)
CONTENT_FIELDS = tuple(field for field in FIELDS if not field.party)


def fields_of(party: Party) -> tuple[Field, ...]:
    """Return the fields of an identity; the first is the number that it is known by."""
    return tuple(field for field in IDENTITY_FIELDS if field.party == party)
