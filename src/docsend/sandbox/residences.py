"""Which branch handles whom, if the sender does not say: a small table of invented residences.

The institute's rule: "par défaut, l'agence traitante qui apparaîtra sera celle de la zone de résidence de
l'assuré". Who lives where is the institute's knowledge; the persons and employers here do not exist.
"""

from __future__ import annotations

# Invented insured persons (right check digits, no such people) and employers' files.
RESIDENCES = {
    "000000018": "haifa",
    "000000026": "beer-sheva",
    "000000034": "nazareth",
    "000000042": "jerusalem",
    "000000059": "tel-aviv",
    "900000019": "ashdod",
    "900000027": "karmiel",
}
ELSEWHERE = "tel-aviv"


def branch_of(resident: str | None) -> str:
    """Give the code of the branch where an insured person or an employer is at home."""
    return RESIDENCES.get(resident or "", ELSEWHERE)
