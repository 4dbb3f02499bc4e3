"""What the TypeScript client is made of besides what is written by hand: its messages, its
services, its reasons, the service config.
"""

import shutil
import subprocess
from pathlib import Path

from declarations import Files, lines, plural, reasons, services

PACKAGE = Path(__file__).parent.parent / "clients/typescript"
STUBS = PACKAGE / "src/_generated/protos"
PLUGIN = PACKAGE / "node_modules/.bin/protoc-gen-es"
MADE = "// Made from protos/ by `make protos`.\n"


def obstacle() -> str:
    """Why messages cannot be made; empty if they can."""
    if not shutil.which("npm"):
        return "there is no Node.js here"
    return "" if PLUGIN.exists() else "protoc-gen-es is missing: run `protos/generate.py tools`"


def install() -> None:
    """Installs what the package is built with, where there is Node.js."""
    if npm := shutil.which("npm"):
        quiet = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
        subprocess.run([npm, "ci", *quiet], cwd=PACKAGE, check=True)


def arguments(out: Path) -> list[str]:
    """What protoc is told, to write messages into a folder."""
    options = "target=ts,import_extension=js"
    return [f"--plugin=protoc-gen-es={PLUGIN}", f"--es_out={out}", f"--es_opt={options}"]


def imports(third_party: Path) -> list[Path]:
    """What of others' protos is compiled besides: all, for Google publishes no messages."""
    return [third_party]


def faces(files: Files, version: str, service_config: str) -> dict[Path, str]:
    """What is made of the contract without protoc, by path."""
    made = PACKAGE / "src/_generated"
    config = f"{MADE}export const serviceConfig = {service_config.strip()};\n"
    return {
        made / "services.ts": _services(files),
        made / "reason.ts": _reasons(files),
        made / "v1.ts": _v1(files),
        made / "service_config.ts": config,
        made / "version.ts": f'{MADE}export const version = "{version}";\n',
    }


def _module(file: str) -> str:
    return f"./protos/{file.removesuffix('.proto')}_pb.js"


def _services(files: Files) -> str:
    imports = [
        f'import {{ {service.name} }} from "{_module(file.name)}";'
        for file in files
        for service in file.service
    ]
    members, makers = [], []
    for _, service, comments in sorted(services(files)):
        name = plural(service)[0].lower() + plural(service)[1:]
        members += ["  /**", *lines(comments.get((), ""), "   * "), "   */"]
        members.append(f"  readonly {name}: Client<typeof {service.name}>;")
        makers.append(f"    {name}: createServiceClient({service.name}, transport),")
    text = [
        MADE,
        'import type { Client, Transport } from "@connectrpc/connect";',
        *imports,
        'import { createServiceClient } from "../service_client.js";',
        "",
        "/** The services of the contract. */",
        "export interface Services {",
        *members,
        "}\n",
        "export function createServices(transport: Transport): Services {",
        "  return {",
        *makers,
        "  };",
        "}",
    ]
    return "\n".join(text) + "\n"


def _reasons(files: Files) -> str:
    text = [
        MADE,
        "/** The reason of a refusal: stable, and equal to its name as a string. */",
        "export const Reason = {",
    ]
    for name, comment in reasons(files):
        text += ["  /**", *lines(comment, "   * "), "   */", f'  {name}: "{name}",']
    text += ["} as const;\n", "export type Reason = (typeof Reason)[keyof typeof Reason];"]
    return "\n".join(text) + "\n"


def _v1(files: Files) -> str:
    exports = [
        f'export * from "{_module(file.name)}";'
        for file in files
        if not file.name.endswith("/options.proto")
    ]
    return "\n".join([MADE, *exports]) + "\n"
