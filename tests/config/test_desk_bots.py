"""The desk on bots: who is silent and what it holds, live and paper apart, what limits did."""

import uuid
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.bots.choices import BotHealth, BotStatus, LimitStatus, TradeType
from apps.bots.models import TradingLimit
from apps.logs.services.notifications import notify
from config import bot_figures, bot_needs, desk
from config.readings import Readings
from tests.factories import make_bot, make_limit, make_notification, make_trade

pytestmark = pytest.mark.django_db

SEARCH = "/admin/search/"
HOSTILE = "<script>x</script>"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
# By UTC in the middle of a day, so that hours before belong to the same one.
NOW = timezone.now().replace(hour=12, minute=0, second=0, microsecond=0)


def readings(at=NOW):
    return Readings(at)


def silent(**values):
    """Make a bot that says it runs and is not heard of."""
    life = {
        "status": BotStatus.RUNNING,
        "health": BotHealth.SILENT,
        "health_since": NOW - HOUR,
        "last_heartbeat": NOW - HOUR - 3 * MINUTE,
    }
    return make_bot(**life | values)


def exit_of(bot, net, *, at=NOW - HOUR, **values):
    net = Decimal(net)
    return make_trade(
        bot=bot, closed=True, entry_time=at - MINUTE, exit_time=at,
        gross_pnl=net, commission=Decimal(0), net_pnl=net, **values,
    )  # fmt: skip


def needs():
    return {need.what: need for _, read in bot_needs.NEEDS for need in read(readings())}


class TestFigures:
    def test_count_bots_by_how_they_stand(self):
        make_bot(status=BotStatus.RUNNING), make_bot(status=BotStatus.PAUSED)
        silent(), make_bot(status=BotStatus.ERROR, health=BotHealth.OK)
        make_bot(status=BotStatus.RUNNING, health=BotHealth.STALE)
        make_bot(status=BotStatus.STOPPED)
        now = readings()

        running, quiet = bot_figures.bots_running(now), bot_figures.bots_silent(now)
        wrong = bot_figures.bots_in_error(now)

        assert (running.value, running.under) == ("3", "of 4 at work")
        assert (quiet.value, quiet.under, quiet.tone) == ("1", "1 on stale data", "b-loss")
        assert (wrong.value, wrong.tone) == ("1", "b-loss")

    def test_never_add_live_to_paper_nor_one_currency_to_another(self):
        live, paper = make_bot(), make_bot(type="paper")
        make_trade(bot=live), make_trade(bot=live)
        make_trade(bot=live, quote_currency="EUR", entry_price=Decimal(7))
        make_trade(bot=paper, entry_price=Decimal(1_000))
        make_trade(bot=make_bot(type="optimization"))

        kinds = (TradeType.LIVE, TradeType.PAPER)
        shown = [bot_figures.open_trades(readings(), each) for each in kinds]

        assert [figure.value for figure in shown] == ["3", "1"]
        assert shown[0].under == "10,000.00 USD at entry; also EUR"
        assert shown[1].under == "100.00 USD at entry"

    def test_value_what_is_left_of_a_trade(self):
        make_trade(remaining_position_size=Decimal("0.04"))

        assert "2,000.00 USD" in bot_figures.open_trades(readings(), TradeType.LIVE).under

    def test_tell_what_was_realized_today_by_type_and_main_currency(self):
        live, paper = make_bot(), make_bot(type="paper")
        exit_of(live, "100.5"), exit_of(live, "-40")
        exit_of(live, "9", quote_currency="EUR")
        exit_of(live, "7777", at=NOW - DAY)
        exit_of(paper, "-3.25")

        gained = bot_figures.realized(readings(), TradeType.LIVE)
        lost = bot_figures.realized(readings(), TradeType.PAPER)

        assert (gained.value, gained.tone) == ("+60.50", "b-gain")
        assert gained.under == "USD, 2 exits; also EUR"
        assert (lost.value, lost.under, lost.tone) == ("−3.25", "USD, 1 exit", "b-loss")

    def test_add_up_the_parts_of_a_trade_and_not_the_trade_beside_them(self):
        bot = make_bot()
        parent = make_trade(
            bot=bot, closed=True, partial_exits=2, exit_time=NOW - HOUR,
            entry_time=NOW - 2 * HOUR, gross_pnl=30, commission=0, net_pnl=30,
        )  # fmt: skip
        for number, net in ((1, "10"), (2, "20")):
            exit_of(bot, net, parent_trade=parent, is_partial_exit=True,
                    partial_exit_sequence=number)  # fmt: skip

        shown = bot_figures.realized(readings(), TradeType.LIVE)

        assert (shown.value, shown.under) == ("+30.00", "USD, 2 exits")

    def test_leave_today_empty_while_nothing_was_closed(self):
        shown = bot_figures.realized(readings(), TradeType.LIVE)

        assert (shown.value, shown.under) == ("—", "nothing was closed")

    def test_lead_to_the_rows_behind_them(self, admin_client):
        bot = silent(id="the-silent-one")
        exit_of(bot, "1"), make_bot(id="the-other-one")

        for _, read in bot_figures.FIGURES:
            assert admin_client.get(read(readings()).url).status_code == 200
        listed = admin_client.get(bot_figures.bots_silent(readings()).url).content.decode()
        assert "the-silent-one" in listed
        assert "the-other-one" not in listed


