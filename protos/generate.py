"""Compiles protos/ into typed stubs for the service and for the clients, the contract's comments
for the gateway's OpenAPI document, the clients' service config, and docs/reference/errors.md; and
makes the Python client for threads from the one for asyncio.

protoc writes `from balance.v1 import x_pb2`, which cannot be imported from inside a package, and
`balance` is another project's name on PyPI; so that one prefix is rewritten after generation.
"""

import json
import re
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, NoReturn

import errors_page
import go_client
import python_client
import service_config
import typescript_client
from google.api import annotations_pb2
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from grpc_tools import protoc

ROOT = Path(__file__).parent.parent
OURS = ROOT / "protos"
THIRD_PARTY = OURS / "third_party"
SERVICE = "balance_service._generated"
CLIENT = "balance_client._generated"
PACKAGES = {
    SERVICE: ROOT / "balance_service/_generated",
    CLIENT: ROOT / "clients/python/balance_client/_generated",
}
ERRORS_PAGE = ROOT / "docs/reference/errors.md"
COMMENTS = ROOT / "balance_service/_generated/comments.json"
# For clients in any language, and for the packages of ours.
SERVICE_CONFIGS = (
    ROOT / "clients/service_config.json",
    ROOT / "clients/python/balance_client/service_config.json",
    ROOT / "clients/go/service_config.json",
)
# What the contract imports or answers with, as the package googleapis-common-protos has it, so that
# protoc and buf need nothing else.
GOOGLE_PROTOS = (
    "api/annotations",
    "api/field_behavior",
    "api/http",
    "api/httpbody",
    "rpc/code",
    "rpc/error_details",
    "rpc/status",
)
# Clients whose compilers come with their languages.
OTHERS = (go_client, typescript_client)
IMPORT = re.compile(r"^(from|import) balance\.v1\b", re.MULTILINE)
REFERENCE = re.compile(r"(?<![\w./\"'])balance\.v1\.(?=\w+_pb2)")


def compile_protos(arguments: list[str], folders: Sequence[Path] = (OURS / "balance",)) -> None:
    """Runs protoc over every .proto of some folders; by default, of ours."""
    own = resources.files("grpc_tools") / "_proto"
    # Theirs first: they lie within ours, and a file has the name that the first match gives it.
    includes = [f"-I{THIRD_PARTY}", f"-I{OURS}", f"-I{own}"]
    sources = sorted(str(path) for folder in folders for path in folder.rglob("*.proto"))
    if protoc.main(["protoc", *includes, *arguments, *sources]) != 0:
        sys.exit("protoc failed")


def google_protos() -> dict[Path, str]:
    """Google's files, which ours import."""
    package = Path(annotations_pb2.__file__).parent.parent
    return {
        THIRD_PARTY / f"google/{name}.proto": (package / f"{name}.proto").read_text()
        for name in GOOGLE_PROTOS
    }


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


def generate_other(client: Any, folder: Path) -> None:  # noqa: ANN401 - a module of OTHERS
    """Stubs that are made by a language's own compilers."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    compile_protos(client.arguments(folder), [OURS / "balance", *client.imports(THIRD_PARTY)])


def write_image(file: str) -> None:
    """Compiles the contract into one descriptor set, comments included."""
    compile_protos(["--include_imports", "--include_source_info", f"--descriptor_set_out={file}"])


def write_release() -> None:
    """Keeps the contract of the version in pyproject.toml, for later ones to be held to."""
    kept = ROOT / f"protos/released/{version()}.binpb"
    compile_protos(["--include_imports", f"--descriptor_set_out={kept}"])


def version() -> str:
    """The version of the service, which its clients share."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return str(project["version"])


def contract() -> list[FileDescriptorProto]:
    """Our files, comments included."""
    return [file for file in read_image() if file.package.startswith("balance.")]


def read_image() -> Sequence[FileDescriptorProto]:
    """Our files and all that they import, comments included."""
    with tempfile.NamedTemporaryFile() as image:
        write_image(image.name)
        return FileDescriptorSet.FromString(Path(image.name).read_bytes()).file


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


def pages() -> dict[Path, str]:
    """What is made besides stubs."""
    config = service_config.made_of(read_image())
    files = contract()
    made = {ERRORS_PAGE: errors_page.page(files), COMMENTS: comments()}
    faces = python_client.faces(files)
    made |= {python_client.PACKAGE / path: text for path, text in faces.items()}
    made |= go_client.faces(files, version())
    made |= typescript_client.faces(files, version(), config)
    return made | google_protos() | dict.fromkeys(SERVICE_CONFIGS, config)


def write() -> None:
    """Makes everything; a client whose language is not here is left as it is."""
    for proto, text in google_protos().items():
        proto.parent.mkdir(parents=True, exist_ok=True)
        proto.write_text(text)
    for package, folder in PACKAGES.items():
        generate(package, folder)
    for page, text in pages().items():
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text)
    for client in OTHERS:
        if client.obstacle():
            client.install()
        if obstacle := client.obstacle():
            print(f"{client.STUBS.relative_to(ROOT)} is left as it is: {obstacle}")
        else:
            generate_other(client, client.STUBS)


def check() -> None:
    """Fails if what is committed is not what the protos make."""
    if strays := python_client.strays():
        sys.exit(f"{strays[0].relative_to(ROOT)} is made from nothing: delete it")
    made_here = pages()
    for page, text in made_here.items():
        if not page.exists() or page.read_text() != text:
            fail(page)
    for package, folder in PACKAGES.items():
        with scratch() as fresh:
            generate(package, fresh)
            if texts(fresh, made_here) != texts(folder, made_here):
                fail(folder)
    for client in OTHERS:
        if obstacle := client.obstacle():
            print(f"{client.STUBS.relative_to(ROOT)} is not checked: {obstacle}")
            continue
        with scratch() as fresh:
            generate_other(client, fresh)
            if texts(fresh) != texts(client.STUBS):
                fail(client.STUBS)


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is not there yet."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "stubs"


def texts(tree: Path, but: Container[Path] = ()) -> dict[Path, str]:
    """The sources in a folder, by path within it."""
    return {
        path.relative_to(tree): path.read_text()
        for path in tree.rglob("*")
        if path.suffix in (".py", ".pyi", ".go", ".ts") and path not in but
    }


def fail(path: Path) -> NoReturn:
    """Says what is not up to date."""
    sys.exit(f"{path.relative_to(ROOT)} is not up to date: run `make protos`")


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            write()
        case ["check"]:
            check()
        case ["image", file]:
            write_image(file)
        case ["release"]:
            write_release()
        case ["tools"]:
            for other in OTHERS:
                other.install()
        case _:
            sys.exit("usage: generate.py [check | image FILE | release | tools]")
