"""Limits in the admin: how near they are, in words too; set by a form, cancelled, armed again."""

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.bots.admin import limit_shown
from apps.bots.admin.limit_pages import LimitStory
from apps.bots.choices import LimitStatus
from apps.bots.models import TradingLimit
from apps.bots.services.firing import evaluate_limits
from apps.market.choices import Granularity
from apps.market.domain.candles import aligned_start
from tests.analysis.pages import staff
from tests.factories import make_bot, make_candle, make_limit, make_position, make_trade

pytestmark = pytest.mark.django_db

LIST, ADD = "/admin/bots/tradinglimit/", "/admin/bots/tradinglimit/add/"
HOSTILE = "<script>x</script>"
MOST_PAGE_QUERIES = 9
RISK = ("bots.view_tradinglimit", "bots.add_tradinglimit", "bots.change_tradinglimit")


def candle(close, *, ago, low=None):
    start = aligned_start(timezone.now() - ago, Granularity.M5)
    close = Decimal(close)
    low = close if low is None else Decimal(low)
    return make_candle(
        symbol="BTC/USD", timestamp=start, open=close, high=close, low=low, close=close
    )


def operators(**values):
    defaults = {
        "limit_type": "max_daily_loss",
        "symbol": "",
        "price": None,
        "threshold": Decimal(500),
        "currency": "USD",
    }
    return make_limit(**defaults | values)


def address(limit, page="change"):
    return reverse(f"admin:bots_tradinglimit_{page}", args=[limit.pk])


def words(safe):
    return " ".join(re.sub(r"<[^>]*>", "", str(safe)).split())


def story(limit, user):
    return LimitStory(limit, now=timezone.now(), user=user)


def send(client, **changes):
    values = {
        "id": "staff-1",
        "limit_type": "stop_loss",
        "price": "45000",
        "symbol": "BTC/USD",
        "type": "live",
        "direction": "long",
        "action": "notify",
    }
    return client.post(ADD, values | changes)


def errors(answer):
    """Return what a form says, by the field it stands at."""
    html = answer.content.decode()
    fields = re.findall(r'b-field-(\w+)">(.*?)(?=<div class="b-field|<datalist)', html, re.DOTALL)
    found = {name: re.findall(r'b-error" role="alert">([^<]*)<', inner) for name, inner in fields}
    return {name: said for name, said in found.items() if said}


class TestBar:
    @pytest.mark.parametrize(
        ("usage", "tone", "said"),
        [
            ("0.25", "b-info", "25 %"),
            ("0.79999999", "b-info", "80 %"),
            ("0.8", "b-warning", "80 % near"),
            ("1", "b-danger", "100 % reached"),
            ("3.5", "b-danger", "350 % reached"),
        ],
    )
    def test_says_in_words_what_its_color_says(self, usage, tone, said):
        shown = limit_shown.usage_bar(operators(usage=Decimal(usage)))

        assert tone in shown
        assert words(shown).endswith(said)
        assert float(re.search(r'value="([\d.]+)"', shown)[1]) <= 100

    def test_says_that_it_fired(self):
        fired = make_limit(status=LimitStatus.TRIGGERED, triggered_at=timezone.now())

        assert words(limit_shown.usage_bar(fired)).endswith("fired")

    def test_says_why_it_is_empty(self):
        assert limit_shown.NOT_EVALUATED in limit_shown.usage_bar(make_limit())


class TestWords:
    @pytest.mark.parametrize(
        ("values", "said"),
        [
            ({}, "45,000 or below"),
            ({"direction": "short"}, "45,000 or above"),
            ({"limit_type": "take_profit"}, "45,000 or above"),
        ],
    )
    def test_tell_on_which_side_of_its_price_a_limit_fires(self, values, said):
        assert limit_shown.bound_words(make_limit(**values)) == said

    @pytest.mark.parametrize(
        ("kind", "said"),
        [
            ("max_daily_loss", "500.00 USD"),
            ("max_drawdown", "500.00 %"),
            ("max_trades_per_hour", "500 trades"),
        ],
    )
    def test_count_as_the_kind_counts(self, kind, said):
        assert limit_shown.bound_words(operators(limit_type=kind)) == said

    def test_tell_whom_it_holds(self):
        bot = make_bot(id="grid")

        assert limit_shown.scope_words(make_limit(bot=bot)) == "bot grid · BTC/USD · live"
        assert limit_shown.scope_words(operators()) == "all bots · all symbols · live"
        held = make_limit(lot=make_position(lot_id="a"), type="paper")
        assert words(limit_shown.scope(held)) == "all bots · BTC/USD · lot a · paper"


