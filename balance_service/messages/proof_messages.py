"""Checkpoints and runs of `verify` as messages."""

from collections.abc import Sequence

from balance_service._generated.balance.v1 import proof_pb2
from balance_service.auth import keys
from balance_service.domain.checkpoints import Signed
from balance_service.reading.verification import MEANINGS, Verified
from balance_service.repositories.verification_steps import Fault, Step

# Of each text of a fault.
TEXT_LENGTH_MAX = 200


def checkpoint(signed: Signed, public_key: bytes) -> proof_pb2.Checkpoint:
    return proof_pb2.Checkpoint(
        text=signed.checkpoint.text(),
        signature=signed.signature.hex(),
        key_id=signed.key_id,
        public_key=keys.shown(public_key),
    )


def step(told: Step) -> proof_pb2.VerifyLedgerResponse:
    """That a check begins, or what it found."""
    if told.result is None:
        started = proof_pb2.LedgerCheckStarted(check=told.check, description=MEANINGS[told.check])
        return proof_pb2.VerifyLedgerResponse(started=started)
    finished = proof_pb2.LedgerCheckFinished(
        check=told.check,
        milliseconds=_milliseconds(told.result.seconds),
        faults=_faults(told.result.faults),
    )
    return proof_pb2.VerifyLedgerResponse(finished=finished)


def summary(
    verified: Verified, mode: proof_pb2.VerificationMode.ValueType
) -> proof_pb2.VerifyLedgerResponse:
    """What a run found in all."""
    report = verified.report
    balances = report.balances
    found = proof_pb2.VerificationSummary(
        clean=report.clean,
        fault_count=report.fault_count,
        unbalanced_currencies=[
            each.currency for each in balances if each.users_minor + each.system_minor
        ],
        mode=mode,
        milliseconds=_milliseconds(verified.seconds),
        rows=[
            proof_pb2.VerifiedRows(name=name, count=count) for name, count in report.totals.items()
        ],
        checkpoint=report.run.checkpoint,
        checkpoint_hash=report.run.hash if report.run.checkpoint else "",
    )
    return proof_pb2.VerifyLedgerResponse(summary=found)


def _faults(faults: Sequence[Fault]) -> list[proof_pb2.LedgerFault]:
    return [
        proof_pb2.LedgerFault(
            subject=_shortened(fault.subject),
            stored=_shortened(fault.stored),
            computed=_shortened(fault.computed),
        )
        for fault in faults
    ]


def _shortened(value: object) -> str:
    return str(value)[:TEXT_LENGTH_MAX]


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
