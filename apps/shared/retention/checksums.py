"""Digests of a column's cells, the same from PostgreSQL and from Arrow, bit for bit."""

import hashlib
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from django.db.backends.utils import CursorWrapper

from apps.shared.retention.cells import cells_of, sql_cells
from apps.shared.retention.columns import Column

# Of the cells of a column in the order of the rows' key. No cells have the one of nothing.
Digest = bytes


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

    For each column its digest (bytea); ``digests_in`` reads such a row. Texts depend on ``settle``.
    """
    return ", ".join(f"sha256({sql_cells(each)})" for each in columns)


def digests_in(row: Sequence[Any]) -> list[Digest]:
    """Return what ``sql_digests`` made, from the values of one row: one for each column."""
    return [bytes(each) for each in row]


def digests_of(cells: Sequence[bytes]) -> list[Digest]:
    """Return the digests of columns whose cells PostgreSQL has sent, as it would make them."""
    return [hashlib.sha256(each).digest() for each in cells]


# --- Arrow --------------------------------------------------------------------------------


def arrow_digests(table: pa.Table, columns: Sequence[Column]) -> list[Digest]:
    """Return the digest of each column.

    The rows of ``table`` stand in the order of their key; it has the types of ``columns``.
    """
    return [arrow_digest(table.column(each.name), each) for each in columns]


def arrow_digest(cells: pa.ChunkedArray, column: Column) -> Digest:
    array = cells.chunk(0) if cells.num_chunks == 1 else cells.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks)
    return hashlib.sha256(cells_of(array, column) if len(array) else b"").digest()


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
    for digest in digests:
        hashed.update(digest)
    return hashed.hexdigest()
