"""What tables contain: rows with a mark of their own, and columns with labels in three languages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from random import Random

Script = Literal["English", "French", "Hebrew"]
Truth = Literal["good", "bad"]

# Every row has a mark of its own in its reference and in its paths, so that it is known wherever it appears.
MARK = re.compile(r"m[0-9]{2}z[0-9a-f]{4}")
MOST_ROWS = 60

_CODES = {
    "to": ("benefits",),
    "subject": ("unemployment", "Unemployment"),
    "category": ("employer", "EMPLOYER"),
    "type": ("payslips", "Payslips"),
}
_LABELS: dict[Script, dict[str, tuple[str, ...]]] = {
    "English": {
        "to": ("to", "To", "Destination"),
        "subject": ("subject", "Subject"),
        "category": ("category", "Category"),
        "type": ("type", "Document type", "document_type"),
        "id": ("id", "ID", "Id number"),
        "employer_file": ("employer_file", "Employer file", "employer-file"),
        "mobile": ("mobile", "Mobile number"),
        "booklet": ("booklet", "Booklet number"),
        "remark": ("remark", "Remark"),
        "reference": ("reference", "Your reference"),
        "documents": ("documents", "Files", "File names"),
    },
    "French": {
        "to": ("Destinataire",),
        "subject": ("Sujet", "Objet"),
        "category": ("Catégorie", "catégorie"),
        "type": ("Type de document",),
        "id": ("Numéro d'identité", "N° d'identité"),
        "employer_file": ("Dossier employeur",),
        "mobile": ("Téléphone portable", "Portable"),
        "booklet": ("Carnet", "N° de carnet"),
        "remark": ("Remarque",),
        "reference": ("Référence",),
        "documents": ("Fichiers", "Fichier"),
    },
    "Hebrew": {
        "to": ("יעד",),
        "subject": ("נושא",),
        "category": ("קטגוריה",),
        "type": ("סוג מסמך", "סוג"),
        "id": ("ת.ז.", 'ת"ז', "מס' זהות"),
        "employer_file": ("תיק ניכויים", "תיק מעסיק"),
        "mobile": ("נייד", "טלפון נייד"),
        "booklet": ("פנקס", "מספר פנקס"),
        "remark": ("הערה",),
        "reference": ("אסמכתה",),
        "documents": ("מסמכים", "קבצים"),
    },
}
_UNKNOWN: dict[Script, tuple[str, ...]] = {
    "English": ("Employee name", "Net pay", "Town"),
    "French": ("Nom de l'employé", "Salaire net", "Ville natale"),
    "Hebrew": ("שם העובד", "שכר נטו", "עיר מגורים"),
}
_WORDS: dict[Script, tuple[str, ...]] = {
    "English": ("pay", "November", "second copy", "see the letter", "half time", "corrected"),
    "French": ("société", "février", "payé à l'école", "employé", "très bien", "réglé"),
    "Hebrew": ("תלוש", "שכר חודש", "נובמבר", "חלקית משרה", "מעסיק", "לפי המכתב"),
}
_OPTIONAL = ("to", "subject", "category", "type", "employer_file", "mobile", "booklet", "remark")


@dataclass(frozen=True, slots=True)
class Meant:
    """A row as its maker meant it: the text of each column. `is_told`: a problem of the row is due."""

    mark: str
    cells: Mapping[str, str]
    documents: tuple[str, ...]
    is_told: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """A column: the name that docsend should recognize, or "" for none, and its label."""

    name: str
    label: str


@dataclass(frozen=True, slots=True)
class Made:
    """A table with what its maker put in.

    `truth` is bad if the table must be refused, or each row told that is not as it was meant. `warnings` are
    the codes that are due for the table as a whole. `sheet` is the sheet that has the table. `text`, its
    `separator` and its `encoding` are set if a dialect of Python's csv module describes the table. `unshown`
    contains columns whose cells show something other than what is meant, such as a link.
    """

    truth: Truth
    content: bytes
    rows: Sequence[Meant]
    columns: Sequence[str]
    warnings: tuple[str, ...] = ()
    sheet: str = ""
    text: str = ""
    separator: str = ""
    encoding: str = ""
    unshown: tuple[str, ...] = ()


def id_number(random: Random, *, zeros: int) -> str:
    """Return a fictional number of nine digits with its check digit, which begins with so many zeros."""
    digits = "0" * zeros + str(random.randrange(1, 10))
    digits += "".join(random.choices("0123456789", k=8 - len(digits)))
    doubled = sum(sum(map(int, str(int(digit) * (1 + at % 2)))) for at, digit in enumerate(digits))
    return f"{digits}{-doubled % 10}"


def words(random: Random, script: Script) -> str:
    return " ".join(random.sample(_WORDS[script], random.randrange(1, 4)))


def draw_columns(random: Random, script: Script, *, must: Sequence[str] = ()) -> list[Column]:
    """Return columns in any order, with labels as people write them."""
    optional = [name for name in _OPTIONAL if name in must or random.random() < 0.5]
    names = ["id", "reference", "documents", *optional]
    random.shuffle(names)
    return [Column(name, _label(random, random.choice(_LABELS[script][name]), script)) for name in names]


def add_other_columns(random: Random, script: Script, columns: list[Column]) -> list[Column]:
    """Return the columns with others between them: without a name, and with names that are not known."""
    result = list(columns)
    for label in random.sample(_UNKNOWN[script], random.randrange(1, 4)):
        result.insert(random.randrange(len(result) + 1), Column("", label))
    for _ in range(random.randrange(3)):
        result.insert(random.randrange(len(result) + 1), Column("", ""))
    return result


def _label(random: Random, label: str, script: Script) -> str:
    forms = [label, label, f"{label}:", f"{label} *", f"{label} (*)", f" {label} ", label.upper()]
    forms += [f"\u200f{label}"] * (script == "Hebrew")
    return random.choice(forms)


def draw_rows(
    random: Random, columns: Sequence[Column], script: Script, count: int | None = None, *, zeros: int = -1
) -> list[Meant]:
    """Return rows with different values. `zeros` is the number of zeros before each id number, -1 for any."""
    names = [column.name for column in columns if column.name]
    count = count or random.choice((1, 2, 3, *range(4, MOST_ROWS + 1)))
    tag = f"{random.randrange(16**4):04x}"
    folder, slash = random.choice(("payslips", "nov 2026", "2026")), random.choice("/\\")
    rows = []
    used: set[str] = set()
    for number in range(count):
        mark = f"m{number:02}z{tag}"
        while (identity := id_number(random, zeros=random.randrange(3) if zeros < 0 else zeros)) in used:
            pass
        used.add(identity)
        paths = tuple(f"{folder}{slash}{mark}-{n}.pdf" for n in range(random.choice((1, 1, 1, 2, 3))))
        values = {name: random.choice(codes) for name, codes in _CODES.items()}
        values |= {
            "id": identity,
            "employer_file": f"9{random.randrange(10**8):08}",
            "mobile": f"05{random.randrange(10**8):08}",
            "booklet": f"{random.randrange(100):04}",
            "remark": random.choice((words(random, script), "", "24\u2033")) if script == "English"
            else words(random, script),
            "reference": random.choice((f"client {mark}", mark, f"{words(random, script)} {mark}")),
        }  # fmt: skip
        rows.append(Meant(mark, {name: values[name] for name in names if name != "documents"}, paths))
    return rows
