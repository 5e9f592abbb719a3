"""Scenarios for declarations, alone and in one exchange with their documents."""

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
    PERSONAL,
    UNKNOWN_TOKEN,
    Response,
    Sender,
    new_declaration,
    new_key,
)
from docsend.model.canonical import key_of
from scenarios.table import produces


@produces("declare", 201)
def declared_for_an_insured_person(sender: Sender) -> Response:
    return sender.declare(new_declaration())


@produces("declare", 201)
def declared_for_an_employer(sender: Sender) -> Response:
    return sender.declare(new_declaration(EMPLOYER, remark="עברית\nfrançais", branch="haifa"))


@produces("declare", 200)
def declared_while_open(sender: Sender) -> Response:
    return sender.declare(sender.open_submission())


@produces("declare", 200)
def declared_after_it_was_received(sender: Sender) -> Response:
    return sender.declare(sender.complete_submission())


@produces("declare", 400, "malformed")
def declared_without_json(sender: Sender) -> Response:
    return sender.call("declare", key=new_key(), body=b"payslip.pdf")


@produces("declare", 400, "malformed")
def declared_in_latin_1(sender: Sender) -> Response:
    return sender.call("declare", key=new_key(), body='{"to": "bénéfices"}'.encode("latin-1"))


@produces("declare", 400, "malformed")
def declared_with_a_list(sender: Sender) -> Response:
    return sender.call("declare", key=new_key(), body=b"[]")


@produces("declare", 400, "malformed")
def declared_with_a_member_twice(sender: Sender) -> Response:
    return sender.call("declare", key=new_key(), body=b'{"to": "benefits", "to": "health-funds"}')


@produces("declare", 400, "malformed")
def declared_with_a_fraction(sender: Sender) -> Response:
    return sender.declare(new_declaration(occurrence=1.5), new_key())


@produces("declare", 201)
def declared_to_the_personal_service(sender: Sender) -> Response:
    response = sender.as_account(CLEAR).declare(new_declaration(PERSONAL))
    assert response.json["branch"] == "nazareth"
    return response


@produces("declare", 201)
def declared_with_a_required_document(sender: Sender) -> Response:
    return sender.as_account(ASKED).declare(new_declaration(ANSWERING))


@produces("declare", 201)
def declared_to_an_open_destination_while_signed_in(sender: Sender) -> Response:
    declaration = new_declaration()
    response = sender.as_account(CLEAR).declare(declaration)
    assert sender.call("status", key=key_of(declaration)).json == response.json
    return response


@produces("declare", 200)
def declared_to_the_personal_service_while_open(sender: Sender) -> Response:
    person = sender.as_account(CLEAR)
    return person.declare(person.open_submission(new_declaration(PERSONAL)))


@produces("declare", 200)
def declared_to_the_personal_service_after_it_was_received(sender: Sender) -> Response:
    person = sender.as_account(CLEAR)
    return person.declare(person.complete_submission(new_declaration(PERSONAL)))


@produces("declare", 401, "sign-in-needed")
def declared_to_the_personal_service_without_a_token(sender: Sender) -> Response:
    return sender.declare(new_declaration(PERSONAL))


@produces("declare", 401, "sign-in-needed")
def declared_with_an_unknown_token(sender: Sender) -> Response:
    return sender.with_token(CLEAR, UNKNOWN_TOKEN).declare(new_declaration(PERSONAL))


@produces("declare", 401, "sign-in-needed")
def declared_to_an_open_destination_with_an_unknown_token(sender: Sender) -> Response:
    return sender.with_token(CLEAR, UNKNOWN_TOKEN).declare(new_declaration())


@produces("declare", 401, "sign-in-needed")
def declared_with_another_scheme_than_bearer(sender: Sender) -> Response:
    body = json.dumps(new_declaration(PERSONAL)).encode()
    return sender.call("declare", key=new_key(), body=body, headers={"Authorization": "Basic MTAwMjp4"})


@produces("declare", 404, "not-found")
def declared_under_an_invalid_key(sender: Sender) -> Response:
    return sender.declare(new_declaration(), "no-key")


@produces("declare", 409, "key-reused")
def declared_under_the_key_of_another(sender: Sender) -> Response:
    return sender.declare(new_declaration(), key_of(sender.open_submission()))


@produces("declare", 409, "key-reused")
def declared_under_the_key_of_another_that_was_received(sender: Sender) -> Response:
    return sender.declare(new_declaration(), key_of(sender.complete_submission()))


@produces("declare", 409, "withdrawn")
def declared_after_it_was_withdrawn(sender: Sender) -> Response:
    return sender.declare(sender.withdraw_submission())


@produces("declare", 409, "withdrawn")
def declared_after_its_key_was_withdrawn(sender: Sender) -> Response:
    declaration = new_declaration()
    assert sender.call("withdraw", key=key_of(declaration)).status == 200
    return sender.declare(declaration)


@produces("declare", 413, "declaration-too-large")
def declared_with_a_declaration_that_is_too_large(sender: Sender) -> Response:
    return sender.declare(new_declaration(remark="x" * 2**20))


