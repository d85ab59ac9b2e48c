"""Reminders to whoever runs a bot to close what it holds open: bots close, nobody else does."""

import hashlib
from collections import Counter
from datetime import UTC, datetime

from django.contrib.admin.utils import quote
from django.db import transaction
from django.db.models import QuerySet

from apps.bots.models import BotInstance, Trade
from apps.logs.choices import NotificationLevel
from apps.logs.services.notifications import notify
from apps.shared.fields import plain_text

KIND = "close_reminder"
# Longer names are cut where a sentence is made of them.
NAMED = 100


def remind_bots(rows: QuerySet[BotInstance], /, *, by: str, now: datetime) -> int:
    """Ask that these bots close their open trades; return of how many that is news.

    Each bot is told of once a day (UTC), and none that holds nothing.
    """
    told = 0
    with transaction.atomic():
        open_trades = Trade.objects.open().filter(bot__in=rows.order_by().values("pk"))
        counts = Counter(open_trades.values_list("bot_id", flat=True))
        for bot, count in sorted(counts.items()):
            trades = "1 open trade" if count == 1 else f"{count:,} open trades"
            told += notify(
                what=KIND,
                level=NotificationLevel.WARNING,
                subject=f"Close {trades} of {bot[:NAMED]}",
                message=f"{by} asks whoever runs {bot} to close {trades} of it.",
                link=f"/admin/bots/botinstance/{quote(bot)}/change/",
                dedupe_key=key("bot", bot, now),
                now=now,
            )
    return told


def remind_trades(rows: QuerySet[Trade], /, *, by: str, now: datetime) -> int:
    """Ask that these trades be closed, the open ones of them; return of how many that is news.

    Each trade is told of once a day (UTC).
    """
    told = 0
    with transaction.atomic():
        for trade in Trade.objects.open().filter(pk__in=rows.order_by().values("pk")):
            size = trade.remaining_position_size or trade.size
            amount = f"{plain_text(size)} " if size is not None else ""
            told += notify(
                what=KIND,
                level=NotificationLevel.WARNING,
                subject=f"Close {trade.symbol} {trade.direction} of {trade.bot_id[:NAMED]}",
                message=f"{by} asks whoever runs {trade.bot_id} to close its {trade.direction}"
                f" of {amount}{trade.symbol}, trade {trade.pk}.",
                link=f"/admin/bots/trade/{trade.pk}/change/",
                dedupe_key=key("trade", str(trade.pk), now),
                now=now,
            )
    return told


def key(kind: str, name: str, now: datetime) -> str:
    """Return what tells that a reminder is that of today; names may be longer than a key."""
    short = hashlib.sha256(name.encode()).hexdigest()[:32]
    return f"{KIND}:{kind}:{short}:{now.astimezone(UTC):%Y-%m-%d}"
