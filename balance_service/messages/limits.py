"""The limits of requests' fields, which the contract states as options (`options.proto`)."""

import functools
import re

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from balance_service._generated.balance.v1 import options_pb2
from balance_service._generated.balance.v1.options_pb2 import Format, Limits


# Every call needs some, and reading an option takes longer than the check that it is for.
@functools.cache
def find(message: Descriptor, name: str) -> Limits:
    """The limits of a message's field, not to be changed."""
    return read(message.fields_by_name[name])


def read(field: FieldDescriptor) -> Limits:
    """Reads the limits of a field, with those of its format."""
    stated = field.GetOptions().Extensions[options_pb2.limits]
    limits = read_format(stated.format)
    limits.MergeFrom(stated)
    return limits


def read_format(number: Format.ValueType) -> Limits:
    """Reads the limits that all fields of a format have."""
    limits = Limits()
    value = Format.DESCRIPTOR.values_by_number[number]
    limits.CopyFrom(value.GetOptions().Extensions[options_pb2.format_limits])
    return limits


def compile_pattern(limits: Limits) -> re.Pattern[str]:
    """The pattern that the whole of a text must match, for `fullmatch`."""
    return re.compile(limits.pattern, re.ASCII)
