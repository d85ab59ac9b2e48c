"""UUIDs that clients make: how they are read, in the one spelling that an id has."""

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from msgspec import Meta

from apps.shared.api.values import Refused

CANONICAL: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
ANY_CASE: Final = re.compile(CANONICAL.pattern, re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class UuidCheck:
    """A UUID as text; kept in lower case, so that one id has one spelling."""

    def read(self, value: Any) -> str:
        """Return the id in lower case."""
        if not isinstance(value, str):
            raise Refused("type", "Must be a string.")
        if not ANY_CASE.fullmatch(value):
            raise Refused("not_a_uuid", "Must be a UUID.")
        return str(uuid.UUID(value))

    def admits(self, column: Sequence[str], *, short: bool) -> bool:
        """Tell whether all are in lower case already."""
        return all(CANONICAL.fullmatch(value) for value in column)


def identifier(description: str) -> Meta:
    """Return the metadata of a UUID that a client has made."""
    return Meta(
        description=description,
        extra={"check": UuidCheck()},
        extra_json_schema={"format": "uuid"},
    )
