"""The main job: documents go in, a receipt comes out."""

from __future__ import annotations

import samples
from conftest import ABOUT, WHO


def test_three_documents_are_received_and_the_service_has_their_bytes(run, sandbox, tmp_path) -> None:
    files = [
        samples.write(tmp_path, "payslip.pdf", samples.pdf()),
        samples.write(tmp_path, "photo.jpg", samples.jpeg()),
        samples.write(tmp_path, "form.tiff", samples.tiff()),
    ]
    outcome = run("send", *files, *ABOUT, *WHO, "--service", sandbox.url, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["status"] == "received"
    assert sandbox.content(outcome.json["key"]) == {file.name: file.read_bytes() for file in files}
