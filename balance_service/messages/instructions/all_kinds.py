"""Instructions of every kind, each under the name of its RPC."""

from collections.abc import Mapping
from dataclasses import dataclass

from balance_service._generated.balance.v1 import deposit_pb2, withdrawal_pb2
from balance_service.calls.access import Rule
from balance_service.domain.movements import Kind
from balance_service.messages.instructions.exchange import ExchangeInstructions
from balance_service.messages.instructions.held import CaptureInstructions, VoidInstructions
from balance_service.messages.instructions.hold import HoldInstructions
from balance_service.messages.instructions.purchase import PurchaseInstructions
from balance_service.messages.instructions.reversal import ReversalInstructions
from balance_service.messages.instructions.settlement import SettlementInstructions
from balance_service.messages.instructions.transfer import TransferInstructions
from balance_service.reading.lookups import Lookups
from balance_service.reading.rates import ExchangeRates


@dataclass(frozen=True, slots=True)
class AllInstructions:
    """What single calls and the items of mixed batches are read by.

    The names are those of `CreateMovementRequest`, too.
    """

    create_deposit: SettlementInstructions[deposit_pb2.Deposit]
    create_withdrawal: SettlementInstructions[withdrawal_pb2.Withdrawal]
    create_purchase: PurchaseInstructions
    create_transfer: TransferInstructions
    create_exchange: ExchangeInstructions
    create_hold: HoldInstructions
    capture_hold: CaptureInstructions
    void_hold: VoidInstructions
    reverse_deposit: ReversalInstructions
    reverse_withdrawal: ReversalInstructions
    refund_purchase: ReversalInstructions
    reverse_transfer: ReversalInstructions
    reverse_exchange: ReversalInstructions


def build(lookups: Lookups, rates: ExchangeRates, rules: Mapping[str, Rule]) -> AllInstructions:
    """Makes them.

    Args:
        lookups: What they refer to.
        rates: Converts prices.
        rules: Who may make the calls, by the names of RPCs.
    """
    return AllInstructions(
        create_deposit=SettlementInstructions(lookups, Kind.DEPOSIT, deposit_pb2.Deposit),
        create_withdrawal=SettlementInstructions(
            lookups, Kind.WITHDRAWAL, withdrawal_pb2.Withdrawal
        ),
        create_purchase=PurchaseInstructions(lookups, rates),
        create_transfer=TransferInstructions(lookups),
        create_exchange=ExchangeInstructions(lookups),
        create_hold=HoldInstructions(lookups, rates),
        capture_hold=CaptureInstructions(lookups, rules["CaptureHold"]),
        void_hold=VoidInstructions(lookups, rules["VoidHold"]),
        reverse_deposit=ReversalInstructions(lookups, Kind.DEPOSIT, rules["ReverseDeposit"]),
        reverse_withdrawal=ReversalInstructions(
            lookups, Kind.WITHDRAWAL, rules["ReverseWithdrawal"]
        ),
        refund_purchase=ReversalInstructions(lookups, Kind.PURCHASE, rules["RefundPurchase"]),
        reverse_transfer=ReversalInstructions(lookups, Kind.TRANSFER, rules["ReverseTransfer"]),
        reverse_exchange=ReversalInstructions(lookups, Kind.EXCHANGE, rules["ReverseExchange"]),
    )
