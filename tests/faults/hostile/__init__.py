"""Hostile input, generated: names, paths, documents, catalogs, responses, settings.

Most of it goes to the nearest real function; one input in DOOR_EVERY goes through the program's public door,
in this process, with captured streams. An input may be refused, in the module's own documented way. It may
not crash, hang, put an unsafe character on a stream, show a secret, or pass as what it is not.

Every input is made from the seed, its class and its number alone, so any of them can be made again.
"""

from __future__ import annotations

from faults.hostile.experiments import experiment

__all__ = ("experiment",)
