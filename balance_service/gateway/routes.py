"""The `google.api.http` rules of the contract's descriptors as routes.

The rules and the template syntax are those of google/api/http.proto. Literal segments win over
variables, so that `/users/me` is never a user named "me"; a trailing slash is optional.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import unquote

from google.api import annotations_pb2, http_pb2
from google.protobuf.descriptor import FileDescriptor

from balance_service.calls.methods import Method

_VERBS = ("get", "put", "post", "delete", "patch")
# A template's parts: a variable, with its own template if it has one, or the text between two.
_PART = re.compile(r"\{([\w.]+)(?:=([^}]+))?\}|([^{]+)")
_WILDCARD = re.compile(r"(\*\*|\*)")
# A colon starts a custom verb (AIP-136), so in a segment it is written %3A.
_WILDCARD_PATTERNS = {"*": "[^/:]+", "**": ".+"}
_WILDCARD_RANKS = {"*": 1, "**": 2}
_LITERAL_RANK = 0


@dataclass(frozen=True)
class Binding:
    """One way to call a method over HTTP.

    Args:
        verb: The HTTP method, in capitals.
        template: The path, such as `/api/v1/accounts/{account}`.
        body: The field that the body is, `*` for the whole request, or nothing.
        method: The RPC that it calls.
    """

    verb: str
    template: str
    body: str
    method: Method

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """The fields that stand in the path, each by its path in the request."""
        return tuple(part[1] for part in _PART.finditer(self.template) if part[1])

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Matches paths, with one group for each variable."""
        text = ""
        for part in _PART.finditer(self.template):
            variable, inner_template, between = part.groups()
            text += f"({_to_pattern(inner_template or '*')})" if variable else _to_pattern(between)
        return re.compile(text, re.ASCII)

    @cached_property
    def generality(self) -> tuple[list[int], bool]:
        """A sort key: of two templates that match the same path, the more literal one is first.

        Segment by segment, a literal comes before `*` and that before `**`; of two that are equal
        so far, one with a custom verb comes first.
        """
        path = _PART.sub(lambda part: part[3] or part[2] or "*", self.template)
        parents, _, last = path.rpartition("/")
        last, _, custom_verb = last.partition(":")
        segments = [*parents.split("/"), last]
        ranks = [_WILDCARD_RANKS.get(segment, _LITERAL_RANK) for segment in segments]
        return ranks, not custom_verb

    @cached_property
    def deprecated(self) -> bool:
        """Whether it changes something by GET, as only earlier callers do."""
        return self.verb == "GET" and not self.method.reads


class RouteMissing(Exception):  # noqa: N818 - an answer, not a fault
    """No binding has the path."""


class VerbNotAllowed(Exception):  # noqa: N818 - an answer, not a fault
    """The path has bindings, but none with the verb.

    Args:
        allowed: The verbs that it has.
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        super().__init__()
        self.allowed = sorted(set(allowed))


class Routes:
    """Finds bindings by verb and path.

    Args:
        bindings: All of them, in any order.
    """

    def __init__(self, bindings: Iterable[Binding]) -> None:
        self.bindings = tuple(bindings)
        # By template and verb: most calls are found here, without trying expressions in turn.
        self._literal: dict[str, dict[str, Binding]] = {}
        self._patterned: list[Binding] = []
        for binding in self.bindings:
            if binding.variables or _WILDCARD.search(binding.template):
                self._patterned.append(binding)
            else:
                self._literal.setdefault(binding.template, {})[binding.verb] = binding
        self._patterned.sort(key=lambda binding: binding.generality)

    def find(self, verb: str, path: str) -> tuple[Binding, Mapping[str, str]]:
        """Finds the binding of a request, and the values of its path's variables.

        Args:
            verb: The HTTP method, in capitals.
            path: As it was sent, percent-encoded.

        Raises:
            RouteMissing: No binding has the path.
            VerbNotAllowed: The path has other verbs.
            UnicodeDecodeError: A variable is not UTF-8.
        """
        path = path.removesuffix("/") or "/"
        by_verb = self._literal.get(path, {})
        if binding := by_verb.get(verb):
            return binding, {}
        # New callers are not led to what is kept for earlier ones.
        allowed = [verb for verb, binding in by_verb.items() if not binding.deprecated]
        for binding in self._patterned:
            if match := binding.pattern.fullmatch(path):
                if binding.verb == verb:
                    values = (unquote(value, errors="strict") for value in match.groups())
                    return binding, dict(zip(binding.variables, values, strict=True))
                if not binding.deprecated:
                    allowed.append(binding.verb)
        if allowed:
            raise VerbNotAllowed(allowed)
        raise RouteMissing


def read_bindings(files: Iterable[FileDescriptor]) -> Iterator[Binding]:
    """Reads every binding of the services in files, the additional ones included.

    Raises:
        ValueError: A rule has a form that is not served.
    """
    for file in files:
        for service in file.services_by_name.values():
            for descriptor in service.methods:
                first: http_pb2.HttpRule = descriptor.GetOptions().Extensions[annotations_pb2.http]
                for rule in (first, *first.additional_bindings):
                    if pattern := rule.WhichOneof("pattern"):
                        yield _to_binding(rule, pattern, Method(descriptor))


def _to_binding(rule: http_pb2.HttpRule, pattern: str, method: Method) -> Binding:
    if pattern not in _VERBS or rule.response_body:
        raise ValueError(f"{method.full_name}: its HTTP rule has a form that is not served")
    template: str = getattr(rule, pattern)
    return Binding(pattern.upper(), template, rule.body, method)


def _to_pattern(template: str) -> str:
    """The expression that matches a template, or a part of one, that has no variables."""
    parts = _WILDCARD.split(template)
    return "".join(_WILDCARD_PATTERNS.get(part) or re.escape(part) for part in parts)
