"""Former names in the laboratory's record (JSON Lines), so that reports can include older results."""

from __future__ import annotations

FORMER_COLUMNS = {"struck": "triggered", "broken": "violations"}
FORMER_KINDS = {"twice": "duplicated", "seen": "leaked"}
# Names of experiments and of planted bugs.
FORMER_NAMES = {
    "forms that are none": "malformed forms",
    "a byte changed on the way": "a byte changed in transit",
    "stories of two ledgers and one service (Hypothesis)": (
        "stateful tests of two ledgers and one service (Hypothesis)"
    ),
    "the plan is written after the first byte has left": "the plan is stored after the first byte is sent",
    "the receipt is printed before it is on the disk": "the receipt is printed before it is on disk",
    "the sandbox does not wait for the disk before it says 201": (
        "the sandbox responds 201 without waiting for the disk"
    ),
    "a 404 on the way makes a new key": "a 404 during an upload leads to a new key",
    "a further try sends the rest of the document only": "a retry sends only the rest of the document",
    "the sandbox keeps a 5xx as its answer": "the sandbox repeats a 5xx response to every later request",
    "the sandbox does not compare the digest of what arrived": (
        "the sandbox does not verify the digest of a document"
    ),
    "a response is believed without its request's id": "a response is trusted without its request's id",
    "a response with two lengths is believed": "a response with two lengths is trusted",
    "patience cuts a try that runs": "the retry time limit ends a running attempt",
    "a page is a refusal whatever may have been received": (
        "a page counts as a refusal although the submission may have been received"
    ),
    "a personal submission leaves before it is on the disk that it may have": (
        "a personal submission is sent before its state `sending` is on disk"
    ),
    "staged after one exchange, it is forgotten that a try may have arrived": (
        "the staged fallback forgets that one exchange may have been received"
    ),
    "a receipt that somebody else got is called this sender's own": (
        "a receipt of an earlier submission is reported as new"
    ),
    "a foreign answer says that nothing has arrived": (
        "a response from elsewhere is taken to mean that nothing was received"
    ),
    "one exchange takes more parts than were declared": (
        "the sandbox accepts more form parts than were declared"
    ),
    "what one exchange was refused with stays on the disk": "the files of a refused exchange stay on disk",
    "a receipt is believed without looking whose it is": "a receipt is accepted without comparing its key",
    "a repeated send is not replayed but makes another receipt": "a repeated send creates another receipt",
    "the session's token is written to the log": "the session token is written to the log",
    "a key that was withdrawn may be opened again": "a withdrawn key can be declared again",
    "what was received expires like what was not": "received submissions expire like unfinished ones",
    "names of files reach the terminal as they are": "file names reach the terminal unescaped",
}
