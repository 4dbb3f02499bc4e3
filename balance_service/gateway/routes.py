"""The descriptors' `google.api.http` rules as routes.

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
_PART = re.compile(r"\{([\w.]+)(?:=([^}]+))?\}|([^{]+)")
_WILDCARD = re.compile(r"(\*\*|\*)")


@dataclass(frozen=True)
class Binding:
    """One way to call a method over HTTP.

    Args:
        verb: In capitals.
        template: The path, such as `/api/v1/accounts/{account}`.
        body: The field that the body is, `*` for the whole request, or nothing.
        method: What is called.
    """

    verb: str
    template: str
    body: str
    method: Method

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """The paths of the fields that stand in the path."""
        return tuple(part[1] for part in _PART.finditer(self.template) if part[1])

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Matches paths, with one group for each variable."""
        text = ""
        for part in _PART.finditer(self.template):
            text += f"({_pattern(part[2] or '*')})" if part[1] else _pattern(part[3])
        return re.compile(text, re.ASCII)

    @cached_property
    def generality(self) -> tuple[tuple[int, ...], bool]:
        """Sorts templates so that of two that match a path the more literal one is first."""
        path, verb = _PART.sub(lambda part: part[3] or part[2] or "*", self.template), False
        if ":" in path.rpartition("/")[2]:
            path, verb = path.rpartition(":")[0], True
        ranks = {"*": 1, "**": 2}
        return tuple(ranks.get(segment, 0) for segment in path.split("/")), not verb

    @cached_property
    def deprecated(self) -> bool:
        """Whether it changes something by GET, which exists for earlier callers alone."""
        return self.verb == "GET" and not self.method.reads


class RouteMissing(Exception):  # noqa: N818 - an answer, not a fault
    """No binding has the path."""


class VerbNotAllowed(Exception):  # noqa: N818 - an answer, not a fault
    """The path has other verbs.

    Args:
        allowed: Them.
    """

    def __init__(self, allowed: Iterable[str]) -> None:
        super().__init__()
        self.allowed = sorted(set(allowed))


class Routes:
    """Finds bindings by verb and path."""

    def __init__(self, bindings: Iterable[Binding]) -> None:
        self.bindings = tuple(bindings)
        self._exact: dict[str, dict[str, Binding]] = {}
        self._templates: list[Binding] = []
        for binding in self.bindings:
            if binding.variables or _WILDCARD.search(binding.template):
                self._templates.append(binding)
            else:
                self._exact.setdefault(binding.template, {})[binding.verb] = binding
        self._templates.sort(key=lambda binding: binding.generality)

    def find(self, verb: str, path: str) -> tuple[Binding, Mapping[str, str]]:
        """The binding of a request, and its variables.

        Args:
            verb: In capitals.
            path: As it was sent, percent-encoded.

        Raises:
            RouteMissing: No binding has the path.
            VerbNotAllowed: The path has other verbs.
            UnicodeDecodeError: A variable is not UTF-8.
        """
        path = path.removesuffix("/") or "/"
        exact = self._exact.get(path, {})
        if binding := exact.get(verb):
            return binding, {}
        # What is for earlier callers alone is not told of.
        allowed = [verb for verb, binding in exact.items() if not binding.deprecated]
        for binding in self._templates:
            if matched := binding.pattern.fullmatch(path):
                if binding.verb == verb:
                    values = (unquote(value, errors="strict") for value in matched.groups())
                    return binding, dict(zip(binding.variables, values, strict=True))
                if not binding.deprecated:
                    allowed.append(binding.verb)
        if allowed:
            raise VerbNotAllowed(allowed)
        raise RouteMissing


def bindings(files: Iterable[FileDescriptor]) -> Iterator[Binding]:
    """Every binding of the services in files, the additional ones included."""
    for file in files:
        for service in file.services_by_name.values():
            for descriptor in service.methods:
                rule: http_pb2.HttpRule = descriptor.GetOptions().Extensions[annotations_pb2.http]
                for one in (rule, *rule.additional_bindings):
                    if pattern := one.WhichOneof("pattern"):
                        yield _binding(one, pattern, Method(descriptor))


def _binding(rule: http_pb2.HttpRule, pattern: str, method: Method) -> Binding:
    if pattern not in _VERBS or rule.response_body:
        raise ValueError(f"{method.full_name}: its HTTP rule has a form that is not served")
    template: str = getattr(rule, pattern)
    return Binding(pattern.upper(), template, rule.body, method)


def _pattern(template: str) -> str:
    """The expression that matches a template's text without variables."""
    # A colon starts a custom verb (AIP-136), so a segment has none but as %3A.
    kinds = {"*": "[^/:]+", "**": ".+"}
    return "".join(kinds.get(part) or re.escape(part) for part in _WILDCARD.split(template))
