"""Adding a symbol by hand: a form that loses nothing and says at each field what is wrong."""

import re
from datetime import timedelta

import pytest
from django.contrib.admin.utils import quote
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.analysis.models import StrategyConfiguration
from apps.analysis.services import symbol_additions
from apps.executions.choices import ExecutionStatus
from apps.executions.models import Execution
from apps.market.choices import Granularity
from apps.market.models import Candle
from tests.analysis.pages import MARKUP, page, staff
from tests.factories import make_execution, make_instrument, make_strategy_configuration

pytestmark = pytest.mark.django_db

ADD = "admin:analysis_analysis_add_symbol"
SYMBOL = "DOGE/USDT"


@pytest.fixture
def strategies():
    StrategyConfiguration.objects.all().delete()
    return [
        make_strategy_configuration(name="Calm", timeframe=Granularity.H1),
        make_strategy_configuration(name="Wild", timeframe=Granularity.H4),
        make_strategy_configuration(name="Resting", is_active=False),
    ]


@pytest.fixture
def woken(monkeypatch):
    tasks = []
    monkeypatch.setattr("apps.analysis.admin.symbols.wake", tasks.append)
    return tasks


def store_candles(days, *, symbol=SYMBOL, source="binance"):
    """Store candles of an hour without a gap, up to now."""
    step = Granularity.H1.width
    first = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(days=days)
    Candle.objects.bulk_create(
        Candle(
            symbol=symbol, source=source, granularity=Granularity.H1, timestamp=first + n * step,
            open=1, high=1, low=1, close=1, volume=1,
        )
        for n in range(int(timedelta(days=days) / step))
    )  # fmt: skip


def send(client, **changes):
    values = {
        "symbol": SYMBOL,
        "candles": "stored",
        "days": "365",
        "strategy_configurations": list(
            StrategyConfiguration.objects.active().values_list("pk", flat=True)
        ),
    }
    return client.post(reverse(ADD), values | changes)


def errors(answer):
    """Return what a form says, by the field it stands at."""
    html = answer.content.decode()
    fields = re.findall(r'b-field-(\w+)">(.*?)(?=<div class="b-field|<datalist)', html, re.DOTALL)
    found = {name: re.findall(r'b-error" role="alert">([^<]*)<', inner) for name, inner in fields}
    return {name: said for name, said in found.items() if said}


class TestForm:
    def test_offers_the_active_strategies_all_ticked(self, admin_client, strategies):
        shown = page(admin_client, ADD)

        assert "Calm (1h)" in shown
        assert "Resting" not in shown
        ticked = re.findall(
            r'<input type="checkbox"[^>]*strategy_configurations[^>]*checked', shown
        )
        assert len(ticked) == 2

    def test_suggests_the_symbols_that_are_known(self, admin_client, strategies):
        make_instrument(symbol="LTC/BTC")

        assert '<option value="LTC/BTC">' in page(admin_client, ADD)

    def test_takes_a_symbol_from_a_link(self, admin_client, strategies):
        assert 'value="LTC/BTC"' in page(admin_client, ADD, symbol="LTC/BTC")

    def test_says_so_when_there_is_nothing_to_try_out(self, admin_client, strategies):
        StrategyConfiguration.objects.update(is_active=False)

        assert "No strategy is active." in page(admin_client, ADD)

    def test_is_reached_from_the_list_the_menu_and_the_search(self, admin_client, strategies):
        address = reverse(ADD)

        assert page(admin_client, "admin:analysis_analysis_changelist").count(address) >= 2
        found = admin_client.get(reverse("admin:search"), {"s": "add sy", "extended": "1"})
        assert address in found.content.decode()

    def test_marks_its_own_entry_of_the_menu_alone(self, admin_client, strategies):
        shown = page(admin_client, ADD)

        active = re.findall(r'<a href="([^"]*)"[^>]*class="[^"]*\bactive\b', shown)
        assert active == [reverse(ADD)]


