"""Rows as JSON from PostgreSQL: the quick way reads what Django's own way reads."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.db.models import F, Q

from apps.alerts.models import AlertPerformance
from apps.market.models import Candle, Instrument
from apps.shared.api import listing
from tests.factories import make_alert, make_candle, make_instrument

pytestmark = pytest.mark.django_db

START = datetime(2026, 1, 1, tzinfo=UTC)
PATHS = ("symbol", "timestamp", "close", "id")


@pytest.fixture
def candles() -> None:
    for place, symbol in enumerate("CABBA"):
        make_candle(symbol=symbol, timestamp=START + place * timedelta(minutes=5), price=place + 1)


QUERYSETS = {
    "all": lambda: Candle.objects.order_by("id"),
    "filtered": lambda: Candle.objects.filter(symbol="B").order_by("-timestamp"),
    "several": lambda: Candle.objects.filter(symbol__in=["A", "C"]).order_by("symbol", "-pk"),
    "negated": lambda: Candle.objects.exclude(symbol="B").order_by("id"),
    "either": lambda: Candle.objects.filter(Q(symbol="B") | Q(close__gt=4)).order_by("id"),
    "sliced": lambda: Candle.objects.order_by("-timestamp", "-pk")[:2],
    "from the middle": lambda: Candle.objects.order_by("id")[1:3],
    "compared": lambda: Candle.objects.filter(close__gte=F("open")).order_by("id"),
}


@pytest.mark.parametrize("make", QUERYSETS.values(), ids=QUERYSETS)
def test_both_ways_find_the_same_rows(candles, make):
    own = listing.own_columns(make(), PATHS)

    assert own is not None
    found = [row[2] for row in listing.rows_as_json(make(), PATHS)]
    assert found == [str(row.pk) for row in make()]


def test_the_order_of_the_model_holds_without_another():
    for symbol in "CAB":
        make_instrument(symbol=symbol)

    rows = listing.rows_as_json(Instrument.objects.all(), ["symbol"])

    assert [json.loads(row[0])["symbol"] for row in rows] == ["A", "B", "C"]


@pytest.mark.parametrize(
    "queryset",
    [
        Candle.objects.none(),
        Candle.objects.filter(pk__in=[]),
        Candle.objects.filter(Q(pk__in=[]) & Q(symbol="A")),
    ],
)
def test_what_cannot_match_is_an_empty_list(queryset):
    assert listing.rows_as_json(queryset, ["symbol"]) == []


def test_columns_of_relations_are_left_to_django():
    alert = make_alert(symbol="A")
    performances = AlertPerformance.objects.filter(alert__symbol="A")

    assert listing.own_columns(performances, ("id",)) is None
    assert listing.own_columns(AlertPerformance.objects.all(), ("alert__symbol",)) is None
    assert len(listing.rows_as_json(performances, ["id"])) == 1
    assert alert.symbol == "A"


def test_a_queryset_that_is_more_than_a_condition_is_left_to_django():
    for queryset in (
        Candle.objects.annotate(twice=F("close") * 2),
        Candle.objects.distinct(),
        Candle.objects.order_by(F("close").desc()),
        Candle.objects.order_by("?"),
    ):
        assert listing.own_columns(queryset, PATHS) is None
