"""Cells of a column as bytes, as PostgreSQL writes them, to and from Arrow, bit for bit.

A cell is a word of fixed width, big-endian, as PostgreSQL sends it; NULL is a word that no value
has. Texts are parted by a zero byte, which no text holds, and NULL is a byte that no UTF-8 holds.
Decimals are PostgreSQL's own groups of four digits behind a head, parted by what is no group.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from apps.shared.retention.columns import Column, Kind, quoted

# Days and microseconds from 1970 to 2000, from where PostgreSQL counts.
EPOCH_DAYS: Final = 10_957
EPOCH_MICROSECONDS: Final = EPOCH_DAYS * 86_400_000_000
NO_INTEGER: Final = -(2**63) + 1
NO_DAY: Final = -(2**31) + 1
NO_BOOLEAN: Final = 2
# Any value of 64 bits may be one, so a byte in front tells whether there is one.
BIG: Final = np.dtype([("there", "u1"), ("value", ">i8")])
# Any other "not a number" counts as the one that its text is read as.
NOT_A_NUMBER: Final = 0x7FF8_0000_0000_0000
NO_FLOAT: Final = NOT_A_NUMBER + 1
NO_TEXT: Final = b"\xff"
BETWEEN_TEXTS: Final = b"\x00"
NO_DECIMAL: Final = 0xFFFF
BETWEEN_DECIMALS: Final = 0x7777
NEGATIVE: Final = 0x4000
GROUP: Final = 4
HEAD: Final = 4
HALF: Final = np.uint64(32)
# What Python can hold.
MOMENTS: Final = [
    (each - datetime(2000, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    for each in (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
]
DAYS: Final = [(each - date(2000, 1, 1)).days for each in (date.min, date.max)]

CELLS: Final = {
    Kind.INTEGER: r"coalesce(int8send({0}::bigint), '\x8000000000000001'::bytea)",
    Kind.MOMENT: r"coalesce(timestamptz_send({0}), '\x8000000000000001'::bytea)",
    Kind.DATE: r"coalesce(date_send({0}), '\x80000001'::bytea)",
    Kind.BOOLEAN: r"coalesce(boolsend({0}), '\x02'::bytea)",
    Kind.FLOAT: (
        r"CASE WHEN {0} <> 'NaN' THEN float8send({0}::float8) "
        r"WHEN {0} IS NULL THEN '\x7ff8000000000001'::bytea "
        r"ELSE '\x7ff8000000000000'::bytea END"
    ),
    Kind.DECIMAL: r"coalesce(numeric_send({0}), '\xffffffffffffffff'::bytea)",
    Kind.TEXT: r"coalesce(textsend({0}::text), '\xff'::bytea)",
}
BIG_CELL: Final = r"coalesce('\x01'::bytea || int8send({0}), '\x000000000000000000'::bytea)"
BETWEEN: Final = {Kind.TEXT: r"\x00", Kind.DECIMAL: r"\x7777"}


def sql_cells(column: Column) -> str:
    """Return an SQL aggregate over a relation ``t``: the cells of a column in the rows' order."""
    cell = BIG_CELL if is_big(column) else CELLS[column.kind]
    each = cell.format(f"t.{quoted(column.name)}")
    return f"coalesce(string_agg({each}, '{BETWEEN.get(column.kind, '')}'::bytea), ''::bytea)"


def is_big(column: Column) -> bool:
    return column.type == "bigint"


# --- From Arrow ---------------------------------------------------------------------------


def cells_of(array: pa.Array, column: Column) -> Any:
    """Return some cells as bytes, the way PostgreSQL writes them."""
    match column.kind:
        case Kind.INTEGER if is_big(column):
            return bigs(array)
        case Kind.INTEGER:
            return whole(array.cast(pa.int64()), NO_INTEGER)
        case Kind.MOMENT:
            return whole(array.cast(pa.int64()), NO_INTEGER, back=EPOCH_MICROSECONDS)
        case Kind.DATE:
            return whole(array.cast(pa.int32()), NO_DAY, back=EPOCH_DAYS)
        case Kind.BOOLEAN:
            return whole(array.cast(pa.int8()), NO_BOOLEAN)
        case Kind.FLOAT:
            return floats(array.cast(pa.float64()))
        case Kind.DECIMAL:
            return decimals(array, *column.precision)
        case Kind.TEXT:
            return texts(array)


def whole(array: pa.Array, null: int, *, back: int = 0) -> np.ndarray:
    values = array.fill_null(0).to_numpy() - back
    if array.null_count:
        values[absent(array)] = null
    return values.byteswap()


def bigs(array: pa.Array) -> np.ndarray:
    cells = np.empty(len(array), BIG)
    cells["there"] = ~absent(array)
    cells["value"] = array.fill_null(0).to_numpy()
    return cells


def floats(array: pa.Array) -> np.ndarray:
    values = array.fill_null(0.0).to_numpy()
    bits = values.view(np.int64).copy()
    bits[np.isnan(values)] = NOT_A_NUMBER
    if array.null_count:
        bits[absent(array)] = NO_FLOAT
    return bits.byteswap()


