"""The contract, fuzzed: schemathesis makes requests out of openapi.yaml and holds every answer against it.

Two descriptions are run, each without a token and with one:

- `as it stands`: openapi.yaml itself. Its schemas cannot say which codes the catalog has, so that what they
  allow may still be refused with 422; one check is left out for that.
- `narrowed`: the same calls with codes, an identity and a document that the catalog takes, and with links
  from call to call. What is generated from it has to be accepted, and the stateful phase gets from a
  declaration to its receipt.

What is left out, and why, stands in `_run` and `_without_length`; nothing else is.
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

SECONDS = 600  # a run that takes longer is a failure
_DESCRIPTION = Path(app.__file__).parent / "openapi.yaml"
_CONTENT = "%PDF-1.4\nfictional\n%%EOF\n"
_LINK = {"parameters": {"key": "$request.path.key"}}
# Links that it would make up itself: from them it begins with `send`, under keys that nobody has declared.
_CONFIGURATION = "[phases.stateful.inference]\nalgorithms = []\n"
_DIGEST = hashlib.sha256(_CONTENT.encode()).hexdigest()


def experiment(examples: int, seed: int, scratch: Path) -> lab.Tally:
    """Run schemathesis with at most so many examples a call and phase; count what it found."""
    tally = lab.Tally("contract fuzzing", seed)
    with lab.world(scratch, "contract") as folder, lab.sandbox(folder / "sandbox") as running:
        (folder / "schemathesis.toml").write_text(_CONFIGURATION, encoding="utf-8")
        described = {"as it stands": _without_length(_openapi()), "narrowed": _narrowed(_openapi())}
        for name, description in described.items():
            file = folder / f"{name.replace(' ', '-')}.json"
            file.write_text(json.dumps(description), encoding="utf-8")
            for token in (None, _token(running.url)):
                who = "with a token" if token else "without a token"
                report = _run(file, running.url, token, examples, seed, is_narrowed=name == "narrowed")
                _count(tally, f"{name}, {who}", report)
        if not running.is_alive:
            tally.add("the sandbox", [("other", "it died")])
        received = len(lab.received(folder / "sandbox"))
        if not received:  # or else nothing was tried that matters
            tally.add("the stateful phase", [("other", "it never came to a receipt")])
        tally.note = f"{tally.tried} requests judged; {received} submissions received on the way"
    return tally


def _run(
    file: Path, url: str, token: str | None, examples: int, seed: int, *, is_narrowed: bool
) -> dict[str, Any]:
    """Run schemathesis and give its report; one that could not be made is an exception."""
    # A withdrawn key answers GET with 200 "withdrawn": it is fenced off, not freed (guarantee 7).
    left_out = ["use_after_free"] if is_narrowed else ["use_after_free", "positive_data_acceptance"]
    # Signing out would end the session that the rest of the run needs.
    signed = ("--header", f"Authorization: Bearer {token}", "--exclude-operation-id", "sign_out")
    report = file.with_suffix(".report.json")
    report.unlink(missing_ok=True)
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--no-color", "run", str(file), "--url", url),
            *("--checks", "all", "--exclude-checks", ",".join(left_out), "--mode", "all"),
            *("--phases", "examples,coverage,fuzzing,stateful", "--continue-on-failure"),
            *("--max-examples", str(examples), "--seed", str(seed), "--generation-database", "none"),
            *("--request-timeout", "30", "--report", "json", "--report-json-path", str(report)),
            *(signed if token else ()),
        ],
        cwd=file.parent,
        env=lab.environment(file.parent / "home"),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=SECONDS,
        check=False,
    )
    if not report.exists():
        raise RuntimeError(f"schemathesis ended with {ran.returncode}: {(ran.stderr or ran.stdout)[-500:]}")
    made: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    if ran.returncode and not made["failures"] and not made["errors"]:
        raise RuntimeError(f"schemathesis ended with {ran.returncode}: {ran.stdout[-500:]}")
    return {**made, "told": ran.stdout}


def _count(tally: lab.Tally, what: str, report: dict[str, Any]) -> None:
    """Add what one run judged, and what it found: each failure with the calls that show it."""
    untested = report["operations"]["selected"] - report["operations"]["tested"]
    if untested:
        tally.broken["other"] += untested
        tally.examples.append(f"{what}: {untested} calls were not tested")
    tally.tried += report["test_cases"]["generated"]
    tally.struck += report["test_cases"]["generated"]
    for found in [*report["failures"], *report["errors"]]:
        tally.broken["other"] += found["count"]
        where = ", ".join(found.get("operations", ()))
        told = report["told"].partition(found["title"])[2][:600]
        tally.examples.append(f"{what}: {found['title']} {where}: {told}")


def _token(url: str) -> str:
    body = json.dumps({"code": lab.CODE, "password": lab.PASSWORD}).encode()
    request = urllib.request.Request(  # noqa: S310 - http to this machine
        f"{url}/v1/session", data=body, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return str(json.load(answer)["token"])


# -- the two descriptions ----------------------------------------------------------------------------------


def _openapi() -> dict[str, Any]:
    return dict(yaml.safe_load(_DESCRIPTION.read_text(encoding="utf-8")))


def _without_length(description: dict[str, Any]) -> dict[str, Any]:
    """Leave out the header Content-Length: schemathesis would announce a byte and send none.

    The sandbox then waits for the byte, as it has to. Its own client states the true length.
    """
    put = description["paths"]["/v1/submissions/{key}/documents/{sha256}"]["put"]
    put["parameters"] = [each for each in put["parameters"] if each.get("name") != "Content-Length"]
    return description


def _narrowed(description: dict[str, Any]) -> dict[str, Any]:
    """Put what the catalog and the rules say into the schemas, and links between the calls."""
    _without_length(description)
    schemas, paths = description["components"]["schemas"], description["paths"]
    branches = [*catalogs.load().branches, None]
    plain = {"anyOf": [{"type": "string", "pattern": "^[a-z0-9]{1,40}$"}, {"type": "null"}]}
    of = dict(zip(("to", "subject", "category", "type"), lab.ABOUT[1::2], strict=True))
    members = {
        **{name: {"const": value} for name, value in of.items()},
        "identity": {
            "type": "object",
            "additionalProperties": False,
            "required": ["id_number"],
            "properties": {"id_number": {"enum": [lab.PERSON, "000000026", "000000034"]}},
        },
        "remark": plain,
        "reference": plain,
        "branch": {"enum": branches},
        "required": {"type": "null"},
        "occurrence": {"enum": [1, 2, 3, 2**53 - 1]},
        "documents": {"const": [{"name": "fuzz.pdf", "bytes": len(_CONTENT), "sha256": _DIGEST}]},
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
    # A schema cannot say in which order parts come; faults/whole.py makes forms, right ones and others.
    submission["put"]["requestBody"]["content"].pop("multipart/form-data")
    (digest,) = (each for each in put["parameters"] if each.get("name") == "sha256")
    digest["schema"] = {"const": _DIGEST}
    put["put"]["requestBody"]["content"] = {
        "application/octet-stream": {"schema": {"type": "string", "enum": [_CONTENT]}}
    }
    # Links are few, so that the way to a receipt is walked often: declare, put, send.
    declared, there = submission["put"]["responses"]["201"], put["put"]["responses"]["201"]
    declared["links"] = {
        "put": {**_LINK, "operationId": "put", "requestBody": _CONTENT},
        "standing": {**_LINK, "operationId": "standing"},
        "withdraw": {**_LINK, "operationId": "withdraw"},
    }
    declared["links"]["put"]["parameters"] = {**_LINK["parameters"], "sha256": _DIGEST}
    there["links"] = {"send": {**_LINK, "operationId": "send"}}
    return description


if __name__ == "__main__":  # PYTHONPATH=tests python tests/faults/contract_fuzz.py 30 1 /tmp/contract
    made = experiment(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
    sys.stdout.write(f"{made.note}; {dict(made.broken)}\n")
    sys.stdout.writelines(f"  {example}\n" for example in made.examples)
