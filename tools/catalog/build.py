"""Build src/docsend/data/catalog.json from the institute's page and the tables beside this script.

    python tools/catalog/build.py [--check]

`seed.txt` is the verbatim text of the institute's French page on sending documents. Every limit below is
paired with the sentence that states it, and the build fails if the page does not contain that sentence. The
tables were compiled from other public pages; each row has its status and source. With --check, nothing is
written, and the exit code is 1 if catalog.json is out of date.
"""

from __future__ import annotations

import csv
import json
import sys
import urllib.parse
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CATALOG = HERE.parent.parent / "src" / "docsend" / "data" / "catalog.json"
VERSION = "2026-11-23"

NOTE = (
    "Made by docsend from public pages, not by the institute. Limits and formats are the institute's own "
    "sentences; lists of subjects, categories, types and branches are not public and were put together "
    "from the pages named in each source. Codes are docsend's own."
)

MIB = 2**20
MB = 10**6

OPEN_FORMATS = (
    "Les formats de fichiers suivants peuvent être téléchargés : JPEG, JPG, TIFF, TIF, PNG, BMP, PDF."
)
OPEN_COUNT_AND_SIZE = (
    "Il est possible de télécharger jusqu'à 15 documents différents, "
    "chaque fichier ayant une taille maximale de 10 Mo."
)
PERSONAL_FORMATS = "Vous pouvez télécharger les formats de documents suivants : JPG, PNG, TIF, TIFF et PDF."
PERSONAL_SIZE = "La taille maximale du fichier est de 5 Mo."

# The page does not say whether "Mo" means 10^6 or 2^20 bytes. docsend refuses documents above the larger
# limit and warns above the smaller one.
OPEN_LIMITS: dict[str, Any] = {
    "service": "open",
    "formats": ["jpeg", "jpg", "tiff", "tif", "png", "bmp", "pdf"],
    "max_documents": 15,
    "max_document_bytes": 10 * MIB,
    "near_document_bytes": 10 * MB,
    "branch": True,
    "sentences": {
        "formats": OPEN_FORMATS,
        "max_documents": OPEN_COUNT_AND_SIZE,
        "max_document_bytes": OPEN_COUNT_AND_SIZE,
        "branch": "changer l'agence traitante (par défaut, l'agence traitante qui apparaîtra sera celle "
        "de la zone de résidence de l'assuré)",
    },
}
INSURED = "Ensuite, entrez les données d'identification de l'assuré."

DESTINATIONS: list[dict[str, Any]] = [
    {
        "code": "benefits",
        "labels": {
            "he": "מחלקות הגמלאות",
            "en": "Benefit departments",
            "fr": "Départements des prestations",
        },
        "identity": "insured",
        "subject": True,
        **OPEN_LIMITS,
        "sentences": {
            **OPEN_LIMITS["sentences"],
            "subject": "Ensuite, sélectionnez le sujet demandé",
            "identity": "saisissez les données d'identification de l'assuré",
        },
    },
    {
        "code": "insured-collection",
        "labels": {
            "he": "גבייה ממבוטחים",
            "en": "Collection from insured persons",
            "fr": "Service de recouvrement auprès des assurés",
        },
        "identity": "insured",
        "subject": False,
        **OPEN_LIMITS,
        "sentences": {**OPEN_LIMITS["sentences"], "identity": INSURED},
    },
    {
        "code": "employer-collection",
        "labels": {
            "he": "גבייה ממעסיקים",
            "en": "Collection from employers",
            "fr": "Service de recouvrement auprès des employeurs",
        },
        "identity": "employer",
        "subject": False,
        **OPEN_LIMITS,
        "sentences": {
            **OPEN_LIMITS["sentences"],
            "identity": "Indiquez ensuite le numéro de dossier de déductions de l'entreprise (ou le numéro "
            "du dossier de ménage ou de comité d'immeuble), le numéro d'identification du livret (figurant "
            "sur le livret), le numéro de téléphone portable et adresse courriel (adresse courriel est "
            "facultative).",
        },
    },
    {
        "code": "health-funds",
        "labels": {
            "he": "קופות חולים",
            "en": "Affiliation to health funds",
            "fr": "Service d'affiliation auprès des caisses de santé",
        },
        "identity": "insured",
        "subject": False,
        **OPEN_LIMITS,
        "sentences": {**OPEN_LIMITS["sentences"], "identity": INSURED},
    },
    {
        "code": "personal",
        "labels": {"he": "שירות אישי", "en": "Personal service", "fr": "Service personnalisé"},
        "service": "personal",
        "identity": "account",
        "subject": True,
        "formats": ["jpg", "png", "tif", "tiff", "pdf"],
        "max_documents": None,
        "max_document_bytes": 5 * MIB,
        "near_document_bytes": 5 * MB,
        "branch": False,
        "sentences": {
            "formats": PERSONAL_FORMATS,
            "max_document_bytes": PERSONAL_SIZE,
            "subject": "sélectionnez le sujet, la catégorie et le type de document",
            "identity": "connectez-vous à votre compte de Service Personnalisé",
        },
    },
]
# The languages in which docsend translated the label itself. The French labels are from the page, the Hebrew
# labels of the collection services and the health funds from other pages of the institute.
DESTINATION_TRANSLATED = {
    "benefits": ["he", "en"],
    "insured-collection": ["en"],
    "employer-collection": ["en"],
    "health-funds": ["en"],
    "personal": ["en"],
}

