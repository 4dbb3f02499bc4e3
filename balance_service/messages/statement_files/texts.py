"""The words of statements' files, in the languages that callers are answered in."""

# ruff: noqa: RUF001 - Cyrillic is the point
from collections.abc import Mapping
from typing import NamedTuple

from balance_service.domain.movements import Kind


class Texts(NamedTuple):
    """The words of one language."""

    title: str
    account: str
    period: str
    page: str
    number: str
    date: str
    value_date: str
    kind: str
    amount: str
    currency: str
    balance: str
    counterparty: str
    description: str
    source: str
    reference: str
    movement: str
    opening: str
    total_in: str
    total_out: str
    closing: str
    kinds: Mapping[Kind, str]


TEXTS: Mapping[str, Texts] = {
    "en": Texts(
        title="Statement of account",
        account="Account",
        period="Period",
        page="Page",
        number="Number",
        date="Date",
        value_date="Value date",
        kind="Kind",
        amount="Amount",
        currency="Currency",
        balance="Balance",
        counterparty="Counterparty",
        description="Description",
        source="Source",
        reference="Reference",
        movement="Movement",
        opening="Opening balance",
        total_in="Total in",
        total_out="Total out",
        closing="Closing balance",
        kinds={
            Kind.DEPOSIT: "Deposit",
            Kind.WITHDRAWAL: "Withdrawal",
            Kind.PURCHASE: "Purchase",
            Kind.TRANSFER: "Transfer",
            Kind.DEPOSIT_REVERSAL: "Deposit reversed",
            Kind.WITHDRAWAL_REVERSAL: "Withdrawal reversed",
            Kind.REFUND: "Refund",
            Kind.TRANSFER_REVERSAL: "Transfer reversed",
            Kind.EXCHANGE: "Exchange",
            Kind.EXCHANGE_REVERSAL: "Exchange reversed",
        },
    ),
    "ru": Texts(
        title="Выписка по счёту",
        account="Счёт",
        period="Период",
        page="Страница",
        number="Номер",
        date="Дата",
        value_date="Дата валютирования",
        kind="Операция",
        amount="Сумма",
        currency="Валюта",
        balance="Остаток",
        counterparty="Корреспондент",
        description="Назначение",
        source="Источник",
        reference="Референс",
        movement="Движение",
        opening="Входящий остаток",
        total_in="Всего поступило",
        total_out="Всего списано",
        closing="Исходящий остаток",
        kinds={
            Kind.DEPOSIT: "Пополнение",
            Kind.WITHDRAWAL: "Вывод",
            Kind.PURCHASE: "Покупка",
            Kind.TRANSFER: "Перевод",
            Kind.DEPOSIT_REVERSAL: "Отмена пополнения",
            Kind.WITHDRAWAL_REVERSAL: "Отмена вывода",
            Kind.REFUND: "Возврат",
            Kind.TRANSFER_REVERSAL: "Отмена перевода",
            Kind.EXCHANGE: "Обмен",
            Kind.EXCHANGE_REVERSAL: "Отмена обмена",
        },
    ),
}
