"""What the page of one limit tells: how near it is, whom it holds, what happened when it fired."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from django.db.models import Q
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.bots.admin import limit_shown as shown
from apps.bots.admin import money
from apps.bots.admin.candles import bar_at, bars_of, series_of
from apps.bots.choices import COLORS, BotHealth, BotStatus, DesiredState, LimitAction, LimitStatus
from apps.bots.domain.limits import NUMBERED, next_id
from apps.bots.models import BotInstance, TradingLimit
from apps.bots.services.firing import held_bots
from apps.logs.models import Notification
from apps.market.domain.candles import Series
from apps.shared import display
from apps.shared.admin.charts import Marker, PriceLine, candle_chart

MOST_BOTS = 50
# How much of the time before and after the limit stands in the chart, as a part of its own.
AROUND_SHARE = 4
LEAST_AROUND = timedelta(hours=6)


class LimitStory:
    """Everything the template of a limit's page asks for, each read once."""

    def __init__(self, limit: TradingLimit, *, now: datetime, user: Any) -> None:
        self.limit = limit
        self.now = now
        self.user = user
        self.priced = limit.price is not None
        self.fired = limit.status == LimitStatus.TRIGGERED

    # --- how it stands --------------------------------------------------------------------

    @property
    def bar(self) -> SafeString:
        return shown.usage_bar(self.limit)

    @property
    def scope(self) -> SafeString:
        return shown.scope(self.limit)

    @property
    def current(self) -> SafeString:
        limit = self.limit
        if limit.current_value is None:
            return display.empty(shown.why_unused(limit), figure=True)
        return display.figure(shown.amount_words(limit, limit.current_value))

    @property
    def unit(self) -> str:
        return shown.unit(self.limit)

    @property
    def bound(self) -> str:
        return shown.bound_words(self.limit)

    @property
    def at(self) -> SafeString:
        """Return the value at which it fired."""
        value = self.limit.trigger_price if self.priced else self.limit.triggered_value
        if value is None:
            return display.empty(shown.NOT_FIRED, figure=True)
        return display.figure(shown.amount_words(self.limit, value))

    @property
    def does(self) -> str:
        """Return what becomes of its bots, in a sentence."""
        told = "Staff are told"
        if self.limit.action == LimitAction.NOTIFY:
            return f"{told}, and nothing else is done."
        word = "paused" if self.limit.action == LimitAction.PAUSE else "stopped"
        return f"{told}, and the bots it holds are {word} with their next heartbeat."

    @cached_property
    def relatives(self) -> dict[str, TradingLimit]:
        """Return the limits before and after it, where it was armed again."""
        wanted = [next_id(self.limit.pk)]
        if found := NUMBERED.fullmatch(self.limit.pk):
            number = int(found["number"]) - 1
            wanted += [found["base"] if number < 2 else f"{found['base']}~{number}"]
        return TradingLimit.objects.defer("notes").in_bulk(wanted)

    @property
    def family(self) -> list[tuple[str, SafeString, SafeString]]:
        """Return what it was armed again as, and from: words, link, state."""
        after = next_id(self.limit.pk)
        return [
            (
                "Armed again as" if pk == after else "Takes over from",
                display.link(money.thing_url("tradinglimit", pk), display.short_text(pk)),
                shown.state(each),
            )
            for pk, each in self.relatives.items()
        ]

    # --- the path of the price ------------------------------------------------------------

    @cached_property
    def series(self) -> Series | None:
        return series_of(self.limit.symbol) if self.priced else None

    @cached_property
    def bars(self) -> Sequence[Any]:
        """Return the candles from some time before it was set until now, or after it fired."""
        if self.series is None:
            return []
        limit = self.limit
        begun, ended = limit.created_at, limit.triggered_at or limit.cancelled_at or self.now
        begun, ended = min(begun, ended), max(begun, ended)
        around = max((ended - begun) / AROUND_SHARE, LEAST_AROUND)
        return bars_of(limit.symbol, self.series, begun - around, min(ended + around, self.now))

    @property
    def chart(self) -> dict[str, Any]:
        return candle_chart(self.bars, lines=self.lines, markers=self.markers)

    @property
    def lines(self) -> list[PriceLine]:
        limit = self.limit
        found = [
            (limit.price, shown.kind_words(limit), self.tone),
            (limit.reference_price, "From", "info"),
        ]
        return [PriceLine(price, title, tone) for price, title, tone in found if price]

    @property
    def tone(self) -> str:
        return "danger" if self.limit.limit_type == "stop_loss" else "success"

    @property
    def markers(self) -> list[Marker]:
        limit = self.limit
        found = [Marker(bar_at(self.bars, limit.created_at), "Set", "info", below=True)]
        if limit.triggered_at is not None:
            at = bar_at(self.bars, limit.triggered_at)
            found.append(Marker(at, "Fired", self.tone, arrow=True))
        return found

    # --- bots -----------------------------------------------------------------------------

    @cached_property
    def bots(self) -> list[dict[str, Any]]:
        """Return the bots it holds, and those it asked something of when it fired."""
        if not self.user.has_perm("bots.view_botinstance"):
            return []
        held = held_bots(self.limit).values("pk")
        asked = Q(desired_by=self.asks_as)
        rows = BotInstance.objects.filter(Q(pk__in=held) | asked).only(
            "type", "status", "health", "desired_state", "desired_by", "desired_at",
            "delivered_at", "acknowledged_at",
        )  # fmt: skip
        return [self.bot(row) for row in rows.order_by("pk")[: MOST_BOTS + 1]]

    @property
    def asks_as(self) -> str:
        return f"limit {self.limit.pk}"

    def bot(self, row: BotInstance) -> dict[str, Any]:
        status = display.badge(str(BotStatus(row.status).label), COLORS[row.status])
        if row.health != BotHealth.OK:
            health = display.badge(str(BotHealth(row.health).label), COLORS[row.health])
            status = format_html("{} {}", status, health)
        wish = display.badge(str(DesiredState(row.desired_state).label), COLORS[row.desired_state])
        mine = row.desired_by == self.asks_as
        return {
            "link": money.bot_link(row.pk),
            "status": status,
            "wish": format_html("{} {}", wish, "by this limit") if mine else wish,
            "asked": display.age(row.desired_at, "Nothing was asked of it."),
            "delivered": display.age(row.delivered_at, "It has not been heard of since."),
            "acknowledged": display.age(row.acknowledged_at, "It has not acknowledged anything."),
        }

    @property
    def shown_bots(self) -> list[dict[str, Any]]:
        return self.bots[:MOST_BOTS]

    @property
    def more_bots(self) -> bool:
        return len(self.bots) > MOST_BOTS

    # --- what happened --------------------------------------------------------------------

    @cached_property
    def notification(self) -> Notification | None:
        """Return what staff were told when it fired."""
        if not self.fired or not self.user.has_perm("logs.view_notification"):
            return None
        name = hashlib.sha256(self.limit.pk.encode()).hexdigest()
        return Notification.objects.filter(dedupe_key=f"limit_triggered:{name}").first()

    @property
    def notification_url(self) -> str:
        told = self.notification
        return reverse("admin:logs_notification_change", args=[told.pk]) if told else ""
