"""What the page of one bot tells: whether it lives, what it holds, how it has done."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from django.contrib.admin.utils import quote
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.bots.admin import ledger, money, shown
from apps.bots.admin.figures import Standing
from apps.bots.admin.instance_parts import MESSAGE_READ, BotParts
from apps.bots.choices import BotHealth, BotStatus, DesiredState, TradeStatus
from apps.bots.models import BotInstance, BotPerformance, CarriedResult, Order, Trade
from apps.bots.models.instances import AT_WORK
from apps.bots.services.equity import equity_curve
from apps.logs.models import RecentActivity
from apps.shared import display
from apps.shared.admin.charts import Line, line_chart
from apps.shared.fields import plain

Sentence = tuple[str, SafeString]
HOUR = 3600  # seconds


class BotStory(BotParts):
    """Everything the template of a bot's page asks for, each read once."""

    def __init__(self, bot: BotInstance, *, now: datetime, user: Any) -> None:
        super().__init__(bot, now=now, user=user)
        self.at_work = bot.status in AT_WORK

    # --- how it stands --------------------------------------------------------------------

    @property
    def standing(self) -> Iterator[Sentence]:
        """Yield what needs somebody, each with its tone."""
        bot = self.bot
        if bot.status == BotStatus.ERROR:
            why = display.text(bot.last_error[:MESSAGE_READ], "It did not say why.")
            yield "danger", format_html("It says that it has failed: {}", why)
        if self.at_work and bot.last_heartbeat is None:
            yield "info", format_html("It has never been heard of; it was announced {}.",
                                      self.age(bot.created_at))  # fmt: skip
        if self.at_work and bot.health == BotHealth.SILENT:
            usual = display.span_words(timedelta(seconds=bot.heartbeat_interval_seconds))
            yield (
                "danger",
                format_html(
                    "Silent: last heard {}, and it was to be heard every {}.",
                    self.age(bot.last_heartbeat),
                    usual,
                ),
            )
        if self.at_work and bot.health == BotHealth.STALE:
            yield (
                "warning",
                format_html("Its data are old: its last candle was {}.",
                            self.age(bot.last_candle_at)),
            )  # fmt: skip
        if self.at_work and bot.health == BotHealth.IDLE:
            yield (
                "warning",
                format_html(
                    "Alive, but idle: it last did something {}.", self.age(bot.last_activity_at)
                ),
            )
        if bot.instruction and not bot.acknowledged_at:
            yield "info" if bot.desired_state == DesiredState.RUN else "warning", self.asked
        if self.differs:
            yield (
                "warning",
                format_html(
                    "The bot works with another configuration: it reports {}, here stands {}.",
                    shown.digest(bot.reported_config_hash, ""),
                    shown.digest(bot.config_hash, "none"),
                ),
            )

    @property
    def differs(self) -> bool:
        bot = self.bot
        return bool(
            bot.reported_config_hash
            and bot.config_hash
            and bot.reported_config_hash.lower() != bot.config_hash.lower()
        )

    @property
    def asked(self) -> SafeString:
        """Return what it is asked to do and has not confirmed."""
        bot = self.bot
        words = {
            DesiredState.RUN: "go on",
            DesiredState.PAUSE: "pause",
            DesiredState.STOP: "stop",
        }[DesiredState(bot.desired_state)]
        told = "It was told, and has not confirmed yet."
        if not bot.delivered_at:
            told = "Its next heartbeat takes that along."
        by = display.text(bot.desired_by, "Not known.")
        return format_html("{} asked it to {} {}. {}", by, words, self.age(bot.desired_at), told)

    @property
    def wish(self) -> SafeString:
        return shown.wish(self.bot)

    # --- money ----------------------------------------------------------------------------

    @cached_property
    def ledgers(self) -> dict[ledger.Ledger, ledger.Booked]:
        return ledger.booked([self.bot.pk], now=self.now)

    @property
    def own(self) -> ledger.Booked:
        return self.ledgers.get(ledger.own_ledger(self.bot), ledger.NOTHING)

    @property
    def others(self) -> list[dict[str, Any]]:
        """Return what it booked of another type or currency, each by itself."""
        own = ledger.own_ledger(self.bot)
        return [
            {"type": shown.trade_type(kind), "money": self.signed(found.total, currency)}
            for (bot, kind, currency), found in sorted(self.ledgers.items())
            if (bot, kind, currency) != own
        ]

    def signed(self, value: Any, currency: str = "") -> SafeString:
        held_in = currency or self.currency
        return shown.with_unit(money.signed_money(value, currency=held_in), held_in)

    @property
    def today(self) -> SafeString:
        return self.signed(self.own.today)

    @property
    def total(self) -> SafeString:
        return self.signed(self.own.total)

    @property
    def begins(self) -> SafeString | None:
        """Return with what its ledger begins, where trades of it are archived."""
        own = self.own
        if not (own.archived or own.carried):
            return None
        return format_html(
            "Begins with {} from {} archived trade{}",
            self.signed(own.carried),
            display.number(own.archived),
            "" if own.archived == 1 else "s",
        )

    @property
    def balance(self) -> SafeString:
        return shown.with_unit(
            money.money(self.bot.current_balance, shown.NOT_TOLD, self.currency), self.currency
        )

    @property
    def equity(self) -> SafeString:
        """Return what the ledger makes of its capital, and how far that is from what it says."""
        bot = self.bot
        if bot.initial_balance is None:
            return display.empty("It has no initial balance to begin with.")
        found = plain(money.WIDE.add(bot.initial_balance, self.own.total))
        words = money.money(found, currency=self.currency)
        if bot.current_balance is None or bot.current_balance == found:
            return words
        return format_html("{}, {} off", words, money.signed_money(bot.current_balance - found))

    @property
    def reported(self) -> SafeString:
        """Return the P&L that it reports, and how far that is from the ledger."""
        told = self.bot.total_pnl
        if told is None:
            return display.empty("It reports no P&L.")
        words = money.signed_money(told, currency=self.currency)
        if told == self.own.total:
            return words
        return format_html("{}, {} off", words, money.signed_money(told - self.own.total))

    @cached_property
    def chart(self) -> dict[str, Any] | None:
        """Return the equity at each exit; of a bot without capital what it has made."""
        curve = equity_curve(self.bot, self.bot.type, self.bot.quote_currency)
        own = self.own
        if not curve.points and not own.archived:
            return None
        start = float(curve.initial_balance or 0)
        made = [(int(point.time.timestamp()), float(point.net_pnl)) for point in curve.points]
        # It began with nothing made: known since before its first exit, or shortly before that.
        # Where trades are archived, it begins with what they came to, at the last exit of them.
        begun = int((own.last_archived or self.bot.created_at).timestamp())
        if made:
            begun = min(begun, made[0][0] - HOUR)
        else:
            made = [(int(self.now.timestamp()), float(curve.opening))]
        tone = "success" if made[-1][1] >= 0 else "danger"
        name = "Net P&L" if curve.initial_balance is None else "Equity"
        points = {at: start + net for at, net in [(begun, float(curve.opening)), *made]}
        return line_chart([Line(name, tone, list(points.items()))])

    # --- how it has done, and where there is more ------------------------------------------

    @cached_property
    def figures(self) -> Standing:
        return Standing(self.bot, now=self.now)

    def listed(self, model: Any, **query: Any) -> str:
        return f"{shown.list_of(model)}?{urlencode(query)}"

    @property
    def open_url(self) -> str:
        return self.listed(Trade, bot__id__exact=self.bot.pk, status__exact=TradeStatus.OPEN)

    @property
    def closed_url(self) -> str:
        return self.listed(Trade, bot__id__exact=self.bot.pk, status__exact=TradeStatus.CLOSED)

    @property
    def carried_url(self) -> str:
        return self.listed(CarriedResult, bot__id__exact=self.bot.pk)

    @property
    def orders_url(self) -> str:
        return self.listed(Order, bot__id__exact=self.bot.pk)

    @property
    def lines_url(self) -> str:
        return self.listed(RecentActivity, component=self.bot.pk)

    @property
    def edit_url(self) -> str:
        return reverse("admin:bots_botinstance_edit", args=[quote(self.bot.pk)])

    @property
    def performance_url(self) -> str:
        return self.listed(BotPerformance, bot__id__exact=self.bot.pk)
