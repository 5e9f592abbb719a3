"""View of `docsend doctor`: one line for each part that was checked, with its hint below."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from docsend.i18n import Message
from docsend.ui import to_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from docsend.diagnostics import Finding
    from docsend.ui.terminal import Streams

_SEVERITIES = {"ok": Message("ok"), "warning": Message("warning"), "error": Message("ERROR")}
_PARTS = {
    "version": Message("version"),
    "configuration": Message("configuration"),
    "data": Message("data"),
    "catalog": Message("catalog"),
    "ledger": Message("ledger"),
    "keyring": Message("keyring"),
    "terminal": Message("terminal"),
    "service": Message("service"),
    "network": Message("network"),
    "clock": Message("clock"),
}


class Diagnosis(NamedTuple):
    """Findings of `docsend doctor`, in the order of the checks."""

    findings: Sequence[Finding]

    def as_json(self) -> dict[str, Any]:
        listed = [to_json.finding(finding) for finding in self.findings]
        return {"schema": "docsend.doctor/2", "findings": listed}

    def show(self, streams: Streams) -> None:
        marks = {severity: streams.render_result(label) for severity, label in _SEVERITIES.items()}
        parts = {finding.part: streams.render_result(_PARTS[finding.part]) for finding in self.findings}
        mark_width, part_width = max(map(len, marks.values())), max(map(len, parts.values()))
        for finding in self.findings:
            mark, part = marks[finding.severity].ljust(mark_width), parts[finding.part].ljust(part_width)
            streams.write(f"{mark}  {part}  {streams.render_result(finding.message)}\n")
            if finding.hint:
                streams.write(
                    f"{' ' * mark_width}  {' ' * part_width}  {streams.render_result(finding.hint)}\n"
                )
        if all(finding.severity == "ok" for finding in self.findings):
            streams.say(Message("no problems found"))
