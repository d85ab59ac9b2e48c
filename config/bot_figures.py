"""The figures of the desk about bots and their money: live and paper apart, always."""

from collections.abc import Callable, Sequence

from django.urls import reverse

from apps.bots.admin.money import MINUS, money_words
from apps.bots.choices import BotHealth, BotStatus, TradeStatus, TradeType
from apps.shared import display
from config.figures import Figure, rows
from config.readings import Readings


def bots_running(now: Readings) -> Figure:
    count, at_work = now.bots_that(BotStatus.RUNNING), now.bots_at_work
    under = f"of {at_work:,} at work" if at_work else "none is at work"
    return Figure(
        "Bots running",
        f"{count:,}",
        under,
        rows("bots_botinstance", status__exact=BotStatus.RUNNING),
        title="What they say of themselves.",
    )


def bots_silent(now: Readings) -> Figure:
    count = now.bots_unwell(BotHealth.SILENT)
    others = {
        "on stale data": now.bots_unwell(BotHealth.STALE),
        "idle": now.bots_unwell(BotHealth.IDLE),
    }
    told = ", ".join(f"{n:,} {words}" for words, n in others.items() if n)
    return Figure(
        "Bots silent",
        f"{count:,}",
        told or ("all are heard of" if not count else "none stale or idle"),
        rows("bots_botinstance", health__exact=BotHealth.SILENT),
        "b-loss" if count else "",
        "At work by their own account, and not heard of for three heartbeats.",
    )


def bots_in_error(now: Readings) -> Figure:
    count = now.bots_that(BotStatus.ERROR)
    return Figure(
        "Bots in error",
        f"{count:,}",
        "by their own account" if count else "none says so",
        rows("bots_botinstance", status__exact=BotStatus.ERROR),
        "b-loss" if count else "",
    )


def open_trades(now: Readings, trade_type: TradeType) -> Figure:
    held = now.open_of(trade_type)
    count = sum(each.trades for each in held)
    under = "none is open"
    if held:
        main = held[0]
        worth = display.EMPTY if main.exposure is None else money_words(main.exposure)
        under = f"{worth} {main.currency} at entry" + others([each.currency for each in held[1:]])
    return Figure(
        f"Open trades, {trade_type.value}",
        f"{count:,}",
        under,
        rows("bots_trade", status__exact=TradeStatus.OPEN, trade_type__exact=trade_type),
        title="What is left of them × their entry prices; currencies are never added up.",
    )


def realized(now: Readings, trade_type: TradeType) -> Figure:
    today = now.realized_today(trade_type)
    value, under, tone = display.EMPTY, "nothing was closed", "b-quiet"
    if today:
        main = today[0]
        value = money_words(main.net, signed=True)
        tone = {"+": "b-gain", MINUS: "b-loss"}.get(value[0], "")
        exits = f"{main.exits:,} exit{'s' if main.exits > 1 else ''}"
        under = f"{main.currency}, {exits}" + others([each.currency for each in today[1:]])
    return Figure(
        f"Realized today, {trade_type.value}",
        value,
        under,
        reverse("admin:bots_trade_changelist")
        + f"?trade_type__exact={trade_type}&status__exact={TradeStatus.CLOSED}"
        + f"&exit_time_after={now.today:%Y-%m-%d}",
        tone,
        "Net of fees, of all exits since midnight UTC, parts of trades among them.",
    )


def others(currencies: Sequence[str]) -> str:
    """Return that there is money of other currencies too, which is not in the figure."""
    if not currencies:
        return ""
    named = ", ".join(currency or "unnamed" for currency in currencies[:2])
    more = len(currencies) - 2
    return f"; also {named}" + (f" and {more} more" if more > 0 else "")


FIGURES: list[tuple[str, Callable[[Readings], Figure]]] = [
    ("bots.view_botinstance", bots_running),
    ("bots.view_botinstance", bots_silent),
    ("bots.view_botinstance", bots_in_error),
    ("bots.view_trade", lambda now: open_trades(now, TradeType.LIVE)),
    ("bots.view_trade", lambda now: realized(now, TradeType.LIVE)),
    ("bots.view_trade", lambda now: open_trades(now, TradeType.PAPER)),
    ("bots.view_trade", lambda now: realized(now, TradeType.PAPER)),
]
