"""All recipes."""

from __future__ import annotations

from corpus import bmps, broken_pdfs, jpegs, pdfs, pngs, tiffs

RECIPES = [
    *pdfs.RECIPES,
    *broken_pdfs.RECIPES,
    *jpegs.RECIPES,
    *pngs.RECIPES,
    *tiffs.RECIPES,
    *bmps.RECIPES,
]
