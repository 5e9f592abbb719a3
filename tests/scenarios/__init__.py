"""What provokes every answer that openapi.yaml documents: a table to which each module adds its scenarios."""

from __future__ import annotations

from scenarios import declaring, sessions, submissions
from scenarios.table import CASES, Case

__all__ = ("CASES", "Case", "declaring", "sessions", "submissions")
