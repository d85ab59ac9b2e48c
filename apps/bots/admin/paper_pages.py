"""What the page of one paper portfolio tells: its worth now, its course, its trades."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

from django.db import connection
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from apps.bots.admin import money, shown
from apps.bots.choices import Origin
from apps.bots.domain.paper import SNAPSHOT_EVERY, Holdings, equity
from apps.bots.domain.symbols import quote_of
from apps.bots.models import PaperPerformance, PaperPortfolio, PaperTrade
from apps.market.domain.candles import ORIGIN
from apps.shared import display
from apps.shared.admin.charts import Line, line_chart, places_of

MOST_TRADES = 100
# More points than a screen has columns say no more.
MOST_POINTS = 1_500
NO_SNAPSHOT = "No snapshot has been taken yet: one comes every 15 minutes."
NO_SALE = "A purchase brings no P&L."
# Of each stretch of time the last snapshot of our own, the newest stretches first.
COURSE = """
SELECT DISTINCT ON (date_bin(%(step)s, timestamp, %(origin)s)) timestamp, total_value
FROM paper_performance WHERE portfolio_id = %(portfolio)s AND origin = 'computed'
ORDER BY date_bin(%(step)s, timestamp, %(origin)s) DESC, timestamp DESC LIMIT %(most)s
"""


def holdings(portfolio: PaperPortfolio) -> Holdings:
    """Return what a portfolio has, as the rules take it."""
    return Holdings(
        portfolio.initial_balance,
        portfolio.quote_balance,
        portfolio.asset_balance,
        portfolio.realized_pnl,
    )


def worth(portfolio: PaperPortfolio, mark: Any) -> Decimal | None:
    """Return cash and asset at the newest price; None where a price is needed and unknown."""
    return equity(holdings(portfolio), mark.price if mark else None)


def percent_of(part: Decimal | None, whole: Decimal) -> Decimal | None:
    return None if part is None else money.WIDE.divide(part * 100, whole)


class PortfolioStory:
    """Everything the template of a portfolio's page asks for, each read once."""

    def __init__(self, portfolio: PaperPortfolio, *, now: datetime, user: Any) -> None:
        self.portfolio = portfolio
        self.now = now
        self.user = user
        self.currency = quote_of(portfolio.symbol)
        self.asset = portfolio.symbol.replace("-", "/").split("/")[0]

    # --- now ------------------------------------------------------------------------------

    @cached_property
    def mark(self) -> Any:
        return money.marks_of([self.portfolio.symbol], now=self.now).get(self.portfolio.symbol)

    @cached_property
    def value(self) -> Decimal | None:
        return worth(self.portfolio, self.mark)

    @property
    def equity(self) -> SafeString:
        return money.money(self.value, money.NO_PRICE, self.currency)

    @cached_property
    def gained(self) -> Decimal | None:
        """Return the P&L since it was opened, marked to market."""
        if self.value is None:
            return None
        return money.WIDE.subtract(self.value, self.portfolio.initial_balance)

    @property
    def total(self) -> SafeString:
        return money.signed_money(self.gained, money.NO_PRICE, self.currency)

    @property
    def total_pct(self) -> SafeString:
        return display.signed_pct(
            percent_of(self.gained, self.portfolio.initial_balance), money.NO_PRICE
        )

    @property
    def began(self) -> SafeString:
        return money.money(self.portfolio.initial_balance, currency=self.currency)

    @property
    def cash(self) -> SafeString:
        return money.money(self.portfolio.quote_balance, currency=self.currency)

    @property
    def held(self) -> SafeString:
        return money.size(self.portfolio.asset_balance)

    @property
    def average(self) -> SafeString:
        return money.size(self.portfolio.avg_buy_price, "Nothing is held.")

    @property
    def newest(self) -> SafeString:
        return money.price_of(self.mark)

    @property
    def realized(self) -> SafeString:
        return money.signed_money(self.portfolio.realized_pnl, currency=self.currency)

    @property
    def unrealized(self) -> SafeString:
        gained = None
        if self.gained is not None:
            gained = money.WIDE.subtract(self.gained, self.portfolio.realized_pnl)
        return money.signed_money(gained, money.NO_PRICE, self.currency)

    @property
    def costs(self) -> str:
        fee, slip = (self.portfolio.fee_rate, self.portfolio.slippage)
        return f"{display.grouped(fee * 100)} % fee, {display.grouped(slip * 100)} % slippage"

    # --- its course -----------------------------------------------------------------------

    @cached_property
    def snapshot(self) -> PaperPerformance | None:
        """Return the newest of our own snapshots."""
        own = self.snapshots.order_by("-timestamp")
        return own.first()

    @property
    def snapshots(self) -> Any:
        return PaperPerformance.objects.filter(portfolio=self.portfolio, origin=Origin.COMPUTED)

    @property
    def daily(self) -> SafeString:
        value = self.snapshot.daily_pnl if self.snapshot else None
        return money.signed_money(value, NO_SNAPSHOT, self.currency)

    @property
    def win_rate(self) -> SafeString:
        value = self.snapshot.win_rate if self.snapshot else None
        return shown.percent(None if value is None else float(value), "No sale won or lost yet.")

    @property
    def sharpe(self) -> SafeString:
        value = self.snapshot.sharpe_ratio if self.snapshot else None
        return shown.ratio(value, "It takes returns of several days that differ.")

    @property
    def drawdown(self) -> SafeString:
        value = self.snapshot.max_drawdown if self.snapshot else None
        return shown.percent(None if value is None else float(value), NO_SNAPSHOT)

    @cached_property
    def points(self) -> list[tuple[int, float]]:
        """Return its worth over time; of many snapshots the last of each stretch."""
        if not self.user.has_perm("bots.view_paperperformance"):
            return []
        end = self.portfolio.closed_at or self.now
        span = max(end - self.portfolio.created_at, timedelta(0))
        # The worth of old snapshots may lie before the portfolio was stored here.
        step = max(SNAPSHOT_EVERY, span / MOST_POINTS)
        asked: dict[str, Any] = {
            "portfolio": self.portfolio.pk,
            "step": step,
            "origin": ORIGIN,
            "most": 2 * MOST_POINTS,
        }
        with connection.cursor() as cursor:
            cursor.execute(COURSE, asked)
            last = cursor.fetchall()
        found = {int(moment.timestamp()): float(value) for moment, value in last}
        if self.portfolio.is_active and self.value is not None:
            found[int(self.now.timestamp())] = float(self.value)
        return sorted(found.items())

    @property
    def chart(self) -> dict[str, Any]:
        start = float(self.portfolio.initial_balance)
        lines = [Line("Worth", "info", self.points)]
        if self.points:
            ends = (self.points[0][0], self.points[-1][0])
            lines.append(Line("Began with", "default", [(at, start) for at in dict.fromkeys(ends)]))
        return line_chart(lines, places=self.places)

    @property
    def places(self) -> int:
        """Return the digits behind the point: more of them for a little money."""
        small = self.portfolio.initial_balance < 10
        return min(places_of([self.portfolio.initial_balance]) + (4 if small else 0), 8)

    # --- trades ---------------------------------------------------------------------------

    @cached_property
    def trades(self) -> list[dict[str, Any]]:
        if not self.user.has_perm("bots.view_papertrade"):
            return []
        rows = PaperTrade.objects.filter(portfolio=self.portfolio)
        newest = rows.order_by("-timestamp", "-id")[: MOST_TRADES + 1]
        return [self.trade(row) for row in newest]

    def trade(self, row: PaperTrade) -> dict[str, Any]:
        return {
            "when": display.link(
                money.thing_url("papertrade", row.pk), display.moment(row.timestamp)
            ),
            "side": shown.side(row.trade_type),
            "amount": money.size(row.amount),
            "price": money.size(row.price),
            "market": money.size(row.market_price, "The sender gave the price."),
            "value": money.money(row.value, currency=self.currency),
            "fee": money.money(row.fee, currency=self.currency),
            "pnl": money.signed_money(row.pnl, NO_SALE, self.currency),
        }

    @property
    def shown_trades(self) -> list[dict[str, Any]]:
        return self.trades[:MOST_TRADES]

    @property
    def more_trades(self) -> bool:
        return len(self.trades) > MOST_TRADES

    @property
    def trades_url(self) -> str:
        query = urlencode({"portfolio__id__exact": str(self.portfolio.pk), "timestamp_last": "all"})
        return reverse("admin:bots_papertrade_changelist") + f"?{query}"

    # --- before and after a reset ---------------------------------------------------------

    @cached_property
    def generations(self) -> Sequence[PaperPortfolio]:
        """Return all portfolios of this name, the newest first."""
        rows = PaperPortfolio.objects.filter(name=self.portfolio.name)
        return list(rows.order_by("-generation")[:MOST_TRADES])

    @property
    def family(self) -> list[dict[str, Any]]:
        return [
            {
                "link": display.link(
                    money.thing_url("paperportfolio", each.pk), f"Generation {each.generation}"
                ),
                "this": each.pk == self.portfolio.pk,
                "opened": display.age(each.created_at, now=self.now),
                "closed": display.age(each.closed_at, "It is in use.", now=self.now),
                "began": money.money(each.initial_balance, currency=self.currency),
                "realized": money.signed_money(each.realized_pnl, currency=self.currency),
                "total": money.signed_money(each.total_pnl, currency=self.currency),
            }
            for each in self.generations
        ]

    @property
    def successor(self) -> PaperPortfolio | None:
        """Return the portfolio that took its place."""
        after = [each for each in self.generations if each.predecessor_id == self.portfolio.pk]
        return after[0] if after else None

    @property
    def successor_link(self) -> SafeString | None:
        after = self.successor
        if after is None:
            return None
        words = f"generation {after.generation}"
        return display.link(money.thing_url("paperportfolio", after.pk), words)
