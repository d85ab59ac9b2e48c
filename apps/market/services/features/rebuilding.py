"""Computing the features of whole series: all rows, or those from a changed candle on."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction

from apps.market.domain.features.carried import to_bytes, unpack
from apps.market.domain.features.compute import Candles, Carried, compute, local_dates, resume
from apps.market.domain.features.moment import Memory
from apps.market.services.features.candles import BEGINNING, load_candles
from apps.market.services.features.encoding import FeatureRows, sliced
from apps.market.services.features.lineage import (
    AVERAGE,
    RSI,
    Counts,
    Held,
    Moved,
    counted,
    fail_series,
    hold,
    moment,
    move,
    number,
)
from apps.market.services.features.outcome import Outcome
from apps.market.services.features.write import send

logger = logging.getLogger(__name__)

# So many rows of a series are in memory, and in one transaction.
BLOCK_ROWS: Final = 50_000
# So many series share a transaction.
TOGETHER: Final = 25
FIRST = datetime.min.replace(tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)
SECOND: Final = timedelta(seconds=1)
NOTHING: Final = Counts()

# One range of the unique index for each series.
DELETE = """
WITH gone AS (
    DELETE FROM feature_engineered_data v
    USING unnest(
        %(id)s::bigint[], %(first)s::timestamptz[], %(last)s::timestamptz[]
    ) AS wanted (id, first, last) JOIN feature_series f USING (id)
    WHERE v.symbol = f.symbol AND v.source = f.source AND v.granularity = f.granularity
      AND v.feature_version = f.feature_version
      AND v.timestamp BETWEEN wanted.first AND wanted.last
    RETURNING f.id, v.rsi_1d, v.price_ma_short
)
SELECT id, count(*), count(rsi_1d), count(price_ma_short) FROM gone GROUP BY id
"""


class SeriesFailed(Exception):
    """The features of one series could not be computed; nothing of its turn is stored."""

    def __init__(self, held: Held, reason: Exception) -> None:
        super().__init__(str(reason))
        self.held = held
        self.reason = reason


@dataclass(slots=True)
class Course:
    """How far a series has been computed: its last candle, what is carried behind it, and what
    its last row knows. ``anew``: all rows are to be written, whether they changed or not.
    """

    position: int = BEGINNING
    carried: Carried | None = None
    latest: tuple[float | None, float | None] = (None, None)
    anew: bool = False


@dataclass(slots=True)
class Turn:
    """One block of one series: its candles, from when on its rows are written anew."""

    held: Held
    course: Course
    candles: Candles
    write_from: datetime
    is_last: bool
    written: Counts = NOTHING
    first: datetime | None = None

    @property
    def end(self) -> int:
        """The start of the last candle that has been computed when this turn is over."""
        start = self.candles.start
        return int(start[-1]) if start.size else self.course.position


def rebuild_series(
    ids: Sequence[int],
    *,
    now: datetime,
    execution_id: str = "",
    anew: bool = False,
    told: Callable[[Outcome], None] = lambda outcome: None,
) -> Outcome:
    """Compute the features of these series anew and write those that may have changed.

    Rows are written from the first candle on that came late or was replaced; all of them where
    definition or time zone have changed, or where they are wanted ``anew``. Long series go in
    blocks, each in a transaction of its own: killed anywhere, the next one goes on. What is up to
    date is left alone. ``told`` hears after each transaction what has been done until then; what
    it raises ends the work.
    """
    courses = {one: Course(anew=anew) for one in ids}
    outcome = Outcome()
    while courses:
        try:
            with transaction.atomic():
                turns = take_turn(courses, now=now, execution_id=execution_id)
        except SeriesFailed as failure:
            note_failure(failure, outcome, now=now, execution_id=execution_id)
            del courses[failure.held.id]
            continue
        outcome.busy += len(courses.keys() - turns.keys())
        courses = {one: courses[one] for one in courses.keys() & turns.keys()}
        for one, turn in turns.items():
            if turn is None:
                del courses[one]
                continue
            outcome.rows += turn.written.rows
            courses[one] = turn.course
            if turn.is_last:
                outcome.series += 1
                del courses[one]
        told(outcome)
    return outcome


def note_failure(
    failure: SeriesFailed, outcome: Outcome, *, now: datetime, execution_id: str
) -> None:
    held, reason = failure.held, failure.reason
    logger.warning("Features of %s: %s", " ".join(held.key), reason)
    text = str(reason) if isinstance(reason, ValueError) else f"{type(reason).__name__}: {reason}"
    outcome.failed[" ".join(held.key)] = text[:500]
    fail_series(id=held.id, error=text, now=now, execution_id=execution_id)


def take_turn(
    courses: dict[int, Course], *, now: datetime, execution_id: str
) -> dict[int, Turn | None]:
    """Compute and write the next block of each series; those that are busy are left out.

    None where there was nothing to do. Raises SeriesFailed.
    """
    held = {one.id: one for one in hold(list(courses))}
    found: dict[int, Turn | None] = dict.fromkeys(held)
    begun = {
        one.id: continued(one, courses[one.id])
        for one in held.values()
        if one.is_due or courses[one.id].anew or courses[one.id].position != BEGINNING
    }
    if not begun:
        return found
    carried = all(held[one].is_causal for one in begun)
    candles = load_candles(
        {one: course.position for one, course in begun.items()},
        most=BLOCK_ROWS if carried else None,
    )
    turns = [
        Turn(
            held=held[one],
            course=course,
            candles=candles[one],
            write_from=FIRST if course.anew else changed_since(held[one]),
            is_last=not held[one].is_causal or candles[one].start.size < BLOCK_ROWS,
        )
        for one, course in begun.items()
    ]
    gone = delete(turns)
    send(computed(turns))
    changes = [change for turn in turns if (change := moved(turn, gone))]
    move(changes, now=now, execution_id=execution_id)
    return found | {turn.held.id: turn for turn in turns}


def continued(held: Held, course: Course) -> Course:
    """Return where to go on: behind what was just computed, or what was stored; else anew."""
    if course.anew:
        return course
    start = changed_since(held)
    if course.position != BEGINNING and moment(course.position) < start:
        return course
    if held.is_broken:
        return Course()
    try:
        carried = stored(held)
    except ValueError as error:
        logger.warning("%s is computed anew: %s", " ".join(held.key), error)
        return Course()
    return Course(carried.last, carried, (held.latest_rsi, held.latest_ma))


def stored(held: Held) -> Carried:
    """Return what is carried behind the last row. Raises ValueError for what cannot be read."""
    states = unpack([(held.state or b"", held.tail or b"")], [held.zone])
    windows = ("closes", "volumes", "opens", "highs", "lows", "trends")
    memory: dict[str, Any] = {
        name: float(getattr(states.memory, name)[0]) for name in Memory._fields
    }
    return Carried(
        zone=held.zone,
        rows=int(states.rows[0]),
        last=int(states.last[0]),
        day=int(states.day[0]),
        **memory,
        **{name: getattr(states, name)[0] for name in windows},
    )


def changed_since(held: Held) -> datetime:
    """Return from when on rows are to be written."""
    if held.last is None or held.differs or not held.is_causal:
        return FIRST
    if held.changed_from is not None:
        return held.changed_from
    return FIRST if held.state is None else held.last + SECOND


def delete(turns: Sequence[Turn]) -> dict[int, Counts]:
    """Delete the rows that are written anew, or whose candle is gone; return how many."""
    ranges = [
        (turn.held.id, turn.write_from, LAST if turn.is_last else moment(turn.end))
        for turn in turns
        if turn.is_last or turn.write_from <= moment(turn.end)
    ]
    if not ranges:
        return {}
    ids, first, last = (list(column) for column in zip(*ranges, strict=True))
    with connection.cursor() as cursor:
        cursor.execute(DELETE, {"id": ids, "first": first, "last": last})
        return {one: Counts(*counts) for one, *counts in cursor.fetchall()}


def computed(turns: Sequence[Turn]) -> Iterator[list[Any]]:
    """Yield the rows to be written, encoded. Asks no database: a COPY is under way."""
    for turn in turns:
        try:
            yield from compute_block(turn)
        except Exception as error:
            raise SeriesFailed(turn.held, error) from error


def compute_block(turn: Turn) -> Iterator[list[Any]]:
    """Compute the rows of a block and yield those that are to be written, encoded."""
    held, candles, carried = turn.held, turn.candles, turn.course.carried
    if not candles.start.size:
        return
    if held.is_causal:
        values, carried = resume(
            carried or Carried.nothing(held.zone), candles, version=held.version, zone=held.zone
        )
    else:
        values = compute(candles, version=held.version, zone=held.zone)
    latest = (number(values[RSI, -1]), number(values[AVERAGE, -1]))
    turn.course = Course(int(candles.start[-1]), carried, latest)
    begin = int(candles.start.searchsorted(seconds(turn.write_from)))
    start = candles.start[begin:]
    if not start.size:
        return
    turn.written = counted(values[:, begin:])
    turn.first = moment(int(start[0]))
    date = local_dates(start, held.zone).astype("S10")
    yield from sliced(FeatureRows(held.key, start, values[:, begin:], date))


def moved(turn: Turn, gone: dict[int, Counts]) -> Moved | None:
    """Return what becomes of a series by its turn, or None where nothing was written yet."""
    held, course = turn.held, turn.course
    end = moment(course.position) if course.position != BEGINNING else None
    if not turn.is_last and (end is None or turn.first is None):
        return None
    # Behind the end of a turn that is not the last stand rows of before.
    behind = held.last if not turn.is_last else None
    reaches = behind is None or (end is not None and behind <= end)
    last = end if reaches else behind
    state = tail = None
    if reaches and held.is_causal and course.carried is not None and course.carried.rows:
        state, tail = to_bytes(course.carried)
    anew = held.first is None or turn.write_from <= held.first
    counts = turn.written.less(gone.get(held.id, NOTHING))
    latest = course.latest if reaches else (held.latest_rsi, held.latest_ma)
    return Moved(
        id=held.id,
        rows=counts.rows,
        rsi_rows=counts.rsi_rows,
        ma_rows=counts.ma_rows,
        first=turn.first if anew else held.first,
        last=last,
        latest_rsi=latest[0],
        latest_ma=latest[1],
        changed_from=None if reaches or end is None else end + SECOND,
        definition_hash=held.definition_hash,
        timezone=held.zone,
        state=state,
        tail=tail,
        keeps_tail=False,
    )


def seconds(value: datetime) -> float:
    """Return a time as seconds since 1970; fractions stay, so that nothing before is taken."""
    return value.timestamp() if value.year > 1 else float(BEGINNING)
