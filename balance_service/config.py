"""Every setting, from the environment: BALANCE_ and the field's name in capitals."""

import os
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

Port = Annotated[int, Field(ge=0, le=65535)]


class Settings(BaseSettings):
    """What an operator decides. Units stand in the names."""

    model_config = SettingsConfigDict(env_prefix="BALANCE_", extra="ignore")

    database_url: str = Field(
        "", description="Postgres, as a libpq URL. `run` without it starts its own."
    )
    data_dir: str = Field(
        ".balance", description="Where `run` keeps its Postgres, secret and mail."
    )
    secret: SecretStr = Field(
        SecretStr(""),
        description="At least 32 random characters; seals signing keys, page tokens and codes. "
        "The same for all processes.",
    )
    host: str = Field("127.0.0.1", description="Address to listen on.")
    grpc_port: Port = Field(50051, description="Port of the gRPC server.")
    http: bool = Field(default=True, description="Whether JSON over HTTP is answered, too.")
    http_port: Port = Field(8080, description="Port of the HTTP server.")
    http_body_bytes_max: int = Field(
        1 << 20, ge=1024, description="Size beyond which an HTTP body is refused."
    )
    http_timeout_seconds: float = Field(30, gt=0, description="How long an HTTP answer may take.")
    http_cors_origins: str = Field(
        "",
        description="Origins whose pages may call, separated by commas; none by default, * for "
        "any.",
    )
    door: Literal["grpcio", "envoy"] = Field(
        "grpcio",
        description="What answers the ports: grpcio, gRPC's own server with uvicorn beside it, or "
        "envoy, which is faster and does what needs `envoy` below.",
    )
    tls_certificate: str = Field(
        "",
        description="Path of the certificate chain, PEM; TLS, with HTTP/3, if it is set (envoy). "
        "Read again when a file is moved into its folder.",
    )
    tls_key: str = Field(
        "", validate_default=True, description="Path of the certificate's private key, PEM (envoy)."
    )
    tls_client_ca: str = Field(
        "",
        description="Path of the authorities whose certificates callers must show, PEM (envoy).",
    )
    connections_max: int = Field(
        10_000, ge=1, description="Connections that a worker takes (envoy)."
    )
    address_requests_per_second: int = Field(
        0,
        ge=0,
        description="Requests a second that a worker takes from one address; 0 for any number "
        "(envoy).",
    )
    connect: bool = Field(
        default=False,
        description="Whether Connect is answered beside gRPC and gRPC-Web, by a filter that its "
        "makers call unfinished; `run` does (envoy).",
    )
    access_log: bool = Field(
        default=False, description="Whether each request is logged, without its query (envoy)."
    )
    workers: int = Field(1, ge=1, le=64, description="Worker processes sharing the ports.")

    pool_size: int = Field(8, ge=2, le=200, description="Postgres connections of a worker.")
    batches_in_flight: int = Field(
        2, ge=1, le=16, description="Commits that a worker has under way at once."
    )
    batch_commands_max: int = Field(
        1000, ge=1, le=10_000, description="Commands that share one commit."
    )
    calls_max: int = Field(
        2000, ge=1, description="Calls that a worker has under way before it refuses more."
    )
    queue_commands_max: int = Field(
        20_000, ge=1000, description="Commands that wait in a worker before it refuses more."
    )
    drain_seconds: float = Field(
        20, gt=0, description="How long a stopping worker finishes what it accepted."
    )

    token_issuer: str = Field("balance-service", description="`iss` of access tokens.")
    token_audience: str = Field("balance", description="`aud` of access tokens.")
    access_token_seconds: int = Field(600, ge=30, le=86_400, description="Life of an access token.")
    refresh_token_days: int = Field(30, ge=1, le=365, description="Life of a sign-in.")

    smtp_url: SecretStr = Field(
        SecretStr(""),
        description="`smtp://user:password@host:port`, or smtps for TLS from the start. Unset: "
        "mail goes to the terminal, in development only.",
    )
    mail_from: str = Field("no-reply@balance.example", description="Sender of confirmation codes.")

    rates_source: Literal["static", "cbr", "ecb"] = Field(
        "static", description="static: the shipped table; cbr: Bank of Russia; ecb: ECB."
    )
    rates_url: str = Field("", description="Where the source's file is, if not at the source.")
    rates_refresh_seconds: int = Field(3600, ge=10, description="How often rates are fetched.")
    rates_stale_after_hours: int = Field(
        96, ge=1, description="Age beyond which a rate is refused; static rates have none."
    )

    user_deposits: bool = Field(
        default=False,
        description="Whether users may deposit to and withdraw from their own account.",
    )
    answers_kept_days: int = Field(
        7, ge=1, description="How long answers of calls that move no money are kept for retries."
    )
    development: bool = Field(
        default=False, description="Set by `run`: allows mail to the terminal."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level that is logged."
    )

    @field_validator("rates_url")
    @classmethod
    def _http_only(cls, url: str) -> str:
        if url and not url.startswith(("http://", "https://")):
            raise ValueError("must be an http or https URL")
        return url

    @field_validator("tls_key")
    @classmethod
    def _with_certificate(cls, path: str, given: ValidationInfo) -> str:
        if bool(path) != bool(given.data.get("tls_certificate")):
            raise ValueError("belongs to BALANCE_TLS_CERTIFICATE: both or none")
        return path

    @field_validator("tls_client_ca")
    @classmethod
    def _within_tls(cls, path: str, given: ValidationInfo) -> str:
        if path and not given.data.get("tls_certificate"):
            raise ValueError("needs BALANCE_TLS_CERTIFICATE")
        return path

    @property
    def cors_origins(self) -> list[str]:
        """Each of `http_cors_origins`."""
        return [origin.strip() for origin in self.http_cors_origins.split(",") if origin.strip()]

    def environment(self) -> dict[str, str]:
        """The environment of a child process that is to have these settings."""
        told = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
            told[f"BALANCE_{name.upper()}"] = text
        return {**os.environ, **told}