# Total size of the documents of a submission that may be sent in one exchange.
ONE_EXCHANGE_BYTES = 8 * 2**20  # chosen by measurement: docs/contract.md

# Limits of docsend's contract that the page does not state.
TEXTS = {
    "remark": 1000,
    "reference": 100,
    "document_name": 255,
    "status": "docsend",
    "source": "docs/contract.md: the institute's page states no such limit",
}


def table(name: str) -> list[dict[str, str]]:
    with (HERE / "tables" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def encoded_url(row: dict[str, str]) -> str | None:
    """Return the row's URL percent-encoded, or None if the row has none."""
    return urllib.parse.quote(row["url"], safe=":/?=&@%#") or None


def labels(row: dict[str, str]) -> dict[str, str]:
    return {language: row[language] for language in ("he", "en", "fr")}


def provenance(row: dict[str, str]) -> dict[str, Any]:
    return {
        "translated": row["translated"].split(),
        "status": row["status"],
        "note": row["note"] or None,
        "source": row["source"],
    }


def destinations(seed: str) -> list[dict[str, Any]]:
    for destination in DESTINATIONS:
        for sentence in destination["sentences"].values():
            if sentence not in seed:
                raise SystemExit(f"seed.txt does not contain this sentence: {sentence}")
    return [
        {
            **destination,
            "translated": DESTINATION_TRANSLATED[destination["code"]],
            "status": "confirmed",
            "note": None,
            "source": "seed",
        }
        for destination in DESTINATIONS
    ]


def document_types(forms: dict[str, dict[str, str]]) -> list[dict[str, Any]]:
    return [
        {
            "code": row["code"],
            "to": row["to"].split(),
            "subject": row["subject"] or None,
            "category": row["category"],
            "labels": labels(row),
            "form": row["form"] or None,
            "online": {
                "status": {"refuse": "confirmed", "unsure": "unsure"}[row["online"]],
                "url": encoded_url(forms[row["form"]]),
            }
            if row["online"]
            else None,
            **provenance(row),
        }
        for row in table("document_types")
    ]


def catalog() -> dict[str, Any]:
    seed = (HERE / "seed.txt").read_text(encoding="utf-8")
    forms = {row["number"]: row for row in table("forms")}
    return {
        "schema": "docsend.catalog/1",
        "version": VERSION,
        "note": NOTE,
        "texts": TEXTS,
        "one_exchange_bytes": ONE_EXCHANGE_BYTES,
        "destinations": destinations(seed),
        "subjects": [
            {"code": row["code"], "to": row["to"].split(), "labels": labels(row), **provenance(row)}
            for row in table("subjects")
        ],
        "categories": [
            {"code": row["code"], "labels": labels(row), **provenance(row)} for row in table("categories")
        ],
        "types": document_types(forms),
        "branches": [
            {
                "code": row["code"],
                "labels": labels(row),
                "kind": row["kind"],
                "region": row["region"],
                **provenance(row),
            }
            for row in table("branches")
        ],
        "forms": [
            {
                "number": row["number"],
                "subject": row["subject"],
                "labels": labels(row),
                "online": row["online"],
                "url": encoded_url(row),
                **provenance(row),
            }
            for row in forms.values()
        ],
    }


def main() -> None:
    text = json.dumps(catalog(), ensure_ascii=False, indent=1) + "\n"
    if "--check" in sys.argv[1:]:
        if CATALOG.read_text(encoding="utf-8") != text:
            raise SystemExit("catalog.json is out of date: run make docs")
        return
    CATALOG.parent.mkdir(exist_ok=True)
    CATALOG.write_text(text, encoding="utf-8", newline="\n")
    print(f"{CATALOG.name}: {len(text.encode())} bytes")


if __name__ == "__main__":
    main()
