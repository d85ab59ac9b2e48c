"""What the desk reads of bots: each reading one bounded query, asked for at most once."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, NamedTuple

from django.contrib.admin.utils import quote
from django.db.models import (
    Case,
    Count,
    DecimalField,
    DurationField,
    ExpressionWrapper,
    F,
    IntegerField,
    Q,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Coalesce, Left, TruncDay

from apps.bots.choices import BotHealth, BotStatus, LimitStatus, TradeType
from apps.bots.models import BotInstance, Trade, TradingLimit
from apps.bots.models.instances import AT_WORK

MOST_TROUBLED_BOTS, MOST_LIMITS = 50, 50
ERROR_READ = 160
LEDGER_DAYS = 30
# Of trials on past prices the desk says nothing: nobody gains or loses by them.
TYPES = (TradeType.LIVE, TradeType.PAPER)
# An instruction is delivered with the next heartbeat and acknowledged by the one after.
PATIENT_BEATS = 3

AMOUNT: Any = DecimalField(max_digits=76, decimal_places=36)
EXPOSURE = Sum(Coalesce("remaining_position_size", "size") * F("entry_price"), output_field=AMOUNT)
PATIENCE = ExpressionWrapper(
    F("heartbeat_interval_seconds") * Value(timedelta(seconds=PATIENT_BEATS)), DurationField()
)


class Held(NamedTuple):
    """Open trades of one type and currency; ``exposure`` at their entry prices, if known."""

    trade_type: str
    currency: str
    trades: int
    exposure: Decimal | None


class Day(NamedTuple):
    """What was realized on one day (UTC) in trades of one type and currency."""

    day: datetime
    trade_type: str
    currency: str
    net: Decimal
    exits: int


class BotReadings:
    """The state of all bots at one moment."""

    at: datetime

    # --- bots -----------------------------------------------------------------------------

    @cached_property
    def bots_by_state(self) -> Counter[tuple[str, str]]:
        """Return how many bots there are, by status and health."""
        found = BotInstance.objects.order_by().values_list("status", "health")
        return Counter({(status, health): n for status, health, n in found.annotate(n=Count("pk"))})

    def bots_that(self, status: str) -> int:
        return sum(n for (own, _), n in self.bots_by_state.items() if own == status)

    @property
    def bots_at_work(self) -> int:
        return sum(self.bots_that(status) for status in AT_WORK)

    def bots_unwell(self, health: str) -> int:
        """Return how many bots at work are silent, stale or idle."""
        return sum(
            n for (own, how), n in self.bots_by_state.items() if own in AT_WORK and how == health
        )

    @cached_property
    def bots_troubled(self) -> Sequence[Any]:
        """Return the bots that wait for somebody, each with its ``trouble``, the worst first."""
        at_work = Q(status__in=AT_WORK)
        unanswered = (
            at_work
            & ~Q(health=BotHealth.SILENT)
            & Q(instruction__gt=0, acknowledged_at__isnull=True)
            & Q(desired_at__lt=self.at - PATIENCE)
        )
        cases = {
            "silent": at_work & Q(health=BotHealth.SILENT),
            "error": Q(status=BotStatus.ERROR),
            "unanswered": unanswered,
            "stale": at_work & Q(health=BotHealth.STALE),
            "idle": at_work & Q(health=BotHealth.IDLE),
        }
        rank = Case(
            *(When(condition, then=place) for place, condition in enumerate(cases.values())),
            output_field=IntegerField(),
        )
        rows = (
            BotInstance.objects.annotate(rank=rank, said=Left("last_error", ERROR_READ))
            .filter(rank__isnull=False)
            .defer("config", "extra_metadata", "last_error")
            .order_by("rank", F("health_since").asc(nulls_last=True), "pk")
        )
        found: list[Any] = list(rows[:MOST_TROUBLED_BOTS])
        names = list(cases)
        for bot in found:
            bot.trouble = names[bot.rank]
        return found

    def bots_in(self, trouble: str) -> list[Any]:
        """Return the troubled bots of one kind; of these who hold more come first."""
        own = [bot for bot in self.bots_troubled if bot.trouble == trouble]
        return sorted(own, key=lambda bot: -sum(held.trades for held in self.held_by(bot.pk)))

    @cached_property
    def held_by_troubled(self) -> dict[str, list[Held]]:
        """Return what the troubled bots hold open."""
        ids = [bot.pk for bot in self.bots_troubled]
        found: dict[str, list[Held]] = {}
        if not ids:
            return found
        rows = Trade.objects.open().filter(bot__in=ids).order_by("trade_type", "quote_currency")
        sums = rows.values_list("bot_id", "trade_type", "quote_currency")
        for bot_id, *held in sums.annotate(n=Count("*"), exposure=EXPOSURE):
            found.setdefault(bot_id, []).append(Held(*held))
        return found

    def held_by(self, bot_id: str) -> list[Held]:
        return self.held_by_troubled.get(bot_id, [])

    # --- trades ---------------------------------------------------------------------------

    @cached_property
    def open_trades(self) -> list[Held]:
        """Return the open trades by type and currency."""
        rows = Trade.objects.open().order_by().values_list("trade_type", "quote_currency")
        return [Held(*row) for row in rows.annotate(n=Count("*"), exposure=EXPOSURE)]

    def open_of(self, trade_type: str) -> list[Held]:
        """Return the open trades of one type, the currency of most of them first."""
        own = [held for held in self.open_trades if held.trade_type == trade_type]
        return sorted(own, key=lambda held: (-held.trades, held.currency))

    @property
    def today(self) -> datetime:
        return self.at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)

    @property
    def ledger_days(self) -> list[datetime]:
        """Return the beginnings of the last 30 days (UTC), today's among them."""
        return [self.today - timedelta(days=back) for back in range(LEDGER_DAYS - 1, -1, -1)]

    @cached_property
    def ledger(self) -> list[Day]:
        """Return what was realized on each of the last 30 days, live and paper apart."""
        rows = (
            Trade.objects.leaves()
            .filter(trade_type__in=TYPES, exit_time__gte=self.ledger_days[0])
            .filter(exit_time__lte=self.at)
            .order_by()
            .annotate(day=TruncDay("exit_time", tzinfo=UTC))
            .values_list("day", "trade_type", "quote_currency")
        )
        return [Day(*row) for row in rows.annotate(net=Sum("net_pnl"), n=Count("*"))]

    def currencies_of(self, trade_type: str) -> list[str]:
        """Return the currencies of 30 days of one type, the one of most exits first."""
        exits: Counter[str] = Counter()
        for day in self.ledger:
            if day.trade_type == trade_type:
                exits[day.currency] += day.exits
        return sorted(exits, key=lambda currency: (-exits[currency], currency))

    def realized_today(self, trade_type: str) -> list[Day]:
        """Return today's sums of one type, the main currency first."""
        main = self.currencies_of(trade_type)
        own = [d for d in self.ledger if d.day == self.today and d.trade_type == trade_type]
        return sorted(own, key=lambda day: main.index(day.currency))

    # --- limits ---------------------------------------------------------------------------

    @cached_property
    def limits_told(self) -> Sequence[TradingLimit]:
        """Return the limits that fired today or are used up to 80 % and more, fired ones first."""
        fired = Q(status=LimitStatus.TRIGGERED, updated_at__gte=self.today)
        near = Q(status=LimitStatus.ACTIVE, usage__gte="0.8")
        rows = TradingLimit.objects.filter(fired | near).defer("notes")
        return list(rows.order_by("-status", F("usage").desc(nulls_last=True), "pk")[:MOST_LIMITS])

    @property
    def told_bot_links(self) -> set[str]:
        """Return the pages of bots and limits that are named by themselves."""
        bots = {f"/admin/bots/botinstance/{quote(bot.pk)}/change/" for bot in self.bots_troubled}
        return bots | {
            f"/admin/bots/tradinglimit/{quote(each.pk)}/change/" for each in self.limits_told
        }
