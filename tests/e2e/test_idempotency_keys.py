"""Idempotency keys: which texts are one key, as a field and as a header."""

from collections.abc import Callable
from uuid import uuid4

import psycopg
from google.protobuf.field_mask_pb2 import FieldMask
from google.rpc import error_details_pb2

from balance_client import v1
from tests.service import Contents, Service, refused


async def test_patch_is_the_same_in_any_order_and_case_of_its_names(service: Service) -> None:
    person = await service.person()
    bodies = (
        '{"first_name": "Anna", "bio": "Hm"}',
        '{"bio": "Hm", "first_name": "Anna"}',
        '{"bio": "Hm", "firstName": "\\u0041nna"}',
    )
    answers = [
        await person.http("PATCH", "/api/v1/users/me", body, idempotency_key=key)
        for body, key in zip(bodies, ("my key", '"my key"', "my key"), strict=True)
    ]
    assert [answer.status for answer in answers] == [200] * 3
    assert answers[0].json == answers[1].json == answers[2].json
    assert [answer.headers.get("idempotency-replayed") for answer in answers[1:]] == ["true"] * 2


async def test_refusal_names_the_key_as_it_was_sent(service: Service) -> None:
    person = await service.person()
    account = (await person.open()).id
    deposits, transfers = person.client.deposits, person.client.transfers
    for amount in ("1", "2"):
        request = v1.CreateDepositRequest(account=account, amount=amount, request_id="order 42")
        if amount == "1":
            await deposits.CreateDeposit(request)
    error = await refused(deposits.CreateDeposit(request))
    assert error.metadata["request_id"] == "order 42"
    other = (await (await service.person()).open()).id
    batch = v1.BatchCreateTransfersRequest(request_id="payday")
    batch.requests.add(to_account=other, amount="0.1")
    await transfers.BatchCreateTransfers(batch)
    batch.requests[0].amount = "0.2"
    answer = await transfers.BatchCreateTransfers(batch)
    info = error_details_pb2.ErrorInfo()
    answer.outcomes[0].error.details[0].Unpack(info)
    assert info.metadata["request_id"] == "payday"


async def test_texts_are_keys_of_their_own(
    service: Service, contents: Callable[[], Contents]
) -> None:
    """What differs in anything that can be seen or counted is another key."""
    person = await service.person()
    account = (await person.open()).id
    uuid = str(uuid4())
    keys = ["a", "A", "a a", "a  a", "~", "x" * 255, "x" * 254, uuid, uuid.replace("-", ""), '"']
    for key in keys * 2:
        request = v1.CreateDepositRequest(account=account, amount="1", request_id=key)
        await person.client.deposits.CreateDeposit(request)
    assert await person.balance(account) == f"{len(keys)}.00"
    assert len(contents().rows["movements"]) == len(keys)


async def test_header_is_text_or_text_in_quotes(service: Service) -> None:
    person = await service.person()
    account = (await person.open()).id
    # Each pair is one key: as the field, and as the header.
    pairs = [("a b", '"a b"'), ('say "x" \\', '"say \\"x\\" \\\\"'), ("a;b", " a;b "), ("''", "''")]
    for text, header in pairs:
        by_header = await person.http(
            "POST", "/api/v1/actions", {"amount": "1"}, idempotency_key=header
        )
        body = {"amount": "1.0", "request_id": text}
        by_field = await person.http("POST", "/api/v1/actions", body)
        assert by_header.json == by_field.json, header
        assert by_field.headers["idempotency-replayed"] == "true"
    assert await person.balance(account) == f"{len(pairs)}.00"


async def test_row_of_an_earlier_version_is_read_by_todays_rules(
    service: Service, database_url: str
) -> None:
    """Requests are stored as they were sent; what would be refused today differs, and no more."""
    person = await service.person()

    def stored(first_name: str, key: str) -> v1.UpdateMeRequest:
        request = v1.UpdateMeRequest(
            user=v1.User(first_name=first_name), update_mask=FieldMask(paths=["first_name"])
        )
        with psycopg.connect(database_url, autocommit=True) as conn:
            conn.execute(
                "INSERT INTO idempotency_keys VALUES (%s, %s, %s, %s, %s, now())",
                (
                    f"user:{person.user_id}",
                    key,
                    "/balance.v1.UserService/UpdateMe",
                    request.SerializeToString(deterministic=True),
                    v1.User(first_name="stored").SerializeToString(),
                ),
            )
        request.request_id = key
        return request

    request = stored("Anna", str(uuid4()))
    request.update_mask.paths[:] = ["first_name", "first_name"]
    assert (await person.client.users.UpdateMe(request)).first_name == "stored"
    hidden = stored("Anna\u202e", str(uuid4()))
    hidden.user.first_name = "Anna"
    error = await refused(person.client.users.UpdateMe(hidden))
    assert (error.reason, error.metadata["fields"]) == ("IDEMPOTENCY_KEY_REUSED", "user")
