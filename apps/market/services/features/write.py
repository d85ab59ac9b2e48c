"""Writing feature vectors: binary COPY, a few series at a time."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from django.db import connection
from psycopg.copy import QueuedLibpqWriter

from apps.market.services.features.encoding import COPIED, HEADER, TRAILER, FeatureRows, sliced

TABLE: Final = "feature_engineered_data"
COPY: Final = f"COPY {{table}} ({', '.join(COPIED)}) FROM STDIN (FORMAT binary)"
# One large COPY is several times slower than the same rows in pieces of this size.
CHUNK_BYTES: Final = 11_000_000
CHUNK_SERIES: Final = 5


def write_features(series: Iterable[FeatureRows]) -> None:
    """Add the vectors of some series to the table.

    Needs an open transaction. Raises NotFinite before any row of that series is sent, and
    IntegrityError where a row is there already: whoever writes anew deletes first.
    """
    send(part for rows in series for part in sliced(rows))


def send(series: Iterable[Sequence[Any]], *, table: str = TABLE) -> None:
    """Copy encoded rows into the table, a few series at a time.

    A few series make one COPY of at most about ``CHUNK_BYTES``. The next ones are taken from the
    iterable while the server works on it, so that must not ask the database.
    """
    batches = Batches(series)
    pieces = batches.following()
    while pieces:
        with copying(table) as sink:
            for piece in pieces:
                sink.write(piece)
            pieces = batches.following()
    if batches.problem is not None:
        raise batches.problem


class Batches:
    """Encoded series put together, as many as make one COPY.

    What goes wrong with one of them is kept until those before it have been written.
    """

    def __init__(self, series: Iterable[Sequence[Any]]) -> None:
        self.problem: Exception | None = None
        self._series = iter(series)
        self._left: Sequence[Any] = ()

    def following(self) -> list[Any]:
        """Return the next pieces to send; none at the end, and none behind a problem."""
        pieces, self._left = list(self._left), ()
        size, count = sized(pieces), int(bool(pieces))
        while self.problem is None and count < CHUNK_SERIES:
            try:
                encoded = next(self._series, None)
            except Exception as problem:  # noqa: BLE001 - raised where no COPY is open
                self.problem = problem
                break
            if encoded is None:
                break
            if pieces and size + sized(encoded) > CHUNK_BYTES:
                self._left = encoded
                break
            pieces += encoded
            size += sized(encoded)
            count += 1
        return pieces


def sized(pieces: Sequence[Any]) -> int:
    return sum(piece.nbytes for piece in pieces)


@contextmanager
def copying(table: str) -> Iterator[Any]:
    """Open one COPY of rows in binary form, sent by a thread of its own."""
    with connection.wrap_database_errors, connection.cursor() as cursor:
        raw: Any = getattr(cursor, "cursor", cursor)
        ahead = QueuedLibpqWriter(raw)
        with cursor.copy(COPY.format(table=table), writer=ahead) as sink:
            sink.write(HEADER)
            yield sink
            sink.write(TRAILER)
