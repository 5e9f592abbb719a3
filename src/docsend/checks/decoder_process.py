"""The child process of `decoders`: it decodes one document after the other, and says how that went.

`picture_decoder` and `pdf_decoder` do the work.

A request on stdin is a line with the format and the number of bytes, followed by the bytes. The reply on
stdout is a `Decoded` as a line of JSON. A request of no bytes only imports the decoder of a format. The
process ends at the end of stdin.

No document can make the process use more than the limits below, which `isolation.limits` sets.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys

from docsend.checks import pdf_decoder, picture_decoder
from docsend.checks.decoders import Decoded
from docsend.isolation import limits

_MEMORY_BYTES = 2**30  # of address space. A picture with the highest number of pixels has 800 MB.
_REQUEST_LIMIT_S = 10  # more than `decoders` waits for a document, and as much as it waits for an import


def main() -> None:
    """Reply to requests until stdin ends."""
    replies = limits.start(_MEMORY_BYTES)
    requests = sys.stdin.buffer
    with contextlib.suppress(BrokenPipeError):
        while header := requests.readline().split():
            content = requests.read(size := int(header[1]))
            if len(content) < size:
                break
            with limits.limited_time(_REQUEST_LIMIT_S):
                decoded = decode(content, header[0].decode("ascii"))
            os.write(replies, json.dumps(decoded).encode("ascii") + b"\n")
            del content
    os._exit(0)  # The modules of the decoders take longer to clean up than a document to decode.


def decode(content: bytes, format_name: str) -> Decoded:
    """Decode a document in this process. Raise ImportError if the decoder does not work here."""
    decoder = pdf_decoder.load() if format_name == "pdf" else picture_decoder.load(format_name)
    if not content:
        return Decoded("unsupported")
    try:
        return decoder(content)
    except MemoryError:
        return Decoded("gave-up")
    except Exception:  # noqa: BLE001 - a bug of a decoder, which is no proof that the document is damaged
        return Decoded("unsupported")


if __name__ == "__main__":
    main()