def texts(array: pa.Array) -> pa.Buffer:
    cells = array.cast(pa.binary()).fill_null(NO_TEXT)
    together = pa.ListArray.from_arrays(pa.array([0, len(cells)], pa.int32()), cells)
    return pc.binary_join(together, BETWEEN_TEXTS)[0].as_buffer()


def absent(array: pa.Array) -> np.ndarray:
    return array.is_null().to_numpy(zero_copy_only=False)


def decimals(array: pa.Array, digits: int, places: int) -> np.ndarray:
    """Return decimals as ``numeric_send`` does: a head of four words, groups of four digits.

    The head: how many groups, the place of the first one, the sign, the digits behind the point.
    Groups of zeros at either end are not sent.
    """
    missing = absent(array)
    words = np.frombuffer(array.buffers()[1], np.uint64).reshape(-1, 2)
    words = words[array.offset : array.offset + len(array)]
    low, high = words[:, 0], words[:, 1]
    negative = high >> 63 == 1
    # The magnitude of a negative one in two's complement.
    high = np.where(negative, ~high + (low == 0), high)
    low = np.where(negative, ~low + 1, low)
    before, width = groups_before(digits, places)
    groups = groups_of(low, high, width, unused=-places % GROUP)
    groups[:, missing] = 0
    # Most columns need few of the groups that their numbers may have.
    used = np.flatnonzero(groups.any(axis=1))
    start, end = (used[0], used[-1] + 1) if len(used) else (0, 0)
    groups = groups[start:end]
    begun = np.logical_or.accumulate(groups != 0)
    sent = begun & np.logical_or.accumulate(groups[::-1] != 0)[::-1]
    counts = sent.sum(axis=0)
    cells = np.empty((len(array), HEAD + len(groups) + 1), ">u2")
    cells[:, 0] = counts
    cells[:, 1] = np.where(counts, before - 1 - start - (~begun).sum(axis=0), 0)
    cells[:, 2] = np.where(negative, NEGATIVE, 0)
    cells[:, 3] = places
    cells[missing, :HEAD] = NO_DECIMAL
    cells[:, HEAD:-1] = groups.T
    cells[:, -1] = BETWEEN_DECIMALS
    taken = np.ones(cells.shape, bool)
    taken[:, HEAD:-1] = sent.T
    return cells[taken][:-1]


def groups_before(digits: int, places: int) -> tuple[int, int]:
    """Return how many groups of a decimal stand before the point, and how many in all."""
    before = -(-(digits - places) // GROUP)
    return before, before + -(-places // GROUP)


def groups_of(low: np.ndarray, high: np.ndarray, width: int, *, unused: int) -> np.ndarray:
    """Return the groups of four digits of numbers of 128 bits, a row for each, the first one first.

    ``unused``: how many digits of the last group are no part of the number; they are zeros.
    """
    half = np.uint64(0xFFFF_FFFF)
    limbs = [high >> HALF, high & half, low >> HALF, low & half]
    groups = np.zeros((width, len(low)), np.uint16)
    for at in range(width - 1, -1, -2):
        pair = divided(limbs, 10 ** (2 * GROUP - unused)) * np.uint64(10**unused)
        upper = pair // np.uint64(10**GROUP)
        groups[at] = pair - upper * np.uint64(10**GROUP)
        if at:
            groups[at - 1] = upper
        unused = 0
    return groups


def divided(limbs: list[np.ndarray], divisor: int) -> np.ndarray:
    """Divide numbers of several limbs of 32 bits in place; return what remains."""
    while limbs and not limbs[0].any():
        del limbs[0]
    by = np.uint64(divisor)
    rest: Any = np.uint64(0)
    for place, limb in enumerate(limbs):
        current = (rest << HALF) | limb
        limbs[place] = current // by
        rest = current - limbs[place] * by
    return rest


# --- To Arrow -----------------------------------------------------------------------------


def array_of(cells: bytes, rows: int, column: Column) -> pa.Array:
    """Return cells as PostgreSQL wrote them. Raises ValueError for what Arrow cannot hold."""
    match column.kind:
        case Kind.INTEGER if is_big(column):
            big = np.frombuffer(cells, BIG)
            values, missing = big["value"].astype(np.int64), big["there"] == 0
        case Kind.INTEGER:
            values, missing = words_in(cells, ">i8", NO_INTEGER)
        case Kind.MOMENT:
            values, missing = words_in(cells, ">i8", NO_INTEGER)
            values = since_1970(values, missing, MOMENTS, EPOCH_MICROSECONDS)
        case Kind.DATE:
            values, missing = words_in(cells, ">i4", NO_DAY)
            values = since_1970(values, missing, DAYS, EPOCH_DAYS)
        case Kind.BOOLEAN:
            values, missing = words_in(cells, "u1", NO_BOOLEAN)
        case Kind.FLOAT:
            bits, missing = words_in(cells, ">i8", NO_FLOAT)
            values = bits.view(np.float64)
        case Kind.DECIMAL:
            return decimals_in(cells, rows, *column.precision)
        case Kind.TEXT:
            return texts_in(cells, rows)
    check_rows(len(values), rows)
    array = pa.array(values, mask=missing if missing.any() else None, from_pandas=False)
    return array.cast(column.arrow_type)


def words_in(cells: bytes, type: str, null: int) -> tuple[np.ndarray, np.ndarray]:
    """Return words, and which of them are NULL."""
    words = np.frombuffer(cells, type)
    words = words.astype(words.dtype.newbyteorder("="))
    return words, words == null


def since_1970(
    values: np.ndarray, missing: np.ndarray, bounds: list[int], epoch: int
) -> np.ndarray:
    first, last = bounds
    values = np.where(missing, values.dtype.type(0), values)
    if values.min() < first or values.max() > last:
        raise ValueError("a time before the first year, after the last one, or at no time at all")
    return values + values.dtype.type(epoch)


def check_rows(found: int, rows: int) -> None:
    if found != rows:
        raise ValueError(f"{found} values in {rows} rows")


def valid(missing: np.ndarray) -> pa.Buffer | None:
    return pa.py_buffer(np.packbits(~missing, bitorder="little")) if missing.any() else None


def texts_in(cells: bytes, rows: int) -> pa.Array:
    letters = np.frombuffer(cells, np.uint8)
    between = np.flatnonzero(letters == 0)
    check_rows(len(between) + 1, rows)
    # Without what stands between them texts begin where their forerunners end.
    offsets = np.zeros(rows + 1, np.int32)
    offsets[1:-1] = between - np.arange(rows - 1)
    offsets[-1] = len(cells) - (rows - 1)
    missing = np.zeros(rows, bool)
    missing[0] = cells[:1] == NO_TEXT
    # Behind the last one there may be nothing.
    missing[1:] = letters[np.minimum(between + 1, len(cells) - 1)] == NO_TEXT[0]
    content = pa.py_buffer(cells.replace(BETWEEN_TEXTS, b""))
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), content, valid(missing))


