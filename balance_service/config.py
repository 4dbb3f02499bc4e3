"""Every setting, from the environment: BALANCE_ and the field's name in capitals."""

import os
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from balance_service import secret_files, variables
from balance_service.domain import money
from balance_service.domain.days import Calendar
from balance_service.domain.limits import Limits
from balance_service.setting_types import AmountsByCurrency, HttpUrl, LabelKeys, Networks, TimeZone

Port = Annotated[int, Field(ge=0, le=65535)]

# Settings that had other names before: the old names are still read.
RENAMED = {
    "batches_in_flight": "commits_in_flight",
    "batch_commands_max": "commit_commands_max",
}
# Set by systemd, for the process that it started.
NOTIFY_SOCKET = "NOTIFY_SOCKET"


class Settings(BaseSettings):
    """What an operator decides. Units stand in the names."""

    model_config = SettingsConfigDict(
        env_prefix=variables.PREFIX, extra="ignore", hide_input_in_errors=True
    )

    database_url: SecretStr = Field(
        SecretStr(""),
        description="Postgres, as a libpq URL or connection string, by the role that the service "
        "signs in as, which may not own the tables. `run` without it starts its own.",
    )
    owner_database_url: SecretStr = Field(
        SecretStr(""),
        description="The same database by the role that owns the tables, for `migrate` alone, "
        "which then also makes the role of `BALANCE_DATABASE_URL`. Through no pooler.",
    )
    backup_database_url: SecretStr = Field(
        SecretStr(""),
        description="The same database by a role with REPLICATION, for `backup create` alone; "
        "unset, by that of `BALANCE_OWNER_DATABASE_URL`. Through no pooler.",
    )
    backup_dir: str = Field(
        "",
        description="Where `backup create` keeps back-ups and `restore` finds them; the Postgres "
        "of `run` archives its log there.",
    )
    replica_url: SecretStr = Field(
        SecretStr(""),
        description="Standbys of the same database, in one libpq URL with a host for each, for "
        "reads whose callers say how old an answer they accept; unset, the primary answers all.",
    )
    data_dir: str = Field(
        ".balance", description="Where `run` keeps its Postgres, secret, mail and address."
    )
    secret: SecretStr = Field(
        SecretStr(""),
        description="At least 32 random characters; seals signing keys, second factors, page "
        "tokens and codes. The same for all processes.",
    )
    previous_secret: SecretStr = Field(
        SecretStr(""),
        description="Another secret whose seals and hashes are good besides, while "
        "`BALANCE_SECRET` is changed; unset otherwise.",
    )
    host: str = Field("127.0.0.1", description="Address to listen on.")
    grpc_port: Port = Field(50051, description="Port of the gRPC server.")
    http: bool = Field(default=True, description="Whether JSON over HTTP is answered, too.")
    http_port: Port = Field(8080, description="Port of the HTTP server.")
    operators_host: str = Field(
        "127.0.0.1",
        description="Address of the operators' port, which speaks plain text and asks nobody who "
        "they are: keep it within your network.",
    )
    operators_port: Port = Field(
        9464,
        description="Port of `/metrics`, `/livez` and `/readyz`, answered by a process of its own; "
        "0 turns it off.",
    )
    http_body_bytes_max: int = Field(
        1 << 20, ge=1024, description="Size beyond which an HTTP body is refused."
    )
    http_public_url: HttpUrl = Field(
        "",
        description="What `next` and `previous` of a list begin with, such as "
        "`https://api.example.com`; unset, they are paths.",
    )
    http_timeout_seconds: float = Field(30, gt=0, description="How long an HTTP answer may take.")
    http_cors_origins: str = Field(
        "",
        description="Origins whose pages may call, separated by commas; none by default, * for "
        "any.",
    )
    door: Literal["auto", "envoy", "grpcio"] = Field(
        "auto",
        description="What answers the ports: envoy, which is Envoy with Python within it; grpcio, "
        "which is gRPC's own server with uvicorn beside it; or auto, which is envoy where it can "
        "run and else grpcio. Settings marked (envoy) need the first.",
    )
    tls_certificate: str = Field(
        "",
        description="Path of the certificate chain, PEM. If set, the ports speak TLS, and HTTP/3. "
        "Read again when a file is moved into its folder (envoy).",
    )
    tls_key: str = Field("", description="Path of the certificate's private key, PEM (envoy).")
    tls_client_ca: str = Field(
        "",
        description="Path of the authorities, PEM, of one of which callers show a certificate "
        "(envoy).",
    )
    tls_client_certificate: Literal["required", "optional"] = Field(
        "required",
        description="Whether callers must show such a certificate, or may (envoy). One that is "
        "shown is verified in either case.",
    )
    tls_ca: str = Field(
        "",
        description="Path of the authorities, PEM, of one of which the service must show a "
        "certificate to `gateway`, `health`, `token` and `demo`; unset, it must show the one of "
        "`BALANCE_TLS_CERTIFICATE`.",
    )
    allow_plain_text: bool = Field(
        default=False,
        description="Whether `serve` and `gateway` may speak plain text beyond this machine: for "
        "where TLS ends in front of them, in a proxy or a mesh.",
    )
    connections_max: int = Field(
        10_000, ge=1, description="Connections that a worker has open at once (envoy)."
    )
    address_requests_per_second: int = Field(
        0,
        ge=0,
        description="Requests that a worker accepts from one address in a second; 0 for no limit "
        "(envoy).",
    )
    connect: bool = Field(
        default=False,
        description="Whether the Connect protocol is answered beside gRPC and gRPC-Web, by a "
        "filter that Envoy's makers call unfinished; `run` turns it on (envoy).",
    )
    access_log: bool = Field(
        default=False, description="Whether each request is logged, without its query (envoy)."
    )
    traces: bool = Field(
        default=False,
        description="Whether calls and commits are traced by OpenTelemetry, for the collector that "
        "`OTEL_EXPORTER_OTLP_ENDPOINT` names; OpenTelemetry's other variables hold, too, such as "
        "`OTEL_TRACES_SAMPLER`. Needs the extra `traces`.",
    )
    workers: int = Field(1, ge=1, le=64, description="Worker processes sharing the ports.")

    pool_size: int = Field(8, ge=2, le=200, description="Postgres connections of a worker.")
    commits_in_flight: int = Field(
        2,
        ge=1,
        le=16,
        description="Commits that a worker has under way at once, each on one of as many "
        "connections that are kept for them; others are left for everything else.",
    )
    replica_pool_size: int = Field(
        4, ge=1, le=100, description="Postgres connections of a worker with each standby."
    )
    replica_staleness_max_seconds: float = Field(
        60,
        gt=0,
        le=600,
        description="How old an answer from a standby is at most, also where its caller accepts "
        "an older one.",
    )
    commit_commands_max: int = Field(
        1000, ge=1, le=10_000, description="Commands that share one commit."
    )
    calls_max: int = Field(
        2000, ge=1, description="Calls that a worker has under way before it refuses more."
    )
    user_calls_per_second: float = Field(
        100,
        ge=0,
        description="Calls that a worker takes from one user in a second, five seconds' worth of "
        "them at once; 0 for no limit.",
    )
    user_calls_max: int = Field(
        100, ge=0, description="Calls of one user under way in a worker; 0 for no limit."
    )
    user_streams_max: int = Field(
        20, ge=0, description="Streams of one user that a worker has open; 0 for no limit."
    )
    service_calls_per_second: float = Field(
        0, ge=0, description="As `BALANCE_USER_CALLS_PER_SECOND`, for one sibling service."
    )
    service_calls_max: int = Field(
        1500, ge=0, description="As `BALANCE_USER_CALLS_MAX`, for one sibling service."
    )
    service_streams_max: int = Field(
        5000, ge=0, description="As `BALANCE_USER_STREAMS_MAX`, for one sibling service."
    )
    network_calls_per_second: float = Field(
        100,
        ge=0,
        description="Calls without a token, and requests for pages, that a worker takes from one "
        "network in a second (an IPv4 address or a /64 of IPv6), two seconds' worth of them at "
        "once; signing in counts as ten. 0 for no limit. Behind a proxy, "
        "`BALANCE_TRUSTED_PROXIES` tells the networks.",
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

    second_factor_required: bool = Field(
        default=False,
        description="Whether moderators and admins who have no second factor are plain users.",
    )
    trusted_proxies: Networks = Field(
        "",
        description="Networks of the proxies in front, separated by commas, such as "
        "`10.0.0.0/8`. Limits of sign-in count by the address that these name in "
        "`x-forwarded-for`; unset, by the connection's own, which callers behind a proxy share.",
    )
    codes_per_hour: int = Field(
        10_000,
        ge=1,
        description="Confirmation codes sent in an hour to strangers, and as many more at once.",
    )
    network_codes_per_hour: int = Field(
        100,
        ge=1,
        description="Of these, those that one IPv4 address or /64 of IPv6 may ask for.",
    )

    refresh_grace_seconds: int = Field(
        10,
        ge=0,
        le=60,
        description="How long a used refresh token is answered again, as its answer may be lost.",
    )

    smtp_url: SecretStr = Field(
        SecretStr(""),
        description="`smtp://user:password@host:port`; `smtp+starttls` refuses a server without "
        "STARTTLS, `smtps` speaks TLS from the start. Unset: mail goes to the terminal, in "
        "development only.",
    )
    mail_from: str = Field("no-reply@balance.example", description="Sender of confirmation codes.")

    rates_source: Literal["static", "cbr", "ecb"] = Field(
        "static", description="static: the shipped table; cbr: Bank of Russia; ecb: ECB."
    )
    rates_url: HttpUrl = Field("", description="Where the source's file is, if not at the source.")
    rates_refresh_seconds: int = Field(3600, ge=10, description="How often rates are fetched.")
    rates_stale_after_hours: int = Field(
        96,
        ge=1,
        le=8760,
        description="How long purchases and quotes go by a rate after the source should have "
        "published a newer one, in hours of the days on which it publishes; static rates have no "
        "age.",
    )

    quote_seconds: int = Field(
        60, ge=1, le=3600, description="How long a quote for changing currencies holds."
    )

    user_deposits: bool = Field(
        default=False,
        description="Whether users may deposit to and withdraw from their own account.",
    )
    overdraft_max: AmountsByCurrency = Field(
        "",
        description="The most that an account may be allowed to owe, by currency: "
        "`RUB=100000.00,USD=1000`. A currency that is not named has no ceiling. What accounts "
        "were allowed before stays.",
    )
    debit_max: AmountsByCurrency = Field(
        "",
        description="The most that one transfer, withdrawal or purchase may take from an account "
        "without such a limit of its own, by currency, in the same form; none for a currency that "
        "is not named.",
    )
    daily_debits_max: AmountsByCurrency = Field(
        "",
        description="The most that they may take together in a day, likewise.",
    )
    day_zone: TimeZone = Field(
        "UTC",
        description="The time zone whose calendar days those are, such as `Europe/Moscow` (IANA). "
        "The same for all processes; after a change the rest of the day counts anew or too much.",
    )
    searchable_metadata: LabelKeys = Field(
        "",
        description="Keys of metadata by whose values movements can be found across accounts, "
        "separated by commas, at most 16. The same for all processes. After a key was added, "
        "`index-metadata` adds what was written before; each costs only movements that have it.",
    )
    approval_overdraft_above: AmountsByCurrency = Field(
        "",
        description="The largest overdraft that an operator allows alone, likewise: beyond it, "
        "another admin has to approve. No ceiling for a currency that is not named.",
    )
    approval_debit_limit_above: AmountsByCurrency = Field(
        "", description="Likewise, an account's own limit for one debit."
    )
    approval_daily_limit_above: AmountsByCurrency = Field(
        "", description="Likewise, an account's own limit for the debits of a day."
    )
    answers_kept_days: int = Field(
        7,
        ge=1,
        description="How long answers of calls that move no money are kept for retries, and quotes "
        "after their end that nobody carried out.",
    )
    events_retention_days: int = Field(
        30,
        ge=2,
        le=3_650,
        description="How long events are kept for those who read them. Statements are kept for "
        "ever.",
    )
    webhooks_retention_days: int = Field(
        14,
        ge=1,
        le=365,
        description="How long it is kept what became of an event that was sent by webhook.",
    )
    webhooks_plain_http: bool = Field(
        default=False,
        description="Whether webhooks may go to http URLs, too: for development.",
    )
    webhooks_networks: Networks = Field(
        "",
        description="Networks that are not public and that webhooks may go to nevertheless, "
        "separated by commas, such as `10.1.2.0/24`: for receivers of your own.",
    )
    checkpoint_seconds: int = Field(
        60,
        ge=1,
        le=86_400,
        description="How long after the last checkpoint of the ledger the next one is made, if "
        "anything was committed since; sooner where 2,048 movements are waiting for it.",
    )
    schedules_max: int = Field(
        100, ge=0, description="How many schedules that are active or paused a user may have."
    )
    service_schedules_max: int = Field(
        10_000, ge=0, description="How many a sibling service may have."
    )
    schedule_interval_min_minutes: int = Field(
        60,
        ge=1,
        le=1_440,
        description="How many minutes the occurrences of a schedule are apart at least.",
    )
    schedule_catch_up_hours: int = Field(
        168,
        ge=1,
        le=8_760,
        description="How late an occurrence may be carried out after an outage; what is later is "
        "skipped, and recorded.",
    )
    schedule_occurrences_days: int = Field(
        400,
        ge=30,
        description="How long it is kept what became of occurrences. Movements are kept for ever.",
    )
    development: bool = Field(
        default=False,
        description="Set by `run`: allows mail to the terminal and an example's secret.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least level that is logged."
    )

    @field_validator("host", "operators_host")
    @classmethod
    def _bracket_ipv6(cls, host: str) -> str:
        bare = host.strip("[]")
        return f"[{bare}]" if ":" in bare else bare

    @field_validator("commits_in_flight")
    @classmethod
    def _check_connections(cls, commits: int, info: ValidationInfo) -> int:
        if commits >= info.data.get("pool_size", commits + 1):
            raise ValueError("must be less than BALANCE_POOL_SIZE")
        return commits

    @property
    def checkpoint_interval(self) -> timedelta:
        """How long it takes until a checkpoint covers what is new."""
        return timedelta(seconds=self.checkpoint_seconds)

    @property
    def limits(self) -> Limits:
        """What may be debited from accounts, and owed."""
        return Limits(
            overdraft_minor=money.parse_table(self.overdraft_max, "overdraft_max"),
            debit_minor=money.parse_table(self.debit_max, "debit_max"),
            daily_minor=money.parse_table(self.daily_debits_max, "daily_debits_max"),
            calendar=Calendar(ZoneInfo(self.day_zone)),
        )

    @property
    def migration_url(self) -> str:
        """The database by the role that owns the tables."""
        return self.owner_database_url.get_secret_value() or self.database_url.get_secret_value()

    @property
    def quote_life(self) -> timedelta:
        """How long a quote holds."""
        return timedelta(seconds=self.quote_seconds)

    @property
    def grpc_target(self) -> str:
        """Where callers on this machine find the gRPC server."""
        return f"{self._reachable_host}:{self.grpc_port}"

    @property
    def http_url(self) -> str:
        """Where browsers on this machine find the HTTP server."""
        scheme = "https" if self.tls_certificate else "http"
        return f"{scheme}://{self._reachable_host}:{self.http_port}"

    @property
    def _reachable_host(self) -> str:
        """The host, or this machine where all addresses are listened on."""
        anywhere = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104
        return anywhere.get(self.host, self.host)

    @property
    def stays_on_this_machine(self) -> bool:
        """Whether the host is one that other machines cannot reach."""
        try:
            return ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def cors_origins(self) -> list[str]:
        """`http_cors_origins`, one by one."""
        return [origin.strip() for origin in self.http_cors_origins.split(",") if origin.strip()]

    @property
    def mailbox(self) -> Path:
        """The file that mails are kept in, in development."""
        return Path(self.data_dir) / "mail.txt"

    def environment(self) -> dict[str, str]:
        """The environment of a child process that is to have these settings."""
        # The child gets the new names, and so has nothing to warn of; and secrets, not their files.
        left_out = {variable(old) for old in RENAMED} | {file_variable(name) for name in SECRETS}
        left_out.add(NOTIFY_SOCKET)
        environment = {
            name: text for name, text in os.environ.items() if name.upper() not in left_out
        }
        for name in type(self).model_fields:
            value = getattr(self, name)
            text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
            environment[variable(name)] = text
        return environment


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"{variables.PREFIX}{name.upper()}"


SECRETS = [name for name, field in Settings.model_fields.items() if field.annotation is SecretStr]


def file_variable(name: str) -> str:
    """The environment variable that names the file of a secret."""
    return f"{variable(name)}_FILE"


def read(**chosen: object) -> tuple[Settings, dict[str, str]]:
    """Settings from the environment, and everything that is wrong with them.

    Args:
        chosen: Settings that go before the environment.

    Returns:
        The settings, with the default in place of each that is wrong; and what is wrong, by
        variable. No value is in it.
    """
    known = [*Settings.model_fields, *(f"{name}_file" for name in SECRETS)]
    faults = variables.find_unknown(os.environ, known, read_renamed()) | _find_contradictions()
    values: dict[str, Any] = {RENAMED[old]: os.environ[variable(old)] for old in _old_names()}
    # A Service that is called balance-grpc sets BALANCE_GRPC_PORT to its own address.
    values |= {
        name: field.default
        for name, field in Settings.model_fields.items()
        if name.endswith("_port") and variables.is_service_link(os.environ.get(variable(name), ""))
    }
    values |= _read_secret_files(faults) | chosen
    try:
        return Settings(**values), faults
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_context=False, include_input=False):
            name = str(problem["loc"][0])
            faults[variable(name)] = problem["msg"].removeprefix("Value error, ")
            values[name] = Settings.model_fields[name].default
    return Settings(**values), faults


