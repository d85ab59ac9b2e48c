"""Trades of agents in the admin: what is added up and what never is, and the page of one."""

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.urls import reverse

from apps.agents.admin.trade_pages import TradeStory
from apps.agents.admin.trade_sums import Totals, totals_of
from apps.agents.models import AgentTrade
from tests.factories import (
    make_agent,
    make_agent_decision,
    make_agent_trade,
    make_candle,
    make_decision_outcome,
)
from tests.logs.pages import CONTROLS, CONTROLS_SEEN, MARKUP, exported, page

pytestmark = pytest.mark.django_db

TRADES = "admin:agents_agenttrade_changelist"
TRADE = "admin:agents_agenttrade_change"
DECISION = "admin:agents_agentdecision_change"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MOST_QUERIES = 13
UNKNOWN = {
    "status": "closed",
    "exit_time": NOON + timedelta(hours=2),
    "entry_time": NOON,
    "exit_reason": "[Auto-closed by PositionManager sync]",
}
NOTHING = dict.fromkeys(
    ["leverage", "entry_price", "entry_time", "entry_fees", "fees", "liquidation_price"]
) | {"symbol": ""}


def story(trade, *, now=NOON + timedelta(hours=6)):
    return TradeStory(AgentTrade.objects.select_related("agent").get(pk=trade.pk), now=now)


def candles(hours):
    for hour in range(hours):
        make_candle(
            symbol="BTC/USD", timestamp=NOON + timedelta(hours=hour - 20), price=50_000,
            granularity="1h",
        )  # fmt: skip


class TestTotals:
    def test_are_apart_for_live_and_paper_and_each_currency(self):
        live, paper = make_agent(mode="live"), make_agent(mode="paper")
        euro = make_agent(mode="live", quote_currency="EUR")
        for agent in (live, live, paper, euro):
            make_agent_trade(agent=agent, closed=True)

        found = totals_of(AgentTrade.objects.all())

        assert [(one.mode, one.currency, one.rows, one.net) for one in found.lines] == [
            ("live", "EUR", 1, Decimal(38)),
            ("live", "USD", 2, Decimal(76)),
            ("paper", "USD", 1, Decimal(38)),
        ]

    def test_count_what_is_unknown_apart_and_add_none_of_its_fees(self):
        agent = make_agent()
        make_agent_trade(agent=agent, closed=True)
        make_agent_trade(agent=agent, unrealized_pnl=Decimal(7))
        make_agent_trade(agent=agent, **UNKNOWN)

        (line,) = totals_of(AgentTrade.objects.all()).lines

        assert (line.rows, line.open, line.unknown, line.won, line.lost) == (3, 1, 1, 1, 0)
        assert (line.gross, line.fees, line.net) == (40, 2, 38)
        assert line.unrealized == 7

    def test_follow_the_filters(self, admin_client):
        agent = make_agent()
        make_agent_trade(agent=agent, closed=True)
        make_agent_trade(agent=agent, closed=True, coin="SOL", fees=3, realized_pnl=37)

        html = page(admin_client, TRADES, coin="SOL")

        assert "+37.00</span></strong>" in html
        assert "+38.00" not in html

    def test_are_not_made_of_a_part_of_the_rows(self):
        agent = make_agent()
        for _ in range(3):
            make_agent_trade(agent=agent)

        assert totals_of(AgentTrade.objects.all(), most=2) == Totals([], too_many=True)
        assert len(totals_of(AgentTrade.objects.all(), most=3).lines) == 1


