"""Envoy's configuration: what it does for the service, so that no code of ours does.

Written as the structure that Envoy reads (its v3 API, as JSON), from the outside in: ports,
connections, TLS, HTTP, and the filters that a request passes before it reaches Python.
"""

import json
from pathlib import Path

from balance_service.config import Settings
from balance_service.server.envoy.filters import TYPES, Config, access_log, extension, filters

# Where a worker's Envoy keeps what it needs, in a folder that nobody else may read.
BOOTSTRAP, ADMIN_SOCKET = "envoy.json", "admin.sock"
CERTIFICATE, CLIENT_CA = "certificate.json", "client_ca.json"

NOWHERE = "nowhere"
HEAD_KIB_MAX, HEADERS_MAX = 64, 100
HEAD_TIMEOUT = "10s"
IDLE_TIMEOUT = "75s"
STREAMS_MAX = 1000
# What a stream, a connection, may have sent that was not read yet.
STREAM_WINDOW_BYTES, CONNECTION_WINDOW_BYTES = 1 << 18, 1 << 20
BUFFER_BYTES_MAX = 1 << 18
RELEASED_BYTES = 1 << 26
# Between saying that a connection takes no more streams and closing it.
GOAWAY_TIMEOUT = "0.5s"

# Envoy's own refusals: their status, and the code and message that the body says.
_REPLIES = (
    (408, 4, "The request did not come in time."),
    (429, 8, "Too many requests from this address."),
    (431, 8, "The request's head is too large."),
    (503, 14, "The service takes no more connections."),
)

_EXPOSED = (
    "grpc-status,grpc-message,grpc-status-details-bin,x-request-id,idempotency-replayed,"
    "retry-after,ratelimit,ratelimit-policy,balance-read-from,balance-as-of,balance-position"
)
_ALLOWED = (
    "authorization,content-type,idempotency-key,x-request-id,accept-language,x-grpc-web,"
    "balance-max-staleness,balance-at-least,"
    "x-user-agent,grpc-timeout,connect-protocol-version,connect-timeout-ms"
)


def write(settings: Settings, folder: Path) -> Path:
    """Writes a worker's configuration; its path.

    Args:
        settings: With the ports already chosen.
        folder: Where the files go that Envoy reads, and its admin socket.
    """
    if settings.tls_certificate:
        _dump(folder / CERTIFICATE, _certificate(settings))
    if settings.tls_client_ca:
        _dump(folder / CLIENT_CA, _client_ca(settings))
    path = folder / BOOTSTRAP
    _dump(path, bootstrap(settings, folder))
    return path


def bootstrap(settings: Settings, folder: Path) -> Config:
    """The whole configuration of a worker."""
    return {
        "node": {"id": "worker", "cluster": "balance"},
        # Whoever reaches this can stop the worker, so it is no port.
        "admin": {"address": {"pipe": {"path": str(folder / ADMIN_SOCKET), "mode": 0o600}}},
        "application_log_config": {
            "log_format": {
                "json_format": {"event": "envoy", "level": "%l", "message": "%j", "timestamp": "%Y"}
            }
        },
        "static_resources": {
            "listeners": _listeners(settings, folder),
            "clusters": [{"name": NOWHERE, "type": "STATIC"}],
        },
        "overload_manager": {
            "resource_monitors": [
                extension(
                    "envoy.resource_monitors.global_downstream_max_connections",
                    "envoy.extensions.resource_monitors.downstream_connections.v3"
                    ".DownstreamConnectionsConfig",
                    max_active_downstream_connections=settings.connections_max,
                )
            ]
        },
        # What a burst took goes back to the system; the allocator would keep it.
        "memory_allocator_manager": {
            "bytes_to_release": RELEASED_BYTES,
            "memory_release_interval": "0.5s",
        },
        # Statistics that nobody reads cost memory for each name.
        "stats_config": {
            "stats_matcher": {"inclusion_list": {"patterns": [{"prefix": "http.balance."}]}}
        },
    }


def _listeners(settings: Settings, folder: Path) -> list[Config]:
    ports = [settings.grpc_port, *([settings.http_port] if settings.http else [])]
    first, *others = [_address(settings.host, port) for port in ports]
    chain: Config = {"filters": [_http(settings)]}
    if settings.tls_certificate:
        chain["transport_socket"] = extension(
            "envoy.transport_sockets.tls",
            "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            **_tls(settings, folder, ["h2", "http/1.1"]),
        )
    listener = {
        "name": "balance",
        "address": first,
        "additional_addresses": [{"address": address} for address in others],
        "enable_reuse_port": True,
        "per_connection_buffer_limit_bytes": BUFFER_BYTES_MAX,
        "filter_chains": [chain],
    }
    # QUIC here cannot ask for a client's certificate.
    if not settings.tls_certificate or settings.tls_client_ca:
        return [listener]
    return [listener, *(_quic(settings, folder, port) for port in ports)]


def _quic(settings: Settings, folder: Path, port: int) -> Config:
    """HTTP/3 beside TLS on a port."""
    chain = {
        "filters": [_http(settings, codec="HTTP3")],
        "transport_socket": extension(
            "envoy.transport_sockets.quic",
            "envoy.extensions.transport_sockets.quic.v3.QuicDownstreamTransport",
            downstream_tls_context=_tls(settings, folder, ["h3"]),
        ),
    }
    return {
        "name": f"balance-quic-{port}",
        "address": _address(settings.host, port, protocol="UDP"),
        "enable_reuse_port": True,
        "udp_listener_config": {"quic_options": {}, "downstream_socket_config": {}},
        "filter_chains": [chain],
    }


