"""Scenarios for submissions that were declared: status, withdrawal, documents and sending."""

from __future__ import annotations

from hashlib import sha256

from contract_client import (
    CLEAR,
    CONTENT,
    DIGEST,
    LARGEST,
    UNKNOWN_TOKEN,
    Response,
    Sender,
    new_declaration,
    new_key,
)
from docsend.model.canonical import key_of
from scenarios.table import produces


@produces("status", 200)
def status_of_an_open_submission(sender: Sender) -> Response:
    response = sender.call("status", key=key_of(sender.open_submission()))
    assert (response.json["state"], response.json["missing"]) == ("open", [DIGEST])
    return response


@produces("status", 200)
def status_of_a_received_submission(sender: Sender) -> Response:
    key = key_of(sender.complete_submission())
    response = sender.call("status", key=key)
    assert response.json["receipt"] == sender.call("send", key=key).json
    return response


@produces("status", 200)
def status_of_a_withdrawn_submission(sender: Sender) -> Response:
    response = sender.call("status", key=key_of(sender.withdraw_submission()))
    assert response.json["state"] == "withdrawn"
    return response


@produces("status", 401, "sign-in-needed")
def status_with_an_unknown_token(sender: Sender) -> Response:
    key = key_of(sender.open_submission())
    return sender.with_token(CLEAR, UNKNOWN_TOKEN).call("status", key=key)


@produces("status", 404, "not-found")
def status_of_an_unknown_submission(sender: Sender) -> Response:
    return sender.call("status", key=new_key())


@produces("status", 404, "not-found")
def status_of_a_key_in_lower_case(sender: Sender) -> Response:
    return sender.call("status", key=key_of(sender.open_submission()).lower())


@produces("withdraw", 200)
def withdrawn_while_open(sender: Sender) -> Response:
    return sender.call("withdraw", key=key_of(sender.open_submission()))


@produces("withdraw", 200)
def withdrawn_before_it_was_declared(sender: Sender) -> Response:
    return sender.call("withdraw", key=new_key())


@produces("withdraw", 200)
def withdrawn_again(sender: Sender) -> Response:
    return sender.call("withdraw", key=key_of(sender.withdraw_submission()))


@produces("withdraw", 401, "sign-in-needed")
def withdrawn_with_an_unknown_token(sender: Sender) -> Response:
    key = key_of(sender.open_submission())
    return sender.with_token(CLEAR, UNKNOWN_TOKEN).call("withdraw", key=key)


@produces("withdraw", 404, "not-found")
def withdrawn_with_an_invalid_key(sender: Sender) -> Response:
    return sender.call("withdraw", key="no-key")


@produces("withdraw", 409, "already-received")
def withdrawn_after_it_was_received(sender: Sender) -> Response:
    key = key_of(sender.complete_submission())
    response = sender.call("withdraw", key=key)
    assert response.json["receipt"] == sender.call("send", key=key).json
    return response


@produces("put", 201)
def put_once(sender: Sender) -> Response:
    return sender.put(sender.open_submission(), CONTENT)


@produces("put", 204)
def put_twice(sender: Sender) -> Response:
    declaration = sender.open_submission()
    assert sender.put(declaration, CONTENT).status == 201
    return sender.put(declaration, CONTENT)


@produces("put", 204)
def put_after_it_was_received(sender: Sender) -> Response:
    return sender.put(sender.complete_submission(), CONTENT)


@produces("put", 400, "digest-mismatch")
def put_with_other_bytes(sender: Sender) -> Response:
    return sender.put(sender.open_submission(), CONTENT.swapcase(), DIGEST)


@produces("put", 400, "digest-mismatch")
def put_with_fewer_bytes(sender: Sender) -> Response:
    return sender.put(sender.open_submission(), CONTENT[:-1], DIGEST)


@produces("put", 400, "digest-mismatch")
def put_with_no_bytes(sender: Sender) -> Response:
    return sender.put(sender.open_submission(), b"", DIGEST)


@produces("put", 401, "sign-in-needed")
def put_with_an_unknown_token(sender: Sender) -> Response:
    key = key_of(sender.open_submission())
    return sender.with_token(CLEAR, UNKNOWN_TOKEN).call("put", key=key, digest=DIGEST, body=CONTENT)


@produces("put", 404, "not-found")
def put_without_being_declared(sender: Sender) -> Response:
    return sender.put(sender.open_submission(), b"%PDF-1.4 another")


@produces("put", 404, "not-found")
def put_under_an_unknown_key(sender: Sender) -> Response:
    return sender.put(new_declaration(), CONTENT)


@produces("put", 404, "not-found")
def put_under_an_invalid_digest(sender: Sender) -> Response:
    return sender.put(sender.open_submission(), CONTENT, "no-digest")


@produces("put", 409, "withdrawn")
def put_after_it_was_withdrawn(sender: Sender) -> Response:
    return sender.put(sender.withdraw_submission(), CONTENT)


@produces("put", 411, "length-required")
def put_in_chunks(sender: Sender) -> Response:
    declaration = sender.open_submission()
    chunks = iter([CONTENT[:4], CONTENT[4:]])
    headers = {"Transfer-Encoding": "chunked"}
    key, digest = key_of(declaration), DIGEST
    return sender.call("put", key=key, digest=digest, body=chunks, headers=headers)


@produces("put", 413, "document-too-large")
def put_with_a_document_that_is_too_large(sender: Sender) -> Response:
    return sender.put(sender.open_submission(), bytes(LARGEST + 1), DIGEST)


@produces("put", 415, "content-mismatch")
def put_with_content_that_does_not_match_the_name(sender: Sender) -> Response:
    content = b"\x89PNG\r\n\x1a\n"
    document = {"name": "scan.pdf", "bytes": len(content), "sha256": sha256(content).hexdigest()}
    return sender.put(sender.open_submission(new_declaration(documents=[document])), content)


@produces("send", 200)
def sent_when_complete(sender: Sender) -> Response:
    declaration = sender.open_submission()
    assert sender.put(declaration, CONTENT).status == 201
    response = sender.call("send", key=key_of(declaration))
    assert response.json["key"] == key_of(declaration)
    assert response.json["documents"] == declaration["documents"]
    return response


@produces("send", 200)
def sent_again(sender: Sender) -> Response:
    key = key_of(sender.complete_submission())
    once, again = sender.call("send", key=key), sender.call("send", key=key)
    assert once.body == again.body
    return again


@produces("send", 401, "sign-in-needed")
def sent_with_an_unknown_token(sender: Sender) -> Response:
    key = key_of(sender.open_submission())
    return sender.with_token(CLEAR, UNKNOWN_TOKEN).call("send", key=key)


@produces("send", 404, "not-found")
def sent_under_an_unknown_key(sender: Sender) -> Response:
    return sender.call("send", key=new_key())


@produces("send", 409, "incomplete")
def sent_while_incomplete(sender: Sender) -> Response:
    response = sender.call("send", key=key_of(sender.open_submission()))
    assert response.json["missing"] == [DIGEST]
    return response


@produces("send", 409, "withdrawn")
def sent_after_it_was_withdrawn(sender: Sender) -> Response:
    return sender.call("send", key=key_of(sender.withdraw_submission()))
