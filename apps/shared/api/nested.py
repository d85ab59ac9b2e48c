"""Rows inside a row: a list of parts that come and are checked together with the whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from apps.shared.api import structs
from apps.shared.api.rows import Row
from apps.shared.api.values import ManyRefused, Refused
from apps.shared.errors import FieldError


@dataclass(frozen=True, slots=True)
class RowsCheck:
    """A list of at most ``maximum`` rows of one type, each bad field named by its place.

    legs: Annotated[list[LegRow], Meta(extra={"check": RowsCheck(LegRow, 100)})] = []
    """

    row: type[Row]
    maximum: int

    def read(self, value: Any) -> list[Row]:
        """Return the rows that a JSON list stands for."""
        if not isinstance(value, list):
            raise Refused("type", "Must be a list of JSON objects.")
        if len(value) > self.maximum:
            raise Refused("too_many", f"Must be at most {self.maximum:,}.")
        rows: list[Row] = []
        errors: list[FieldError] = []
        for place, each in enumerate(value):
            found = structs.read_row(self.row, each)
            if isinstance(found, list):
                errors += [FieldError(f"/{place}{e.pointer}", e.code, e.message) for e in found]
            else:
                rows.append(found)
        if errors:
            raise ManyRefused(errors)
        return rows

    def admits(self, column: Sequence[list[Any]], *, short: bool) -> bool:
        """Tell whether there is nothing inside; whatever is must be read one by one."""
        return not any(column)
