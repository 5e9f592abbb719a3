"""Hostile catalogs."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from typing import TYPE_CHECKING

import doubles
from docsend import i18n
from docsend.checks import documents, submission_rules
from docsend.model import catalog, search
from docsend.model.canonical import canonicalize
from docsend.model.submission import CheckedSubmission, Submission
from docsend.ui import to_json
from docsend.ui.terminal import Streams
from docsend.ui.views.catalog import CatalogRows
from faults.hostile.inputs import HostileInputs, make_submission
from faults.hostile.json_values import mutate_json
from faults.hostile.program import output_violations, program_environment, render, run_program, unsafe_text

if TYPE_CHECKING:
    import random

    from faults.hostile.program import Violations


def _small_catalog() -> str:
    """Return the bundled catalog as JSON, with a few rows of each kind."""
    raw = json.loads(catalog.BUNDLED.read_text(encoding="utf-8"))
    types = [row for row in raw["types"] if row["subject"] in ("unemployment", "*")][:12]
    categories = {row["category"] for row in types}
    for row in [*raw["destinations"], *raw["subjects"]]:
        row.pop("sentences", None)
    return json.dumps(
        {
            **raw,
            "types": types,
            "categories": [row for row in raw["categories"] if row["code"] in categories],
            "subjects": [row for row in raw["subjects"] if row["code"] == "unemployment"]
            + raw["subjects"][:1],
            "branches": raw["branches"][:2],
            "forms": raw["forms"][:2],
        }
    )


class Catalogs(HostileInputs):
    def prepare(self) -> None:
        self.text = _small_catalog()
        self.document = documents.read_all([self.pdf], max_bytes=10**7, buffer_up_to=0)[0]
        self.body = b""
        self.etag = '"x"'
        self.url, _ = self.resources.enter_context(doubles.service(self._respond))

    def _respond(self, _: doubles.ReceivedRequest) -> doubles.Reply:
        return doubles.Reply(200, self.body, {"Content-Type": "application/json", "ETag": self.etag})

    def try_function(self, rng: random.Random) -> Violations:
        body = mutate_json(rng, self.text)
        self.description = "a changed catalog"
        try:
            rows = catalog.Catalog(body)
        except catalog.MalformedCatalog:
            return
        self.description = "a changed catalog that can be read"
        for stated in (
            make_submission(self.document),
            Submission(documents=(self.document,)),
            make_submission(self.document, to="personal", subject="unemploymnt", type="x"),
        ):
            submission_rules.max_document_bytes(stated, rows)
            found = submission_rules.check(stated, rows)
            if isinstance(found, CheckedSubmission):
                canonicalize(found.declaration())
            else:
                for problem in found.problems:
                    yield from unsafe_text(render(problem.message, problem.hint), "in a problem")
        listed = list(rows.rows())
        search.find("payslips 1500", listed)
        json.dumps([to_json.catalog_row(kind, row) for kind, row in listed])
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            CatalogRows(listed, "").show(Streams())
        yield from unsafe_text(out.getvalue(), "in the list")

    def try_program(self, rng: random.Random) -> Violations:
        """Run the program with a catalog that it fetches or finds on disk."""
        self.body, self.description = mutate_json(rng, self.text), "a changed catalog"
        environment = program_environment(self.home, DOCSEND_SERVICE=self.url)
        folder = self.home / "docsend" / "catalogs"
        name = hashlib.sha256(self.url.encode()).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        for file in folder.iterdir():
            file.unlink()
        if rng.random() < 0.5:
            (folder / f"{name}.json").write_bytes(self.body)
            (folder / f"{name}.etag").write_bytes(
                rng.choice((b'"x"', b"\xff", b"a\r\nb: c", b"", b"a" * 10000))
            )
        for argv in (
            ("catalog", "--update"),
            ("catalog",),
            ("catalog", "payslips", "--lang", rng.choice(i18n.LANGUAGES)),
            ("catalog", "--to", "benefits"),
        ):
            as_json = rng.random() < 0.5 and argv != ("catalog", "--update")
            ran = run_program([*argv, *(["--json"] if as_json else [])], environment)
            yield from output_violations(ran, as_json=as_json)
        yield from self.send(rng, self.pdf, "-n", DOCSEND_SERVICE=self.url)
