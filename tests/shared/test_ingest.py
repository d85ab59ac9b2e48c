"""Bulk facts reach their table once, whatever is sent twice, at once, or half wrong."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.transaction import TransactionManagementError

from apps.market.models import Candle, Feed
from apps.shared.ingest import Ingested, RowStatus, ingest

COLUMNS = (
    "symbol", "source", "granularity", "timestamp", "open", "high", "low", "close", "volume",
)  # fmt: skip
KEY = COLUMNS[:4]
START = datetime(2026, 1, 1, tzinfo=UTC)


def candle(place: int, close: str = "5", symbol: str = "BTC/USD") -> tuple[Any, ...]:
    moment = START + place * timedelta(minutes=5)
    prices = (Decimal(5), Decimal(10), Decimal(1), Decimal(close), Decimal("0.5"))
    return (symbol, "test", "5m", moment, *prices)


def store(rows: list[tuple[Any, ...]], on_conflict: Any = "replace") -> Ingested:
    with transaction.atomic():
        return ingest(Candle, rows, columns=COLUMNS, key=KEY, on_conflict=on_conflict)


def counts(outcome: Ingested) -> tuple[int, int, int, int]:
    return outcome.created, outcome.unchanged, outcome.replaced, outcome.failed


def statuses(outcome: Ingested) -> dict[int, RowStatus]:
    return {result.index: result.status for result in outcome.results}


def closes() -> list[Decimal]:
    return list(Candle.objects.order_by("timestamp").values_list("close", flat=True))


class TestMerge:
    def test_adds_counts_and_puts_rows_in_their_places(self):
        whole, part = Ingested(), Ingested()
        whole.fail(1, [])
        part.count(RowStatus.CREATED, 1)
        part.note(1, RowStatus.UNCHANGED)

        whole.merge(part, [0, 2])
        whole.sort()

        assert counts(whole) == (1, 1, 0, 1)
        assert statuses(whole) == {1: RowStatus.FAILED, 2: RowStatus.UNCHANGED}


@pytest.mark.django_db
class TestIngest:
    def test_stores_new_rows(self):
        outcome = store([candle(0), candle(1, "7.000000000000000001")])

        assert counts(outcome) == (2, 0, 0, 0)
        assert outcome.results == []
        assert closes() == [Decimal(5), Decimal("7.000000000000000001")]

    def test_stores_nothing_when_there_is_nothing(self):
        assert counts(store([])) == (0, 0, 0, 0)

    @pytest.mark.parametrize("on_conflict", ["refuse", "replace"])
    def test_a_replay_changes_nothing(self, on_conflict):
        rows = [candle(place) for place in range(5)]
        store(rows)
        versions = list(Candle.objects.extra(select={"v": "xmin"}).values_list("v", "id"))

        outcome = store(rows[::-1], on_conflict)

        assert counts(outcome) == (0, 5, 0, 0)
        assert list(Candle.objects.extra(select={"v": "xmin"}).values_list("v", "id")) == versions

    def test_replaces_what_differs(self):
        store([candle(0), candle(1)])

        outcome = store([candle(2), candle(1, "6"), candle(0)])

        assert counts(outcome) == (1, 1, 1, 0)
        assert statuses(outcome) == {1: RowStatus.REPLACED, 2: RowStatus.UNCHANGED}
        assert closes() == [5, 6, 5]

    def test_refuses_what_differs_and_names_the_fields(self):
        store([candle(0)])

        outcome = store([candle(1), candle(0, "6")], "refuse")

        assert counts(outcome) == (1, 0, 0, 1)
        [failed] = outcome.results
        assert failed.index == 1
        assert [(error.pointer, error.code) for error in failed.errors] == [("/close", "differs")]
        assert closes() == [5, 5]

    def test_the_same_row_twice_in_a_batch_is_stored_once(self):
        outcome = store([candle(0), candle(1), candle(0)])

        assert counts(outcome) == (2, 1, 0, 0)
        assert statuses(outcome) == {2: RowStatus.UNCHANGED}

    def test_of_two_rows_with_one_key_the_last_is_kept(self):
        outcome = store([candle(0, "6"), candle(0, "7")])

        assert counts(outcome) == (1, 0, 1, 0)
        assert closes() == [7]

    def test_of_two_rows_with_one_key_the_second_is_refused(self):
        outcome = store([candle(0, "6"), candle(0, "7")], "refuse")

        assert counts(outcome) == (1, 0, 0, 1)
        assert outcome.results[0].errors[0].pointer == "/close"
        assert closes() == [6]

    def test_a_number_is_the_same_however_it_is_written(self):
        store([candle(0, "5")])

        assert counts(store([candle(0, "5.000")], "refuse")) == (0, 1, 0, 0)

    def test_a_moment_is_the_same_in_any_zone(self):
        store([candle(0)])
        other = list(candle(0))
        other[3] = other[3].astimezone(tz=None)

        assert counts(store([tuple(other)], "refuse")) == (0, 1, 0, 0)

    @pytest.mark.parametrize(
        "symbol",
        ["],[", ",", '","', "],", "A\tB", "A\\N", "\\N", "\\.", "A\nB", "A\rB", 'A"B', "ä💰"],
    )
    def test_text_arrives_as_it_was(self, symbol):
        store([candle(0, symbol=symbol), candle(0)])

        assert Candle.objects.filter(symbol=symbol).count() == 1

    def test_a_broken_rule_of_the_table_takes_all_back(self):
        with pytest.raises(IntegrityError):
            store([candle(0), candle(1, "11")])
        assert closes() == []

    def test_writes_in_pieces(self, monkeypatch):
        monkeypatch.setattr("apps.shared.ingest.CHUNK_BYTES", 1)
        store([candle(1500)])

        outcome = store([candle(place) for place in range(2500)])

        assert counts(outcome) == (2499, 1, 0, 0)
        assert statuses(outcome) == {1500: RowStatus.UNCHANGED}

    def test_defaults_are_given_to_new_rows_alone(self):
        columns = ["provider", "symbol", "source", "granularity", "options", "enabled"]
        defaults = {
            "exchange": "", "venue_symbol": "", "connection": "", "state": "idle",
            "consecutive_failures": 0, "last_error": "",
        }  # fmt: skip

        def put(enabled: bool) -> Ingested:
            row = ("replay", "A", "x", "5m", {"n": Decimal("1.10"), "t": "a\\b\t"}, enabled)
            with transaction.atomic():
                return ingest(
                    Feed,
                    [row],
                    columns=columns,
                    key=columns[1:4],
                    on_conflict="replace",
                    defaults=defaults,
                )

        assert counts(put(True)) == (1, 0, 0, 0)
        Feed.objects.update(last_error="broken")
        before = Feed.objects.get().updated_at
        assert counts(put(True)) == (0, 1, 0, 0)
        assert counts(put(False)) == (0, 0, 1, 0)
        feed = Feed.objects.get()
        assert (feed.last_error, feed.enabled) == ("broken", False)
        assert feed.options == {"n": 1.1, "t": "a\\b\t"}
        assert feed.updated_at > before


def at_once(work: Callable[[int], Any], workers: int = 2) -> list[Any]:
    """Run ``work`` in threads that start together, each on its own connection."""
    barrier = threading.Barrier(workers)
    found: list[Any] = [None] * workers

    def run(number: int) -> None:
        try:
            barrier.wait()
            found[number] = work(number)
        except Exception as error:  # noqa: BLE001 - shown by the test that waits for it
            found[number] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[number]) for number in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return found


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    def test_a_transaction_is_needed(self):
        with pytest.raises(TransactionManagementError):
            ingest(Candle, [candle(0)], columns=COLUMNS, key=KEY, on_conflict="refuse")

    @pytest.mark.parametrize("on_conflict", ["refuse", "replace"])
    def test_the_same_rows_in_opposite_order_are_stored_once(self, on_conflict):
        rows = [candle(place) for place in range(3000)]

        outcomes = at_once(lambda number: store(rows[:: 1 if number else -1], on_conflict))

        assert [type(each) for each in outcomes] == [Ingested, Ingested], outcomes
        assert sum(each.created for each in outcomes) == 3000
        assert sum(each.unchanged for each in outcomes) == 3000
        assert Candle.objects.count() == 3000

    def test_of_two_contents_one_is_kept_and_the_other_refused(self):
        outcomes = at_once(lambda number: store([candle(0, str(number + 2))], "refuse"))

        assert sorted(counts(each) for each in outcomes) == [(0, 0, 0, 1), (1, 0, 0, 0)]
