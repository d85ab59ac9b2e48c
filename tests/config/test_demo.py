"""The demo: real candles that end now, alerts from plain rules, nothing twice."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine

from apps.alerts.choices import Direction
from apps.alerts.models import Alert
from apps.market.choices import Granularity
from apps.market.domain.candles import CandleRow
from apps.market.models import Candle, Instrument
from config import demo
from tests.factories import make_instrument

START = datetime(2026, 1, 5, tzinfo=UTC)
TAPE = demo.Tape("T", "Test", "package", "path", START)


def rows(closes):
    """Daily candles of the given closes, each two units high."""
    return [
        CandleRow(
            "T", "demo", Granularity.D1, START + number * timedelta(days=1),
            Decimal(close), Decimal(close) + 1, Decimal(close) - 1, Decimal(close), Decimal(1),
        )
        for number, close in enumerate(closes)
    ]  # fmt: skip


def breakouts(series):
    return [alert for alert in demo.signals(TAPE, series) if alert.strategy == "breakout"]


@pytest.fixture
def short_tape(monkeypatch):
    """Two years of one share are enough."""

    def text(tape):
        days = (START - timedelta(days=offset) for offset in range(80, -30, -1))
        lines = [f"{day:%Y-%m-%d},100,110,90,{100 + day.day % 7},5" for day in days]
        return "\n".join(["Date,Open,High,Low,Close,Volume", *lines])

    monkeypatch.setattr(demo, "TAPES", [TAPE])
    monkeypatch.setattr(demo, "read", text)


class TestSignals:
    def test_a_quiet_market_raises_nothing(self):
        assert list(demo.signals(TAPE, rows([100] * 60))) == []

    def test_a_rise_above_the_range_is_a_breakout_to_the_long_side(self):
        (alert,) = breakouts(rows([100] * 40 + [102]))

        assert alert.direction == Direction.LONG
        assert alert.entry_price == 102
        assert alert.stop_loss < alert.entry_price < alert.target_price
        assert alert.timestamp == START + timedelta(days=41)

    def test_a_fall_below_the_range_is_one_to_the_short_side(self):
        (alert,) = breakouts(rows([100] * 40 + [98]))

        assert alert.direction == Direction.SHORT
        assert alert.target_price < alert.entry_price < alert.stop_loss

    def test_nothing_later_than_the_signal_is_used(self):
        series = rows([100 + (number * 7) % 11 for number in range(90)])
        early = list(demo.signals(TAPE, series[:60]))

        assert early
        assert list(demo.signals(TAPE, series))[: len(early)] == early


@pytest.mark.django_db
class TestLoad:
    def test_candles_end_now_and_are_labelled(self, short_tape):
        with time_machine.travel("2026-06-17T15:00:00Z", tick=False):
            Instrument.objects.create(
                symbol="T", source=demo.SOURCE, created_at=datetime(2026, 6, 17, 15, tzinfo=UTC)
            )
            demo.load()

        newest = Candle.objects.latest("timestamp")
        assert newest.timestamp == datetime(2026, 6, 16, tzinfo=UTC)
        assert newest.source == "demo"

    def test_may_be_repeated(self, short_tape):
        demo.load()
        before = Candle.objects.count(), Alert.objects.count()

        assert demo.load() == (
            "0 instruments, 0 candles, 0 alerts, 0 runs, 0 predictions, 0 signals, "
            "0 bots, 0 trades, 0 agents, 0 decisions, "
            "0 points of other series, 0 vectors, 0 regimes added"
        )
        assert (Candle.objects.count(), Alert.objects.count()) == before

    def test_begins_where_it_began_when_the_clock_is_set_back(self, short_tape, monkeypatch):
        demo.load()
        made, asked = Instrument.objects.earliest("created_at").created_at, []
        monkeypatch.setattr(demo.timezone, "now", lambda: made - timedelta(days=3))
        monkeypatch.setattr(
            demo.demo_agents, "load", lambda tapes, *, since, now: asked.append(since)
        )

        demo.load()

        assert asked == [made]

    def test_leaves_an_instrument_of_ours_alone(self, short_tape):
        make_instrument(symbol="T")

        assert demo.load() == (
            "0 instruments, 0 candles, 0 alerts, 0 runs, 0 predictions, 0 signals, "
            "0 bots, 0 trades, 0 agents, 0 decisions, "
            "0 points of other series, 0 vectors, 0 regimes added"
        )

    def test_goes_on_without_the_data(self, monkeypatch):
        def absent(tape):
            raise FileNotFoundError(tape.path)

        monkeypatch.setattr(demo, "read", absent)

        assert "not installed (requirements-demo.txt): bokeh-sampledata" in demo.load()

    def test_real_data_gives_a_living_first_page(self):
        if "not installed" in demo.load():
            pytest.skip("requirements-demo.txt is not installed")

        assert Candle.objects.count() > 5_000
        assert 100 <= Alert.objects.count() <= 250
        assert set(Alert.objects.values_list("direction", flat=True)) == {"long", "short"}
        assert not Instrument.objects.exclude(company_name__endswith=" (demo)").exists()
