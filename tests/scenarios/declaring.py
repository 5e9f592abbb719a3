"""Declarations, alone and in one exchange with their documents."""

from __future__ import annotations

import json

from contract_client import (
    ANSWERING,
    ASKED,
    BOUNDARY,
    CATALOG,
    CLEAR,
    CONTENT,
    DOCUMENT,
    EMPLOYER,
    NO_TOKEN,
    PERSONAL,
    Answer,
    Sender,
    a_declaration,
    a_key,
)
from docsend.model.canonical import key_of
from scenarios.table import provokes


@provokes("declare", 201)
def declared_for_an_insured_person(sender: Sender) -> Answer:
    return sender.declare(a_declaration())


@provokes("declare", 201)
def declared_for_an_employer(sender: Sender) -> Answer:
    return sender.declare(a_declaration(EMPLOYER, remark="עברית\nfrançais", branch="haifa"))


@provokes("declare", 200)
def declared_while_open(sender: Sender) -> Answer:
    return sender.declare(sender.opened())


@provokes("declare", 200)
def declared_after_it_was_received(sender: Sender) -> Answer:
    return sender.declare(sender.received())


@provokes("declare", 400, "malformed")
def declared_without_json(sender: Sender) -> Answer:
    return sender.ask("declare", key=a_key(), body=b"payslip.pdf")


@provokes("declare", 400, "malformed")
def declared_in_latin_1(sender: Sender) -> Answer:
    return sender.ask("declare", key=a_key(), body='{"to": "bénéfices"}'.encode("latin-1"))


@provokes("declare", 400, "malformed")
def declared_with_a_list(sender: Sender) -> Answer:
    return sender.ask("declare", key=a_key(), body=b"[]")


@provokes("declare", 400, "malformed")
def declared_with_a_member_twice(sender: Sender) -> Answer:
    return sender.ask("declare", key=a_key(), body=b'{"to": "benefits", "to": "health-funds"}')


@provokes("declare", 400, "malformed")
def declared_with_a_fraction(sender: Sender) -> Answer:
    return sender.declare(a_declaration(occurrence=1.5), a_key())


@provokes("declare", 201)
def declared_to_the_personal_service(sender: Sender) -> Answer:
    answer = sender.signed_in(CLEAR).declare(a_declaration(PERSONAL))
    assert answer.json["branch"] == "nazareth"
    return answer


@provokes("declare", 201)
def declared_with_the_required_document_that_it_answers(sender: Sender) -> Answer:
    return sender.signed_in(ASKED).declare(a_declaration(ANSWERING))


@provokes("declare", 201)
def declared_to_an_open_destination_while_signed_in(sender: Sender) -> Answer:
    declaration = a_declaration()
    answer = sender.signed_in(CLEAR).declare(declaration)
    assert sender.ask("standing", key=key_of(declaration)).json == answer.json
    return answer


@provokes("declare", 200)
def declared_to_the_personal_service_while_open(sender: Sender) -> Answer:
    person = sender.signed_in(CLEAR)
    return person.declare(person.opened(a_declaration(PERSONAL)))


@provokes("declare", 200)
def declared_to_the_personal_service_after_it_was_received(sender: Sender) -> Answer:
    person = sender.signed_in(CLEAR)
    return person.declare(person.received(a_declaration(PERSONAL)))


@provokes("declare", 401, "sign-in-needed")
def declared_to_the_personal_service_without_a_token(sender: Sender) -> Answer:
    return sender.declare(a_declaration(PERSONAL))


@provokes("declare", 401, "sign-in-needed")
def declared_with_a_token_that_is_none(sender: Sender) -> Answer:
    return sender.with_token(CLEAR, NO_TOKEN).declare(a_declaration(PERSONAL))


@provokes("declare", 401, "sign-in-needed")
def declared_to_an_open_destination_with_a_token_that_is_none(sender: Sender) -> Answer:
    return sender.with_token(CLEAR, NO_TOKEN).declare(a_declaration())


@provokes("declare", 401, "sign-in-needed")
def declared_with_another_scheme_than_bearer(sender: Sender) -> Answer:
    body = json.dumps(a_declaration(PERSONAL)).encode()
    return sender.ask("declare", key=a_key(), body=body, headers={"Authorization": "Basic MTAwMjp4"})


@provokes("declare", 404, "not-found")
def declared_under_no_key(sender: Sender) -> Answer:
    return sender.declare(a_declaration(), "no-key")


@provokes("declare", 409, "key-reused")
def declared_under_the_key_of_another(sender: Sender) -> Answer:
    return sender.declare(a_declaration(), key_of(sender.opened()))


@provokes("declare", 409, "key-reused")
def declared_under_the_key_of_another_that_was_received(sender: Sender) -> Answer:
    return sender.declare(a_declaration(), key_of(sender.received()))


@provokes("declare", 409, "withdrawn")
def declared_after_it_was_withdrawn(sender: Sender) -> Answer:
    return sender.declare(sender.withdrawn())


@provokes("declare", 409, "withdrawn")
def declared_too_late(sender: Sender) -> Answer:
    declaration = a_declaration()
    assert sender.ask("withdraw", key=key_of(declaration)).status == 200
    return sender.declare(declaration)


@provokes("declare", 413, "declaration-too-large")
def declared_at_length(sender: Sender) -> Answer:
    return sender.declare(a_declaration(remark="x" * 2**20))


