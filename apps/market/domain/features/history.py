"""What of a series must be known to go on with it: the last rows, and what never ends."""

from dataclasses import dataclass
from typing import Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from apps.market.domain.features.zones import FIRST_SECOND, LAST_SECOND

Column = NDArray[np.float64]
Seconds = NDArray[np.int64]

# How many rows before the present one any column looks at: closes for the longest average,
# volumes for a ratio to their average 24 rows ago, the rest for windows of 24 rows.
CLOSES: Final = 480
VOLUMES: Final = 144
ROWS: Final = 24

# What a price or a volume may be, so that no product of a few of them overflows.
LOWEST, HIGHEST = 1e-30, 1e30


class Candles(NamedTuple):
    """Candles of one series, oldest first; of one moment of many series when so said.

    ``start``: seconds UTC. Prices and volumes float64, all of one length.
    """

    start: Seconds
    open: Column
    high: Column
    low: Column
    close: Column
    volume: Column

    def part(self, begin: int, end: int) -> "Candles":
        """Return the rows from ``begin`` to before ``end``."""
        return Candles(
            self.start[begin:end],
            self.open[begin:end],
            self.high[begin:end],
            self.low[begin:end],
            self.close[begin:end],
            self.volume[begin:end],
        )


def check_values(candles: Candles) -> Candles:
    """Return the candles as arrays of the right kind.

    Raises ValueError unless all columns have one length, prices are positive, the high and
    the low enclose open and close, and volumes are not negative.
    """
    start = np.asarray(candles.start, np.int64)
    columns = [np.ascontiguousarray(column, np.float64) for column in candles[1:]]
    if start.ndim != 1 or any(column.shape != start.shape for column in columns):
        raise ValueError("Candles need six columns of one length.")
    checked = Candles(start, *columns)
    if not start.size:
        return checked
    opens, high, low, close, volume = columns
    # Written so that a NaN fails: it is neither above nor below anything.
    if not (low.min() >= LOWEST and high.max() <= HIGHEST):
        raise ValueError("Prices must be positive numbers.")
    if not (volume.min() >= 0 and volume.max() <= HIGHEST):
        raise ValueError("Volumes must be numbers, none of them negative.")
    inside = np.minimum(opens, close) >= low
    inside &= np.maximum(opens, close) <= high
    if not inside.all():
        raise ValueError("The high and the low of a candle must enclose its open and close.")
    return checked


def check_times(start: Seconds, after: int | None) -> None:
    """Raise ValueError unless the starts rise, the first being later than ``after``."""
    if not start.size:
        return
    if not (start[0] >= FIRST_SECOND and start[-1] <= LAST_SECOND):
        raise ValueError("Moments must lie in the years 1900 to 2199.")
    if not (start[1:] > start[:-1]).all() or (after is not None and start[0] <= after):
        raise ValueError("Candles must come in the order of their starts, each start once.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """One series after ``rows`` candles: all that later values of version 3.1 depend on.

    The arrays end with the last row; entries before the first row are NaN.

    ``closes`` [480], ``volumes`` [144], ``opens``, ``highs``, ``lows`` and ``trends``
    (volume price trend) [24]. ``reference``: the first close, from which the closes of the
    exponential averages are counted. ``fast``, ``slow``, ``signal``: their numerators, α·Σ
    (1−α)^k·x₋ₖ; the denominator 1−(1−α)^rows is that of ``rows``. ``gain``, ``move``: averages
    of rises and of all moves. ``last``: start of the last candle. ``day``: its local day
    (days since 1970-01-01), ``day_open``, ``day_high``, ``day_low`` of that day until now and
    ``day_before``, the last close of the day before (NaN on the first day).
    """

    zone: str
    rows: int
    last: int
    day: int
    reference: float
    fast: float
    slow: float
    signal: float
    gain: float
    move: float
    day_open: float
    day_high: float
    day_low: float
    day_before: float
    closes: Column
    volumes: Column
    opens: Column
    highs: Column
    lows: Column
    trends: Column

    @classmethod
    def nothing(cls, zone: str) -> Self:
        """Return what is known of a series before its first candle."""
        unknown = float("nan")
        return cls(
            zone=zone,
            rows=0,
            last=0,
            day=0,
            reference=unknown,
            fast=0.0,
            slow=0.0,
            signal=0.0,
            gain=0.0,
            move=0.0,
            day_open=unknown,
            day_high=unknown,
            day_low=unknown,
            day_before=unknown,
            closes=np.full(CLOSES, unknown),
            volumes=np.full(VOLUMES, unknown),
            opens=np.full(ROWS, unknown),
            highs=np.full(ROWS, unknown),
            lows=np.full(ROWS, unknown),
            trends=np.full(ROWS, unknown),
        )


class Block(NamedTuple):
    """New rows behind the rows that they depend on; ``rows`` is how many came before."""

    rows: int
    size: int
    start: Seconds
    open: Column
    high: Column
    low: Column
    close: Column
    volume: Column

    @classmethod
    def behind(cls, carried: Carried, candles: Candles) -> Self:
        """Put new candles behind what is carried."""
        join = np.concatenate
        return cls(
            carried.rows,
            candles.start.size,
            candles.start,
            join((carried.opens, candles.open)),
            join((carried.highs, candles.high)),
            join((carried.lows, candles.low)),
            join((carried.closes, candles.close)),
            join((carried.volumes, candles.volume)),
        )

    def first(self, padding: int) -> int:
        """Return where the series' first row lies in an array with ``padding`` rows before
        the block's; 0 when it lies farther back."""
        return max(0, padding - self.rows)
