"""Messages of the contract as JSON Schema (2020-12), for the OpenAPI document.

A message has one schema in requests and another in answers. A request is refused for fields that it
does not know, may give null for any field that is not required (to protobuf's JSON, such a field is
not given), and never sets what is output only. An answer always has every field that is not a
message.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from balance_service._generated.balance.v1.options_pb2 import Limits
from balance_service.messages import field_limits

Schema = dict[str, object]
Field = FieldDescriptor

# The end of a schema's name if it is of a resource in a request.
INPUT = "Input"
_MARKUP = re.compile(r"[<>*\[\]\\]")
# Google's types whose JSON is not an object of their fields.
_WELL_KNOWN: Mapping[str, Schema] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.FieldMask": {"type": "string", "pattern": r"^(\*|\w+(,\w+)*)$"},
    "google.protobuf.Empty": {"type": "object", "additionalProperties": False},
}


class Schemas:
    """Gathers the schemas that a document refers to.

    Args:
        comments: The contract's comments by the full name of what they stand at.
    """

    def __init__(self, comments: Mapping[str, str]) -> None:
        self._comments = comments
        # The schemas so far, by their names in the document.
        self.components: dict[str, Schema] = {}

    def comment(self, full_name: str) -> str:
        """The contract's comment at an element, as Markdown."""
        return markdown(self.plain_comment(full_name))

    def plain_comment(self, full_name: str) -> str:
        """The contract's comment at an element, as it stands there."""
        return self._comments.get(full_name, "")

    def answer(self, message: Descriptor) -> Schema:
        """A reference to the schema of a message in answers."""
        return self._reference(message, message.name, without=(), in_request=False)

    def body(self, message: Descriptor, without: Sequence[str] = ()) -> Schema:
        """A reference to the schema of a message in requests.

        Args:
            message: The body, or a message in it.
            without: Fields that stand elsewhere in the request, such as in its path.
        """
        suffix = "" if _is_request(message) else INPUT
        return self._reference(message, message.name + suffix, without, in_request=True)

    def field(self, field: Field, *, in_request: bool) -> Schema:
        """A field's schema, with the contract's comment at it.

        Args:
            field: The field of a message.
            in_request: Whether the message is in a request, else in an answer.
        """
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            value = field.message_type.fields_by_name["value"]
            schema: Schema = {"type": "object", "additionalProperties": _scalar(value)}
        elif field.is_repeated:
            schema = {"type": "array", "items": self._item(field, in_request=in_request)}
        else:
            schema = self._item(field, in_request=in_request)
        text = self.comment(field.full_name)
        if in_request:
            schema |= _shape(field)
        return {**schema, "description": text} if text else schema

    def choices(self, enum: EnumDescriptor, prefix: str = "") -> Schema:
        """A schema of the names of an enum's values, each with the contract's comment at it.

        Args:
            enum: The enum.
            prefix: The start of every name, to be left out. With a prefix the enum's zero, which
                stands for no value, is left out, too.
        """
        package = enum.full_name.removesuffix(enum.name)
        values = enum.values[1:] if prefix else enum.values
        lines = [
            f"- `{value.name.removeprefix(prefix)}`: {self.comment(package + value.name)}"
            for value in values
        ]
        return {
            "type": "string",
            "enum": [value.name.removeprefix(prefix) for value in values],
            "description": "\n".join([self.comment(enum.full_name), "", *lines]),
        }

    def _item(self, field: Field, *, in_request: bool) -> Schema:
        """The schema of a field's value, or of one of its values if it is repeated."""
        if field.message_type is not None:
            if known := _WELL_KNOWN.get(field.message_type.full_name):
                return dict(known)
            if field.message_type.full_name == "google.rpc.Status":
                return reference("Status")
            message = field.message_type
            return self.body(message) if in_request else self.answer(message)
        if field.enum_type is not None:
            self.components[field.enum_type.name] = self.choices(field.enum_type)
            return reference(field.enum_type.name)
        return _scalar(field)

    def _reference(
        self, message: Descriptor, name: str, without: Iterable[str], *, in_request: bool
    ) -> Schema:
        if known := _WELL_KNOWN.get(message.full_name):
            return dict(known)
        if name not in self.components:
            self.components[name] = {}  # Known from here on, for messages that contain themselves.
            fields = [f for f in message.fields if f.name not in without]
            if in_request:
                fields = [f for f in fields if not _behaves(f, field_behavior_pb2.OUTPUT_ONLY)]
            self.components[name] = self._object(message, fields, in_request=in_request)
        return reference(name)

    def _object(self, message: Descriptor, fields: Sequence[Field], *, in_request: bool) -> Schema:
        properties = {field.name: self.field(field, in_request=in_request) for field in fields}
        if in_request:
            required_names = [f.name for f in fields if required(f)]
            properties = {
                name: schema if name in required_names else _or_null(schema)
                for name, schema in properties.items()
            }
        else:
            required_names = [f.name for f in fields if not f.has_presence]
        schema: Schema = {"type": "object", "properties": properties}
        if text := self.comment(message.full_name):
            schema["description"] = text
        if required_names:
            schema["required"] = required_names
        if in_request:
            schema["additionalProperties"] = False
            if choices := [oneof for oneof in message.oneofs if len(oneof.fields) > 1]:
                schema["allOf"] = [
                    {"oneOf": [{"required": [field.name]} for field in oneof.fields]}
                    for oneof in choices
                ]
        return schema


