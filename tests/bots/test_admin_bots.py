"""Bots in the admin: who is alive, what they hold, what is asked of them, and who may ask."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.bots.admin import ledger
from apps.bots.admin.instance_pages import BotStory
from apps.bots.choices import BotHealth, DesiredState
from apps.bots.models import BotInstance
from apps.bots.services.instances import hash_of
from apps.logs.models import Notification, SystemLog
from tests.factories import (
    make_api_key,
    make_bot,
    make_bot_performance,
    make_bot_state,
    make_limit,
    make_order,
    make_position,
    make_trade,
)
from tests.logs.pages import CONTROLS, CONTROLS_SEEN, MARKUP, page

pytestmark = pytest.mark.django_db

BOTS = "admin:bots_botinstance_changelist"
BOT = "admin:bots_botinstance_change"
STATES = "admin:bots_botstate_changelist"
NOW = datetime(2026, 3, 2, 18, tzinfo=UTC)
ODD = "a\"b'c %41_42 <i>🚀</i>"
# Session, user and the bot; then one for each part of its page.
MOST_QUERIES = 20


def story(bot, *, now=NOW):
    user = User.objects.create_superuser("root")
    return BotStory(bot, now=now, user=user)


def shown_page(client, bot):
    return page(client, BOT, quote(bot.pk))


def parts(client, bot):
    answer = client.get(reverse("admin:bots_botinstance_live", args=[quote(bot.pk)]))
    assert answer.status_code == 200
    return answer.content.decode()


def press(client, bot, step, **sent):
    url = reverse(f"admin:bots_botinstance_{step}", args=[quote(bot.pk)])
    return client.post(url, sent, follow=True).content.decode()


def act(client, bots, step, **sent):
    data = {"action": step, "index": "0", "_selected_action": [bot.pk for bot in bots]}
    return client.post(reverse(BOTS), data | sent, follow=True).content.decode()


def staff(*permissions):
    user = User.objects.create_user("someone", is_staff=True)
    for name in permissions:
        user.user_permissions.add(
            Permission.objects.get(codename=name, content_type__app_label="bots")
        )
    client = Client()
    client.force_login(user)
    return client


class TestList:
    def test_scans_who_is_alive_and_what_came_of_it(self, admin_client):
        bot = make_bot(
            status="running",
            health=BotHealth.SILENT,
            last_heartbeat=timezone.now() - timedelta(minutes=4, seconds=5),
            current_balance=Decimal("10089.9"),
            strategy_name="breakout",
        )
        make_trade(bot=bot, closed=True)
        make_trade(bot=bot)

        html = page(admin_client, BOTS)

        assert "Silent</span>" in html
        assert "4 min ago" in html
        assert "10,089.90" in html
        assert "+89.90" in html
        assert '<span class="b-num">1</span>' in html
        assert "breakout" in html

    def test_adds_up_only_the_bots_own_type_and_currency(self):
        bot = make_bot()
        make_trade(bot=bot, closed=True, exit_time=NOW - timedelta(minutes=1))
        before = NOW - timedelta(days=2)
        make_trade(bot=bot, closed=True, entry_time=before, exit_time=before)
        make_trade(bot=bot, closed=True, trade_type="paper")
        make_trade(bot=bot, closed=True, quote_currency="EUR")

        booked = ledger.booked([bot.pk], now=NOW)

        assert booked[ledger.own_ledger(bot)][:3] == (Decimal("89.9"), Decimal("179.8"), 2)
        assert len(booked) == 3

    def test_counts_a_trade_closed_in_parts_once(self):
        bot = make_bot()
        root = make_trade(bot=bot, closed=True, partial_exits=1)
        make_trade(
            bot=bot, closed=True, parent_trade=root, is_partial_exit=True, partial_exit_sequence=1
        )

        assert ledger.booked([bot.pk], now=NOW)[ledger.own_ledger(bot)].total == Decimal("89.9")

    @pytest.mark.parametrize(
        ("columns", "said"),
        [
            ({"instruction": 1}, "asked"),
            ({"instruction": 1, "delivered_at": NOW}, "delivered"),
            ({"instruction": 1, "delivered_at": NOW, "acknowledged_at": NOW}, "acknowledged"),
        ],
    )
    def test_says_how_far_a_wish_has_come(self, admin_client, columns, said):
        make_bot(desired_state="pause", desired_by="ada", **columns)

        assert f'<span class="b-quiet">{said}</span>' in page(admin_client, BOTS)

    def test_finds_by_part_of_the_name(self, admin_client):
        make_bot(id="grid-eth"), make_bot(id="momentum")

        html = page(admin_client, BOTS, q="grid")

        assert "grid-eth" in html
        assert "momentum" not in html

    def test_filters_by_health(self, admin_client):
        make_bot(id="well"), make_bot(id="gone", health=BotHealth.SILENT)

        html = page(admin_client, BOTS, health__exact="silent")

        assert "gone" in html
        assert ">well<" not in html

    def test_shows_a_name_full_of_markup_as_text(self, admin_client):
        make_bot(id=MARKUP, strategy_name=CONTROLS)

        html = page(admin_client, BOTS)

        assert MARKUP not in html
        assert CONTROLS_SEEN in html


class TestPage:
    @pytest.mark.parametrize("name", [ODD, MARKUP, "bot with spaces", "%2e%2e"])
    def test_opens_whatever_the_name_looks_like(self, admin_client, name):
        bot = make_bot(id=name)

        assert MARKUP not in shown_page(admin_client, bot)
        assert parts(admin_client, bot)
        assert (
            admin_client.get(
                reverse("admin:bots_botinstance_edit", args=[quote(bot.pk)])
            ).status_code
            == 200
        )

    def test_is_for_those_who_may_look(self):
        bot, nobody = make_bot(), staff()

        for name in (BOT, "admin:bots_botinstance_live"):
            assert nobody.get(reverse(name, args=[bot.pk])).status_code == 403

    def test_costs_the_same_for_many_rows_as_for_few(
        self, admin_client, django_assert_max_num_queries
    ):
        bot = make_bot()
        for number in range(12):
            trade = make_trade(bot=bot, symbol=f"S{number}/USD")
            make_trade(bot=bot, closed=True)
            make_order(bot=bot, trade=trade)
            make_position(bot=bot), make_limit(bot=bot), make_bot_state(bot=bot)
            make_bot_performance(bot=bot), make_api_key(bot=bot.pk)
        shown_page(admin_client, bot)

        with django_assert_max_num_queries(MOST_QUERIES):
            shown_page(admin_client, bot)

    def test_shows_what_belongs_to_it_and_nothing_of_others(self, admin_client):
        bot, other = make_bot(), make_bot()
        trade, closed = make_trade(bot=bot), make_trade(bot=bot, closed=True, exit_reason="stop")
        foreign = make_trade(bot=other)
        make_order(bot=bot, order_id="order-mine"), make_order(bot=other, order_id="order-theirs")
        make_position(bot=bot, lot_id="lot-mine"), make_position(bot=other, lot_id="lot-theirs")
        make_bot_state(bot=bot, key="kept-mine"), make_bot_state(bot=other, key="kept-theirs")
        SystemLog.objects.create(logger_name=bot.pk, message="cycle done")
        SystemLog.objects.create(logger_name=other.pk, message="not mine")

        html = shown_page(admin_client, bot)

        for seen in (str(trade.pk), str(closed.pk), "order-mine", "lot-mine", "kept-mine"):
            assert seen in html
        assert "cycle done" in html
        assert not [name for name in ("order-theirs", "lot-theirs", "kept-theirs") if name in html]
        assert "not mine" not in html
        assert str(foreign.pk) not in html

    def test_shows_markup_from_outside_as_text(self, admin_client):
        bot = make_bot(
            id=MARKUP, status="error", last_error=MARKUP, config={"x": MARKUP},
            desired_reason=MARKUP, desired_by=MARKUP, instruction=1, desired_state="stop",
        )  # fmt: skip
        make_trade(bot=bot, closed=True, exit_reason=MARKUP, symbol=MARKUP)
        make_bot_state(bot=bot, key=MARKUP)
        make_order(bot=bot, order_id=MARKUP)

        assert MARKUP not in shown_page(admin_client, bot)

    def test_leaves_out_keys_and_logs_that_the_viewer_may_not_see(self):
        bot = make_bot()
        make_api_key(bot=bot.pk, client="box-7")
        SystemLog.objects.create(logger_name=bot.pk, message="cycle done")

        html = staff("view_botinstance").get(reverse(BOT, args=[bot.pk])).content.decode()

        assert "box-7" not in html
        assert "cycle done" not in html

    def test_leads_to_the_step_that_rotates_its_key(self, admin_client):
        key = make_api_key(bot=make_bot(id="keyed").pk, expires_at=timezone.now() + timedelta(1))

        html = page(admin_client, BOT, "keyed")

        assert reverse("admin:access_apikey_rotate", args=[key.pk]) in html


class TestStory:
    def test_says_that_it_works_with_another_configuration(self):
        bot = make_bot(config_hash="a" * 64, reported_config_hash="b" * 64)

        said = [str(words) for _, words in story(bot).standing]

        assert any("works with another configuration" in words for words in said)

    def test_says_nothing_of_a_configuration_that_is_the_same(self):
        bot = make_bot(config_hash="a" * 64, reported_config_hash="A" * 64, last_heartbeat=NOW)

        assert not list(story(bot).standing)

    @pytest.mark.parametrize(
        ("health", "said"),
        [("silent", "Silent: last heard"), ("stale", "Its data are old"), ("idle", "but idle")],
    )
    def test_says_what_is_wrong_with_it(self, health, said):
        bot = make_bot(health=health, last_heartbeat=NOW - timedelta(minutes=5))

        assert any(said in str(words) for _, words in story(bot).standing)

    def test_keeps_quiet_about_the_health_of_who_is_not_at_work(self):
        bot = make_bot(status="stopped", health="silent", last_heartbeat=NOW)

        assert not list(story(bot).standing)

    def test_tells_the_ledger_beside_what_the_bot_says(self):
        bot = make_bot(current_balance=Decimal(10_100), total_pnl=Decimal(100))
        make_trade(bot=bot, closed=True)

        told = story(bot)

        assert "10,089.90" in told.equity
        assert "+10.10" in told.equity
        assert "+10.10" in told.reported

    def test_has_no_equity_without_capital(self):
        bot = make_bot(initial_balance=None)
        make_trade(bot=bot, closed=True)

        told = story(bot)

        assert "no initial balance" in told.equity
        assert told.chart["series"][0]["name"] == "Net P&L"

    def test_draws_equity_over_leaves_alone(self):
        bot = make_bot()
        root = make_trade(bot=bot, closed=True, partial_exits=1)
        make_trade(
            bot=bot, closed=True, parent_trade=root, is_partial_exit=True, partial_exit_sequence=1
        )
        make_trade(bot=bot, closed=True)

        (line,) = story(bot).chart["series"]

        assert [value for _, value in line["points"]] == [10_000, 10_089.9, 10_179.8]

    def test_holds_computed_and_reported_figures_side_by_side(self):
        bot = make_bot()
        make_bot_performance(bot=bot, win_rate=66.7, reasons={"sharpe_ratio": "Too few days."})
        make_bot_performance(bot=bot, origin="reported", win_rate=70.0)

        lines = {line["name"]: line for line in story(bot).figures.lines}

        assert "66.7 %" in lines["win_rate"]["computed"]
        assert "70.0 %" in lines["win_rate"]["reported"]
        assert "Too few days." in lines["sharpe_ratio"]["computed"]
        assert "does not report" in lines["sharpe_ratio"]["reported"]

    def test_names_the_limits_that_hold_it(self):
        bot = make_bot()
        make_limit(bot=bot), make_limit(symbol="BTC/USD")
        make_limit(bot=make_bot()), make_limit(symbol="ETH/USD"), make_limit(type="paper")
        make_limit(status="cancelled")

        assert len(story(bot).limits) == 2


class TestWishes:
    def test_asks_before_it_does_and_then_asks_the_bot(self, admin_client):
        bot = make_bot()

        asked = press(admin_client, bot, "pause")
        bot.refresh_from_db()
        assert "Pause 1 bot?" in asked
        assert 'name="reason"' in asked
        assert bot.desired_state == DesiredState.RUN

        press(admin_client, bot, "pause", confirmed="yes", reason="Fed meeting")
        bot.refresh_from_db()
        assert (bot.desired_state, bot.desired_by, bot.desired_reason, bot.instruction) == (
            "pause", "admin", "Fed meeting", 1,
        )  # fmt: skip

    def test_says_how_many_and_leaves_alone_whom_it_does_not_fit(self, admin_client):
        bots = [make_bot(), make_bot(), make_bot(desired_state="stop", instruction=1)]

        asked = act(admin_client, bots, "stop")
        assert "Stop 2 bots?" in asked
        assert "1 of those chosen is left alone" in asked

        done = act(admin_client, bots, "stop", confirmed="yes", reason="Key leaked")
        assert "2 bots asked to stop" in done
        assert BotInstance.objects.filter(desired_state="stop").count() == 3

    def test_does_not_stop_without_a_reason(self, admin_client):
        bot = make_bot()

        html = press(admin_client, bot, "stop", confirmed="yes", reason="  ")

        bot.refresh_from_db()
        assert "Nothing was asked." in html
        assert bot.desired_state == DesiredState.RUN

    def test_takes_the_same_wish_once(self, admin_client):
        bot = make_bot()
        for _ in range(2):
            press(admin_client, bot, "pause", confirmed="yes")

        bot.refresh_from_db()
        assert bot.instruction == 1

    def test_is_for_those_who_may_change_bots(self):
        bot, viewer = make_bot(), staff("view_botinstance")

        for step in ("pause", "stop", "remind"):
            url = reverse(f"admin:bots_botinstance_{step}", args=[bot.pk])
            assert viewer.post(url, {"confirmed": "yes", "reason": "x"}).status_code == 403
        assert "Pause" not in shown_page(viewer, bot)
        bot.refresh_from_db()
        assert bot.desired_state == DesiredState.RUN

    def test_is_never_done_by_a_mere_link(self, admin_client):
        bot = make_bot()

        url = reverse("admin:bots_botinstance_stop", args=[bot.pk])
        assert admin_client.get(url).status_code == 405

    def test_reminds_of_open_trades_once_a_day(self, admin_client):
        bot, empty_handed = make_bot(), make_bot()
        make_trade(bot=bot), make_trade(bot=bot)

        first = act(admin_client, [bot, empty_handed], "remind", confirmed="yes")
        again = act(admin_client, [bot, empty_handed], "remind", confirmed="yes")

        assert "1 bot told of now" in first
        assert "0 bots told of now" in again
        told = Notification.objects.get(what="close_reminder")
        assert "2 open trades" in told.subject
        assert admin_client.get(told.link).status_code == 200


class TestForm:
    def test_changes_what_describes_it_and_nothing_of_its_life(self, admin_client):
        bot = make_bot(status="running", current_balance=Decimal(5), heartbeat_interval_seconds=60)
        url = reverse("admin:bots_botinstance_edit", args=[bot.pk])

        answer = admin_client.post(
            url,
            {
                "type": "live", "strategy_name": "breakout", "symbol": "ETH/USD",
                "quote_currency": "USD", "initial_balance": "500", "config": '{"risk": 0.02}',
                "heartbeat_interval_seconds": "30", "extra_metadata": "{}", "status": "stopped",
                "current_balance": "1",
            },
        )  # fmt: skip

        assert answer.status_code == 302
        bot.refresh_from_db()
        assert (bot.strategy_name, bot.symbol, bot.heartbeat_interval_seconds) == (
            "breakout", "ETH/USD", 30,
        )  # fmt: skip
        assert bot.config_hash == hash_of({"risk": 0.02})
        assert (bot.status, bot.current_balance) == ("running", Decimal(5))

    @pytest.mark.parametrize("name", ["a/b", "a\u202eb"])
    def test_takes_no_name_that_no_address_could_hold(self, admin_client, name):
        given = {"id": name, "type": "paper", "config": "{}", "extra_metadata": "{}",
                 "heartbeat_interval_seconds": "60"}  # fmt: skip

        answer = admin_client.post(reverse("admin:bots_botinstance_add"), given)

        assert answer.status_code == 200
        assert not BotInstance.objects.exists()

    def test_keeps_who_has_traded(self, admin_client):
        bot = make_trade().bot

        url = reverse("admin:bots_botinstance_delete", args=[bot.pk])
        assert admin_client.post(url, {"post": "yes"}).status_code == 403
        assert BotInstance.objects.filter(pk=bot.pk).exists()


class TestStates:
    def test_shows_json_as_text(self, admin_client):
        state = make_bot_state(key="grid/levels", value={"note": MARKUP, "deep": [1, {"x": None}]})

        html = page(admin_client, "admin:bots_botstate_change", quote(state.pk))

        assert MARKUP not in html
        assert "&quot;deep&quot;" in html

    def test_lists_without_reading_what_is_kept(self, admin_client, django_assert_max_num_queries):
        make_bot_state(value={"long": "x" * 1000})

        with django_assert_max_num_queries(12) as captured:
            page(admin_client, STATES)

        read = [each["sql"] for each in captured if 'FROM "bot_state"' in each["sql"]]
        assert read
        assert not [sql for sql in read if '"bot_state"."value",' in sql]
