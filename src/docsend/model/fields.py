"""The fields of a submission, in one table: `SubmissionFields`.

A field has the same name in JSON, manifests and config.toml. Other modules derive the following from the
table: the options of `send` and `senders add` (`cli.options`), the columns of manifests (`manifest.columns`),
the keys of a sender (`config.senders`), what the guided send asks and masks (`ui.interactive`), what
completions offer (`tools/cli`), the members of a declaration (`submission`), and the meaning of a service's
JSON pointers (`service.refusals`). CONTRIBUTING.md describes how to add a field.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from docsend.i18n import Message

if TYPE_CHECKING:
    from collections.abc import Iterator

# The kind of person whose identity a field belongs to. An account is identified by its token and has no
# field.
Party: TypeAlias = Literal["insured", "employer"]
# How much of a value may be displayed: all of it, its last few characters, or nothing, as for a password.
Display: TypeAlias = Literal["whole", "masked", "never"]


class Field(NamedTuple):
    """Description of one field.

    `metavar` and `help` belong to the field's option. `question` is the guided send's prompt, and `label` the
    name shown next to the value. `member` is the field's name in a declaration. `party` is the kind of person
    whose identity the field belongs to. `display` limits how much of the value is shown. `is_number` is true
    if a spreadsheet would treat the value as a number and damage it. `completion` is the kind of values that
    completions offer. `aliases` are other names for the field's column in manifests, in
    English, French and Hebrew, as `manifest.columns.column_name` normalizes them.
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
    completion: str = "text"
    aliases: tuple[str, ...] = ()

    @property
    def option(self) -> str:
        """Command line option, such as `--employer-file`."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def is_catalog_code(self) -> bool:
        """Whether the value is a catalog code. Every other field has a rule in `field_rules.RULES`."""
        return self.party is None and self.is_code

    @property
    def is_code(self) -> bool:
        """Whether the value is one of a list of codes, which are all in lower case."""
        return self.completion != "text"

    def normalize(self, value: str) -> str:
        """Return a code in lower case, and any other value unchanged."""
        return value.lower() if self.is_code else value

    @property
    def pointer(self) -> str:
        """JSON pointer (RFC 6901) to the value in a declaration."""
        return f"/identity/{self.member}" if self.party else f"/{self.member}"


def _field(metavar: str, help_: str, question: Message | None = None, **more: Any) -> Any:
    """Return a dataclass field. `more` contains further attributes of the `Field` that describes it."""
    metadata = {"metavar": metavar, "help": help_, "question": question, **more}
    return dataclasses.field(default=None, metadata=metadata)


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)
class SubmissionFields:
    """Base class of submissions, with every field except the documents. It is never instantiated itself."""

    to: str | None = _field(
        "CODE",
        "Destination: benefits, insured-collection, employer-collection, health-funds or personal.",
        Message("destination"),
        completion="destination",
        aliases=("destination", "destinataire", "יעד"),
    )
    subject: str | None = _field(
        "CODE",
        "Subject of the documents, such as unemployment.",
        Message("subject"),
        completion="subject",
        aliases=("sujet", "objet", "נושא"),
    )
    category: str | None = _field(
        "CODE",
        "Category of the documents, such as employer.",
        Message("category"),
        completion="category",
        aliases=("categorie", "קטגוריה"),
    )
    type: str | None = _field(
        "CODE",
        "Type of the documents, such as payslips.",
        Message("document type"),
        completion="type",
        aliases=(
            *("document_type", "doc_type", "type_of_document", "type_de_document", "type_du_document"),
            *("סוג", "סוג_מסמך", "סוג_המסמך"),
        ),
    )
    id: str | None = _field(
        "NUMBER",
        "The insured person's id number.",
        Message("id number of the insured person"),
        member="id_number",
        party="insured",
        display="masked",
        is_number=True,
        aliases=(
            *("id_number", "identity", "identity_card", "national_id", "t.z", "tz", "teudat_zehut"),
            *("numero_d'identite", "identite", "carte_d'identite"),
            *("ת.ז", "תז", 'ת"ז', "זהות", "תעודת_זהות", "מספר_זהות", "מספר_ת.ז"),
        ),
    )
    employer_file: str | None = _field(
        "NUMBER",
        "The employer's file number.",
        Message("the employer's file number"),
        party="employer",
        display="masked",
        is_number=True,
        aliases=(
            *("employer_file_number", "deduction_file", "dossier_employeur", "dossier_de_deductions"),
            "dossier_de_l'employeur",
            *("תיק_ניכויים", "תיק_מעסיק", "מספר_תיק"),
        ),
    )
    employer_kind: str | None = _field(
        "KIND",
        "Kind of employer file: deduction (default), household or building-committee.",
        Message("kind of employer file"),
        party="employer",
        completion="employer-kind",
        aliases=("type_d'employeur", "סוג_מעסיק", "סוג_תיק"),
    )
    booklet: str | None = _field(
        "NUMBER",
        "The booklet's identification number.",
        Message("the booklet's identification number"),
        party="employer",
        display="never",
        is_number=True,
        aliases=("booklet_number", "carnet", "numero_de_carnet", "פנקס", "מספר_פנקס"),
    )
    mobile: str | None = _field(
        "NUMBER",
        "The employer's mobile number.",
        Message("the employer's mobile number"),
        party="employer",
        display="masked",
        is_number=True,
        aliases=(
            *("mobile_number", "mobile_phone", "portable", "telephone_portable"),
            *("נייד", "טלפון_נייד", "מספר_נייד", "סלולרי", "טלפון_סלולרי"),
        ),
    )
    email: str | None = _field(
        "ADDRESS",
        "The employer's email address (optional).",
        party="employer",
        display="masked",
        aliases=(
            *("e_mail", "email_address", "courriel", "adresse_e_mail", "adresse_email"),
            *("אימייל", "מייל", 'דוא"ל', "דואל", "דואר_אלקטרוני"),
        ),
    )
    remark: str | None = _field(
        "TEXT",
        "Remark for the clerk (optional).",
        Message("remark (optional)"),
        label=Message("remark"),
        aliases=(
            *("remarks", "comment", "comments", "note", "notes"),
            *("remarque", "remarques", "commentaire", "commentaires", "הערה", "הערות"),
        ),
    )
    branch: str | None = _field(
        "CODE",
        "Branch that handles the submission (default: by place of residence).",
        Message("branch"),
        completion="branch",
        aliases=("agence", "succursale", "סניף"),
    )
    reference: str | None = _field(
        "TEXT",
        "Your own reference (optional).",
        label=Message("reference"),
        aliases=(
            *("your_reference", "your_ref", "our_reference", "our_ref", "ref"),
            *("votre_reference", "notre_reference", "אסמכתא", "אסמכתה", "סימוכין"),
        ),
    )
    required: str | None = _field(
        "ID",
        "Id of the required document that this submission provides.",
        label=Message("required document"),
        aliases=("required_document", "document_demande", "מסמך_נדרש"),
    )
    occurrence: str | int | None = _field(
        "N",
        "Which sending of this content it is: 2 sends the same content a second time (default: 1).",
        label=Message("occurrence"),
    )

    def given_values(self) -> dict[str, Any]:
        """Return the values that are not None, by field name."""
        values = ((name, getattr(self, name)) for name in NAMES)
        return {name: value for name, value in values if value is not None}


def _iter_fields() -> Iterator[Field]:
    for field in dataclasses.fields(SubmissionFields):
        yield Field(name=field.name, **{"member": field.name, **field.metadata})


FIELDS: tuple[Field, ...] = tuple(_iter_fields())
NAMES: tuple[str, ...] = tuple(field.name for field in FIELDS)
BY_NAME = {field.name: field for field in FIELDS}
BY_POINTER = {field.pointer: field for field in FIELDS}
IDENTITY_FIELDS = tuple(field for field in FIELDS if field.party)
CONTENT_FIELDS = tuple(field for field in FIELDS if not field.party)


def fields_of(party: Party) -> tuple[Field, ...]:
    """Return the identity fields of a party. The first is the party's identity number."""
    return tuple(field for field in IDENTITY_FIELDS if field.party == party)
