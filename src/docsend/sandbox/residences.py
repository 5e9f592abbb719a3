"""The default branch for a submission, from a small table of fictional residences.

The institute's rule: "par défaut, l'agence traitante qui apparaîtra sera celle de la zone de résidence de
l'assuré" (the default branch is that of the insured person's area of residence). Only the institute knows
where people live. The persons and employers listed here do not exist.
"""

from __future__ import annotations

# Fictional insured persons (the check digits are valid, the people do not exist) and employer files.
RESIDENCES = {
    "000000018": "haifa",
    "000000026": "beer-sheva",
    "000000034": "nazareth",
    "000000042": "jerusalem",
    "000000059": "tel-aviv",
    "900000019": "ashdod",
    "900000027": "karmiel",
}
DEFAULT_BRANCH = "tel-aviv"


def branch_of(resident: str | None) -> str:
    """Return the code of the branch that serves the residence of an insured person or an employer."""
    return RESIDENCES.get(resident or "", DEFAULT_BRANCH)
