"""The contract's methods, and what its descriptors say of them."""

from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pkgutil import iter_modules

from google.protobuf.descriptor import Descriptor, FileDescriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from balance_service._generated.balance import v1
from balance_service._generated.balance.v1 import options_pb2


@dataclass(frozen=True)
class Method:
    """An RPC.

    Args:
        descriptor: What the contract says of it.
    """

    descriptor: MethodDescriptor

    @cached_property
    def full_name(self) -> str:
        """Its path in gRPC, such as `/balance.v1.AccountService/GetAccount`."""
        return f"/{self.descriptor.containing_service.full_name}/{self.descriptor.name}"

    @cached_property
    def input(self) -> Descriptor:
        """The type of its requests."""
        return self.descriptor.input_type

    @cached_property
    def output(self) -> Descriptor:
        """The type of its answers."""
        return self.descriptor.output_type

    @cached_property
    def creates(self) -> bool:
        """Whether it makes a resource (AIP-133), which HTTP answers with 201."""
        return self.descriptor.name.startswith("Create") and "id" in self.output.fields_by_name

    @cached_property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        level: int = self.descriptor.GetOptions().idempotency_level
        return level == MethodOptions.NO_SIDE_EFFECTS

    @cached_property
    def public(self) -> bool:
        """Whether it needs no token: the option `balance.v1.public` of the contract."""
        return bool(self.descriptor.GetOptions().Extensions[options_pb2.public])


def load_contract() -> list[FileDescriptor]:
    """All files of the contract, found among the stubs: a new one is registered nowhere."""
    names = sorted(module.name for module in iter_modules(v1.__path__, f"{v1.__name__}."))
    return [import_module(name).DESCRIPTOR for name in names if name.endswith("_pb2")]
