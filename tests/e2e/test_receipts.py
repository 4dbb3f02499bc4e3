"""Receipts: who gets which, and that they are checked without the service, byte by byte."""

import asyncio
import base64
import copy
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from google.protobuf import json_format

from balance_client import Client, ReceiptInvalid, ServiceCredentials, check_receipt, v1
from balance_client.receipts import checked
from balance_service.domain.checkpoints import Checkpoint
from balance_service.domain.principals import Scope
from balance_service.operations import administration
from tests.checkpoints import guides_check
from tests.parity_world import make_checkpoint
from tests.service import Service, reason, refused

ROOT = Path(__file__).parent.parent.parent
check = guides_check()


async def key_of(service: Service, key_id: str) -> bytes:
    """The service's public key, as whoever checks a receipt learns it."""
    keys = (await service.client().auth.GetJwks(v1.GetJwksRequest())).keys
    (x,) = (key.x for key in keys if key.kid == key_id)
    return base64.urlsafe_b64decode(x + "=")


def in_json(receipt: v1.Receipt) -> dict[str, Any]:
    told: dict[str, Any] = json_format.MessageToDict(receipt, preserving_proto_field_name=True)
    return told


def changed(receipt: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The receipt with each of its parts changed, one at a time."""

    def other(text: str) -> str:
        middle = len(text) // 2
        return text[:middle] + ("1" if text[middle] != "1" else "2") + text[middle + 1 :]

    edits: dict[str, Callable[[dict[str, Any]], object]] = {
        "movement": lambda it: it.update(movement=other(it["movement"])),
        "entry": lambda it: it.update(entry=other(it["entry"])),
        "side": lambda it: it.update(received=not it.get("received")),
        "salt": lambda it: it.update(salt=other(it["salt"])),
        "other_side": lambda it: it.update(other_side=other(it["other_side"])),
        "place": lambda it: it.update(place=it.get("place", 0) ^ 1),
        "shorter path": lambda it: it["path"].pop(),
        "longer path": lambda it: it["path"].append(it["path"][0]),
        "text": lambda it: it["checkpoint"].update(text=other(it["checkpoint"]["text"])),
        "signature": lambda it: it["checkpoint"].update(
            signature=other(it["checkpoint"]["signature"])
        ),
    }
    for number in range(len(receipt["path"])):
        edits[f"path {number}"] = lambda it, n=number: it["path"].__setitem__(  # type: ignore[misc]
            n, other(it["path"][n])
        )
    for name, edit in edits.items():
        it = copy.deepcopy(receipt)
        edit(it)
        yield name, it


async def test_receipt_is_checked_by_the_lines_of_the_guide(service: Service) -> None:
    anna, boris = await service.person(), await service.person()
    account, other = await anna.open(), await boris.open()
    await anna.deposit("100", account.id)
    send = v1.CreateTransferRequest(
        to_account=other.id, amount="7.50", description='Für "Kaffee"\n', metadata={"a": "б"}
    )
    made = await anna.client.transfers.CreateTransfer(send)
    await make_checkpoint(service.settings)
    for person, minor, left in ((anna, -750, 9250), (boris, 750, 750)):
        found = await person.client.proofs.GetReceipt(v1.GetReceiptRequest(movement=made.id))
        key = await key_of(service, found.checkpoint.key_id)
        movement, entry = check(in_json(found), key)
        assert movement["movement_id"] == made.id
        assert movement["description"] == send.description
        assert movement["details"]["metadata"] == dict(send.metadata)
        assert (movement["from_account_id"], movement["to_account_id"]) == (account.id, other.id)
        assert entry["account_id"] == (account.id if person is anna else other.id)
        assert (entry["amount_minor"], entry["balance_after_minor"]) == (minor, left)
        assert base64.urlsafe_b64decode(found.checkpoint.public_key + "=") == key
        assert check_receipt(found, key)[:2] == (movement, entry)
        tried = 0
        for part, forged in changed(in_json(found)):
            with pytest.raises((ValueError, InvalidSignature)):
                check(forged, key)
                pytest.fail(part)
            with pytest.raises(ReceiptInvalid):
                check_receipt(json_format.ParseDict(forged, v1.Receipt()), key)
                pytest.fail(part)
            tried += 1
        assert tried >= 11
        with pytest.raises(InvalidSignature):
            check(in_json(found), bytes(31) + b"\x01")


def readme_example() -> str:
    """The README's example of `receipt`."""
    text = (ROOT / "clients/python/README.md").read_text(encoding="utf-8")
    found = re.search(r"(?ms)^## Receipts\n\n```python\n(.*?)^```$", text)
    assert found is not None
    return found[1]


async def test_client_fetches_and_checks_in_one_call(service: Service) -> None:
    anna = await service.person()
    account = await anna.open()
    first, second = [await anna.deposit(amount, account.id) for amount in ("100", "1")]
    await make_checkpoint(service.settings)
    receipt, proved = await anna.client.receipt(first.id)
    key_id = receipt.checkpoint.key_id
    keys = {key_id: await key_of(service, key_id)}
    assert proved.movement["movement_id"] == first.id
    assert await anna.client.receipt(first.id.upper(), account=account.id, keys=keys) == (
        receipt,
        proved,
    )
    for wrong in ({}, {key_id: bytes(31) + b"\x01"}):
        with pytest.raises(ReceiptInvalid):
            await anna.client.receipt(first.id, keys=wrong)
    for movement, of_account in ((second.id, ""), (first.id, second.id)):
        with pytest.raises(ReceiptInvalid, match="another"):
            checked(receipt, keys, movement, of_account)
    assert await reason(anna.client.receipt(account.id)) == "MOVEMENT_NOT_FOUND"

    secret = await administration.create_service_principal(
        service.settings, "auditor", "", [Scope.ACCOUNTS_READ]
    )
    example = readme_example().replace("127.0.0.1:50051", service.target)
    printed: list[tuple[object, ...]] = []
    names: dict[str, Any] = {"secret": secret, "movement_id": second.id, "keys": keys}
    names |= {"Client": Client, "ServiceCredentials": ServiceCredentials}
    names["print"] = lambda *values: printed.append(values)
    await asyncio.to_thread(exec, example, names)
    # The service may have covered the first by itself before.
    _, later = await anna.client.receipt(second.id)
    assert printed == [(second.id, 10_100), (later.checkpoint["number"], key_id)]


async def test_receipts_are_for_parties(service: Service) -> None:
    anna, boris, clara = [await service.person() for _ in range(3)]
    admin = await service.admin()
    account, other = await anna.open(), await boris.open()
    deposit = await anna.deposit("100", account.id)
    send = v1.CreateTransferRequest(to_account=other.id, amount="1")
    made = await anna.client.transfers.CreateTransfer(send)
    held = await anna.client.holds.CreateHold(v1.CreateHoldRequest(to_account=other.id, amount="2"))
    await make_checkpoint(service.settings)
    of_transfer = v1.GetReceiptRequest(movement=made.id)
    assert await reason(clara.client.proofs.GetReceipt(of_transfer)) == "MOVEMENT_NOT_FOUND"
    of_hold = v1.GetReceiptRequest(movement=held.id)
    assert await reason(boris.client.proofs.GetReceipt(of_hold)) == "MOVEMENT_NOT_FOUND"
    others = v1.GetReceiptRequest(movement=made.id, account=other.id)
    assert await reason(anna.client.proofs.GetReceipt(others)) == "ACCOUNT_NOT_FOUND"
    for person, request, whose in (
        (anna, of_hold, None),
        (anna, v1.GetReceiptRequest(movement=deposit.id), account.id),
        (admin, of_transfer, account.id),
        (admin, others, other.id),
    ):
        found = await person.client.proofs.GetReceipt(request)
        _, entry = check(in_json(found), await key_of(service, found.checkpoint.key_id))
        assert entry["account_id"] == whose


async def test_checkpoints_are_for_who_may_read_all(service: Service) -> None:
    anna, admin = await service.person(), await service.admin()
    latest = v1.GetCheckpointRequest(checkpoint="latest")
    await anna.open()
    await make_checkpoint(service.settings)
    assert await reason(anna.client.proofs.GetCheckpoint(latest)) == "PERMISSION_MISSING"
    found = await admin.client.proofs.GetCheckpoint(latest)
    assert found.text.startswith("balance-service checkpoint v1\n")
    assert found.key_id
    for text in ("", "0", "-1", "01", "newest", "٥", "9" * 19):
        wrong = v1.GetCheckpointRequest(checkpoint=text)
        error = await refused(admin.client.proofs.GetCheckpoint(wrong))
        assert [violation.field for violation in error.violations] == ["checkpoint"], text


async def test_checkpoints_are_listed_both_ways_by_pages(service: Service) -> None:
    anna, admin = await service.person(), await service.admin()
    account = await anna.open()
    for _ in range(3):
        await anna.deposit("1", account.id)
        await make_checkpoint(service.settings)
    proofs, ask = admin.client.proofs, v1.ListCheckpointsRequest
    assert await reason(anna.client.proofs.ListCheckpoints(ask())) == "PERMISSION_MISSING"
    whole = await proofs.ListCheckpoints(ask(count_total=True))
    newest = [Checkpoint.number_in(each.text) for each in whole.checkpoints]
    assert newest == list(range(whole.total_size, 0, -1))
    assert len(newest) >= 3
    for order_by, expected in (("", newest), ("date", newest[::-1]), ("date desc", newest)):
        found: list[v1.Checkpoint] = []
        token = ""
        while token or not found:
            request = ask(page_size=2, page_token=token, order_by=order_by)
            page = await proofs.ListCheckpoints(request)
            found += page.checkpoints
            token = page.next_page_token
        assert [Checkpoint.number_in(each.text) for each in found] == expected
    one = await proofs.GetCheckpoint(v1.GetCheckpointRequest(checkpoint=str(newest[0])))
    assert one == whole.checkpoints[0]
    skipped = await proofs.ListCheckpoints(ask(skip=1, page_size=1))
    assert skipped.checkpoints == [whole.checkpoints[1]]
    other = ask(page_token=skipped.next_page_token, order_by="date")
    assert await reason(proofs.ListCheckpoints(other)) == "PAGE_TOKEN_INVALID"
    for request, field in (
        (ask(page_size=-1), "page_size"),
        (ask(skip=-1), "skip"),
        (ask(order_by="amount"), "order_by"),
    ):
        error = await refused(proofs.ListCheckpoints(request))
        assert [violation.field for violation in error.violations] == [field]
