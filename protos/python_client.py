"""What the Python client is made of besides protoc's messages: its services, its reasons, and the
client for threads, which is made from the one for asyncio.
"""

import re
import subprocess
import sys
import textwrap
from pathlib import Path

from declarations import Comments, Files, reasons, services, told_reasons
from google.protobuf.descriptor_pb2 import MethodDescriptorProto, ServiceDescriptorProto

RUFF = Path(sys.executable).parent / "ruff"
PACKAGE = Path(__file__).parent.parent / "clients/python/balance_client"
# Written by hand for each: what threads and asyncio do otherwise.
SEAM = "seam.py"
# The last protoc that makes of our files what ours makes, byte for byte: its messages run on this
# version of protobuf and on the next major one. Ours would say, of the same code, that it needs the
# newest (https://protobuf.dev/support/cross-version-runtime-guarantee).
GENCODE = (6, 30, 0)
MADE = '"""{} Made from protos/ by `make protos`."""\n'

# From asyncio to threads, in this order.
REPLACEMENTS = (
    (r"AsyncIterable\[Request\] \| Iterable\[Request\]", "Iterable[Request]"),
    (r"AsyncAnswer\[(\w+)\]", r"\1"),
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\b(a)(iter|next)\(", r"\2("),
    (r"__a(enter|exit|iter|next)__", r"__\1__"),
    (r"StopAsyncIteration", "StopIteration"),
    (r"\bAsync(?=[A-Z])", ""),
    (r"\basync_(?=each)", ""),
    (r"\bservices_aio\b", "services_sync"),
    (r"\bbalance_client\.aio(?=[. ])(?! alone)", "balance_client.sync"),
    (r"for asyncio(?=[.,]|\"\"\")", "for threads"),
)


def stamped(text: str) -> str:
    """A module of protoc's, for the oldest version of protobuf that it runs on."""
    version = ".".join(map(str, GENCODE))
    text = re.sub(r"(?<=# Protobuf Python Version: )[\d.]+", version, text)
    numbers = "".join(f"    {number},\n" for number in GENCODE)
    return re.sub(r"(?<=Domain\.PUBLIC,\n)(    \d+,\n){3}", numbers, text)


def faces(files: Files) -> dict[Path, str]:
    """What is made of the contract and of the client for asyncio, by path within the package."""
    services = _services(files)
    made = {
        Path("_generated/reason.py"): _reasons(files),
        Path("_generated/codes.py"): _codes(files),
        Path("_generated/services_aio.py"): services,
        Path("_generated/services_sync.py"): _for_threads(services),
    }
    for path in sorted((PACKAGE / "aio").glob("*.py")):
        if path.name != SEAM:
            made[Path("sync") / path.name] = _for_threads(path.read_text())
    return {path: _formatted(text) for path, text in made.items()}


def strays() -> list[Path]:
    """Files among those for threads that stand there for no file for asyncio."""
    originals = {path.name for path in (PACKAGE / "aio").glob("*.py")}
    return [path for path in (PACKAGE / "sync").glob("*.py") if path.name not in originals]


def _for_threads(text: str) -> str:
    for pattern, replacement in REPLACEMENTS:
        text = re.sub(pattern, replacement, text)
    return text


def _formatted(text: str) -> str:
    """The text as the linter wants it: what has become unused is gone, and imports are in order."""
    here = ["--quiet", "--stdin-filename", str(PACKAGE / "made.py"), "-"]
    for command in (["check", "--fix-only", "--select", "F401,I"], ["format"]):
        done = subprocess.run(
            [RUFF, *command, *here], input=text, capture_output=True, text=True, check=True
        )
        text = done.stdout
    return text


def _reasons(files: Files) -> str:
    lines = [
        MADE.format("The reasons of refusals, as an enum."),
        "from enum import StrEnum\n\n",
        "class Reason(StrEnum):",
        '    """The reason of a refusal: stable, and equal to its name as a string."""\n',
    ]
    for name, comment in reasons(files):
        lines += [f'    {name} = "{name}"', _docstring(comment, 4)]
    return "\n".join(lines) + "\n"


def _codes(files: Files) -> str:
    lines = [
        MADE.format("The status code of each reason."),
        "import grpc",
        "from balance_client._generated.reason import Reason\n",
        "CODES = {",
        *(f"    Reason.{name}: grpc.StatusCode.{code}," for name, code, _ in told_reasons(files)),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _services(files: Files) -> str:
    lines = [
        MADE.format("The services for asyncio, method by method."),
        "from google.api.httpbody_pb2 import HttpBody",
        "from google.protobuf.empty_pb2 import Empty",
        "from balance_client import v1",
        "from balance_client.aio.calls import (",
        "    AsyncCaller, AsyncDuplexStream, AsyncServerStream, AsyncUnary",
        ")\n\n",
    ]
    for full_name, service, comments in services(files):
        lines += _service(full_name, service, comments)
    return "\n".join(lines) + "\n"


def _service(full_name: str, service: ServiceDescriptorProto, comments: Comments) -> list[str]:
    lines = [
        f"class Async{service.name}:",
        _docstring(comments.get((), ""), 4),
        "",
        "    def __init__(self, caller: AsyncCaller) -> None:",
    ]
    field = ServiceDescriptorProto.METHOD_FIELD_NUMBER
    for index, method in enumerate(service.method):
        kind, make = _kind(method)
        types = f"{_type(method.input_type)}, {_type(method.output_type)}"
        lines += [
            f"        self.{method.name}: {kind}[{types}] = caller.{make}(",
            f'            "/{full_name}/{method.name}", {types}',
            "        )",
            _docstring(comments.get((field, index), ""), 8),
        ]
    return [*lines, "", ""]


def _kind(method: MethodDescriptorProto) -> tuple[str, str]:
    """The class of a method, and what makes one."""
    if method.client_streaming:
        assert method.server_streaming, "the contract has no stream of requests alone"
        return "AsyncDuplexStream", "duplex_stream"
    if method.server_streaming:
        return "AsyncServerStream", "server_stream"
    return "AsyncUnary", "unary"


def _type(full_name: str) -> str:
    name = full_name.rpartition(".")[2]
    return name if full_name.startswith(".google.") else f"v1.{name}"


def _docstring(comment: str, indent: int) -> str:
    text = "\n".join(line.strip() for line in comment.strip().splitlines())
    if text.endswith('"'):
        text += " "
    return textwrap.indent(f'"""{text}"""' if "\n" not in text else f'"""{text}\n"""', " " * indent)