class TestList:
    def test_shows_what_stands_against_what(self, admin_client):
        operators(current_value=Decimal("412.5"), usage=Decimal("0.825"))

        html = admin_client.get(LIST).content.decode()

        assert "412.50" in html
        assert "500.00 USD" in html
        assert "near" in html

    def test_finds_those_that_are_nearly_used_up(self, admin_client):
        operators(id="calm", usage=Decimal("0.2")), operators(id="hot", usage=Decimal("0.9"))
        operators(id="over", usage=Decimal("0.9"), status=LimitStatus.CANCELLED)

        html = admin_client.get(LIST, {"used": "near"}).content.decode()

        assert address(TradingLimit(pk="hot")) in html
        assert address(TradingLimit(pk="calm")) not in html
        assert address(TradingLimit(pk="over")) not in html


class TestPage:
    def test_draws_the_price_of_the_limit_and_where_it_fired(self, admin_user):
        candle(50_000, ago=timedelta(minutes=30))
        limit = make_limit(reference_price=Decimal(50_000))
        begun = timezone.now() - timedelta(minutes=50)
        TradingLimit.objects.filter(pk=limit.pk).update(created_at=begun, updated_at=begun)
        touched = candle(45_500, ago=timedelta(minutes=20), low=44_000)
        candle(46_000, ago=timedelta(minutes=10))

        assert evaluate_limits(now=timezone.now()) == 1
        limit.refresh_from_db()
        drawn = story(limit, admin_user).chart

        assert [line["price"] for line in drawn["lines"]] == ["45000", "50000"]
        fired = [mark for mark in drawn["markers"] if mark["text"] == "Fired"]
        assert [mark["time"] for mark in fired] == [int(touched.timestamp.timestamp())]

    def test_tells_what_happened_when_it_fired(self, admin_client):
        bot = make_bot(id="grid")
        make_trade(bot=bot, closed=True, exit_time=timezone.now(), gross_pnl=Decimal(-600),
                   commission=Decimal(0), net_pnl=Decimal(-600))  # fmt: skip
        limit = operators(action="pause")

        assert evaluate_limits(now=timezone.now()) == 1
        html = admin_client.get(address(limit)).content.decode()

        assert "Maximum daily loss reached: all bots (live)" in html
        assert "by this limit" in html
        assert "600.00" in html

    def test_names_the_bots_it_holds(self, admin_user):
        make_bot(id="live-one"), make_bot(id="paper-one", type="paper")
        make_bot(id="euro-one", quote_currency="EUR")

        found = story(operators(), admin_user).shown_bots

        assert [words(bot["link"]) for bot in found] == ["live-one"]

    def test_costs_the_same_however_many_bots_it_holds(
        self, admin_client, django_assert_max_num_queries
    ):
        for minutes in range(1, 12):
            candle(50_000, ago=timedelta(minutes=5 * minutes))
            make_bot()
        limit = make_limit(action="stop", bot=make_bot())

        with django_assert_max_num_queries(MOST_PAGE_QUERIES):
            admin_client.get(address(limit))
        with django_assert_max_num_queries(MOST_PAGE_QUERIES):
            admin_client.get(address(operators()))

    def test_says_what_is_missing_where_nothing_is_stored(self, admin_client):
        html = admin_client.get(address(make_limit(symbol="NONE/USD"))).content.decode()

        assert "No candles of NONE/USD are stored." in html
        assert "It holds no bot at present." in html

    def test_shows_text_from_outside_as_text(self, admin_client):
        limit = make_limit(symbol=HOSTILE, notes=HOSTILE, bot=make_bot(id="<script>x"))

        for url in (LIST, address(limit)):
            html = admin_client.get(url).content.decode()
            assert "&lt;script&gt;x" in html
            assert "<script>x" not in html

    def test_keeps_bots_from_those_who_may_not_see_them(self):
        make_bot(id="secret-bot")
        html = staff("bots.view_tradinglimit").get(address(operators())).content.decode()

        assert "secret-bot" not in html
        assert ">Cancel<" not in html


