"""Minimal responses of the servers that the other programs upload to.

Nothing is stored or checked. The responses were found by running the programs against this server.
"""

import json
import re
from urllib.parse import parse_qs, urlsplit

_REASONS = {200: "OK", 201: "Created", 404: "Not Found"}
_COMMIT = "0" * 40
_S3 = "http://s3.amazonaws.com/doc/2006-03-01/"


def answer(address: str, method: str, path: str, body: bytes) -> bytes:
    """Respond to one request. `body` is given if it is short; `address` is the URL of this server."""
    split = urlsplit(path)
    if split.path.startswith("/api/"):
        return _hugging_face(address, split.path, body)
    if split.path.endswith("/info/lfs/objects/batch"):
        return _large_files(address, body)
    if split.path.startswith("/metadata/"):
        return json_response(200, {})
    if split.path.startswith("/bucket/"):
        return _s3(method, split.path, split.query)
    return response(200)


def json_response(status: int, value: object) -> bytes:
    return response(status, json.dumps(value).encode(), "application/json")


def response(status: int, body: bytes = b"", kind: str = "text/plain", *more: str) -> bytes:
    """Return a response with its Content-Length, so that the connection can be kept open."""
    fields = [f"Content-Type: {kind}", f"Content-Length: {len(body)}", *more]
    return "\r\n".join([f"HTTP/1.1 {status} {_REASONS[status]}", *fields, "", ""]).encode() + body


def _hugging_face(address: str, path: str, body: bytes) -> bytes:
    """Respond as the API of the Hugging Face Hub does if every file is large and goes to Git LFS."""
    if path == "/api/repos/create":
        return json_response(200, {"url": f"{address}/bench/documents"})
    if "/preupload/" in path:
        files = json.loads(body)["files"]
        modes = [{"path": each["path"], "uploadMode": "lfs", "shouldIgnore": False} for each in files]
        return json_response(200, {"files": modes})
    if "/commit/" in path:
        return json_response(
            200, {"commitUrl": f"{address}/bench/documents/commit/{_COMMIT}", "commitOid": _COMMIT}
        )
    return json_response(200, {})


def _large_files(address: str, body: bytes) -> bytes:
    """Return the upload URL of each object for the basic transfer of Git LFS."""
    objects = [
        {
            **each,
            "authenticated": True,
            "actions": {"upload": {"href": f"{address}/objects/{each['oid']}", "header": {}}},
        }
        for each in json.loads(body)["objects"]
    ]
    return json_response(200, {"transfer": "basic", "objects": objects})


def _s3(method: str, path: str, query: str) -> bytes:
    """Respond to the PUT of an object, or to the three steps of a multipart upload."""
    arguments = parse_qs(query, keep_blank_values=True)
    key = re.sub(r"^/bucket/", "", path)
    if method == "PUT":
        return response(200, b"", "application/xml", 'ETag: "0"')
    names = f"<Bucket>bucket</Bucket><Key>{key}</Key>"
    if "uploads" in arguments:
        name, more = "InitiateMultipartUploadResult", "<UploadId>1</UploadId>"
    else:
        name, more = "CompleteMultipartUploadResult", '<ETag>"0"</ETag>'
    body = f'<{name} xmlns="{_S3}">{names}{more}</{name}>'
    return response(200, body.encode(), "application/xml")