class TestNeeds:
    def test_are_none_while_all_bots_are_well(self):
        make_bot(status=BotStatus.RUNNING), make_bot(status=BotStatus.STOPPED)
        make_limit(usage=Decimal("0.79"))

        assert not needs()

    def test_name_the_silent_with_what_they_hold_those_with_most_first(self):
        silent(id="empty", health_since=NOW - 5 * HOUR)
        holder = silent(id="holder")
        for kind, price in (("paper", 100), ("live", 50_000), ("live", 40_000)):
            make_trade(bot=holder, trade_type=kind, entry_price=Decimal(price))

        found = needs()

        assert list(found) == ["holder is silent", "empty is silent"]
        told = found["holder is silent"]
        assert "Last heard of 1 h 3 min ago, due every 1 min." in told.why
        assert (
            "It holds 2 live trades (9,000.00 USD at entry), 1 paper trade (10.00 USD at entry)"
            in told.why
        )
        assert "It holds nothing open." in found["empty is silent"].why

    def test_name_other_troubles_of_bots_each_with_why(self):
        make_bot(id="broken", status=BotStatus.ERROR, last_error="429: too many requests")
        make_bot(id="blind", status=BotStatus.RUNNING, health=BotHealth.STALE,
                 last_candle_at=NOW - 5 * HOUR)  # fmt: skip
        make_bot(id="lazy", status=BotStatus.RUNNING, health=BotHealth.IDLE,
                 last_activity_at=NOW - 30 * HOUR, usual_gap_seconds=3_600)  # fmt: skip

        found = needs()

        assert "429: too many requests." in found["broken is in error"].why
        assert "5 h old" in found["blind works on stale data"].why
        assert "nothing done for 1 d 6 h, usually every 1 h" in found["lazy is alive but idle"].why

    def test_name_instructions_that_three_heartbeats_did_not_acknowledge(self):
        asked = {"status": BotStatus.RUNNING, "desired_state": "pause", "desired_by": "ada",
                 "instruction": 1, "last_heartbeat": NOW}  # fmt: skip
        make_bot(id="deaf", desired_at=NOW - 4 * MINUTE, delivered_at=NOW - 3 * MINUTE, **asked)
        make_bot(id="just-asked", desired_at=NOW - 2 * MINUTE, **asked)
        make_bot(id="done", desired_at=NOW - HOUR, acknowledged_at=NOW - HOUR, **asked)
        make_bot(id="slow", desired_at=NOW - 4 * MINUTE, heartbeat_interval_seconds=3_600, **asked)

        found = needs()

        assert list(found) == ["deaf has not acknowledged: pause"]
        assert "ada asked 4 min ago. It was delivered" in next(iter(found.values())).why

    def test_name_limits_that_fired_today_and_those_nearly_used_up(self):
        make_limit(
            id="fired", status=LimitStatus.TRIGGERED, triggered_at=NOW - HOUR,
            trigger_price=Decimal(44_990), action="pause",
        )  # fmt: skip
        old = make_limit(id="old", status=LimitStatus.TRIGGERED, triggered_at=NOW - 2 * DAY)
        TradingLimit.objects.filter(pk=old.pk).update(updated_at=NOW - 2 * DAY)
        make_limit(
            limit_type="max_exposure", symbol="", price=None, threshold=Decimal(1_000),
            usage=Decimal("0.92"), current_value=Decimal(920),
        )  # fmt: skip

        found = needs()

        assert list(found) == [
            "Stop loss fired: all bots · BTC/USD · live",
            "Maximum exposure is used up to 92 %: all bots · all symbols · live",
        ]
        fired, near = found.values()
        assert fired.why == "1 h ago at 44,990. Its bots were told to pause."
        assert near.why == "It stands at 920.00 and fires at 1,000.00 USD."

    def test_that_come_in_numbers_are_a_few_and_a_count(self):
        for number in range(7):
            silent(id=f"bot-of-many-{number}")

        found = needs()

        assert len(found) == 5
        assert "3 more bots are silent" in found

    def test_are_told_once_though_a_notification_told_of_them_too(self):
        bot = silent(id="gone")
        link = reverse("admin:bots_botinstance_change", args=[bot.pk])
        notify(what="bot_silent", level="critical", subject="Silent: gone", link=link, now=NOW)
        make_notification(subject="Silent: came-back", what="bot_silent", level="critical",
                          link="/admin/bots/botinstance/came-back/change/")  # fmt: skip

        found = [need.what for _, need in desk.needs(readings())]

        assert "gone is silent" in found
        assert "Silent: gone" not in found
        assert "Silent: came-back" in found

    def test_lead_to_pages_that_open(self, admin_client):
        for number in range(6):
            silent(id=f"odd {number}?"), make_bot(status=BotStatus.ERROR)
            make_limit(usage=Decimal("0.9"))
            make_limit(status=LimitStatus.TRIGGERED, triggered_at=NOW)

        found = [need for _, read in bot_needs.NEEDS for need in read(readings())]

        assert len(found) == 4 * 5
        assert {admin_client.get(need.url).status_code for need in found} == {200}


