"""Choice between output for people and JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docsend.ui.output import Output
    from docsend.ui.terminal import Streams


def output_for(streams: Streams, *, as_json: bool) -> Output:
    """Return the JSON output if `as_json` is true (`--json`), else the output for people."""
    if as_json:
        from docsend.ui.json_output import JsonOutput

        return JsonOutput(streams)
    from docsend.ui.human_output import HumanOutput

    return HumanOutput(streams)
