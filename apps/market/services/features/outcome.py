"""What working on features came to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

MOST_LISTED: Final = 20


@dataclass(slots=True)
class Outcome:
    """How many series were brought up to date by how many rows, and what kept the others.

    ``busy``: somebody else was writing them; they are due at the next look. ``failed``: errors
    by the name of the series.
    """

    series: int = 0
    rows: int = 0
    busy: int = 0
    failed: dict[str, str] = field(default_factory=dict)

    def add(self, other: "Outcome") -> None:
        self.series += other.series
        self.rows += other.rows
        self.busy += other.busy
        self.failed |= other.failed

    def told(self) -> Mapping[str, Any]:
        """Return it as JSON; of many errors the first."""
        listed = dict(list(self.failed.items())[:MOST_LISTED])
        return {
            "series": self.series,
            "rows": self.rows,
            "busy": self.busy,
            "failed": len(self.failed),
            "errors": listed,
        }
