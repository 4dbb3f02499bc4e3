"""Builds what surrounds every call: who may call, and how much of a worker each may have."""

from collections.abc import Mapping

from balance_service.auth.tokens import Tokens
from balance_service.calls.access import Rule
from balance_service.calls.dispatch import Calls
from balance_service.calls.quotas import Quota, Quotas
from balance_service.calls.strangers import Strangers
from balance_service.config import Settings
from balance_service.domain.networks import parse_networks


def build(settings: Settings, tokens: Tokens, rules: Mapping[str, Rule]) -> Calls:
    """Builds it from settings.

    Args:
        settings: Say how many may call, and how often.
        tokens: Verifies callers.
        rules: Who may call what.
    """
    certified = bool(settings.tls_client_ca)
    proxies = parse_networks(settings.trusted_proxies)
    return Calls(tokens, _quotas(settings), rules, settings.calls_max, proxies, certified=certified)


def _quotas(settings: Settings) -> Quotas:
    return Quotas(
        users=Quota(
            settings.user_calls_per_second, settings.user_calls_max, settings.user_streams_max
        ),
        services=Quota(
            settings.service_calls_per_second,
            settings.service_calls_max,
            settings.service_streams_max,
        ),
        strangers=Strangers(
            settings.network_calls_per_second, parse_networks(settings.trusted_proxies)
        ),
    )