class TestForm:
    def test_sets_a_limit_by_the_rules_of_the_service(self):
        candle(50_000, ago=timedelta(minutes=10))

        answer = send(staff(*RISK))

        limit = TradingLimit.objects.get()
        assert answer.url == address(limit)
        assert (limit.price, limit.reference_price) == (Decimal(45_000), Decimal(50_000))
        assert limit.currency == "USD"

    def test_sets_one_limit_however_often_it_is_sent(self):
        client = staff(*RISK)

        answers = [send(client), send(client)]

        assert {answer.status_code for answer in answers} == {302}
        assert TradingLimit.objects.count() == 1

    def test_leaves_out_what_does_not_belong_to_the_kind(self):
        send(staff(*RISK), limit_type="max_drawdown", threshold="10", symbol="BTC/USD",
             direction="short", lot="none", size="3")  # fmt: skip

        limit = TradingLimit.objects.get()
        assert (limit.price, limit.threshold, limit.size) == (None, Decimal(10), None)
        assert limit.direction == "long"

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"price": ""}, "price"),
            ({"price": "-1"}, "price"),
            ({"price": "many"}, "price"),
            ({"symbol": ""}, "symbol"),
            ({"type": ""}, "type"),
            ({"bot": "unknown"}, "bot"),
            ({"lot": "unknown"}, "lot"),
            ({"limit_type": "max_daily_loss"}, "threshold"),
            ({"limit_type": "max_drawdown", "threshold": "101"}, "threshold"),
            ({"limit_type": "max_trades_per_hour", "threshold": "1.5"}, "threshold"),
            ({"limit_type": "max_exposure", "threshold": "5", "symbol": ""}, "currency"),
        ],
    )
    def test_says_at_each_field_what_is_wrong_and_keeps_the_rest(self, changes, field):
        answer = send(staff(*RISK), notes="kept", **changes)

        assert answer.status_code == 200
        assert set(errors(answer)) == {field}
        assert "kept" in answer.content.decode()
        assert not TradingLimit.objects.exists()

    def test_begins_with_what_a_link_to_it_names(self):
        asked = {"kind": "take_profit", "lot": "lot-9", "symbol": HOSTILE}

        html = staff(*RISK).get(ADD, asked).content.decode()

        assert re.search(r'value="take_profit"[^>]*checked', html)
        assert 'value="lot-9"' in html
        assert "<script>x" not in html

    def test_is_for_those_who_may_set_limits(self):
        client = staff("bots.view_tradinglimit")

        assert client.get(ADD).status_code == 403
        assert send(client).status_code == 403
        assert not TradingLimit.objects.exists()


class TestSteps:
    def test_cancel_asks_first_and_says_how_many(self):
        limits = [make_limit(), make_limit()]
        client = staff(*RISK)
        chosen = {"action": "cancel", "_selected_action": [each.pk for each in limits]}

        asked = client.post(LIST, chosen).content.decode()

        assert "2 limits" in asked
        assert asked.count("Stop loss at 45,000 or below: all bots · BTC/USD · live") == 2
        assert not TradingLimit.objects.exclude(status=LimitStatus.ACTIVE).exists()
        client.post(LIST, chosen | {"confirmed": "1"})
        assert set(TradingLimit.objects.values_list("status", "cancelled_by")) == {
            (LimitStatus.CANCELLED, "someone")
        }

    def test_arming_again_sets_one_like_it_and_each_names_the_other(self, admin_client):
        fired = make_limit(
            id="stop", status=LimitStatus.TRIGGERED, triggered_at=timezone.now(),
            trigger_price=Decimal(45_000),
        )  # fmt: skip

        for _ in range(2):
            admin_client.post(address(fired, "rearm"), {"confirmed": "1"})

        again = TradingLimit.objects.get(pk="stop~2")
        assert TradingLimit.objects.count() == 2
        assert "Armed again as" in admin_client.get(address(fired)).content.decode()
        assert "Takes over from" in admin_client.get(address(again)).content.decode()

    def test_are_not_for_those_who_only_look(self):
        limit = make_limit()

        answer = staff("bots.view_tradinglimit").post(address(limit, "cancel"), {"confirmed": "1"})

        assert answer.status_code == 403
        limit.refresh_from_db()
        assert limit.status == LimitStatus.ACTIVE
