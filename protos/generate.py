"""Compiles protos/ into typed stubs for the service and for the Python client, the contract's
comments for the gateway's OpenAPI document, the clients' service config, and
docs/reference/errors.md; and makes the Python client for threads from the one for asyncio.

protoc writes `from balance.v1 import x_pb2`, which cannot be imported from inside a package, and
`balance` is another project's name on PyPI; so that one prefix is rewritten after generation.
"""

import json
import re
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import python_client
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet, MethodOptions
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_tools import protoc

ROOT = Path(__file__).parent.parent
SERVICE = "balance_service._generated"
CLIENT = "balance_client._generated"
PACKAGES = {
    SERVICE: ROOT / "balance_service/_generated",
    CLIENT: ROOT / "clients/python/balance_client/_generated",
}
ERRORS_PAGE = ROOT / "docs/reference/errors.md"
COMMENTS = ROOT / "balance_service/_generated/comments.json"
# For clients in any language, and for the Python client's own package.
SERVICE_CONFIGS = (
    ROOT / "clients/service_config.json",
    ROOT / "clients/python/balance_client/service_config.json",
)
RETRY_POLICY = {
    "maxAttempts": 5,
    "initialBackoff": "0.05s",
    "maxBackoff": "2s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}
IMPORT = re.compile(r"^(from|import) balance\.v1\b", re.MULTILINE)
REFERENCE = re.compile(r"(?<![\w./\"'])balance\.v1\.(?=\w+_pb2)")


def includes() -> list[str]:
    """The include path: ours, then googleapis-common-protos, then protobuf's own."""
    google_api = next(iter(__import__("google.api").api.__path__))
    return [
        f"-I{ROOT / 'protos'}",
        f"-I{Path(google_api).parent.parent}",
        f"-I{resources.files('grpc_tools') / '_proto'}",
    ]


def compile_protos(arguments: list[str]) -> None:
    """Runs protoc over every .proto of ours."""
    sources = sorted(str(path) for path in (ROOT / "protos").rglob("*.proto"))
    if protoc.main(["protoc", *includes(), *arguments, *sources]) != 0:
        sys.exit("protoc failed")


def generate(package: str, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    out = str(folder)
    messages = [f"--python_out={out}", f"--mypy_out=quiet:{out}"]
    # The client's services are not gRPC's stubs: see python_client.
    stubs = [f"--grpc_python_out={out}", f"--mypy_grpc_out=quiet:{out}"]
    compile_protos(messages + (stubs if package == SERVICE else []))
    for path in [*folder.rglob("*.py"), *folder.rglob("*.pyi")]:
        text = IMPORT.sub(rf"\1 {package}.balance.v1", path.read_text())
        text = REFERENCE.sub(f"{package}.balance.v1.", text)
        path.write_text(python_client.stamped(text) if package == CLIENT else text)
    for inner in [folder, folder / "balance", folder / "balance/v1"]:
        (inner / "__init__.py").write_text("")


def write_image(file: str) -> None:
    """Compiles the contract into one descriptor set, comments included."""
    compile_protos(["--include_imports", "--include_source_info", f"--descriptor_set_out={file}"])


def write_release() -> None:
    """Keeps the contract of the version in pyproject.toml, for later ones to be held to."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    kept = ROOT / f"protos/released/{project['version']}.binpb"
    compile_protos(["--include_imports", f"--descriptor_set_out={kept}"])


def contract() -> list[FileDescriptorProto]:
    """Our files, comments included."""
    return [file for file in read_image() if file.package.startswith("balance.")]


def read_image() -> Sequence[FileDescriptorProto]:
    """Our files and all that they import, comments included."""
    with tempfile.NamedTemporaryFile() as image:
        write_image(image.name)
        return FileDescriptorSet.FromString(Path(image.name).read_bytes()).file


def requests_with_id() -> set[str]:
    """The messages with a field of FORMAT_REQUEST_ID, by the name that methods refer to."""
    files = read_image()
    # Our options are known to a pool of the files themselves, whatever stubs there are so far.
    pool = DescriptorPool()
    for file in files:
        pool.Add(file)
    limits = pool.FindExtensionByName("balance.v1.limits")
    formats = pool.FindEnumTypeByName("balance.v1.Format").values_by_name
    options: Any = GetMessageClass(pool.FindMessageTypeByName("google.protobuf.FieldOptions"))
    return {
        f".{file.package}.{message.name}"
        for file in files
        for message in file.message_type
        for field in message.field
        if options.FromString(field.options.SerializeToString()).Extensions[limits].format
        == formats["FORMAT_REQUEST_ID"].number
    }


def service_config() -> str:
    """The gRPC service config that clients follow: which calls they may send again, and when.

    A call may be sent again if it changes nothing, or if its request carries a request id. The
    latter are not marked IDEMPOTENT: without the id, which is optional, they are not.
    """
    with_request_id = requests_with_id()
    names = [
        {"service": f"{file.package}.{service.name}", "method": method.name}
        for file in contract()
        for service in file.service
        for method in service.method
        if not method.server_streaming
        and (
            method.options.idempotency_level == MethodOptions.NO_SIDE_EFFECTS
            or method.input_type in with_request_id
        )
    ]
    config = {
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [
            # Ready again after a restart sooner than a call's time is over.
            {"name": names, "waitForReady": True, "timeout": "30s", "retryPolicy": RETRY_POLICY}
        ],
    }
    return json.dumps(config, indent=2) + "\n"


def comments() -> str:
    """What the contract says of each of its elements, by full name, as JSON."""
    found = {}
    for file in contract():
        for location in file.source_code_info.location:
            if location.leading_comments and (name := element(file, location.path)):
                found[f"{file.package}.{name}"] = paragraphs(location.leading_comments)
    return json.dumps(dict(sorted(found.items())), indent=1, ensure_ascii=False) + "\n"


def element(file: FileDescriptorProto, path: Sequence[int]) -> str:
    """The name, within its package, of what a source path leads to; empty if it has none."""
    names: list[str] = []
    node = file
    for number, index in zip(path[::2], path[1::2], strict=False):
        field = node.DESCRIPTOR.fields_by_number.get(number)
        if field is None or field.message_type is None or not field.is_repeated:
            return ""
        enum = field.name == "value"
        node = getattr(node, field.name)[index]
        if enum:
            names.pop()  # Enum values are siblings of their enum, as in C++.
        names.append(node.name)
    return ".".join(names) if len(path) % 2 == 0 else ""


def paragraphs(comment: str) -> str:
    """A comment without its line breaks."""
    return "\n\n".join(" ".join(part.split()) for part in comment.strip().split("\n\n"))


def errors_page() -> str:
    """The reference of refusals, from the comments of the enum: a heading, and so a link, each."""
    text = (ROOT / "protos/balance/v1/error_reason.proto").read_text()
    names, sections = [], []
    for comment, name in re.findall(
        r"((?:^  // .*\n)+)^  ERROR_REASON_(\w+) =", text, re.MULTILINE
    ):
        words = " ".join(line.strip().removeprefix("// ") for line in comment.splitlines())
        code, _, meaning = words.partition(". ")
        if name != "UNSPECIFIED":
            names.append(f"- [{name}](#{name.lower()})")
            sections.append(f"## {name}\n\n`{code}`\n\n{meaning}\n")
    head = (
        "# Refusals\n\n"
        "Made from `protos/balance/v1/error_reason.proto` by `make protos`.\n\n"
        "A refused call answers a `google.rpc.Status`. Its `ErrorInfo` has the domain `balance.v1`,"
        " one of these\nreasons, and the facts of the case as metadata. Invalid fields come as"
        " `BadRequest`, a time to retry as\n`RetryInfo`, and a message for people as"
        " `LocalizedMessage` (English, or Russian by `accept-language`).\nBranch on the reason,"
        " never on the message. A refused call has changed nothing. Below each reason stands\nits"
        " gRPC status; [HTTP statuses](../guides/http.md#statuses) follow from it.\n\n"
    )
    return head + "\n".join(names) + "\n\n" + "\n".join(sections)


def pages() -> dict[Path, str]:
    """What is made besides stubs."""
    config = service_config()
    made = {ERRORS_PAGE: errors_page(), COMMENTS: comments()}
    faces = python_client.faces(contract())
    made |= {python_client.PACKAGE / path: text for path, text in faces.items()}
    return made | dict.fromkeys(SERVICE_CONFIGS, config)


def check() -> None:
    """Fails if what is committed is not what the protos make."""
    if strays := python_client.strays():
        sys.exit(f"{strays[0].relative_to(ROOT)} is made from nothing: delete it")
    made_here = pages()
    for page, text in made_here.items():
        if not page.exists() or page.read_text() != text:
            sys.exit(f"{page.relative_to(ROOT)} is not up to date: run `make protos`")
    for package, folder in PACKAGES.items():
        with tempfile.TemporaryDirectory() as scratch:
            fresh = Path(scratch) / "stubs"
            generate(package, fresh)
            made, committed = (
                {
                    path.relative_to(tree): path.read_text()
                    for path in tree.rglob("*.py*")
                    if path.suffix in (".py", ".pyi") and path not in made_here
                }
                for tree in (fresh, folder)
            )
            if made != committed:
                sys.exit(f"{folder.relative_to(ROOT)} is not up to date: run `make protos`")


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            for name, target in PACKAGES.items():
                generate(name, target)
            for page, text in pages().items():
                page.write_text(text)
        case ["check"]:
            check()
        case ["image", file]:
            write_image(file)
        case ["release"]:
            write_release()
        case _:
            sys.exit("usage: generate.py [check | image FILE | release]")
