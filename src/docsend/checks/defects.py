"""Defects of a document: found in its structure, and confirmed by real decoders where these are installed.

The decoders are the extra `documents`. They decide what the structure leaves open. Without them, a defect
counts although it needs confirmation. With `--thorough`, they decode every document.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from docsend.checks.formats import detect
from docsend.model.document import Defect

if TYPE_CHECKING:
    from docsend.checks.decoders import Decoded

_DECODABLE = ("pdf", "jpeg", "png", "tiff", "bigtiff", "bmp")
_ENCRYPTED = ("needs-certificate", "needs-password", "password-unknown", "restricted")
_ERRORS = ("altered", "damaged", "needs-certificate", "needs-password", "no-page", "unusual")


def find(content: bytes, format_name: str | None, *, is_thorough: bool = False) -> tuple[Defect, ...]:
    """Return what is wrong with a document. With `is_thorough`, decode it even if its structure is right."""
    defects = detect.find_defects(content, format_name)
    if format_name not in _DECODABLE or not (defects or is_thorough):
        return defects
    if not is_thorough and not any(map(_is_in_doubt, defects)):
        return defects
    from docsend.checks import decoders

    if not decoders.are_installed():
        return defects
    decoded = decoders.decode(content, format_name)
    if decoded.outcome == "opens" and _has_its_size(content, format_name):
        defects = tuple(defect for defect in defects if defect.kind != "lines-altered" or defect.is_certain)
    return confirm(defects, decoded, is_thorough=is_thorough)


def _has_its_size(content: bytes, format_name: str) -> bool:
    """Return whether a BMP or TIFF says about itself that nothing was inserted into it or removed.

    A picture of one color may have no other line feeds than those behind carriage returns.
    """
    try:
        if format_name == "bmp":
            return bool(struct.unpack_from("<I", content, 2)[0] == len(content))
        if format_name == "tiff":  # The table of the first page is behind most of the content.
            (position,) = struct.unpack_from("<I" if content[:2] == b"II" else ">I", content, 4)
            return bool(2 * position > len(content))
    except struct.error:
        pass
    return False


def _is_in_doubt(defect: Defect) -> bool:
    return not defect.is_certain or defect.kind == "doubtful"


def confirm(
    defects: tuple[Defect, ...], decoded: Decoded, *, is_thorough: bool = False
) -> tuple[Defect, ...]:
    """Return the defects that remain after a decoder has tried to decode the document."""
    if decoded.outcome == "unavailable":
        return (*defects, Defect("not-decoded", ("unavailable",)))
    certain = {defect.kind for defect in defects if defect.is_certain}
    if any(kind in _ERRORS for kind in certain):
        return tuple(defect for defect in defects if defect.kind not in ("doubtful", "repaired"))
    if decoded.outcome == "opens":
        return _after_success(defects, decoded)
    if decoded.outcome == "needs-password" and "restricted" not in certain:
        others = tuple(defect for defect in defects if defect.kind not in (*_ENCRYPTED, "doubtful"))
        return (Defect("needs-password"), *others)
    if decoded.outcome == "damaged" and "repaired" not in certain:
        # What the structure calls repaired may stop a decoder, too.
        others = tuple(defect for defect in defects if defect.kind not in ("doubtful", "repaired"))
        return others if any(defect.kind in _ERRORS for defect in others) else (Defect("damaged"), *others)
    is_unfinished = decoded.outcome == "gave-up" or (decoded.outcome == "unsupported" and is_thorough)
    has_error = any(defect.kind in _ERRORS for defect in defects)
    return (*defects, Defect("not-decoded")) if is_unfinished and not has_error else defects


def _after_success(defects: tuple[Defect, ...], decoded: Decoded) -> tuple[Defect, ...]:
    """Return the defects of a document that was decoded: what is certain, and what viewers repair."""
    found = dict.fromkeys(
        remaining for defect in defects if (remaining := _after_opening(defect, decoded)) is not None
    )
    kinds = {defect.kind for defect in found}
    if decoded.is_encrypted and "restricted" not in kinds:
        found[Defect("restricted", decoded.forbidden)] = None
    found |= dict.fromkeys(map(Defect, decoded.needs_adobe))
    explanations = {"chunked", "damaged", "lengths-wrong", "lines-altered", "repaired"}
    if decoded.is_repaired and not kinds & explanations:
        found[Defect("repaired")] = None
    return tuple(found)


def _after_opening(defect: Defect, decoded: Decoded) -> Defect | None:
    """Return what is left of a defect if the document could be decoded all the same, or None."""
    if defect.kind in ("doubtful", "no-page", "password-unknown", "needs-certificate"):
        return None
    if defect.is_certain:
        return defect
    if defect.kind == "damaged":
        return Defect("damaged" if decoded.has_errors else "repaired")
    if defect.kind == "unusual":
        return Defect("rare")
    if defect.kind in ("chunked", "lengths-wrong") and not decoded.is_repaired:
        return None
    return defect
