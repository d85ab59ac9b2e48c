"""Digests of a column's cells, the same from PostgreSQL and from Arrow, bit for bit.

Rows stand in the order of their key. A cell is a word of fixed width, big-endian, as PostgreSQL
sends it; NULL is a word that no value has. Texts are parted by a zero byte, which no text holds,
and NULL is a byte that no UTF-8 holds. Decimals are PostgreSQL's own groups of four digits, which
begin with their number.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from django.db.backends.utils import CursorWrapper

from apps.shared.retention.columns import Column, Kind, quoted

Digest = tuple[bytes, int]

# Days and microseconds from 1970 to 2000, from where PostgreSQL counts.
EPOCH_DAYS: Final = 10_957
EPOCH_MICROSECONDS: Final = EPOCH_DAYS * 86_400_000_000
NO_INTEGER: Final = -(2**63) + 1
NO_DAY: Final = -(2**31) + 1
NO_BOOLEAN: Final = 2
# Any other "not a number" counts as the one that its text is read as.
NOT_A_NUMBER: Final = 0x7FF8_0000_0000_0000
NO_FLOAT: Final = NOT_A_NUMBER + 1
NO_TEXT: Final = b"\xff"
BETWEEN_TEXTS: Final = b"\x00"
NEGATIVE: Final = 0x4000
GROUP: Final = 4

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


# --- PostgreSQL ---------------------------------------------------------------------------


def settle(cursor: CursorWrapper) -> None:
    """Have values written in the one way that digests and archives count on.

    Holds until the transaction ends. To be called before ``sql_digests`` are asked for.
    """
    cursor.execute(
        "SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO, YMD'; "
        "SET LOCAL intervalstyle = 'postgres'; SET LOCAL bytea_output = 'hex'; "
        "SET LOCAL extra_float_digits = 1"
    )


def sql_digests(columns: Sequence[Column]) -> str:
    """Return SQL aggregates over a relation ``t`` whose rows come in the order of their key.

    For each column its digest (bytea) and how many of its cells are not NULL, in turn;
    ``digests_in`` reads such a row. Texts depend on ``settle``.
    """
    return ", ".join(sql_digest(each) for each in columns)


def sql_digest(column: Column) -> str:
    name = f"t.{quoted(column.name)}"
    cells = CELLS[column.kind].format(name)
    between = r"'\x00'::bytea" if column.kind is Kind.TEXT else "''::bytea"
    return f"sha256(coalesce(string_agg({cells}, {between}), ''::bytea)), count({name})"


def digests_in(row: Sequence[Any]) -> list[Digest]:
    """Return what ``sql_digests`` made, from the values of one row: a pair for each column."""
    return [(bytes(row[at]), int(row[at + 1])) for at in range(0, len(row), 2)]


# --- Arrow --------------------------------------------------------------------------------


def arrow_digests(table: pa.Table, columns: Sequence[Column]) -> list[Digest]:
    """Return for each column its digest and how many of its cells are not NULL.

    The rows of ``table`` stand in the order of their key; it has the types of ``columns``.
    """
    return [arrow_digest(table.column(each.name), each) for each in columns]


def arrow_digest(cells: pa.ChunkedArray, column: Column) -> Digest:
    array = cells.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks)
    if not len(array):
        return hashlib.sha256(b"").digest(), 0
    return hashlib.sha256(written(array, column)).digest(), len(array) - array.null_count


def written(array: pa.Array, column: Column) -> Any:
    """Return the cells as bytes, the way PostgreSQL writes them."""
    match column.kind:
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
    behind, before = -(-places // GROUP), -(-(digits - places) // GROUP)
    width = before + behind
    groups = groups_of(low, high, width, lowest=places % GROUP)
    groups[missing] = 0
    sent = groups != 0
    some = sent.any(axis=1)
    first = sent.argmax(axis=1)
    last = width - 1 - sent[:, ::-1].argmax(axis=1)
    cells = np.empty((len(array), 4 + width), ">u2")
    cells[:, 0] = np.where(some, last - first + 1, 0)
    cells[:, 1] = np.where(some, before - 1 - first, 0)
    cells[:, 2] = np.where(negative, NEGATIVE, 0)
    cells[:, 3] = places
    cells[missing, :4] = 0xFFFF
    cells[:, 4:] = groups
    taken = np.ones(cells.shape, bool)
    at = np.arange(width)
    taken[:, 4:] = (at >= first[:, None]) & (at <= last[:, None]) & some[:, None]
    return cells[taken]


def groups_of(low: np.ndarray, high: np.ndarray, width: int, *, lowest: int) -> np.ndarray:
    """Return the groups of four digits of numbers of 128 bits, the first group first.

    ``lowest``: how many digits the last group has, 0 for all four; it is filled up with zeros.
    """
    half = np.uint64(0xFFFF_FFFF)
    limbs = [high >> 32, high & half, low >> 32, low & half]
    groups = np.zeros((len(low), width), np.uint16)
    at = width
    if lowest:
        at -= 1
        groups[:, at] = divided(limbs, 10**lowest) * 10 ** (GROUP - lowest)
    while at > 0:
        pair = divided(limbs, 10 ** (2 * GROUP))
        upper = pair // 10**GROUP
        groups[:, at - 1] = pair - upper * 10**GROUP
        if at > 1:
            groups[:, at - 2] = upper
        at -= 2
    return groups


def divided(limbs: list[np.ndarray], divisor: int) -> np.ndarray:
    """Divide numbers of several limbs of 32 bits in place; return what remains."""
    while limbs and not limbs[0].any():
        del limbs[0]
    by = np.uint64(divisor)
    rest: Any = np.uint64(0)
    for place, limb in enumerate(limbs):
        current = (rest << np.uint64(32)) | limb
        limbs[place] = current // by
        rest = current - limbs[place] * by
    return rest


# --- Digests of digests -------------------------------------------------------------------


def block_digest(digests: Sequence[Digest]) -> str:
    """Return one digest (hex) of a block from those of its columns."""
    return combined(digests)


def column_checksums(
    columns: Sequence[Column], blocks: Sequence[Sequence[Digest]]
) -> dict[str, str]:
    """Return one digest (hex) for each column, by name, from those of its blocks in order."""
    return {
        column.name: combined([block[at] for block in blocks]) for at, column in enumerate(columns)
    }


def combined(digests: Sequence[Digest]) -> str:
    hashed = hashlib.sha256()
    for digest, count in digests:
        hashed.update(digest + count.to_bytes(8, "big"))
    return hashed.hexdigest()