class TestWish:
    def test_becomes_a_run_whose_page_is_shown(self, admin_client, strategies, woken):
        store_candles(100)

        answer = send(admin_client)

        run = Execution.objects.get(execution_type="SYMBOL_ADDITION")
        assert answer.url == reverse("admin:executions_execution_change", args=[quote(run.pk)])
        assert run.metadata["execution_mode"] == "default"
        assert run.metadata["request"]["days"] == 365
        assert run.triggered_by == "admin"
        assert woken == [symbol_additions.RUNNER]

    def test_names_the_strategies_when_not_all_are_wanted(self, admin_client, strategies, woken):
        store_candles(100)

        send(admin_client, strategy_configurations=[strategies[0].pk])

        run = Execution.objects.get(execution_type="SYMBOL_ADDITION")
        assert run.metadata["execution_mode"] == "selective"
        assert run.metadata["selected_strategy_ids"] == [strategies[0].pk]

    def test_of_stored_candles_forgets_a_provider_typed_before(
        self, admin_client, strategies, woken
    ):
        store_candles(100)

        send(admin_client, provider="ccxt", exchange="binance")

        run = Execution.objects.get(execution_type="SYMBOL_ADDITION")
        assert run.metadata["request"]["provider"] == ""

    def test_of_a_provider_is_handed_over_whole(self, admin_client, strategies, monkeypatch):
        taken = []

        def note(*, wish, now):
            taken.append(wish)
            return make_execution(), True

        monkeypatch.setattr("apps.analysis.admin.symbols.request_symbol_addition", note)

        send(
            admin_client, candles="provider", provider="ccxt", exchange="kraken",
            venue_symbol="XDG/USDT", connection="main", granularity="1h", days="120",
        )  # fmt: skip

        (wish,) = taken
        assert (wish.provider, wish.exchange, wish.venue_symbol) == ("ccxt", "kraken", "XDG/USDT")
        assert (wish.connection, wish.granularity, wish.days) == ("main", "1h", 120)


class TestRefusal:
    def test_stands_at_the_symbol_with_what_is_there(self, admin_client, strategies):
        store_candles(15)

        answer = send(admin_client, days="400", source="binance")

        said = errors(answer)
        assert "15.0 days of 90 are there" in said["symbol"][0]
        shown = answer.content.decode()
        assert f'value="{SYMBOL}"' in shown
        assert 'value="400"' in shown
        assert 'value="binance"' in shown

    @pytest.mark.parametrize(
        ("changes", "field", "words"),
        [
            ({"symbol": "no symbol!"}, "symbol", "is no symbol"),
            ({"symbol": ""}, "symbol", "required"),
            ({"days": "3"}, "days", "must lie between 90"),
            ({"days": "many"}, "days", "whole number"),
            ({"candles": "provider"}, "provider", "Choose whom to ask."),
            ({"strategy_configurations": []}, "strategy_configurations", "required"),
            ({"strategy_configurations": ["x"]}, "strategy_configurations", "not a valid value"),
            ({}, "symbol", "No candles of DOGE/USDT are stored"),
        ],
    )
    def test_stands_at_its_field(self, admin_client, strategies, changes, field, words):
        answer = send(admin_client, **changes)

        assert answer.status_code == 200
        assert words in errors(answer)[field][0]
        assert not Execution.objects.exists()

    def test_names_the_run_that_adds_it_already(self, admin_client, strategies):
        store_candles(100)
        run = make_execution(
            execution_type="SYMBOL_ADDITION", symbol=SYMBOL, status=ExecutionStatus.RUNNING
        )

        assert run.pk in errors(send(admin_client))["symbol"][0]

    def test_shows_foreign_text_as_text(self, admin_client, strategies):
        answer = send(admin_client, symbol=MARKUP[:45], source=MARKUP[:45])

        assert "<img src=x" not in answer.content.decode()

    def test_survives_a_nul(self, admin_client, strategies):
        assert send(admin_client, symbol="A\0B", source="\0").status_code == 200


class TestPermission:
    def test_is_that_to_add_analyses(self, strategies):
        client = staff("analysis.view_analysis")

        assert client.get(reverse(ADD)).status_code == 403
        assert send(client).status_code == 403
        assert reverse(ADD) not in page(client, "admin:analysis_analysis_changelist")

    def test_suffices_without_a_look_at_runs(self, strategies, woken):
        store_candles(100)
        client = staff("analysis.add_analysis", "analysis.view_analysis")

        answer = send(client)

        assert answer.url == reverse("admin:analysis_analysis_changelist")
        assert Execution.objects.count() == 1

    def test_needs_the_token_of_the_page(self, admin_user, strategies):
        client = Client(enforce_csrf_checks=True)
        client.force_login(admin_user)

        assert send(client).status_code == 403
