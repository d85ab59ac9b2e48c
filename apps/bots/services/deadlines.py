"""The rules of ``domain/heartbeats`` as pieces of SQL, so that any number of bots is one statement.

Each piece is made of the names of columns, or of what a heartbeat is about to write into them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from apps.bots.choices import BotHealth
from apps.bots.domain.heartbeats import (
    AT_WORK,
    DONE,
    MISSED_BEATS,
    MISSED_CANDLES,
    USUAL_GAPS,
)


def listed(words: Iterable[str]) -> str:
    """Return words of a closed vocabulary as SQL."""
    return ", ".join(f"'{word}'" for word in sorted(map(str, words)))


def latest(*times: str) -> str:
    """Return the latest of some times; greatest() passes over what is empty."""
    return f"greatest({', '.join(time for time in times if time)})"


WORKING = listed(AT_WORK)
# Whether a status says that what is desired is done.
SAYS_DONE = " OR ".join(
    f"(b.desired_state = '{desired}' AND {{status}} IN ({listed(words)}))"
    for desired, words in DONE.items()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Where the parts of a life stand; ``awake`` and ``now`` are expressions too."""

    status: str
    heard: str
    candle_at: str
    activity_at: str
    begun: str
    now: str
    awake: str = ""

    @property
    def working(self) -> str:
        return f"({self.status} IN ({WORKING}))"

    def silent_after(self) -> str:
        patience = f"{MISSED_BEATS} * b.heartbeat_interval_seconds * interval '1 second'"
        return f"({latest(self.heard, self.awake)} + {patience})"

    def stale_after(self, *, awake: str = "") -> str:
        patience = f"{MISSED_CANDLES} * b.candle_interval_seconds * interval '1 second'"
        base = latest(self.candle_at, self.begun, awake or self.awake)
        return f"(CASE WHEN {self.candle_at} IS NOT NULL THEN {base} + {patience} END)"

    def stale_base(self) -> str:
        return latest(self.candle_at, self.begun)

    def idle_after(self, *, awake: str = "") -> str:
        gap = f"{USUAL_GAPS} * b.usual_gap_seconds::float8"
        patience = f"greatest({gap}, {MISSED_BEATS} * b.heartbeat_interval_seconds)"
        base = latest(self.activity_at, self.begun, awake or self.awake)
        known = f"{self.activity_at} IS NOT NULL AND b.usual_gap_seconds IS NOT NULL"
        running = f"{self.status} = 'running'"
        return (
            f"(CASE WHEN {running} AND {known} THEN {base} + {patience} * interval '1 second' END)"
        )

    def idle_base(self) -> str:
        return latest(self.activity_at, self.begun)

    def health(self) -> str:
        """Return how a bot stands, the worst that holds first (``heartbeats.health``)."""
        stale = self.stale_after(awake=f"CASE WHEN b.health <> 'stale' THEN {self.awake} END")
        idle = self.idle_after(awake=f"CASE WHEN b.health <> 'idle' THEN {self.awake} END")
        return (
            f"CASE WHEN NOT {self.working} THEN 'ok'"
            f" WHEN b.health = 'silent' OR {self.silent_after()} < {self.now} THEN 'silent'"
            f" WHEN {stale} < {self.now} THEN 'stale'"
            f" WHEN {idle} < {self.now} THEN 'idle' ELSE 'ok' END"
        )

    def overdue_at(self, health: BotHealth) -> str:
        """Return when one that is not silent must be looked at (``heartbeats.overdue_at``)."""
        ends = [self.silent_after()]
        if health != BotHealth.STALE:
            ends.append(self.stale_after())
        if health == BotHealth.OK:
            ends.append(self.idle_after())
        return f"CASE WHEN {self.working} THEN least({', '.join(ends)}) END"


BEGUN = "greatest(b.started_at, b.acknowledged_at)"
STORED = Terms(
    status="b.status",
    heard="coalesce(b.last_heartbeat, b.created_at)",
    candle_at="b.last_candle_at",
    activity_at="b.last_activity_at",
    begun=BEGUN,
    now="%(now)s::timestamptz",
    awake="%(awake)s::timestamptz",
)
