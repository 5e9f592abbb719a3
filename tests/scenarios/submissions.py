"""What happens to a submission that was declared: looked at, withdrawn, put, sent."""

from __future__ import annotations

from hashlib import sha256

from contract_client import CLEAR, CONTENT, DIGEST, LARGEST, NO_TOKEN, Answer, Sender, a_declaration, a_key
from docsend.model.canonical import key_of
from scenarios.table import provokes


@provokes("standing", 200)
def the_standing_of_an_open_one(sender: Sender) -> Answer:
    answer = sender.ask("standing", key=key_of(sender.opened()))
    assert (answer.json["state"], answer.json["missing"]) == ("open", [DIGEST])
    return answer


@provokes("standing", 200)
def the_standing_of_a_received_one(sender: Sender) -> Answer:
    key = key_of(sender.received())
    answer = sender.ask("standing", key=key)
    assert answer.json["receipt"] == sender.ask("send", key=key).json
    return answer


@provokes("standing", 200)
def the_standing_of_a_withdrawn_one(sender: Sender) -> Answer:
    answer = sender.ask("standing", key=key_of(sender.withdrawn()))
    assert answer.json["state"] == "withdrawn"
    return answer


@provokes("standing", 401, "sign-in-needed")
def the_standing_with_a_token_that_is_none(sender: Sender) -> Answer:
    key = key_of(sender.opened())
    return sender.with_token(CLEAR, NO_TOKEN).ask("standing", key=key)


@provokes("standing", 404, "not-found")
def the_standing_of_an_unknown_one(sender: Sender) -> Answer:
    return sender.ask("standing", key=a_key())


@provokes("standing", 404, "not-found")
def the_standing_of_a_key_in_lower_case(sender: Sender) -> Answer:
    return sender.ask("standing", key=key_of(sender.opened()).lower())


@provokes("withdraw", 200)
def withdrawn_while_open(sender: Sender) -> Answer:
    return sender.ask("withdraw", key=key_of(sender.opened()))


@provokes("withdraw", 200)
def withdrawn_before_it_was_known(sender: Sender) -> Answer:
    return sender.ask("withdraw", key=a_key())


@provokes("withdraw", 200)
def withdrawn_again(sender: Sender) -> Answer:
    return sender.ask("withdraw", key=key_of(sender.withdrawn()))


@provokes("withdraw", 401, "sign-in-needed")
def withdrawn_with_a_token_that_is_none(sender: Sender) -> Answer:
    key = key_of(sender.opened())
    return sender.with_token(CLEAR, NO_TOKEN).ask("withdraw", key=key)


@provokes("withdraw", 404, "not-found")
def withdrawn_without_a_key(sender: Sender) -> Answer:
    return sender.ask("withdraw", key="no-key")


@provokes("withdraw", 409, "already-received")
def withdrawn_too_late(sender: Sender) -> Answer:
    key = key_of(sender.received())
    answer = sender.ask("withdraw", key=key)
    assert answer.json["receipt"] == sender.ask("send", key=key).json
    return answer


@provokes("put", 201)
def put_once(sender: Sender) -> Answer:
    return sender.put(sender.opened(), CONTENT)


@provokes("put", 204)
def put_twice(sender: Sender) -> Answer:
    declaration = sender.opened()
    assert sender.put(declaration, CONTENT).status == 201
    return sender.put(declaration, CONTENT)


@provokes("put", 204)
def put_after_it_was_received(sender: Sender) -> Answer:
    return sender.put(sender.received(), CONTENT)


@provokes("put", 400, "digest-mismatch")
def put_with_other_bytes(sender: Sender) -> Answer:
    return sender.put(sender.opened(), CONTENT.swapcase(), DIGEST)


@provokes("put", 400, "digest-mismatch")
def put_with_fewer_bytes(sender: Sender) -> Answer:
    return sender.put(sender.opened(), CONTENT[:-1], DIGEST)


@provokes("put", 400, "digest-mismatch")
def put_with_no_bytes(sender: Sender) -> Answer:
    return sender.put(sender.opened(), b"", DIGEST)


@provokes("put", 401, "sign-in-needed")
def put_with_a_token_that_is_none(sender: Sender) -> Answer:
    key = key_of(sender.opened())
    return sender.with_token(CLEAR, NO_TOKEN).ask("put", key=key, digest=DIGEST, body=CONTENT)


@provokes("put", 404, "not-found")
def put_without_being_declared(sender: Sender) -> Answer:
    return sender.put(sender.opened(), b"%PDF-1.4 another")


@provokes("put", 404, "not-found")
def put_under_an_unknown_key(sender: Sender) -> Answer:
    return sender.put(a_declaration(), CONTENT)


@provokes("put", 404, "not-found")
def put_under_no_digest(sender: Sender) -> Answer:
    return sender.put(sender.opened(), CONTENT, "no-digest")


@provokes("put", 409, "withdrawn")
def put_after_it_was_withdrawn(sender: Sender) -> Answer:
    return sender.put(sender.withdrawn(), CONTENT)


@provokes("put", 411, "length-required")
def put_in_chunks(sender: Sender) -> Answer:
    declaration = sender.opened()
    chunks = iter([CONTENT[:4], CONTENT[4:]])
    headers = {"Transfer-Encoding": "chunked"}
    key, digest = key_of(declaration), DIGEST
    return sender.ask("put", key=key, digest=digest, body=chunks, headers=headers)


@provokes("put", 413, "document-too-large")
def put_with_more_than_any_document_may_have(sender: Sender) -> Answer:
    return sender.put(sender.opened(), bytes(LARGEST + 1), DIGEST)


@provokes("put", 415, "content-mismatch")
def put_with_another_content_than_the_name_says(sender: Sender) -> Answer:
    content = b"\x89PNG\r\n\x1a\n"
    document = {"name": "scan.pdf", "bytes": len(content), "sha256": sha256(content).hexdigest()}
    return sender.put(sender.opened(a_declaration(documents=[document])), content)


@provokes("send", 200)
def sent_when_complete(sender: Sender) -> Answer:
    declaration = sender.opened()
    assert sender.put(declaration, CONTENT).status == 201
    answer = sender.ask("send", key=key_of(declaration))
    assert answer.json["key"] == key_of(declaration)
    assert answer.json["documents"] == declaration["documents"]
    return answer


@provokes("send", 200)
def sent_again(sender: Sender) -> Answer:
    key = key_of(sender.received())
    once, again = sender.ask("send", key=key), sender.ask("send", key=key)
    assert once.body == again.body
    return again


@provokes("send", 401, "sign-in-needed")
def sent_with_a_token_that_is_none(sender: Sender) -> Answer:
    key = key_of(sender.opened())
    return sender.with_token(CLEAR, NO_TOKEN).ask("send", key=key)


@provokes("send", 404, "not-found")
def sent_under_an_unknown_key(sender: Sender) -> Answer:
    return sender.ask("send", key=a_key())


@provokes("send", 409, "incomplete")
def sent_too_early(sender: Sender) -> Answer:
    answer = sender.ask("send", key=key_of(sender.opened()))
    assert answer.json["missing"] == [DIGEST]
    return answer


@provokes("send", 409, "withdrawn")
def sent_after_it_was_withdrawn(sender: Sender) -> Answer:
    return sender.ask("send", key=key_of(sender.withdrawn()))
