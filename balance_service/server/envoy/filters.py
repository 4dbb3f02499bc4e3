"""What a request passes within Envoy before it reaches Python, and its answer on the way back."""

import json
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, NamedTuple

from balance_service.calls.strangers import BURST_SECONDS
from balance_service.config import Settings
from balance_service.domain.networks import IPV6_PREFIX_LENGTH, Network, parse_networks

Config = dict[str, Any]

TYPES = "type.googleapis.com/"
APPLICATION = "balance_service.server.envoy.application:application"
ADDRESSES_KNOWN = 10_000
# Marks what came by the Connect protocol.
CONNECT_HEADER = "x-balance-connect"
COMPRESSED_BYTES_MIN = 1024
# Of a network without tokens, Python hears of so many times as many calls as it answers. The others
# cost a tenth there, and hear no reason.
HEARD_OF = 1.25
HEALTH = "/healthz.*|/grpc\\.health\\.v1\\.Health/.*"

# A path as UTF-8 (RFC 3629), percent-encoded.
_NEXT = "%[89abAB][0-9a-fA-F]"
PATH = (
    "(?:[^%]|%[0-7][0-9a-fA-F]"
    f"|%(?:[cC][2-9a-fA-F]|[dD][0-9a-fA-F]){_NEXT}"
    f"|(?:%[eE]0%[abAB]|%[eE][dD]%[89])[0-9a-fA-F]{_NEXT}"
    f"|%[eE][1-9a-cA-CefEF]{_NEXT}{_NEXT}"
    f"|(?:%[fF]0%[9abAB]|%[fF]4%8)[0-9a-fA-F]{_NEXT}{_NEXT}"
    f"|%[fF][1-3]{_NEXT}{_NEXT}{_NEXT})*"
)


class _Bucket(NamedTuple):
    """How many requests of a kind each who sends them may make.

    Args:
        entries: What they are told apart by; an entry without a value has a bucket for each value.
        actions: How Envoy finds the entries of a request; one that lacks any is not counted.
        burst: How many at once.
        per_second: How many in a second, after that.
    """

    entries: list[Config]
    actions: list[Config]
    burst: int
    per_second: int

    def descriptor(self) -> Config:
        bucket = {
            "max_tokens": self.burst,
            "tokens_per_fill": self.per_second,
            "fill_interval": "1s",
        }
        return {"entries": self.entries, "token_bucket": bucket}


def filters(settings: Settings) -> list[Config]:
    """What a request passes, in order; its answer passes them the other way."""
    passed = [_path_check(), _filter("cors", "cors.v3.Cors")]
    if buckets := _buckets(settings):
        passed.append(_rate_limit(buckets))
    if settings.tls_certificate and not settings.tls_client_ca and settings.http:
        passed.append(_alt_svc(settings.http_port))
    if settings.http:
        passed.append(_compressor())
    return [
        *passed,
        *(_connect() if settings.connect else []),
        _filter("grpc_web", "grpc_web.v3.GrpcWeb"),
        _python(),
    ]


def _path_check() -> Config:
    """Refuses what is percent-encoded wrongly, or is no UTF-8; such a request would never end."""
    regex = {"safe_regex": {"regex": PATH}}
    policy = {"permissions": [{"url_path": {"path": regex}}], "principals": [{"any": True}]}
    return _filter(
        "rbac", "rbac.v3.RBAC", rules={"action": "ALLOW", "policies": {"well-formed": policy}}
    )


def _buckets(settings: Settings) -> list[_Bucket]:
    buckets = []
    if most := settings.address_requests_per_second:
        address = "remote_address"
        buckets.append(_Bucket([{"key": address}], [{address: {}}], most, most))
    if settings.network_calls_per_second:
        health = {"name": ":path", "string_match": {"safe_regex": {"regex": HEALTH}}}
        other = {**health, "invert_match": True}
        without_token = {"name": "authorization", "present_match": False}
        per_second = max(int(settings.network_calls_per_second * HEARD_OF), 1)
        proxies = parse_networks(settings.trusted_proxies)
        buckets.append(_of_network("stranger", [other, without_token], proxies, per_second))
        buckets.append(_of_network("health", [health], proxies, per_second))
    return buckets