class TestChart:
    def test_draws_live_and_paper_as_lines_of_their_own(self):
        live, paper = make_bot(), make_bot(type="paper")
        exit_of(live, "10", at=NOW - 3 * DAY), exit_of(live, "-4", at=NOW - DAY)
        exit_of(paper, "7", at=NOW - 2 * DAY)
        exit_of(make_bot(type="optimization"), "999")
        exit_of(live, "500", at=NOW - 31 * DAY)

        shown = desk.equity(readings())
        lines = {line["name"]: line["points"] for line in shown["chart"]["series"]}

        assert list(lines) == ["Live", "Paper"]
        assert [lines["Live"][0][1], lines["Live"][-1][1]] == [0.0, 6.0]
        assert lines["Live"][-1][0] == int(NOW.timestamp())
        assert lines["Paper"][-1][1] == 7.0
        assert shown["summary"] == "live +6.00 USD, paper +7.00 USD"

    def test_draws_one_currency_and_names_the_others(self):
        bot = make_bot()
        exit_of(bot, "1"), exit_of(bot, "2"), exit_of(bot, "900", quote_currency="EUR")

        shown = desk.equity(readings())

        assert (shown["currency"], shown["others"]) == ("USD", ["EUR"])
        assert shown["chart"]["series"][0]["points"][-1][1] == 3.0

    def test_says_what_would_fill_it(self, admin_client):
        html = admin_client.get(reverse("desk")).content.decode()

        assert "No trade was closed in the last 30 days." in html


class TestPage:
    def test_shows_nothing_of_bots_to_those_who_may_not_see_them(self):
        exit_of(silent(id="secret-bot"), "123.45")
        make_limit(symbol="SECRET/USD", usage=Decimal("0.9"))
        user = User.objects.create_user("market", is_staff=True)
        user.user_permissions.add(Permission.objects.get(codename="view_instrument"))
        client = Client()
        client.force_login(user)

        html = client.get(reverse("desk")).content.decode()

        assert "Instruments stale" in html
        for word in ("secret-bot", "SECRET/USD", "Bots silent", "Open trades", "Realized"):
            assert word not in html

    def test_shows_text_from_outside_as_text(self, admin_client):
        bot = silent(id="<script>x", last_error=HOSTILE)
        make_trade(bot=bot, quote_currency="<script>x"[:10])
        make_bot(status=BotStatus.ERROR, last_error=HOSTILE)
        make_limit(symbol=HOSTILE, usage=Decimal("0.9"))

        html = admin_client.get(reverse("desk")).content.decode()

        assert html.count("&lt;script&gt;x") >= 3
        assert "<script>x" not in html


class TestSearch:
    def test_finds_bots_by_a_part_of_their_name(self, admin_client):
        make_bot(id="Momentum-ETH")

        html = admin_client.get(SEARCH, {"s": "tum-eth", "extended": "1"}).content.decode()

        assert "/admin/bots/botinstance/Momentum-ETH/change/" in html

    @pytest.mark.parametrize("typed", ["0190f3ab", "0190F3AB-11", "{whole}"])
    def test_finds_trades_by_the_beginning_of_their_id(self, admin_client, typed):
        whole = "0190f3ab-1111-7000-8000-000000000001"
        make_trade(id=uuid.UUID(whole)), make_trade(id=uuid.UUID(whole.replace("f3", "f4")))

        typed = typed.format(whole=whole)
        html = admin_client.get(SEARCH, {"s": typed, "extended": "1"}).content.decode()

        assert f"/admin/bots/trade/{whole}/change/" in html
        assert "0190f4ab" not in html

    def test_finds_nothing_for_those_who_may_not_see_it(self):
        bot = make_bot(id="secret-bot")
        trade = make_trade(bot=bot)
        client = Client()
        client.force_login(User.objects.create_user("nobody", is_staff=True))

        for typed in ("secret", str(trade.pk)):
            html = client.get(SEARCH, {"s": typed, "extended": "1"}).content.decode()
            assert "/admin/bots/" not in html
