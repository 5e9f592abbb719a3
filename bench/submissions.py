"""Something new to send at every call: a PDF, the options to send it with, and the same as three requests."""

import base64
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

_OPTIONS = {
    "to": "benefits",
    "subject": "unemployment",
    "category": "employer",
    "type": "payslips",
    "id": "000000018",
}
_JSON = "Content-Type: application/json"


class Submissions:
    """A folder of documents, each made when it is asked for and none like another."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._count = 0

    def pdf(self, size: int) -> Path:
        """Make a whole PDF of exactly so many bytes, and have it on the disk before the clock starts."""
        self._count += 1
        path = self._folder / f"document-{self._count}.pdf"
        with path.open("xb") as file:
            file.write(_pdf(size))
            file.flush()
            os.fsync(file.fileno())
        return path

    def many(self, count: int, size: int) -> list[Path]:
        """Make so many documents, in the memory of the disk; who measures does not measure the disk."""
        made = []
        for _ in range(count):
            self._count += 1
            path = self._folder / f"row-{self._count}.pdf"
            path.write_bytes(_pdf(size))
            made.append(path)
        return made

    def by_docsend(self, docsend: str, address: str, size: int, *more: str) -> Callable[[], list[str]]:
        """Give the maker of `docsend send` commands of one new document each."""
        options = [part for name, value in _OPTIONS.items() for part in (f"--{name}", value)]
        return lambda: [docsend, "send", str(self.pdf(size)), *options, "--service", address, *more]

    def by_curl(self, address: str, size: int) -> Callable[[], list[str]]:
        """Give the maker of curl commands that declare, put and send one new document each."""
        return lambda: self._curl(address, self.pdf(size))

    def _curl(self, address: str, document: Path) -> list[str]:
        """Three requests by one curl on one connection. What docsend does besides is done here already."""
        submission, digest, declared = declared_beside(document, address)
        curl = ["--silent", "--show-error", "--fail"]
        return [
            found_curl(),
            *(*curl, "--request", "PUT", "--header", _JSON, "--data-binary", f"@{declared}", submission),
            *("--next", *curl, "--upload-file", str(document), f"{submission}/documents/{digest}"),
            *("--next", *curl, "--request", "POST", "--data-binary", "", f"{submission}/send"),
        ]


def declared_beside(document: Path, address: str) -> tuple[str, str, Path]:
    """Give a document's submission as an address, its digest, and its declaration in a file beside it."""
    content = document.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    declaration = _declaration(document.name, len(content), digest)
    declared = document.with_suffix(".json")
    declared.write_bytes(declaration)
    return f"{address}/v1/submissions/{_key(declaration)}", digest, declared


def found_curl() -> str:
    """Give curl's path; there is no benchmark without it."""
    curl = shutil.which("curl")
    if curl is None:
        raise SystemExit("curl is one of the yardsticks: install it")
    return curl


def _declaration(name: str, size: int, sha256: str) -> bytes:
    """Write the contract's declaration (docs/contract.md) in canonical JSON."""
    stated = {
        "to": _OPTIONS["to"],
        "identity": {"id_number": _OPTIONS["id"]},
        "subject": _OPTIONS["subject"],
        "category": _OPTIONS["category"],
        "type": _OPTIONS["type"],
        "remark": None,
        "branch": None,
        "required": None,
        "reference": None,
        "occurrence": 1,
        "documents": [{"name": name, "bytes": size, "sha256": sha256}],
    }
    return json.dumps(stated, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def _key(declaration: bytes) -> str:
    return base64.b32encode(hashlib.sha256(declaration).digest()).decode("ascii").rstrip("=")


def _pdf(size: int) -> bytes:
    """One empty page and, as in a scan, bytes that do not compress: the stream that fills it to its size."""
    filling = size - len(_pdf_around(b"", 0))
    return _pdf_around(os.urandom(filling), filling)


def _pdf_around(stream: bytes, length: int) -> bytes:
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Resources<<>>>>",
        # Numbers of a fixed width, so that the parts around the stream are as long as they were without it.
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