def _of_network(
    kind: str, headers: list[Config], proxies: Sequence[Network], per_second: int
) -> _Bucket:
    """A bucket for the requests of each network whose headers match.

    A proxy has none: all callers behind it share its address, and Python alone tells them apart.
    """
    match = {"descriptor_key": "kind", "descriptor_value": kind, "headers": headers}
    entries: list[Config] = [{"key": "kind", "value": kind}, {"key": "masked_remote_address"}]
    actions: list[Config] = [
        {"header_value_match": match},
        {"masked_remote_address": {"v6_prefix_mask_len": IPV6_PREFIX_LENGTH}},
    ]
    if proxies:
        ranges = [
            {"address_prefix": str(proxy.network_address), "prefix_len": proxy.prefixlen}
            for proxy in proxies
        ]
        direct = {"descriptor_key": "direct", "descriptor_value": "yes"}
        matcher = {"address_matcher": {"ranges": ranges, "invert_match": True}}
        entries.append({"key": "direct", "value": "yes"})
        actions.append({"remote_address_match": {**direct, **matcher}})
    return _Bucket(entries, actions, per_second * BURST_SECONDS, per_second)


def _rate_limit(buckets: Sequence[_Bucket]) -> Config:
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    return _filter(
        "local_ratelimit",
        "local_ratelimit.v3.LocalRateLimit",
        stat_prefix="balance",
        filter_enabled=always,
        filter_enforced=always,
        rate_limited_as_resource_exhausted=True,
        response_headers_to_add=[{"header": {"key": "retry-after", "value": "1"}}],
        rate_limits=[{"actions": bucket.actions} for bucket in buckets],
        descriptors=[bucket.descriptor() for bucket in buckets],
        max_dynamic_descriptors=ADDRESSES_KNOWN,
    )


def _alt_svc(port: int) -> Config:
    header = {"key": "alt-svc", "value": f'h3=":{port}"; ma=86400'}
    return _filter(
        "header_mutation",
        "header_mutation.v3.HeaderMutation",
        mutations={"response_mutations": [{"append": {"header": header}}]},
    )


def _compressor() -> Config:
    gzip = extension(
        "gzip",
        "envoy.extensions.compression.gzip.compressor.v3.Gzip",
        compression_level="COMPRESSION_LEVEL_5",
    )
    return _filter(
        "compressor",
        "compressor.v3.Compressor",
        compressor_library=gzip,
        response_direction_config={
            "common_config": {
                "min_content_length": COMPRESSED_BYTES_MIN,
                "content_type": [
                    "application/json",
                    "text/html",
                    "text/css",
                    "text/javascript",
                    "application/javascript",
                ],
            },
            # So that nothing is compressed twice.
            "remove_accept_encoding_header": True,
        },
    )


def _connect() -> list[Config]:
    """The Connect protocol, by a filter that Envoy's makers call unfinished."""
    # The bridge takes the header of Connect away, and `connect` has to know of it.
    header = {"key": CONNECT_HEADER, "value": "%REQ(CONNECT-PROTOCOL-VERSION)%"}
    mark = {"append": {"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}}
    return [
        _filter(
            "header_mutation",
            "header_mutation.v3.HeaderMutation",
            mutations={"request_mutations": [mark]},
        ),
        _filter("connect_grpc_bridge", "connect_grpc_bridge.v3.FilterConfig"),
    ]


def _python() -> Config:
    """The filter that answers: pyvoy, which runs an ASGI application within Envoy."""
    library = find_spec("pyvoy._pyvoy")
    assert library, "`choice.find_obstacle` has seen it"
    options = {"app": APPLICATION, "interface": "asgi", "lifespan": True}
    return _filter(
        "dynamic_modules",
        "dynamic_modules.v3.DynamicModuleFilter",
        dynamic_module_config={"module": {"local": {"filename": library.origin}}},
        filter_name="pyvoy",
        terminal_filter=True,
        filter_config={
            "@type": f"{TYPES}google.protobuf.StringValue",
            "value": json.dumps(options),
        },
    )


def access_log() -> Config:
    fields = {
        "event": "request",
        "timestamp": "%START_TIME%",
        "method": "%REQ(:METHOD)%",
        "path": "%PATH(NQ:PATH)%",
        "status": "%RESPONSE_CODE%",
        "grpc_status": "%GRPC_STATUS%",
        "milliseconds": "%DURATION%",
        "bytes_received": "%BYTES_RECEIVED%",
        "bytes_sent": "%BYTES_SENT%",
        "address": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
        "request_id": "%RESP(X-REQUEST-ID)%",
    }
    return extension(
        "envoy.access_loggers.stderr",
        "envoy.extensions.access_loggers.stream.v3.StderrAccessLog",
        log_format={"json_format": fields},
    )


def _filter(name: str, kind: str, **fields: Any) -> Config:  # noqa: ANN401 - JSON of any form
    return extension(
        f"envoy.filters.http.{name}", f"envoy.extensions.filters.http.{kind}", **fields
    )


def extension(name: str, kind: str, **fields: Any) -> Config:  # noqa: ANN401 - as above
    return {"name": name, "typed_config": {"@type": f"{TYPES}{kind}", **fields}}