def markdown(text: str) -> str:
    """A comment as Markdown that shows it as it stands: `<token>` is not HTML, `[0]` not a link."""
    parts = text.split("`")
    # Every other part stands between backticks, where nothing is markup.
    parts[::2] = [_MARKUP.sub(r"\\\g<0>", part) for part in parts[::2]]
    return "`".join(parts)


def reference(name: str) -> Schema:
    """A reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def required(field: Field) -> bool:
    """Whether a request must have the field."""
    return _behaves(field, field_behavior_pb2.REQUIRED)


def _behaves(field: Field, behavior: int) -> bool:
    return behavior in field.GetOptions().Extensions[field_behavior_pb2.field_behavior]


def _is_request(message: Descriptor | None) -> bool:
    return message is not None and message.name.endswith("Request")


def _or_null(schema: Schema) -> Schema:
    if "type" in schema:
        return {**schema, "type": [schema["type"], "null"]}
    description = {"description": schema["description"]} if "description" in schema else {}
    bare = {name: value for name, value in schema.items() if name != "description"}
    return {"anyOf": [bare, {"type": "null"}], **description}


def _scalar(field: Field) -> Schema:
    match field.cpp_type:
        case Field.CPPTYPE_BOOL:
            return {"type": "boolean"}
        case Field.CPPTYPE_INT32:
            return {"type": "integer", "format": "int32"}
        case Field.CPPTYPE_INT64:
            return {"type": "string", "format": "int64"}
        case _:
            return {"type": "string"}


def _shape(field: Field) -> Schema:
    """What a value of a request must look like, by the limits that the contract states."""
    stated = field_limits.read(field)
    if stated.HasField("values"):
        return {
            "maxProperties": stated.max_items,
            "propertyNames": _text(stated.keys),
            "additionalProperties": {"type": "string", **_text(stated.values)},
        }
    if field.is_repeated:
        sizes = {"minItems": stated.min_items, "maxItems": stated.max_items}
        return {name: size for name, size in sizes.items() if size}
    if field.cpp_type == Field.CPPTYPE_STRING:
        optional = not required(field)
        # An empty text in a request counts as left out, so its least length does not apply. In a
        # resource that is updated, an empty text is a value.
        left_out = optional and _is_request(field.containing_type)
        return _text(stated, optional=optional, left_out=left_out)
    schema: Schema = {}
    if stated.HasField("minimum"):
        schema["minimum"] = stated.minimum
    if stated.HasField("maximum"):
        schema["maximum"] = stated.maximum
    return schema


def _text(stated: Limits, *, optional: bool = False, left_out: bool = False) -> Schema:
    """The limits of a text.

    Args:
        stated: By the contract.
        optional: Whether it may be empty, unless a least length says otherwise.
        left_out: Whether empty is as good as left out, whatever the least length.
    """
    schema: Schema = {}
    if stated.pattern:
        schema["pattern"] = f"^({stated.pattern})?$" if optional else f"^({stated.pattern})$"
    if stated.min_length and not left_out:
        schema["minLength"] = stated.min_length
    if stated.max_length:
        schema["maxLength"] = stated.max_length
    return schema