class TestList:
    def test_scans_what_came_of_each_and_leads_to_its_decision(self, admin_client):
        decision = make_agent_decision()
        make_agent_trade(agent=decision.agent, decision=decision, closed=True)

        html = page(admin_client, TRADES)

        for seen in ("Paper", "50,000", "51,000", "−2.00", "+38.00", "1 h", "target"):
            assert seen in html
        assert reverse(DECISION, args=[decision.pk]) in html

    def test_says_that_a_result_is_unknown(self, admin_client):
        unknown, known = make_agent_trade(**UNKNOWN), make_agent_trade(closed=True)

        assert ">Unknown<" in page(admin_client, TRADES)
        narrowed = page(admin_client, TRADES, pnl="unknown")
        assert reverse(TRADE, args=[unknown.pk]) in narrowed
        assert reverse(TRADE, args=[known.pk]) not in narrowed

    @pytest.mark.parametrize(
        "query",
        [
            {"mode": "live"},
            {"status__exact": "liquidated"},
            {"side__exact": "short"},
            {"coin": "SOL"},
            {"realized_pnl_max": "-1"},
            {"q": "sol"},
            {"q": "order-1"},
            {"entry_time_after": "2025-01-01", "entry_time_before": "2025-01-01"},
        ],
    )
    def test_filters(self, admin_client, query):
        wanted = make_agent_trade(
            agent=make_agent(mode="live"), closed=True, status="liquidated", side="short",
            coin="SOL", gross_pnl=-10, realized_pnl=-12, hyperliquid_order_id="order-1",
            entry_time=datetime(2025, 1, 1, 12, tzinfo=UTC),
        )  # fmt: skip
        other = make_agent_trade()

        html = page(admin_client, TRADES, **query)

        assert reverse(TRADE, args=[wanted.pk]) in html
        assert reverse(TRADE, args=[other.pk]) not in html

    def test_reads_agents_with_its_rows_and_counts_nothing(
        self, admin_client, django_assert_max_num_queries
    ):
        for _ in range(5):
            make_agent_trade(closed=True)
        with django_assert_max_num_queries(MOST_QUERIES) as captured:
            page(admin_client, TRADES)

        read = [each["sql"] for each in captured if '"agent_trades"."id"' in each["sql"]]
        assert len(read) == 1
        assert not [name for name in ("COUNT(", '"notes"', '"extra_metadata"') if name in read[0]]

    def test_exports_what_the_filters_let_through(self, admin_client):
        trade = make_agent_trade(closed=True, exit_reason="=HYPERLINK(1)")
        make_agent_trade(coin="SOL")

        text = exported(admin_client, TRADES, coin="BTC").decode("utf-8-sig")
        (row,) = csv.DictReader(io.StringIO(text))

        assert (row["id"], row["agent__mode"]) == (str(trade.pk), "paper")
        assert (row["realized_pnl"], row["exit_reason"]) == ("38", "'=HYPERLINK(1)")

    def test_shows_markup_from_outside_as_text(self, admin_client):
        make_agent_trade(
            agent=make_agent(name=MARKUP, quote_currency="<b>"), closed=True, coin=MARKUP[:20],
            exit_reason=CONTROLS,
        )  # fmt: skip

        html = page(admin_client, TRADES)

        assert "<img src=x" not in html
        assert "<b>" not in html
        assert CONTROLS not in html