def decimals_in(cells: bytes, rows: int, digits: int, places: int) -> pa.Array:
    words = np.frombuffer(cells, ">u2").astype(np.uint16)
    between = np.flatnonzero(words == BETWEEN_DECIMALS)
    check_rows(len(between) + 1, rows)
    heads = np.zeros(rows, np.int64)
    heads[1:] = between + 1
    counts, signs = words[heads], words[heads + 2]
    missing = counts == NO_DECIMAL
    counts[missing] = 0
    if (signs[~missing] > NEGATIVE).any():
        raise ValueError("not a number")
    before, width = groups_before(digits, places)
    groups = np.zeros((width, rows), np.uint64)
    first = before - 1 - words[heads + 1].view(np.int16).astype(np.int64)
    for number in range(int(counts.max())):
        some = np.flatnonzero(counts > number)
        groups[first[some] + number, some] = words[heads[some] + HEAD + number]
    low, high = number_of(groups, unused=-places % GROUP)
    negative = (signs == NEGATIVE) & ~missing
    if negative.any():
        high = np.where(negative, ~high + (low == 0), high)
        low = np.where(negative, ~low + np.uint64(1), low)
    pairs = np.empty((rows, 2), np.uint64)
    pairs[:, 0], pairs[:, 1] = low, high
    type = pa.decimal128(digits, places)
    return pa.Decimal128Array.from_buffers(type, rows, [valid(missing), pa.py_buffer(pairs)])


def number_of(groups: np.ndarray, *, unused: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the halves of the numbers of 128 bits that groups of four digits make.

    ``unused``: how many digits of the last group are not part of the number.
    """
    low = joined(groups[-4:]) // np.uint64(10**unused)
    high = np.zeros_like(low)
    scale = 10 ** (16 - unused)
    for part in (groups[-8:-4], groups[:-8]):
        if part.any():
            upper, lower = product(joined(part), scale)
            low = low + lower
            high += upper + (low < lower)
        scale *= 10**16
    return low, high


def joined(groups: np.ndarray) -> np.ndarray:
    number = np.zeros(groups.shape[1], np.uint64)
    for each in groups:
        number = number * np.uint64(10**GROUP) + each
    return number


def product(numbers: np.ndarray, factor: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the halves of products that have less than 128 bits.

    One of a number and the last 64 bits of the factor has less than 54.
    """
    half = np.uint64(0xFFFF_FFFF)
    last = factor & 0xFFFF_FFFF_FFFF_FFFF
    upper, lower = numbers >> HALF, numbers & half
    big, small = np.uint64(last >> 32), np.uint64(last & 0xFFFF_FFFF)
    middle = lower * big + upper * small + (lower * small >> HALF)
    high = upper * big + (middle >> HALF) + numbers * np.uint64(factor >> 64)
    return high, numbers * np.uint64(last)