def _address(host: str, port: int, protocol: str = "TCP") -> Config:
    where = {"address": host.strip("[]"), "port_value": port, "protocol": protocol}
    return {"socket_address": where}


def _tls(settings: Settings, folder: Path, protocols: list[str]) -> Config:
    """TLS with what the files say now; a client shows a certificate if there is an authority.

    Envoy reads them again when something is moved into their folder, as Kubernetes and certbot do.
    """
    common: Config = {
        "alpn_protocols": protocols,
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
        "tls_certificate_sds_secret_configs": [_secret("certificate", folder / CERTIFICATE)],
    }
    if settings.tls_client_ca:
        common["validation_context_sds_secret_config"] = _secret("client_ca", folder / CLIENT_CA)
    return {
        "common_tls_context": common,
        "require_client_certificate": bool(settings.tls_client_ca)
        and settings.tls_client_certificate == "required",
    }


def _secret(name: str, path: Path) -> Config:
    source = {"path_config_source": {"path": str(path)}, "resource_api_version": "V3"}
    return {"name": name, "sds_config": source}


def _certificate(settings: Settings) -> Config:
    chain, key = Path(settings.tls_certificate), Path(settings.tls_key)
    return _resource(
        "certificate",
        tls_certificate={
            "certificate_chain": {"filename": str(chain.absolute())},
            "private_key": {"filename": str(key.absolute())},
            "watched_directory": {"path": str(chain.absolute().parent)},
        },
    )


def _client_ca(settings: Settings) -> Config:
    path = Path(settings.tls_client_ca).absolute()
    return _resource(
        "client_ca",
        validation_context={
            "trusted_ca": {"filename": str(path)},
            "watched_directory": {"path": str(path.parent)},
        },
    )


def _resource(name: str, **secret: Config) -> Config:
    kind = f"{TYPES}envoy.extensions.transport_sockets.tls.v3.Secret"
    return {"resources": [{"@type": kind, "name": name, **secret}]}


def _http(settings: Settings, codec: str = "AUTO") -> Config:
    """The HTTP connection manager: what holds for every request."""
    return extension(
        "envoy.filters.network.http_connection_manager",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        codec_type=codec,
        stat_prefix="balance",
        access_log=[access_log()] if settings.access_log else [],
        server_header_transformation="PASS_THROUGH",
        use_remote_address=True,
        skip_xff_append=True,
        # Whatever callers say of their certificate is taken away.
        forward_client_cert_details="SANITIZE_SET" if settings.tls_client_ca else "SANITIZE",
        set_current_client_cert_details={"uri": True, "dns": True},
        generate_request_id=False,
        preserve_external_request_id=True,
        max_request_headers_kb=HEAD_KIB_MAX,
        request_headers_timeout=HEAD_TIMEOUT,
        # A stream may be silent for as long as its caller likes.
        stream_idle_timeout="0s",
        drain_timeout=GOAWAY_TIMEOUT,
        common_http_protocol_options={
            "idle_timeout": IDLE_TIMEOUT,
            "max_headers_count": HEADERS_MAX,
        },
        # The gateway says 405 of a verb that it does not know, as of one that is not allowed.
        http_protocol_options={"allow_custom_methods": True},
        http2_protocol_options={
            "max_concurrent_streams": STREAMS_MAX,
            "initial_stream_window_size": STREAM_WINDOW_BYTES,
            "initial_connection_window_size": CONNECTION_WINDOW_BYTES,
            "connection_keepalive": {"interval": "60s", "timeout": "20s"},
        },
        http3_protocol_options={"quic_protocol_options": {"max_concurrent_streams": STREAMS_MAX}},
        local_reply_config=_local_replies(),
        route_config={"virtual_hosts": [_virtual_host(settings)]},
        http_filters=filters(settings),
    )


def _virtual_host(settings: Settings) -> Config:
    # No request is routed: Python answers before. But filters ask a route for their settings.
    nowhere = {"match": {"prefix": "/"}, "route": {"cluster": NOWHERE}}
    host: Config = {"name": "all", "domains": ["*"], "routes": [nowhere]}
    if settings.cors_origins:
        host["typed_per_filter_config"] = {"envoy.filters.http.cors": _cors(settings.cors_origins)}
    return host


def _local_replies() -> Config:
    """What Envoy itself refuses, in the form of the gateway's refusals."""
    path = _mapper(403, 3, "The path is not percent-encoded UTF-8.")
    mappers = [{**path, "status_code": 400}, *(_mapper(*reply) for reply in _REPLIES)]
    return {"mappers": mappers, "body_format": _reply(3, "%LOCAL_REPLY_BODY%")}


def _mapper(status: int, code: int, message: str) -> Config:
    # The key is that of a value that Envoy might be told to change while it runs.
    value = {"default_value": status, "runtime_key": f"balance.{status}"}
    return {
        "filter": {"status_code_filter": {"comparison": {"op": "EQ", "value": value}}},
        "body": {"inline_string": message},
        "body_format_override": _reply(code, message),
    }


def _reply(code: int, message: str) -> Config:
    return {"json_format": {"code": code, "message": message, "details": []}}


def _cors(origins: list[str]) -> Config:
    allowed = [{"prefix": ""} if origin == "*" else {"exact": origin} for origin in origins]
    return {
        "@type": f"{TYPES}envoy.extensions.filters.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": allowed,
        "allow_methods": "GET,POST,PATCH,DELETE",
        "allow_headers": _ALLOWED,
        "expose_headers": _EXPOSED,
        "max_age": "600",
    }


def _dump(path: Path, content: Config) -> None:
    path.touch(mode=0o600)
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
