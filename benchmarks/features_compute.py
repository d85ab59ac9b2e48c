"""A hundred features of a thousand symbols: ours, data frames, the package ta, plain filling."""

import importlib.util
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from benchmarks.features_rows import ROWS, SYMBOLS, walk
from benchmarks.harness import Case, at_least, timed

NAMES = [
    "features of 1,000 symbols × 1,900 rows, against pandas symbol by symbol",
    "features of 1,000 symbols × 1,900 rows, against pandas on frames of all symbols",
    "features of 1,000 symbols × 1,900 rows, against the package ta",
    "features of 1,000 symbols × 1,900 rows, against filling the output",
]
VERSION, ZONE = "3.1", "UTC"
# What would take minutes is done for a part of the symbols, and its time counts as often.
PANDAS_SHARE, TA_SHARE, WIDE = 20, 250, 100


class Stage:
    """The candles in memory, and each way to their features."""

    def __init__(self) -> None:
        from apps.market.domain.features.columns import NUMERIC
        from apps.market.domain.features.compute import Candles, compute

        self.compute, self.numeric = compute, NUMERIC
        self.candles = [Candles(*walk(place)) for place in range(SYMBOLS)]
        # Resident, so that no side pays for pages that it touches for the first time.
        self.out = np.empty((SYMBOLS, len(NUMERIC), ROWS))
        self.fill()

    def ours(self) -> None:
        for place, candles in enumerate(self.candles):
            self.compute(candles, version=VERSION, zone=ZONE, out=self.out[place])

    def fill(self) -> None:
        for place in range(SYMBOLS):
            self.out[place].fill(1.5)

    # --- Data frames ----------------------------------------------------------------------

    def frame(self, place: int):  # type: ignore[no-untyped-def]
        import pandas as pd

        candles = self.candles[place]
        index = pd.to_datetime(candles.start, unit="s")
        return pd.DataFrame(candles._asdict(), index=index).drop(columns="start")

    def pandas(self, step: int = PANDAS_SHARE) -> None:
        from benchmarks.features_peers import with_pandas

        for place in range(0, SYMBOLS, step):
            with_pandas(self.frame(place))

    def wide(self) -> None:
        """Compute what needs no loop over days, on frames of ``WIDE`` symbols side by side."""
        from benchmarks.features_peers import with_wide_frames

        with_wide_frames([self.frame(place) for place in range(WIDE)])

    def ta(self) -> None:
        from benchmarks.features_peers import with_ta

        for place in range(0, SYMBOLS, TA_SHARE):
            with_ta(self.frame(place))

    def expect_same(self) -> None:
        """Raise unless pandas finds what we find: it measures the same thing."""
        from benchmarks.features_peers import with_pandas

        theirs = with_pandas(self.frame(7))
        mine = self.compute(self.candles[7], version=VERSION, zone=ZONE)
        for place, name in enumerate(self.numeric):
            column = theirs[name].to_numpy(float)
            if not np.allclose(mine[place], column, rtol=1e-8, atol=1e-7, equal_nan=True):
                raise RuntimeError(f"{name} differs from that of pandas.")

    def tell(self) -> None:
        """Say how fast ours is, and what it takes at most beside its input and output."""
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        seconds = timed(self.ours)
        more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        output = self.out.nbytes / 2**20
        print(
            f"{SYMBOLS * ROWS / seconds:,.0f} rows/s; output {output:,.0f} MB, "
            f"peak memory of the process {before / 1024:,.0f} MB, {more / 1024:,.1f} MB more"
            " while computing"
        )


@contextmanager
def cases() -> Iterator[list[Case]]:
    """Yield the cases; those against pandas and ta only where they are installed."""
    stage = Stage()
    stage.tell()

    def ours() -> float:
        return timed(stage.ours)

    found = []
    if importlib.util.find_spec("pandas"):
        found += [
            Case(
                NAMES[0],
                at_least(15),
                ours,
                lambda: PANDAS_SHARE * timed(stage.pandas),
                setup=stage.expect_same,
            ),
            Case(
                NAMES[1],
                at_least(15),
                ours,
                lambda: SYMBOLS / WIDE * timed(stage.wide),
            ),
        ]
    if importlib.util.find_spec("ta"):
        found.append(
            Case(NAMES[2], at_least(200), ours, lambda: TA_SHARE * timed(stage.ta), runs=3)
        )
    found.append(Case(NAMES[3], at_least(0.10), ours, lambda: timed(stage.fill), runs=9))
    yield found
