"""What the contract declares, as the clients' makers read it: services, reasons, comments."""

import re
from collections.abc import Iterator, Mapping, Sequence

from google.protobuf.descriptor_pb2 import (
    EnumDescriptorProto,
    FileDescriptorProto,
    ServiceDescriptorProto,
)

Files = Sequence[FileDescriptorProto]
Comments = Mapping[tuple[int, ...], str]


def services(files: Files) -> Iterator[tuple[str, ServiceDescriptorProto, Comments]]:
    """Each service with its full name, and the comments of it and of its methods."""
    for file in files:
        for index, service in enumerate(file.service):
            comments = _comments(file, FileDescriptorProto.SERVICE_FIELD_NUMBER, index)
            yield f"{file.package}.{service.name}", service, comments


def reasons(files: Files) -> Iterator[tuple[str, str]]:
    """Each reason of a refusal, without the enum's prefix, and its comment."""
    enum, comments = next(
        (enum, _comments(file, FileDescriptorProto.ENUM_TYPE_FIELD_NUMBER, index))
        for file in files
        for index, enum in enumerate(file.enum_type)
        if enum.name == "ErrorReason"
    )
    field = EnumDescriptorProto.VALUE_FIELD_NUMBER
    for index, value in enumerate(enum.value):
        name = value.name.removeprefix("ERROR_REASON_")
        if name != "UNSPECIFIED":
            yield name, comments.get((field, index), "")


def told_reasons(files: Files) -> Iterator[tuple[str, str, str]]:
    """Each reason of a refusal, its status code and what it means, as its comment tells them."""
    for name, comment in reasons(files):
        code, _, meaning = " ".join(comment.split()).partition(". ")
        yield name, code, meaning


def plural(service: ServiceDescriptorProto) -> str:
    """What a client calls a service, such as `Accounts`."""
    name = service.name.removesuffix("Service")
    if name == "Auth":
        return name
    return name + ("es" if re.search(r"(ch|s|x)$", name) else "s")


def lines(comment: str, prefix: str) -> list[str]:
    """A comment, line by line, behind a prefix."""
    return [f"{prefix}{line.strip()}".rstrip() for line in comment.strip().splitlines()]


def _comments(file: FileDescriptorProto, field: int, index: int) -> Comments:
    """The comments of a declaration and of what it declares, by path within it."""
    return {
        tuple(location.path[2:]): location.leading_comments
        for location in file.source_code_info.location
        if tuple(location.path[:2]) == (field, index)
    }
