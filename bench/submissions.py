"""New content for every run: documents, their submissions, and the equivalent curl requests.

The same documents with another reference are another submission, so one set of files can be sent repeatedly.
curl gets the digest, the key and the declaration ready-made; docsend computes them.
"""

import base64
import csv
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

STATED = {
    "to": "benefits",
    "subject": "unemployment",
    "category": "employer",
    "type": "payslips",
    "id": "000000018",
}
_JSON = "Content-Type: application/json"


class Submissions:
    """A folder of unique documents, created on demand."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._count = 0

    def pdf(self, size: int) -> Path:
        """Write a complete PDF of exactly `size` bytes and sync it to disk before the measurement starts."""
        path = self._next(".pdf")
        with path.open("xb") as file:
            file.write(_pdf(size))
            file.flush()
            os.fsync(file.fileno())
        return path

    def pdfs(self, count: int, size: int) -> list[Path]:
        """Write `count` documents of `size` bytes."""
        return [self.pdf(size) for _ in range(count)]

    def rows(self, count: int, size: int) -> "Rows":
        """Write a document for each row, unsynced, so that reading them does not measure the disk."""
        made = []
        for _ in range(count):
            path = self._next(".pdf")
            path.write_bytes(_pdf(size))
            made.append(path)
        return Rows(made)

    def docsend_sends(self, docsend: str, address: str, size: int, *more: str) -> Callable[[], list[str]]:
        """Return a function that creates `docsend send` commands, each with a new document."""
        return lambda: send_command(docsend, address, [self.pdf(size)], *more)

    def curl_sends(self, address: str, size: int) -> Callable[[], list[str]]:
        """Return a function that creates curl commands with three requests, each with a new document."""
        return lambda: curl_requests(address, [self.pdf(size)])

    def curl_sends_in_one_exchange(self, address: str, size: int) -> Callable[[], list[str]]:
        """Return a function that creates curl commands that send a new document in one exchange."""
        return lambda: curl_exchange(address, [self.pdf(size)])

    def docsend_resends(
        self, docsend: str, address: str, documents: Sequence[Path], *more: str
    ) -> Callable[[], list[str]]:
        """Return a function that creates commands of the same documents, each with a new reference."""
        return lambda: send_command(
            docsend, address, documents, "--reference", self._reference(), "--anyway", *more
        )

    def curl_resends(self, address: str, documents: Sequence[Path], *more: str) -> Callable[[], list[str]]:
        """Return a function that creates the curl commands equivalent to `again_by_docsend`."""
        return lambda: curl_requests(address, documents, self._reference(), more)

    def _reference(self) -> str:
        self._count += 1
        return f"run {self._count}"

    def _next(self, suffix: str) -> Path:
        self._count += 1
        return self._folder / f"document-{self._count}{suffix}"


class Rows:
    """One document for each row, and manifests of them with new references."""

    def __init__(self, documents: Sequence[Path]) -> None:
        self._documents = documents
        self._digests = [hashlib.sha256(document.read_bytes()).hexdigest() for document in documents]
        self._manifests = 0

    def manifest(self, count: int) -> Path:
        """Write a manifest of the first `count` rows, each with a reference that was never used."""
        self._manifests += 1
        manifest = self._documents[0].parent / f"batch-{self._manifests}.csv"
        with manifest.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow([*STATED, "reference", "documents"])
            rows.writerows(
                [*STATED.values(), self._reference(number), document.name]
                for number, document in enumerate(self._documents[:count])
            )
        return manifest

    def curl_command(self, count: int, address: str, jobs: int, *, at_once: bool) -> list[str]:
        """Return one curl command with the requests of each row of the last manifest, `jobs` at a time.

        Each row is one exchange if `at_once`, otherwise three requests (declare, put, send). curl does not
        wait for a response before the next request, checks nothing, and keeps no ledger.
        """
        lines = []
        for number, document in enumerate(self._documents[:count]):
            digest = self._digests[number]
            declaration = _declaration(
                [(document.name, document.stat().st_size, digest)], self._reference(number)
            )
            submission = f"{address}/v1/submissions/{_key(declaration)}"
            quoted = declaration.decode().replace("\\", "\\\\").replace('"', '\\"')
            form = [f'form-string = "declaration={quoted}"', f'form = "document=@{document};filename=1"']
            staged = [
                ["request = PUT", f'header = "{_JSON}"', f'data-binary = "{quoted}"', f"url = {submission}"],
                [f'upload-file = "{document}"', f"url = {submission}/documents/{digest}"],
                ["request = POST", 'data-binary = ""', f"url = {submission}/send"],
            ]
            for options in [["request = PUT", *form, f"url = {submission}"]] if at_once else staged:
                lines += [*options, "output = /dev/null", "next"]
        config = self._documents[0].parent / f"batch-{self._manifests}.curl"
        config.write_text("\n".join(lines[:-1]) + "\n", "utf-8")
        return [find_curl(), "--silent", "--parallel", "--parallel-max", str(jobs), "--config", str(config)]

    def _reference(self, number: int) -> str:
        return f"batch {self._manifests} row {number}"


def send_command(docsend: str, address: str, documents: Sequence[Path], *more: str) -> list[str]:
    """Return a `docsend send` command for these documents."""
    options = [part for name, value in STATED.items() for part in (f"--{name}", value)]
    return [docsend, "send", *map(str, documents), *options, "--service", address, *more]


def curl_requests(
    address: str, documents: Sequence[Path], reference: str | None = None, more: Sequence[str] = ()
) -> list[str]:
    """Return a curl command with three requests on one connection; `more` are options of each."""
    stated = [
        (each.name, each.stat().st_size, hashlib.sha256(each.read_bytes()).hexdigest()) for each in documents
    ]
    declaration = _declaration(stated, reference)
    submission = f"{address}/v1/submissions/{_key(declaration)}"
    curl = ["--silent", "--show-error", "--fail", *more]
    puts = [
        part
        for document, (_, _, digest) in zip(documents, stated, strict=True)
        for part in ("--next", *curl, "--upload-file", str(document), f"{submission}/documents/{digest}")
    ]
    return [
        find_curl(),
        *(*curl, "--request", "PUT", "--header", _JSON, "--data-binary", declaration.decode(), submission),
        *puts,
        *("--next", *curl, "--request", "POST", "--data-binary", "", f"{submission}/send"),
    ]


def curl_exchange(address: str, documents: Sequence[Path], reference: str | None = None) -> list[str]:
    """Return a curl command that sends a submission in one exchange."""
    ordered = sorted(documents)
    stated = [
        (each.name, each.stat().st_size, hashlib.sha256(each.read_bytes()).hexdigest()) for each in ordered
    ]
    declaration = _declaration(stated, reference)
    parts = [
        part
        for number, document in enumerate(ordered, 1)
        for part in ("--form", f"document=@{document};filename={number}")
    ]
    return [
        *(find_curl(), "--silent", "--show-error", "--fail", "--request", "PUT"),
        *("--form-string", f"declaration={declaration.decode()}", *parts),
        f"{address}/v1/submissions/{_key(declaration)}",
    ]


def curl_uploads(address: str, documents: Sequence[Path], *more: str) -> list[str]:
    """Return a curl command that only puts the documents, one after another on one connection."""
    put = [part for each in documents for part in ("--upload-file", str(each), f"{address}/{each.name}")]
    return [find_curl(), "--silent", "--show-error", "--fail", *more, *put]


def find_curl() -> str:
    """Return the path of curl, which every benchmark needs."""
    return find_program("curl")


def find_program(program: str) -> str:
    """Return the path of a program, or raise SystemExit if it is not installed."""
    path = shutil.which(program)
    if path is None:
        raise SystemExit(f"{program} is one of the yardsticks: install it")
    return path


def _declaration(documents: Sequence[tuple[str, int, str]], reference: str | None) -> bytes:
    """Return the declaration of the contract (docs/contract.md) in canonical JSON."""
    stated = {
        "to": STATED["to"],
        "identity": {"id_number": STATED["id"]},
        "subject": STATED["subject"],
        "category": STATED["category"],
        "type": STATED["type"],
        "remark": None,
        "branch": None,
        "required": None,
        "reference": reference,
        "occurrence": 1,
        "documents": [
            {"name": name, "bytes": size, "sha256": sha256} for name, size, sha256 in sorted(documents)
        ],
    }
    return json.dumps(stated, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _key(declaration: bytes) -> str:
    return base64.b32encode(hashlib.sha256(declaration).digest()).decode("ascii").rstrip("=")


def _pdf(size: int) -> bytes:
    """Return a PDF with an empty page, filled to its size by an incompressible stream, like a scan."""
    filling = size - len(_pdf_around(b"", 0))
    return _pdf_around(os.urandom(filling), filling)


def _pdf_around(stream: bytes, length: int) -> bytes:
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<<>>>>",
        # Fixed-width numbers, so that the parts around the stream have the same length with and without it.
        b"<</Length %010d>>\nstream\n%b\nendstream" % (length, stream),
    ]
    body, offsets = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", []
    for number, content in enumerate(objects, 1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    rows = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    table = b"xref\n0 5\n0000000000 65535 f \n" + rows
    trailer = b"trailer\n<</Size 5/Root 1 0 R>>\nstartxref\n%010d\n%%%%EOF\n" % len(body)
    return body + table + trailer
