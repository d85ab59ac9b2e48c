"""How a bot has done: what is computed here beside what it reports, and over time."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

from django.db.models.functions import TruncDay
from django.utils.safestring import SafeString

from apps.bots.admin import money, shown
from apps.bots.choices import Origin
from apps.bots.models import BotInstance, BotPerformance
from apps.shared import display

# The last of each day, so far back.
DAYS = timedelta(days=14)
NOT_COMPUTED = "Nothing is computed yet: it is, every 15 minutes, once a trade is closed."
OF_KEPT = "Older trades are archived: it is of those that are kept."
NOT_REPORTED = "The bot does not report it."


class Figure(NamedTuple):
    """One figure of ``BotPerformance``: its name for people, its meaning, how it looks."""

    name: str
    label: str
    meaning: str
    show: Callable[[Any, str], SafeString]


def count(value: int | None, reason: str = "") -> SafeString:
    return display.number(value, reason)


FIGURES = [
    Figure("win_rate", "Win rate",
           "Trades with a net gain among those with a net gain or loss, in percent. Those that"
           " broke even are in neither.", shown.percent),
    Figure("profit_factor", "Profit factor",
           "What all winning trades gained, net, by what all losing ones lost.", shown.ratio),
    Figure("sharpe_ratio", "Sharpe",
           "Mean of the daily returns of its equity by their standard deviation, a year of 365"
           " days, no risk-free rate. Days without an exit count as 0.", shown.ratio),
    Figure("max_drawdown", "Drawdown",
           "The largest fall of its equity from a high, in percent of that high; by exits, not by"
           " prices in between.", shown.percent),
    Figure("total_return", "Return",
           "Net P&L in percent of the initial balance.", shown.signed_percent),
    Figure("net_pnl", "Net P&L", "All that was booked, after fees.", money.signed_money),
    Figure("avg_win", "Average win", "Mean net gain of the winning trades.", money.signed_money),
    Figure("avg_loss", "Average loss", "Mean net loss of the losing trades.", money.signed_money),
    Figure("largest_win", "Largest win", "The largest net gain of one trade.",
           money.signed_money),
    Figure("largest_loss", "Largest loss", "The largest net loss of one trade.",
           money.signed_money),
    Figure("total_trades", "Trades", "Closed round trips: n of the figures here.", count),
    Figure("winning_trades", "Won", "Round trips with a net gain.", count),
    Figure("losing_trades", "Lost", "Round trips with a net loss.", count),
]  # fmt: skip
OVER_TIME = ["win_rate", "profit_factor", "sharpe_ratio", "max_drawdown", "net_pnl"]
BY_NAME = {figure.name: figure for figure in FIGURES}
HEADLINES = ["win_rate", "profit_factor", "sharpe_ratio", "max_drawdown"]


def cell(figure: Figure, row: BotPerformance | None, missing: str) -> SafeString:
    """Return a figure of a row, or why it is empty."""
    if row is None:
        return display.empty(missing, figure=True)
    reasons = row.reasons if isinstance(row.reasons, dict) else {}
    why = str(reasons.get(figure.name) or missing)
    return figure.show(getattr(row, figure.name), why)


def definition(figure: Figure, row: BotPerformance | None) -> str:
    """Return the id of the definition by which a figure was computed; "" where none is told."""
    known = row.definitions if row is not None and isinstance(row.definitions, dict) else {}
    return str(known.get(figure.name) or "")


def is_of_kept(definition: str) -> bool:
    """Tell whether a figure is of the trades that are kept, where older ones are archived."""
    return definition.endswith("/kept")


def meaning(figure: Figure, row: BotPerformance | None) -> str:
    """Return what a figure means, with the id of the definition it was computed by."""
    told = definition(figure, row)
    if is_of_kept(told):
        return f"{figure.meaning} {OF_KEPT} ({told})"
    return f"{figure.meaning} ({told})" if told else figure.meaning


class Standing:
    """The figures of a bot's own ledger: of its type, in its currency."""

    def __init__(self, bot: BotInstance, *, now: datetime) -> None:
        self.bot = bot
        self.now = now

    def rows(self, origin: Origin) -> Any:
        return BotPerformance.objects.filter(
            bot=self.bot,
            trade_type=self.bot.type,
            quote_currency=self.bot.quote_currency,
            origin=origin,
        ).order_by("-calculated_at")

    @cached_property
    def computed(self) -> BotPerformance | None:
        found: BotPerformance | None = self.rows(Origin.COMPUTED).first()
        return found

    @cached_property
    def reported(self) -> BotPerformance | None:
        found: BotPerformance | None = self.rows(Origin.REPORTED).first()
        return found

    @property
    def headlines(self) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["name"] in HEADLINES]

    @cached_property
    def lines(self) -> list[dict[str, Any]]:
        """Return each figure as computed and as reported."""
        return [
            {
                "name": figure.name,
                "label": figure.label,
                "meaning": meaning(figure, self.computed),
                "of": self.counted(figure),
                "computed": cell(figure, self.computed, NOT_COMPUTED),
                "reported": cell(figure, self.reported, NOT_REPORTED),
            }
            for figure in FIGURES
        ]

    @property
    def n(self) -> int:
        """Return over how many closed trades the figures are."""
        return (self.computed.total_trades or 0) if self.computed else 0

    def counted(self, figure: Figure) -> str:
        """Return of how many closed trades a figure is."""
        if is_of_kept(definition(figure, self.computed)):
            return "of those kept"
        return f"n = {self.n:,}"

    @cached_property
    def columns(self) -> list[Figure]:
        return [BY_NAME[name] for name in OVER_TIME]

    @cached_property
    def over_time(self) -> list[dict[str, Any]]:
        """Return the last figures of each day (UTC), the newest first."""
        found = (
            self.rows(Origin.COMPUTED)
            .filter(calculated_at__gte=self.now - DAYS)
            .annotate(day=TruncDay("calculated_at", tzinfo=UTC))
            .order_by("-day", "-calculated_at")
            .distinct("day")
        )
        return [
            {
                "at": display.moment(row.calculated_at),
                "n": count(row.total_trades),
                "cells": [cell(figure, row, "") for figure in self.columns],
            }
            for row in found
        ]
