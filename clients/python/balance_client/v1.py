"""Every message of the contract `balance.v1`, under one name."""

# ruff: noqa: F403
from balance_client._generated.balance.v1.account_pb2 import *
from balance_client._generated.balance.v1.approval_pb2 import *
from balance_client._generated.balance.v1.audit_pb2 import *
from balance_client._generated.balance.v1.auth_pb2 import *
from balance_client._generated.balance.v1.batch_pb2 import *
from balance_client._generated.balance.v1.deposit_pb2 import *
from balance_client._generated.balance.v1.error_reason_pb2 import *
from balance_client._generated.balance.v1.event_pb2 import *
from balance_client._generated.balance.v1.exchange_pb2 import *
from balance_client._generated.balance.v1.hold_pb2 import *
from balance_client._generated.balance.v1.ledger_pb2 import *
from balance_client._generated.balance.v1.movement_pb2 import *
from balance_client._generated.balance.v1.proof_pb2 import *
from balance_client._generated.balance.v1.purchase_pb2 import *
from balance_client._generated.balance.v1.rate_pb2 import *
from balance_client._generated.balance.v1.report_pb2 import *
from balance_client._generated.balance.v1.reversal_pb2 import *
from balance_client._generated.balance.v1.schedule_pb2 import *
from balance_client._generated.balance.v1.statement_pb2 import *
from balance_client._generated.balance.v1.transfer_pb2 import *
from balance_client._generated.balance.v1.user_pb2 import *
from balance_client._generated.balance.v1.webhook_pb2 import *
from balance_client._generated.balance.v1.withdrawal_pb2 import *
