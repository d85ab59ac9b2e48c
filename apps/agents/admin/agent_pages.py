"""What the page of one agent tells: its account, its course, what it decides and costs."""

from decimal import Decimal
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, F, Q, Sum
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.agents.admin import curves, performance, shown, standing_rows
from apps.agents.admin.agent_parts import AgentParts
from apps.agents.choices import AgentStatus, Period, Side, Verdict
from apps.agents.domain.costs import BudgetState, budget_state
from apps.agents.models import AgentDecision, AgentPerformance, AgentStanding, AgentTrade
from apps.agents.services.accounts import accounts_of
from apps.agents.services.spend import Spent, spent_today
from apps.shared import display
from apps.shared.admin.charts import LINE_TONES, Line, Marker, line_chart
from apps.shared.admin.figures import money, signed_money, with_unit

MOST_PEERS, MOST_MARKED, MOST_VERSIONS = 5, 30, 20
# So many markers have room for words.
MOST_WORDS = 8
HEADLINES = ["max_drawdown_percent", "sharpe_ratio", "profit_factor", "win_rate"]
NO_STANDING = shown.NOT_RANKED


class AgentStory(AgentParts):
    """Everything the template of an agent's page asks for, each read once."""

    # --- its account ----------------------------------------------------------------------

    @cached_property
    def account(self) -> Any:
        return accounts_of([self.agent.pk], now=self.now).get(self.agent.pk)

    def amount(self, value: Decimal | None, reason: str = "") -> SafeString:
        return with_unit(money(value, reason, self.currency), self.currency)

    def signed(self, value: Decimal | None, reason: str = "") -> SafeString:
        return with_unit(signed_money(value, reason, self.currency), self.currency)

    @property
    def value(self) -> SafeString:
        return self.amount(self.account.value)

    @property
    def began(self) -> SafeString:
        return money(self.agent.initial_balance, currency=self.currency)

    @property
    def unrealized(self) -> SafeString:
        return signed_money(self.account.unrealized, currency=self.currency)

    @property
    def margin(self) -> SafeString:
        return money(self.account.margin_used, currency=self.currency)

    @cached_property
    def booked(self) -> dict[str, Any]:
        """Return what was closed since midnight UTC: its net P&L, and how many without one."""
        rows = AgentTrade.objects.over().filter(agent=self.agent, exit_time__gte=self.midnight)
        found: dict[str, Any] = rows.order_by().aggregate(
            net=Sum("realized_pnl"),
            known=Count("pk", filter=Q(realized_pnl__isnull=False)),
            unknown=Count("pk", filter=Q(realized_pnl__isnull=True)),
        )
        return found

    @property
    def today(self) -> SafeString:
        return self.signed(self.booked["net"] or Decimal(0))

    @property
    def closed_today(self) -> str:
        known, unknown = self.booked["known"], self.booked["unknown"]
        words = f"{known:,} closed, net of fees"
        return f"{words}; P&L of {unknown:,} more unknown" if unknown else words

    # --- what it costs --------------------------------------------------------------------

    @cached_property
    def spent(self) -> Spent:
        return spent_today([self.agent.pk], now=self.now)[self.agent.pk]

    @property
    def spend(self) -> SafeString:
        return with_unit(shown.cost(self.spent.amount), "USD")

    @property
    def calls_today(self) -> str:
        spent = self.spent
        words = f"{spent.calls:,} call{'' if spent.calls == 1 else 's'}"
        return f"{words}, the cost of {spent.unpriced:,} not known" if spent.unpriced else words

    @property
    def budget(self) -> SafeString:
        return shown.spend(self.spent.amount, self.agent.daily_budget)

    @property
    def allowed(self) -> SafeString:
        return shown.cost(self.agent.daily_budget, shown.NO_BUDGET)

    @property
    def over_budget(self) -> bool:
        state = budget_state(self.spent.amount, self.agent.daily_budget)
        return state == BudgetState.OVER

    # --- what the league says -------------------------------------------------------------

    @cached_property
    def standings(self) -> list[AgentStanding]:
        rows = AgentStanding.objects.filter(agent=self.agent)
        newest_versions = F("began_at").desc(nulls_last=True)
        return list(rows.order_by("prompt_version", newest_versions)[: MOST_VERSIONS + 3])

    @cached_property
    def standing(self) -> AgentStanding | None:
        """Return its line of the league over all time."""
        return self.standing_of(Period.ALL)

    def standing_of(self, period: Period) -> AgentStanding | None:
        own = (row for row in self.standings if row.period == period and not row.prompt_version)
        return next(own, None)

    @property
    def model_share(self) -> SafeString:
        row = self.standing
        if row is None:
            return display.empty(NO_STANDING, figure=True)
        return shown.share(
            row.model_share,
            row.model_share_low,
            row.model_share_high,
            shown.reason_of(row, "model_share", "It has decided nothing yet."),
        )

    @property
    def net_return(self) -> SafeString:
        row = self.standing
        if row is None:
            return display.empty(NO_STANDING, figure=True)
        return shown.percent_return(row.net_return, shown.reason_of(row, "net_return"))

    @property
    def return_interval(self) -> str:
        row = self.standing
        if row is None or row.return_low is None or row.return_high is None:
            return ""
        return f"95 %: {shown.interval_words(row.return_low, row.return_high)}"

    @property
    def rank(self) -> SafeString:
        return standing_rows.rank(self.standing)

    @property
    def periods(self) -> list[dict[str, Any]]:
        """Return how it stands over each span of time."""
        found = ((period, self.standing_of(period)) for period in Period)
        return [
            {
                "label": period.label,
                "rank": standing_rows.rank(row),
                "verdict": shown.verdict(row),
                "net_return": shown.percent_return(
                    row.net_return, shown.reason_of(row, "net_return")
                ),
                "hold": standing_rows.against(row, "hold_return"),
                "equal": standing_rows.against(row, "equal_return"),
                "drawdown": performance.percent(
                    row.max_drawdown_percent, shown.reason_of(row, "max_drawdown_percent")
                ),
                "trades": display.number(row.trades),
                "cost": standing_rows.known_cost(row),
            }
            for period, row in found
            if row is not None
        ]

    @property
    def versions(self) -> list[dict[str, Any]]:
        """Return how its prompts compare, the newest first."""
        own = [row for row in self.standings if row.prompt_version]
        own.sort(key=lambda row: row.began_at.timestamp() if row.began_at else 0, reverse=True)
        return [standing_rows.version_line(row) for row in own]

    @property
    def more_versions(self) -> str:
        """Return how many versions are compared of how many, where that is not all."""
        return shown.reason_of(self.standing, "prompt_versions", "")

    # --- what needs somebody --------------------------------------------------------------

    @property
    def standing_words(self) -> list[tuple[str, SafeString]]:
        """Return what needs somebody, each with its tone."""
        said: list[tuple[str, SafeString]] = []
        agent = self.agent
        if agent.status != AgentStatus.ACTIVE:
            words = shown.STATUSES[AgentStatus(agent.status)]
            said.append(("info", format_html("{}. {}", agent.get_status_display(), words)))
        if self.over_budget:
            said.append(("danger", format_html("Over budget: its model has cost {} USD since"
                         " midnight UTC, of {} allowed.", shown.cost(self.spent.amount),
                         self.allowed)))  # fmt: skip
        row = self.standing
        if row is not None and row.verdict == Verdict.NOT_ITS_OWN:
            said.append(("warning", display.text(row.verdict_reason, "Mostly not the model.")))
        if self.account.unknown:
            count = self.account.unknown
            some = "one closed trade" if count == 1 else f"{count:,} closed trades"
            said.append(("warning", format_html("The P&L of {} is unknown: nobody told at what"
                         " price. None of the figures knows of it.", some)))  # fmt: skip
        return said

    # --- how it came along ----------------------------------------------------------------

    @cached_property
    def performance(self) -> AgentPerformance | None:
        rows = AgentPerformance.objects.filter(agent=self.agent)
        return rows.order_by("-snapshot_time").first()

    @property
    def headlines(self) -> list[dict[str, Any]]:
        return [
            {
                "label": performance.BY_NAME[name].label,
                "meaning": performance.BY_NAME[name].meaning,
                "value": performance.cell(name, self.performance),
            }
            for name in HEADLINES
        ]

    @property
    def figures(self) -> list[dict[str, Any]]:
        return performance.lines(self.performance)

    @cached_property
    def peers(self) -> dict[Any, str]:
        """Return the best ranked others of its mode, by id."""
        rows = AgentStanding.objects.filter(
            agent__mode=self.agent.mode, period=Period.ALL, prompt_version=""
        ).exclude(agent=self.agent)
        best = rows.order_by(F("rank").asc(nulls_last=True), F("decisions").desc(), "agent_id")
        return dict(best.values_list("agent_id", "agent__name")[:MOST_PEERS])

    @cached_property
    def window(self) -> curves.Window:
        since = self.standing.began_at if self.standing else None
        return curves.Window.until(self.now, since or self.agent.created_at)

    @cached_property
    def chart(self) -> dict[str, Any] | None:
        """Return its course beside those of its peers and of holding; None without a snapshot."""
        found = curves.returns([self.agent.pk, *self.peers], self.window)
        own = found.get(self.agent.pk, [])
        if len(own) < 2:
            return None
        lines = [Line(display.visible(self.agent.name), "1", own, markers=self.markers(own))]
        coin, symbol = shown.benchmark(self.agent)
        held = curves.hold(symbol, self.window)
        if held:
            lines.append(Line(display.visible(f"Holding {coin}"), "default", held, dashed=True))
        for tone, (peer, name) in zip(LINE_TONES[1:], self.peers.items(), strict=False):
            if found.get(peer):
                lines.append(Line(display.visible(name), tone, found[peer], quiet=True))
        return line_chart(lines, unit=" %", legend=True)

    def markers(self, points: list[curves.Point]) -> list[Marker]:
        """Return where it opened and closed what it traded last, each at a point of its line."""
        rows = AgentTrade.objects.filter(agent=self.agent).order_by("-created_at", "-id")
        trades = list(
            rows.exclude(status="cancelled").defer("notes", "extra_metadata")[:MOST_MARKED]
        )
        worded = len(trades) <= MOST_WORDS
        found = []
        for trade in trades:
            coin = display.visible(trade.coin) if worded else ""
            long = trade.side == Side.LONG
            at = trade.entry_time and curves.nearest(points, trade.entry_time)
            if at:
                tone = "success" if long else "danger"
                found.append(Marker(at, coin, tone, below=long, arrow=True))
            at = trade.exit_time and curves.nearest(points, trade.exit_time)
            if at:
                net = trade.realized_pnl
                tone = "default" if net is None else "success" if net >= 0 else "danger"
                found.append(Marker(at, coin, tone, below=not long))
        return found

    # --- where there is more --------------------------------------------------------------

    def listed(self, model: Any, **query: Any) -> str:
        url = shown.list_of(model)
        return (
            f"{url}?{urlencode({'agent__id__exact': str(self.agent.pk), **query})}" if url else ""
        )

    @property
    def performance_url(self) -> str:
        return self.listed(AgentPerformance, snapshot_time_last="all")

    @property
    def decisions_url(self) -> str:
        return self.listed(AgentDecision, timestamp_last="all")

    @property
    def trades_url(self) -> str:
        return self.listed(AgentTrade)