class TestPage:
    def test_splits_what_came_of_it_in_gross_fees_and_net(self, admin_client):
        html = page(admin_client, TRADE, make_agent_trade(closed=True).pk)

        for seen in ("+40.00", "2.00", "+38.00", "+1.90 %", "2,000.00"):
            assert seen in html

    def test_says_that_its_result_is_unknown_and_how_to_complete_it(self, admin_client):
        trade = make_agent_trade(**UNKNOWN)

        html = page(admin_client, TRADE, trade.pk)

        assert "P&amp;L unknown." in html
        assert f"POST /api/v1/agents/trades/{trade.pk}/close/" in html
        assert "<code>exit_price</code>" in html
        assert "<code>entry_price</code>" not in html
        without_entry = make_agent_trade(**NOTHING | UNKNOWN | {"entry_time": None})
        assert "<code>entry_price</code>" in page(admin_client, TRADE, without_entry.pk)

    def test_leads_by_one_click_to_why_the_agent_did_that(self, admin_client):
        agent = make_agent()
        opened = make_agent_decision(agent=agent, reasoning="The trend was my friend.")
        closed = make_agent_decision(agent=agent, action="CLOSE_POSITION", direction="short",
                                     reasoning="It no longer is.")  # fmt: skip
        make_decision_outcome(decision=opened, settled=True, is_hit=False)
        trade = make_agent_trade(agent=agent, decision=opened, close_decision=closed, closed=True)

        html = page(admin_client, TRADE, trade.pk)

        for decision in (opened, closed):
            assert reverse(DECISION, args=[decision.pk]) in html
            assert decision.reasoning in html
        assert ("Opened by" in html, "Closed by" in html, ">Miss<" in html) == (True, True, True)

    def test_of_what_is_open_shows_the_market_and_no_sum_of_nothing(self, admin_client):
        trade = make_agent_trade(
            unrealized_pnl=Decimal("-12.5"), mark_price=Decimal(49_712), marked_at=NOON
        )

        html = page(admin_client, TRADE, trade.pk)

        for seen in ("−12.50", "49,712", "19.5 % away", "It is open."):
            assert seen in html
        assert "b-sum" not in html

    @pytest.mark.parametrize(("mark", "tones"), [(41_000, ["danger"]), (60_000, [])])
    def test_warns_where_liquidation_is_near(self, mark, tones):
        trade = make_agent_trade(mark_price=Decimal(mark), marked_at=NOON)

        assert [tone for tone, _ in story(trade).standing] == tones

    @pytest.mark.parametrize(("told", "warned"), [("40", True), ("38", False), (None, False)])
    def test_says_when_the_agent_made_something_else_of_it(self, told, warned):
        trade = make_agent_trade(closed=True, reported_pnl=told and Decimal(told))

        found = [str(words) for _, words in story(trade).standing]

        assert bool(found) == warned
        assert not warned or "+2.00" in found[0]

    def test_marks_entry_exit_and_liquidation_in_its_candles(self):
        candles(40)
        trade = make_agent_trade(
            closed=True, entry_time=NOON, exit_time=NOON + timedelta(hours=3),
            liquidation_price=Decimal(49_600),
        )  # fmt: skip

        chart = story(trade).chart

        assert [line["title"] for line in chart["lines"]] == ["Entry", "Exit", "Liquidation"]
        signs = {each["text"]: each for each in chart["markers"]}
        assert signs["Entry"]["time"] == int(NOON.timestamp())
        assert signs["Entry"]["position"] == "belowBar"
        assert (signs["Exit"]["position"], signs["Exit"]["tone"]) == ("aboveBar", "success")

    def test_leaves_out_a_line_that_would_press_the_candles_flat(self, admin_client):
        candles(40)
        trade = make_agent_trade(closed=True, entry_time=NOON, exit_time=NOON + timedelta(hours=3))

        assert [line["title"] for line in story(trade).chart["lines"]] == ["Entry", "Exit"]
        assert "lies far outside" in page(admin_client, TRADE, trade.pk)

    def test_has_no_chart_without_candles_of_its_time(self, admin_client):
        make_candle(symbol="BTC/USD", timestamp=NOON - timedelta(days=300))

        html = page(admin_client, TRADE, make_agent_trade(closed=True).pk)

        assert "No candles of BTC/USD around this trade." in html

    @pytest.mark.parametrize(
        "values",
        [
            NOTHING,
            {**NOTHING, "status": "cancelled"},
            {**NOTHING, **UNKNOWN, "entry_time": None},
            {"size": Decimal("99999999999999999999.999999999999999999"),
             "entry_price": Decimal("99999999999999999999"), "leverage": Decimal("0.00000001"),
             "liquidation_price": Decimal("1e-18"), "mark_price": Decimal("99999999999999999999"),
             "entry_time": datetime(1, 1, 2, tzinfo=UTC)},
            {"closed": True, "entry_time": None},
        ],
        ids=["nothing", "cancelled", "unknown", "endless", "no entry time"],
    )  # fmt: skip
    def test_opens_whatever_is_not_known(self, admin_client, values):
        candles(3)
        trade = make_agent_trade(**values)

        assert page(admin_client, TRADE, trade.pk)
        assert page(admin_client, TRADES)

    def test_costs_the_same_with_and_without_outcomes(
        self, admin_client, django_assert_max_num_queries
    ):
        candles(30)
        agent = make_agent()
        decision, other = make_agent_decision(agent=agent), make_agent_decision(agent=agent)
        make_decision_outcome(decision=decision)
        trade = make_agent_trade(
            agent=agent, decision=decision, close_decision=other, closed=True,
            entry_time=NOON - timedelta(hours=5), exit_time=NOON,
        )  # fmt: skip

        with django_assert_max_num_queries(9):
            page(admin_client, TRADE, trade.pk)

    def test_shows_markup_from_outside_as_text(self, admin_client):
        decision = make_agent_decision(reasoning=MARKUP, coin=MARKUP[:20])
        trade = make_agent_trade(
            agent=decision.agent, decision=decision, closed=True, coin=MARKUP[:20], symbol=MARKUP,
            exit_reason=MARKUP, notes=CONTROLS, hyperliquid_order_id=MARKUP,
            extra_metadata={MARKUP: MARKUP},
        )  # fmt: skip

        html = page(admin_client, TRADE, trade.pk)

        assert "<img src=x" not in html
        assert CONTROLS_SEEN in html

    @pytest.mark.parametrize("key", ["nonsense", "5f0c2a1e-7d6b-4c3a-9e8f-0a1b2c3d4e5f", "1"])
    def test_of_no_trade_goes_back(self, admin_client, key):
        assert admin_client.get(reverse(TRADE, args=[key])).status_code == 302

    def test_has_no_form_for_money_and_is_never_deleted(self, admin_client):
        trade = make_agent_trade(closed=True)
        delete = reverse("admin:agents_agenttrade_delete", args=[trade.pk])

        answer = admin_client.post(reverse(TRADE, args=[trade.pk]), {"realized_pnl": "1000"})

        assert answer.status_code == 403
        assert admin_client.post(delete, {"post": "yes"}).status_code == 403
        assert "Edit" not in page(admin_client, TRADE, trade.pk)
