"""Fuzz the sandbox with schemathesis, which generates requests from openapi.yaml and checks each response.

Two versions of the description are used, each without a token and with one:

- `unchanged`: openapi.yaml itself. Its schemas cannot express which codes the catalog has, so the sandbox may
  refuse a valid request with 422; one check is excluded for this reason.
- `narrowed`: the same calls with codes, an identity and a document that the catalog accepts, and with links
  between calls. The sandbox has to accept every request generated from it, and the stateful phase gets from a
  declaration to its receipt.

`_run_schemathesis` and `_without_content_length` list all exclusions, with their reasons.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from docsend.sandbox import app
from docsend.storage import catalogs
from faults import lab

MAX_SECONDS = 600  # a run that takes longer is a failure
_DESCRIPTION = Path(app.__file__).parent / "openapi.yaml"
_DOCUMENT = "%PDF-1.4\nfictional\n%%EOF\n"
_LINK = {"parameters": {"key": "$request.path.key"}}
# With links that it infers itself, schemathesis would start with `send`, for keys that were never declared.
_CONFIG = "[phases.stateful.inference]\nalgorithms = []\n"
_DIGEST = hashlib.sha256(_DOCUMENT.encode()).hexdigest()


def experiment(examples: int, seed: int, scratch: Path) -> lab.FaultSummary:
    """Run schemathesis with at most `examples` examples per call and phase, and count its failures."""
    summary = lab.FaultSummary("contract fuzzing", seed)
    with lab.workspace(scratch, "contract") as folder, lab.sandbox(folder / "sandbox") as running:
        (folder / "schemathesis.toml").write_text(_CONFIG, encoding="utf-8")
        descriptions = {"unchanged": _without_content_length(_openapi()), "narrowed": _narrow(_openapi())}
        for name, description in descriptions.items():
            file = folder / f"{name.replace(' ', '-')}.json"
            file.write_text(json.dumps(description), encoding="utf-8")
            for token in (None, _sign_in(running.url)):
                access = "with a token" if token else "without a token"
                report = _run_schemathesis(
                    file, running.url, token, examples, seed, is_narrowed=name == "narrowed"
                )
                _add_results(summary, f"{name}, {access}", report)
        if not running.is_alive:
            summary.add("the sandbox", [("other", "it died")])
        received = len(lab.received_submissions(folder / "sandbox"))
        if not received:  # otherwise the runs did not cover the calls that matter
            summary.add("the stateful phase", [("other", "it never received a submission")])
        summary.note = f"{summary.tried} requests checked; {received} submissions received"
    return summary


def _run_schemathesis(
    file: Path, url: str, token: str | None, examples: int, seed: int, *, is_narrowed: bool
) -> dict[str, Any]:
    """Return schemathesis's report, with its stdout as "output"; raise RuntimeError if there is no report."""
    # GET of a withdrawn key yields 200 "withdrawn": the key is blocked, not freed (guarantee 7).
    excluded_checks = ["use_after_free"] if is_narrowed else ["use_after_free", "positive_data_acceptance"]
    # Signing out would end the session that the rest of the run needs.
    authentication = ("--header", f"Authorization: Bearer {token}", "--exclude-operation-id", "sign_out")
    report = file.with_suffix(".report.json")
    report.unlink(missing_ok=True)
    completed = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--no-color", "run", str(file), "--url", url),
            *("--checks", "all", "--exclude-checks", ",".join(excluded_checks), "--mode", "all"),
            *("--phases", "examples,coverage,fuzzing,stateful", "--continue-on-failure"),
            *("--max-examples", str(examples), "--seed", str(seed), "--generation-database", "none"),
            *("--request-timeout", "30", "--report", "json", "--report-json-path", str(report)),
            *(authentication if token else ()),
        ],
        cwd=file.parent,
        env=lab.environment(file.parent / "home"),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=MAX_SECONDS,
        check=False,
    )
    if not report.exists():
        raise RuntimeError(
            f"schemathesis ended with {completed.returncode}: {(completed.stderr or completed.stdout)[-500:]}"
        )
    result: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    if completed.returncode and not result["failures"] and not result["errors"]:
        raise RuntimeError(f"schemathesis ended with {completed.returncode}: {completed.stdout[-500:]}")
    return {**result, "output": completed.stdout}


