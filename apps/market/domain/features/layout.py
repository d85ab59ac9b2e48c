"""How series are kept as bytes: a small ``state``, and a long ``tail`` written seldom."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

import numpy as np
from numpy.typing import NDArray

from apps.market.domain.features.history import CLOSES, ROWS, VOLUMES
from apps.market.domain.features.moment import Memory
from apps.market.domain.features.versions import MENDED, definition_hash

Column = NDArray[np.float64]
Counts = NDArray[np.int64]
Records = NDArray[np.void]

# The long history is written again after so many candles; until then they stand in ``state``.
TAIL_EVERY: Final = 32

STATE = np.dtype(
    [
        ("layout", "<u8"),
        ("check", "<u8"),
        ("zone", "<u8"),
        ("tail_check", "<u8"),
        ("rows", "<i8"),
        ("last", "<i8"),
        ("day", "<i8"),
        ("since", "<i8"),
        ("memory", "<f8", (len(Memory._fields),)),
        ("recent", "<f8", (TAIL_EVERY, 5)),
    ]
)
HEAD = STATE.fields["recent"][1]  # type: ignore[index]
TAIL = np.dtype(
    [
        ("layout", "<u8"),
        ("closes", "<f8", (CLOSES,)),
        ("volumes", "<f8", (VOLUMES,)),
        ("opens", "<f8", (ROWS,)),
        ("highs", "<f8", (ROWS,)),
        ("lows", "<f8", (ROWS,)),
        ("trends", "<f8", (ROWS,)),
    ]
)
CANDLE_BYTES = 5 * 8
# The windows of last rows, as ``Carried`` names them.
WINDOWS: Final = ("closes", "volumes", "opens", "highs", "lows", "trends")


def _digest(text: str) -> int:
    return int.from_bytes(sha256(text.encode()).digest()[:8], "little")


# Another layout of the bytes, or another formula, must not go on from these.
LAYOUT = _digest(f"1 {STATE.descr} {TAIL.descr} {definition_hash(MENDED)}")


def refuse_foreign(
    packed: Sequence[tuple[bytes, bytes]],
    states: Records,
    tails: Records,
    zones: Sequence[str],
) -> None:
    if (states["layout"] != LAYOUT).any() or (tails["layout"] != LAYOUT).any():
        raise ValueError("The bytes of a series are of another layout or formula.")
    lengths = np.array([len(state) for state, _tail in packed], np.int64)
    if (lengths != HEAD + states["since"] * CANDLE_BYTES).any() or checks(states).any():
        raise ValueError("The bytes of a series are cut off or damaged.")
    if (states["tail_check"] != checks(tails)).any():
        raise ValueError("The tail of a series is not the one that its state goes on from.")
    if (states["zone"] != zone_digests(zones)).any():
        raise ValueError("A series was begun in another time zone.")


def windows(tails: Records, recent: Column, since: Counts, rows: Counts) -> dict[str, Column]:
    """Put the candles since the tail behind the rows of the tail."""
    kept = {name: tails[name].astype(np.float64) for name in TAIL.names[1:]}  # type: ignore[index]
    # The columns of ``recent`` are those of a candle, in its order.
    columns = {"opens": 0, "highs": 1, "lows": 2, "closes": 3, "volumes": 4}
    for count in np.unique(since).tolist():
        if not count:
            continue
        which = np.flatnonzero(since == count)
        new = recent[which, :count]
        kept["trends"][which] = _trends(
            kept["trends"][which], kept["closes"][which, -1], new, rows[which] - count
        )
        for name, place in columns.items():
            values = kept[name]
            width = values.shape[1]
            stay = max(0, width - count)
            if stay:
                values[which, :stay] = values[which, width - stay :]
            values[which, stay:] = new[:, count - (width - stay) :, place]
    return kept


def _trends(trends: Column, close: Column, new: Column, rows: Counts) -> Column:
    """Return the volume price trend of the last 24 rows, added up as it was at first."""
    closes = np.concatenate((close[:, None], new[:, :, 3]), axis=1)
    added = new[:, :, 4] * ((closes[:, 1:] - closes[:, :-1]) / closes[:, :-1])
    before = np.where(rows > 1, trends[:, -1], 0.0)
    # Without a candle before it the first one has no return, and adds nothing.
    added[rows == 0, 0] = 0.0
    found = np.cumsum(np.concatenate((before[:, None], added), axis=1), axis=1)[:, 1:]
    found[rows == 0, 0] = np.nan
    return np.concatenate((trends, found), axis=1)[:, -ROWS:]


def zone_digests(zones: Sequence[str]) -> NDArray[np.uint64]:
    digests = {zone: _digest(zone) for zone in set(zones)}
    return np.array([digests[zone] for zone in zones], np.uint64)


def checks(records: Records) -> NDArray[np.uint64]:
    """Return the parity of all words of each record; 0 when its own is among them."""
    words = records.view("<u8").reshape(records.size, records.itemsize // 8)
    parity: NDArray[np.uint64] = np.bitwise_xor.reduce(words, axis=1)
    return parity