@produces("declare", 413, "document-too-large")
def declared_with_a_document_that_is_too_large(sender: Sender) -> Response:
    size = CATALOG.destinations["benefits"].max_document_bytes + 1
    response = sender.declare(new_declaration(documents=[DOCUMENT | {"bytes": size}]))
    assert (response.json["limit"], response.json["pointer"]) == (size - 1, "/documents/0")
    return response


@produces("declare", 413, "document-too-large")
def declared_to_the_personal_service_with_a_document_that_is_too_large(sender: Sender) -> Response:
    size = CATALOG.destinations["personal"].max_document_bytes + 1
    response = sender.as_account(CLEAR).declare(
        new_declaration(PERSONAL, documents=[DOCUMENT | {"bytes": size}])
    )
    assert (response.json["limit"], response.json["pointer"]) == (size - 1, "/documents/0")
    return response


@produces("declare", 413, "too-many-documents")
def declared_to_the_personal_service_with_more_documents_than_the_sandbox_accepts(
    sender: Sender,
) -> Response:
    documents = [{"name": "a.png", "bytes": 1, "sha256": f"{number:064x}"} for number in range(10_001)]
    declaration = new_declaration(PERSONAL, documents=documents)
    body = json.dumps(declaration, separators=(",", ":")).encode()
    response = sender.as_account(CLEAR).call("declare", key=new_key(), body=body)
    assert response.json["limit"] == 10_000
    return response


@produces("declare", 201)
def declared_to_the_personal_service_with_more_documents_than_elsewhere(sender: Sender) -> Response:
    documents = [DOCUMENT | {"sha256": f"{number:064x}"} for number in range(100)]
    return sender.as_account(CLEAR).declare(new_declaration(PERSONAL, documents=documents))


@produces("declare", 413, "too-many-documents")
def declared_with_too_many_documents(sender: Sender) -> Response:
    limit = CATALOG.destinations["benefits"].max_documents or 0
    documents = [DOCUMENT | {"sha256": f"{number:064x}"} for number in range(limit + 1)]
    response = sender.declare(new_declaration(documents=documents))
    assert response.json["limit"] == limit
    return response


@produces("declare", 415, "format-not-accepted")
def declared_with_a_format_that_is_not_accepted(sender: Sender) -> Response:
    response = sender.declare(new_declaration(documents=[DOCUMENT | {"name": "payslip.txt"}]))
    assert response.json["accepted"] == list(CATALOG.destinations["benefits"].formats)
    return response


@produces("declare", 415, "format-not-accepted")
def declared_to_the_personal_service_with_a_format_that_only_others_accept(sender: Sender) -> Response:
    declaration = new_declaration(PERSONAL, documents=[DOCUMENT | {"name": "scan.jpeg"}])
    response = sender.as_account(CLEAR).declare(declaration)
    assert response.json["accepted"] == list(CATALOG.destinations["personal"].formats)
    return response


@produces("declare", 201)
def received_in_one_exchange(sender: Sender) -> Response:
    return sender.send_in_one_exchange(new_declaration(), CONTENT)


@produces("declare", 200)
def received_in_one_exchange_twice(sender: Sender) -> Response:
    declaration = new_declaration()
    assert sender.send_in_one_exchange(declaration, CONTENT).status == 201
    return sender.send_in_one_exchange(declaration, CONTENT)


@produces("declare", 400, "digest-mismatch")
def one_exchange_with_other_bytes(sender: Sender) -> Response:
    return sender.send_in_one_exchange(new_declaration(), CONTENT.swapcase())


@produces("declare", 411, "length-required")
def one_exchange_in_chunks(sender: Sender) -> Response:
    headers = {"Transfer-Encoding": "chunked"}
    return sender.send_form(new_declaration(), iter([b"--", BOUNDARY.encode()]), headers=headers)


@produces("declare", 413, "one-exchange-too-large")
def one_exchange_with_documents_that_are_too_large(sender: Sender) -> Response:
    document = DOCUMENT | {"bytes": (CATALOG.one_exchange_bytes or 0) + 1}
    return sender.send_in_one_exchange(new_declaration(documents=[document]), CONTENT)


@produces("declare", 415, "content-mismatch")
def one_exchange_with_content_that_does_not_match_the_name(sender: Sender) -> Response:
    return sender.send_in_one_exchange(new_declaration(documents=[DOCUMENT | {"name": "scan.png"}]), CONTENT)


@produces("declare", 422, "invalid")
def declared_with_another_type_than_the_required_one(sender: Sender) -> Response:
    declaration = new_declaration(ANSWERING, type="termination-letter")
    response = sender.as_account(ASKED).declare(declaration)
    assert [(error["pointer"], error["code"]) for error in response.json["errors"]] == [
        ("/type", "unknown-type")
    ]
    return response


@produces("declare", 422, "required-documents-pending")
def declared_on_a_subject_with_a_pending_required_document(sender: Sender) -> Response:
    response = sender.as_account(ASKED).declare(new_declaration(ANSWERING, required=None))
    assert response.json["required"] == [ANSWERING["required"]]
    return response


@produces("declare", 422, "invalid")
def declared_with_an_empty_object(sender: Sender) -> Response:
    return sender.declare({}, new_key())


@produces("declare", 422, "online-form-required")
def declared_with_a_type_that_is_filed_online(sender: Sender) -> Response:
    response = sender.declare(new_declaration(category="claim", type="unemployment-claim"))
    assert response.json["form"] == "1500"
    return response
