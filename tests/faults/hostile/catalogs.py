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
from faults.hostile.inputs import Inputs, stated_submission
from faults.hostile.json_values import changed_json
from faults.hostile.program import environment_at, judged, rendered, through_the_door, unsafe

if TYPE_CHECKING:
    import random

    from faults.hostile.program import Violations


def _small_catalog() -> str:
    """Give the bundled catalog with few rows, but every kind of them."""
    raw = json.loads(catalog.BUNDLED.read_text(encoding="utf-8"))
    kept = [row for row in raw["types"] if row["subject"] in ("unemployment", "*")][:12]
    categories = {row["category"] for row in kept}
    for row in [*raw["destinations"], *raw["subjects"]]:
        row.pop("sentences", None)
    return json.dumps(
        {
            **raw,
            "types": kept,
            "categories": [row for row in raw["categories"] if row["code"] in categories],
            "subjects": [row for row in raw["subjects"] if row["code"] == "unemployment"]
            + raw["subjects"][:1],
            "branches": raw["branches"][:2],
            "forms": raw["forms"][:2],
        }
    )


class Catalogs(Inputs):
    def prepare(self) -> None:
        self.text = _small_catalog()
        self.document = documents.read_all([self.pdf], max_bytes=10**7, buffer_up_to=0)[0]
        self.body = b""
        self.etag = '"x"'
        self.url, _ = self.opened.enter_context(doubles.service(self._answer))

    def _answer(self, _: doubles.Asked) -> doubles.Reply:
        return doubles.Reply(200, self.body, {"Content-Type": "application/json", "ETag": self.etag})

    def near(self, rng: random.Random) -> Violations:
        body = changed_json(rng, self.text)
        self.what = "a changed catalog"
        try:
            rows = catalog.Catalog(body)
        except catalog.MalformedCatalog:
            return
        self.what = "a changed catalog that is read"
        for stated in (
            stated_submission(self.document),
            Submission(documents=(self.document,)),
            stated_submission(self.document, to="personal", subject="unemploymnt", type="x"),
        ):
            submission_rules.max_document_bytes(stated, rows)
            found = submission_rules.check(stated, rows)
            if isinstance(found, CheckedSubmission):
                canonicalize(found.declaration())
            else:
                for problem in found.problems:
                    yield from unsafe(rendered(problem.message, problem.hint), "in a problem")
        listed = list(rows.rows())
        search.find("payslips 1500", listed)
        json.dumps([to_json.catalog_row(kind, row) for kind, row in listed])
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            CatalogRows(listed, "").show(Streams())
        yield from unsafe(out.getvalue(), "in the list")

    def door(self, rng: random.Random) -> Violations:
        """Let the program fetch the catalog and use it, or find it on the disk."""
        self.body, self.what = changed_json(rng, self.text), "a changed catalog"
        environment = environment_at(self.home, DOCSEND_SERVICE=self.url)
        kept = self.home / "docsend" / "catalogs"
        name = hashlib.sha256(self.url.encode()).hexdigest()[:16]
        kept.mkdir(parents=True, exist_ok=True)
        for file in kept.iterdir():
            file.unlink()
        if rng.random() < 0.5:
            (kept / f"{name}.json").write_bytes(self.body)
            (kept / f"{name}.etag").write_bytes(
                rng.choice((b'"x"', b"\xff", b"a\r\nb: c", b"", b"a" * 10000))
            )
        for argv in (
            ("catalog", "--update"),
            ("catalog",),
            ("catalog", "payslips", "--lang", rng.choice(i18n.LANGUAGES)),
            ("catalog", "--to", "benefits"),
        ):
            as_json = rng.random() < 0.5 and argv != ("catalog", "--update")
            ran = through_the_door([*argv, *(["--json"] if as_json else [])], environment)
            yield from judged(ran, as_json=as_json)
        yield from self.send(rng, self.pdf, "-n", DOCSEND_SERVICE=self.url)