def _add_results(summary: lab.FaultSummary, run_name: str, report: dict[str, Any]) -> None:
    """Add one run's requests and failures to the summary, each failure with the calls that reproduce it."""
    untested = report["operations"]["selected"] - report["operations"]["tested"]
    if untested:
        summary.violations["other"] += untested
        summary.examples.append(f"{run_name}: {untested} calls were not tested")
    summary.tried += report["test_cases"]["generated"]
    summary.triggered += report["test_cases"]["generated"]
    for failure in [*report["failures"], *report["errors"]]:
        summary.violations["other"] += failure["count"]
        where = ", ".join(failure.get("operations", ()))
        details = report["output"].partition(failure["title"])[2][:600]
        summary.examples.append(f"{run_name}: {failure['title']} {where}: {details}")


def _sign_in(url: str) -> str:
    body = json.dumps({"code": lab.CODE, "password": lab.PASSWORD}).encode()
    request = urllib.request.Request(  # noqa: S310 - http to this machine
        f"{url}/v1/session", data=body, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
        return str(json.load(response)["token"])


# -- descriptions ------------------------------------------------------------------------------------------


def _openapi() -> dict[str, Any]:
    return dict(yaml.safe_load(_DESCRIPTION.read_text(encoding="utf-8")))


def _without_content_length(description: dict[str, Any]) -> dict[str, Any]:
    """Remove the Content-Length parameter: schemathesis would announce a byte and send none.

    The sandbox would then wait for that byte, as it has to. docsend's client sends the true length.
    """
    put = description["paths"]["/v1/submissions/{key}/documents/{sha256}"]["put"]
    put["parameters"] = [
        parameter for parameter in put["parameters"] if parameter.get("name") != "Content-Length"
    ]
    return description


def _narrow(description: dict[str, Any]) -> dict[str, Any]:
    """Restrict the schemas to values that the catalog and the rules accept, and link the calls."""
    _without_content_length(description)
    schemas, paths = description["components"]["schemas"], description["paths"]
    branches = [*catalogs.load().branches, None]
    plain_text = {"anyOf": [{"type": "string", "pattern": "^[a-z0-9]{1,40}$"}, {"type": "null"}]}
    codes = dict(zip(("to", "subject", "category", "type"), lab.CATALOG_OPTIONS[1::2], strict=True))
    members = {
        **{name: {"const": value} for name, value in codes.items()},
        "identity": {
            "type": "object",
            "additionalProperties": False,
            "required": ["id_number"],
            "properties": {"id_number": {"enum": [lab.ID_NUMBER, "000000026", "000000034"]}},
        },
        "remark": plain_text,
        "reference": plain_text,
        "branch": {"enum": branches},
        "required": {"type": "null"},
        "occurrence": {"enum": [1, 2, 3, 2**53 - 1]},
        "documents": {"const": [{"name": "fuzz.pdf", "bytes": len(_DOCUMENT), "sha256": _DIGEST}]},
    }
    schemas["Declaration"] = {
        "type": "object",
        "additionalProperties": False,
        "required": list(members),
        "properties": members,
    }
    schemas["Credentials"]["properties"]["code"]["maxLength"] = 40
    schemas["Credentials"]["properties"]["password"]["maxLength"] = 40
    submission = paths["/v1/submissions/{key}"]
    put = paths["/v1/submissions/{key}/documents/{sha256}"]
    submission["put"]["requestBody"]["content"]["application/json"].pop("examples")
    # A schema cannot express the order of parts; faults/one_exchange.py generates forms, valid and malformed.
    submission["put"]["requestBody"]["content"].pop("multipart/form-data")
    (digest,) = (parameter for parameter in put["parameters"] if parameter.get("name") == "sha256")
    digest["schema"] = {"const": _DIGEST}
    put["put"]["requestBody"]["content"] = {
        "application/octet-stream": {"schema": {"type": "string", "enum": [_DOCUMENT]}}
    }
    # There are few links, so that declare, put and send often follow each other and lead to a receipt.
    declared, uploaded = submission["put"]["responses"]["201"], put["put"]["responses"]["201"]
    declared["links"] = {
        "put": {**_LINK, "operationId": "put", "requestBody": _DOCUMENT},
        "status": {**_LINK, "operationId": "status"},
        "withdraw": {**_LINK, "operationId": "withdraw"},
    }
    declared["links"]["put"]["parameters"] = {**_LINK["parameters"], "sha256": _DIGEST}
    uploaded["links"] = {"send": {**_LINK, "operationId": "send"}}
    return description


if __name__ == "__main__":  # PYTHONPATH=tests python tests/faults/contract_fuzz.py 30 1 /tmp/contract
    result = experiment(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
    sys.stdout.write(f"{result.note}; {dict(result.violations)}\n")
    sys.stdout.writelines(f"  {example}\n" for example in result.examples)