@provokes("declare", 413, "document-too-large")
def declared_with_a_document_that_is_too_large(sender: Sender) -> Answer:
    size = CATALOG.destinations["benefits"].max_document_bytes + 1
    answer = sender.declare(a_declaration(documents=[DOCUMENT | {"bytes": size}]))
    assert (answer.json["limit"], answer.json["pointer"]) == (size - 1, "/documents/0")
    return answer


@provokes("declare", 413, "document-too-large")
def declared_to_the_personal_service_with_a_document_that_is_too_large(sender: Sender) -> Answer:
    size = CATALOG.destinations["personal"].max_document_bytes + 1
    answer = sender.signed_in(CLEAR).declare(a_declaration(PERSONAL, documents=[DOCUMENT | {"bytes": size}]))
    assert (answer.json["limit"], answer.json["pointer"]) == (size - 1, "/documents/0")
    return answer


@provokes("declare", 413, "too-many-documents")
def declared_to_the_personal_service_with_more_documents_than_the_sandbox_works_on(sender: Sender) -> Answer:
    documents = [{"name": "a.png", "bytes": 1, "sha256": f"{number:064x}"} for number in range(10_001)]
    declaration = a_declaration(PERSONAL, documents=documents)
    body = json.dumps(declaration, separators=(",", ":")).encode()
    answer = sender.signed_in(CLEAR).ask("declare", key=a_key(), body=body)
    assert answer.json["limit"] == 10_000
    return answer


@provokes("declare", 201)
def declared_to_the_personal_service_with_more_documents_than_elsewhere(sender: Sender) -> Answer:
    documents = [DOCUMENT | {"sha256": f"{number:064x}"} for number in range(100)]
    return sender.signed_in(CLEAR).declare(a_declaration(PERSONAL, documents=documents))


@provokes("declare", 413, "too-many-documents")
def declared_with_too_many_documents(sender: Sender) -> Answer:
    limit = CATALOG.destinations["benefits"].max_documents or 0
    documents = [DOCUMENT | {"sha256": f"{number:064x}"} for number in range(limit + 1)]
    answer = sender.declare(a_declaration(documents=documents))
    assert answer.json["limit"] == limit
    return answer


@provokes("declare", 415, "format-not-accepted")
def declared_with_a_format_that_is_not_taken(sender: Sender) -> Answer:
    answer = sender.declare(a_declaration(documents=[DOCUMENT | {"name": "payslip.txt"}]))
    assert answer.json["accepted"] == list(CATALOG.destinations["benefits"].formats)
    return answer


@provokes("declare", 415, "format-not-accepted")
def declared_to_the_personal_service_with_a_format_that_others_take(sender: Sender) -> Answer:
    declaration = a_declaration(PERSONAL, documents=[DOCUMENT | {"name": "scan.jpeg"}])
    answer = sender.signed_in(CLEAR).declare(declaration)
    assert answer.json["accepted"] == list(CATALOG.destinations["personal"].formats)
    return answer


@provokes("declare", 201)
def received_in_one_exchange(sender: Sender) -> Answer:
    return sender.send_whole(a_declaration(), CONTENT)


@provokes("declare", 200)
def received_in_one_exchange_twice(sender: Sender) -> Answer:
    declaration = a_declaration()
    assert sender.send_whole(declaration, CONTENT).status == 201
    return sender.send_whole(declaration, CONTENT)


@provokes("declare", 400, "digest-mismatch")
def one_exchange_with_other_bytes(sender: Sender) -> Answer:
    return sender.send_whole(a_declaration(), CONTENT.swapcase())


@provokes("declare", 411, "length-required")
def one_exchange_in_chunks(sender: Sender) -> Answer:
    headers = {"Transfer-Encoding": "chunked"}
    return sender.send_form(a_declaration(), iter([b"--", BOUNDARY.encode()]), headers=headers)


@provokes("declare", 413, "one-exchange-too-large")
def one_exchange_with_larger_documents_than_it_takes(sender: Sender) -> Answer:
    document = DOCUMENT | {"bytes": (CATALOG.one_exchange_bytes or 0) + 1}
    return sender.send_whole(a_declaration(documents=[document]), CONTENT)


@provokes("declare", 415, "content-mismatch")
def one_exchange_with_another_content_than_the_name_says(sender: Sender) -> Answer:
    return sender.send_whole(a_declaration(documents=[DOCUMENT | {"name": "scan.png"}]), CONTENT)


@provokes("declare", 422, "invalid")
def declared_with_another_type_than_the_one_that_was_asked_for(sender: Sender) -> Answer:
    declaration = a_declaration(ANSWERING, type="termination-letter")
    answer = sender.signed_in(ASKED).declare(declaration)
    assert [(error["pointer"], error["code"]) for error in answer.json["errors"]] == [
        ("/type", "unknown-type")
    ]
    return answer


@provokes("declare", 422, "required-documents-pending")
def declared_on_a_subject_that_another_document_is_asked_for_on(sender: Sender) -> Answer:
    answer = sender.signed_in(ASKED).declare(a_declaration(ANSWERING, required=None))
    assert answer.json["required"] == [ANSWERING["required"]]
    return answer


@provokes("declare", 422, "invalid")
def declared_with_nothing_in_it(sender: Sender) -> Answer:
    return sender.declare({}, a_key())


@provokes("declare", 422, "online-form-required")
def declared_with_a_type_that_is_filed_online(sender: Sender) -> Answer:
    answer = sender.declare(a_declaration(category="claim", type="unemployment-claim"))
    assert answer.json["form"] == "1500"
    return answer
