"""New candles of many series at once: their features from what is carried behind the last ones."""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import numpy as np
from django.db import IntegrityError, connection, transaction
from numpy.typing import NDArray

from apps.market.domain.features.carried import States, advance, unpack
from apps.market.domain.features.compute import Candles, local_dates
from apps.market.services.features.candles import load_candles
from apps.market.services.features.encoding import encode_mixed, moments
from apps.market.services.features.lineage import (
    AVERAGE,
    RSI,
    Held,
    Moved,
    hold,
    moment,
    move,
    number,
)
from apps.market.services.features.outcome import Outcome
from apps.market.services.features.rebuilding import DELETE, LAST, SECOND, TOGETHER, rebuild_series
from apps.market.services.features.write import send

logger = logging.getLogger(__name__)

# With more new candles than these a series is faster by itself.
MOST_CANDLES: Final = 48


class Advanced(NamedTuple):
    """Series with equally many new candles: their values by moment, and what is carried on."""

    held: list[Held]
    candles: list[Candles]
    values: list[NDArray[np.float64]]
    states: States


def advance_series(ids: Sequence[int], *, now: datetime, execution_id: str = "") -> Outcome:
    """Add the rows of the candles that came since, for many series in one transaction.

    Whoever cannot be continued is left for a rebuild; whoever has many new candles, or whose
    state or candles are refused, is computed by itself.
    """
    outcome = Outcome()
    try:
        with transaction.atomic():
            alone = advance_together(ids, outcome, now=now, execution_id=execution_id)
    except ValueError as error:
        # Which of them is at fault shows when each is computed by itself.
        logger.warning("Series are computed one by one: %s", error)
        outcome, alone = Outcome(), list(ids)
    for first in range(0, len(alone), TOGETHER):
        part = alone[first : first + TOGETHER]
        outcome.add(rebuild_series(part, now=now, execution_id=execution_id))
    return outcome


def advance_together(
    ids: Sequence[int], outcome: Outcome, *, now: datetime, execution_id: str
) -> list[int]:
    """Do so for all that have few new candles; return the others. Raises ValueError."""
    held = hold(ids)
    outcome.busy += len(ids) - len(held)
    fit = {one.id: one for one in held if one.is_due and not one.is_broken}
    after = {one.id: int(one.last.timestamp()) for one in fit.values() if one.last is not None}
    candles = load_candles(after, most=MOST_CANDLES + 1) if after else {}
    by_size: dict[int, list[Held]] = {}
    alone = []
    for one in fit.values():
        size = candles[one.id].start.size
        if size > MOST_CANDLES:
            alone.append(one.id)
        elif size:
            by_size.setdefault(size, []).append(one)
    groups = [
        advanced(group, [candles[one.id] for one in group], size)
        for size, group in sorted(by_size.items())
    ]
    write([piece for group in groups for piece in encoded(group)], groups)
    move(
        [change for group in groups for change in moved(group)], now=now, execution_id=execution_id
    )
    outcome.series += sum(len(group.held) for group in groups)
    outcome.rows += sum(len(group.held) * len(group.values) for group in groups)
    return alone


def advanced(held: list[Held], candles: list[Candles], size: int) -> Advanced:
    """Compute ``size`` new candles of each of these series, moment by moment."""
    zones = [one.zone for one in held]
    states = unpack([(one.state or b"", one.tail or b"") for one in held], zones)
    if size == 1:
        stacked = [Candles(*map(np.concatenate, zip(*candles, strict=True)))]
    else:
        columns = [np.stack(column) for column in zip(*candles, strict=True)]
        stacked = [Candles(*(column[:, at] for column in columns)) for at in range(size)]
    values = []
    for each in stacked:
        found, states = advance(states, each)
        values.append(found)
    return Advanced(held, stacked, values, states)


def encoded(group: Advanced) -> list[Any]:
    """Return the rows of a group as they are sent, a piece for each moment."""
    keys = [one.key for one in group.held]
    zones = np.array([one.zone for one in group.held])
    pieces = []
    for candles, values in zip(group.candles, group.values, strict=True):
        date = np.empty(len(keys), dtype="S10")
        for zone in set(zones.tolist()):
            which = zones == zone
            date[which] = local_dates(candles.start[which], zone).astype("S10")
        pieces.append(encode_mixed(keys, moments(candles.start), values, date))
    return pieces


def write(pieces: list[Any], groups: Sequence[Advanced]) -> None:
    """Add the rows; where one is there already, without a place in the lineage, replace it."""
    try:
        with transaction.atomic():
            send(pieces)
    except IntegrityError:
        held = [one for group in groups for one in group.held if one.last is not None]
        first = [one.last + SECOND for one in held if one.last is not None]
        wanted: dict[str, Any] = {
            "id": [one.id for one in held],
            "first": first,
            "last": [LAST] * len(held),
        }
        with connection.cursor() as cursor:
            cursor.execute(DELETE, wanted)
        send(pieces)


def moved(group: Advanced) -> list[Moved]:
    """Return what becomes of the series of a group."""
    size = len(group.values)
    known = np.zeros((2, len(group.held)), dtype=np.int64)
    for values in group.values:
        known += ~np.isnan(values[[RSI, AVERAGE]])
    rsi, average = group.values[-1][[RSI, AVERAGE]].tolist()
    first, last = group.candles[0].start.tolist(), group.candles[-1].start.tolist()
    packed = group.states.pack()
    return [
        Moved(
            id=one.id,
            rows=size,
            rsi_rows=int(known[0, at]),
            ma_rows=int(known[1, at]),
            first=one.first or moment(first[at]),
            last=moment(last[at]),
            latest_rsi=number(rsi[at]),
            latest_ma=number(average[at]),
            changed_from=None,
            definition_hash=one.definition_hash,
            timezone=one.zone,
            state=packed[at][0],
            tail=packed[at][1],
            keeps_tail=packed[at][1] is None,
        )
        for at, one in enumerate(group.held)
    ]
