"""Scenarios that produce every response of openapi.yaml; each module adds its own to one table."""

from __future__ import annotations

from scenarios import declaring, sessions, submissions
from scenarios.table import CASES, Case

__all__ = ("CASES", "Case", "declaring", "sessions", "submissions")