def notify_socket() -> str:
    """The socket on which systemd is told that the service serves or stops; empty without it."""
    return os.environ.get(NOTIFY_SOCKET, "")


def read_renamed() -> dict[str, str]:
    """The variables that are set under an old name, with the new name of each."""
    return {variable(old): variable(RENAMED[old]) for old in _old_names()}


def _old_names() -> list[str]:
    return [old for old in RENAMED if variable(old) in os.environ]


def _find_contradictions() -> dict[str, str]:
    """Settings that have one value under their old name and another under their new one."""
    return {
        old: f"is an old name of {new}, which is set to something else"
        for old, new in read_renamed().items()
        if os.environ.get(new, os.environ[old]) != os.environ[old]
    }


def _read_secret_files(faults: dict[str, str]) -> dict[str, str]:
    """Secrets from the files that the environment names; notes what is wrong with them."""
    given = {name.upper(): text for name, text in os.environ.items() if text}
    secrets = {}
    for name in SECRETS:
        file = file_variable(name)
        if file in given and variable(name) in given:
            faults[variable(name)] = f"is set, and {file} as well: set one of them"
        elif file in given:
            try:
                secrets[name] = secret_files.read(given[file])
            except ValueError as error:
                faults[variable(name)] = f"cannot be read from {file}: {error}"
    return secrets


def read_sources() -> dict[str, str]:
    """Where each setting's value comes from, by its name, in words."""
    given = {name.upper(): text for name, text in os.environ.items()}
    old_names = {RENAMED[old]: variable(old) for old in _old_names()}
    sources = {}
    for name in Settings.model_fields:
        file = file_variable(name)
        sources[name] = "default"
        if name in SECRETS and given.get(file):
            sources[name] = f"file {given[file]}"
        elif variable(name) in given:
            sources[name] = "environment"
        elif name in old_names:
            sources[name] = f"environment, as {old_names[name]}"
    return sources
