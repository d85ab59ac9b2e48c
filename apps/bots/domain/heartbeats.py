"""When a bot counts as silent, as fed with stale data, as idle; which heartbeats count at all.

All of it by our own clock. Nobody is silent while there was nobody to hear: deadlines count from
the moment since which the watch has looked without a break, at the earliest. The statements in
``services/deadlines`` follow these rules.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from apps.bots.choices import BotHealth, BotStatus, DesiredState

# Who is at work is expected to be heard of; the others have said goodbye.
AT_WORK = frozenset({BotStatus.STARTING, BotStatus.RUNNING, BotStatus.PAUSED, BotStatus.STOPPING})
# So many intervals without a heartbeat, so many candles without a new one, so many usual gaps.
MISSED_BEATS, MISSED_CANDLES, USUAL_GAPS = 3, 3, 5
# A deadline that is nearer than so many intervals is moved by a heartbeat; a farther one stands.
NEAR = 1.5
# What is usual is learned from so many of the last trades and decisions.
FEWEST_GAPS, LAST_MOMENTS = 5, 50

# What a bot reports that has done what was wanted of it.
DONE: dict[DesiredState, frozenset[BotStatus]] = {
    DesiredState.RUN: frozenset({BotStatus.RUNNING}),
    DesiredState.PAUSE: frozenset({BotStatus.PAUSED}),
    DesiredState.STOP: frozenset({BotStatus.STOPPED, BotStatus.STOPPING, BotStatus.COMPLETED}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What the health of a bot follows from. Times by our clock, durations in seconds.

    ``heard``: its last heartbeat, or its registration before the first. ``begun``: when it last
    began or was set going again, before which neither candles nor trades were to be expected.
    """

    status: BotStatus
    heard: datetime
    interval: int
    candle_at: datetime | None = None
    candle_interval: int | None = None
    activity_at: datetime | None = None
    usual_gap: float | None = None
    begun: datetime | None = None


def silent_after(life: Life, *, awake: datetime | None = None) -> datetime | None:
    """Return until when a bot must be heard of; None for one that is not at work."""
    if life.status not in AT_WORK:
        return None
    return _latest(life.heard, awake) + MISSED_BEATS * timedelta(seconds=life.interval)


def stale_after(life: Life, *, awake: datetime | None = None) -> datetime | None:
    """Return until when it must have a newer candle; None where none is expected."""
    if life.status not in AT_WORK or life.candle_at is None or life.candle_interval is None:
        return None
    patience = MISSED_CANDLES * timedelta(seconds=life.candle_interval)
    return _latest(life.candle_at, life.begun, awake) + patience


def idle_after(life: Life, *, awake: datetime | None = None) -> datetime | None:
    """Return until when a running bot must trade or decide; None where nothing is usual.

    Never sooner than it would be silent: decisions are told with heartbeats alone.
    """
    if life.status != BotStatus.RUNNING or life.activity_at is None or life.usual_gap is None:
        return None
    patience = max(USUAL_GAPS * life.usual_gap, MISSED_BEATS * life.interval)
    return _latest(life.activity_at, life.begun, awake) + timedelta(seconds=patience)


def health(
    life: Life, *, now: datetime, awake: datetime | None = None, before: BotHealth = BotHealth.OK
) -> BotHealth:
    """Return how a bot stands, the worst that holds first.

    ``before`` is how it stood. Who was found silent stays so until it is heard; a spell that was
    found does not end because nobody was looking for a while.
    """
    if life.status not in AT_WORK:
        return BotHealth.OK
    if before == BotHealth.SILENT or _is_over(silent_after(life, awake=awake), now):
        return BotHealth.SILENT
    since = None if before == BotHealth.STALE else awake
    if _is_over(stale_after(life, awake=since), now):
        return BotHealth.STALE
    since = None if before == BotHealth.IDLE else awake
    if _is_over(idle_after(life, awake=since), now):
        return BotHealth.IDLE
    return BotHealth.OK


def still(life: Life, before: BotHealth, *, now: datetime) -> BotHealth:
    """Return how a bot stands that is just heard of, and stood like ``before``.

    A heartbeat ends spells and begins none: to find and to tell of those is the watch's.
    """
    if before == BotHealth.STALE and _is_over(stale_after(life), now):
        return BotHealth.STALE
    if before == BotHealth.IDLE and _is_over(idle_after(life), now):
        return BotHealth.IDLE
    return BotHealth.OK


def overdue_at(life: Life, found: BotHealth, *, awake: datetime | None = None) -> datetime | None:
    """Return when a bot of this health must be looked at again: before, it cannot get worse.

    None for one of which nothing is expected, and for a silent one: only a heartbeat ends that.
    """
    if found == BotHealth.SILENT:
        return None
    ends = [silent_after(life, awake=awake)]
    if found != BotHealth.STALE:
        ends.append(stale_after(life, awake=awake))
    if found == BotHealth.OK:
        ends.append(idle_after(life, awake=awake))
    return min((end for end in ends if end is not None), default=None)


def _latest(first: datetime, *others: datetime | None) -> datetime:
    return max(first, *(other for other in others if other is not None), first)


def _is_over(deadline: datetime | None, now: datetime) -> bool:
    return deadline is not None and deadline < now


def usual_gap(moments: Iterable[datetime]) -> float | None:
    """Return the median of the seconds between trades or decisions, of the last 50 moments.

    Moments that coincide count once. None, which is never idle, for fewer than five gaps.
    """
    last = sorted(set(moments))[-LAST_MOMENTS:]
    gaps = [(b - a).total_seconds() for a, b in pairwise(last)]
    return median(gaps) if len(gaps) >= FEWEST_GAPS else None


def is_replay(
    *,
    now: datetime,
    beat: int | None,
    counted: int,
    sent_at: datetime | None,
    last_sent_at: datetime | None,
    interval: int,
) -> bool:
    """Tell whether a heartbeat is an old one that came once more.

    ``beat`` is our count that the bot had received last, ``counted`` the one that we hold. A bot
    that tells no count is judged by its own clock: a heartbeat that was not sent after the last
    one, and lies more than an interval behind our clock, is an old one.
    """
    if beat is not None:
        # Of an answer that was lost the bot knows nothing: its next heartbeat was sent later.
        later = sent_at is not None and (last_sent_at is None or sent_at > last_sent_at)
        return beat < counted and not later
    if sent_at is None or last_sent_at is None:
        return False
    return sent_at <= last_sent_at and sent_at < now - timedelta(seconds=interval)


def acknowledges(
    desired: DesiredState, instruction: int, *, acknowledged: int | None, status: BotStatus
) -> bool:
    """Tell whether a heartbeat says that an instruction is carried out.

    By its number or, from bots that do not tell one, by the status they report.
    """
    if acknowledged is not None:
        return acknowledged == instruction
    return status in DONE[desired]
