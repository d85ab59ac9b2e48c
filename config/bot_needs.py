"""What needs attention about bots and limits, each with the action that fits."""

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

from apps.bots.admin import limit_shown
from apps.bots.admin.money import money_words, thing_url
from apps.bots.choices import BotHealth, BotStatus, LimitAction, LimitStatus, TradeType
from apps.bots.models import TradingLimit
from apps.shared import display
from config.bot_readings import Held
from config.figures import rows
from config.needs import MOST_OF_A_KIND, Need
from config.readings import Readings

OPEN_BOT = "Open the bot"


def silent_bots(now: Readings) -> Iterator[Need]:
    found = now.bots_in("silent")
    for bot in found[:MOST_OF_A_KIND]:
        heard = bot.last_heartbeat
        last = f"Last heard of {ago(now, heard)}" if heard else "It was never heard of"
        every = seconds_words(bot.heartbeat_interval_seconds)
        yield Need(
            95,
            f"{bot.pk} is silent",
            f"{last}, due every {every}. {held_words(now.held_by(bot.pk))}",
            OPEN_BOT,
            thing_url("botinstance", bot.pk),
            "danger",
        )
    total = max(now.bots_unwell(BotHealth.SILENT), len(found))
    yield from more_bots(total, 94, ("is silent", "are silent"), health__exact=BotHealth.SILENT)


def bots_in_error(now: Readings) -> Iterator[Need]:
    found = now.bots_in("error")
    for bot in found[:MOST_OF_A_KIND]:
        said = bot.said or "It did not say why."
        said += "" if said.endswith((".", "!", "?")) else "."
        yield Need(
            92,
            f"{bot.pk} is in error",
            f"{said} {held_words(now.held_by(bot.pk))}",
            OPEN_BOT,
            thing_url("botinstance", bot.pk),
            "danger",
        )
    total = max(now.bots_that(BotStatus.ERROR), len(found))
    yield from more_bots(total, 91, ("is in error", "are in error"), status__exact=BotStatus.ERROR)


def unanswered_wishes(now: Readings) -> Iterator[Need]:
    found = now.bots_in("unanswered")
    for bot in found[:MOST_OF_A_KIND]:
        delivered = "It was delivered" if bot.delivered_at else "It was not delivered yet"
        yield Need(
            82,
            f"{bot.pk} has not acknowledged: {bot.get_desired_state_display().lower()}",
            f"{bot.desired_by or 'Somebody'} asked {ago(now, bot.desired_at)}. {delivered}, and"
            " three of its heartbeats have passed.",
            OPEN_BOT,
            thing_url("botinstance", bot.pk),
            "danger",
        )
    if len(found) > MOST_OF_A_KIND:
        yield from more_bots(len(found), 81, ("has not acknowledged", "have not acknowledged"))


def stale_bots(now: Readings) -> Iterator[Need]:
    found = now.bots_in("stale")
    for bot in found[:MOST_OF_A_KIND]:
        last = bot.last_candle_at
        since = f"Its last candle is {span(now, last)} old" if last else "It has told of no candle"
        yield Need(
            63,
            f"{bot.pk} works on stale data",
            f"{since}. {held_words(now.held_by(bot.pk))}",
            OPEN_BOT,
            thing_url("botinstance", bot.pk),
        )
    total = max(now.bots_unwell(BotHealth.STALE), len(found))
    yield from more_bots(
        total, 62, ("works on stale data", "work on stale data"), health__exact=BotHealth.STALE
    )


def idle_bots(now: Readings) -> Iterator[Need]:
    found = now.bots_in("idle")
    for bot in found[:MOST_OF_A_KIND]:
        last = bot.last_activity_at
        since = f"nothing done for {span(now, last)}" if last else "nothing done yet"
        gap = bot.usual_gap_seconds
        usual = f", usually every {seconds_words(gap)}" if gap else ""
        yield Need(
            40,
            f"{bot.pk} is alive but idle",
            f"It is heard of, but {since}{usual}.",
            OPEN_BOT,
            thing_url("botinstance", bot.pk),
            "info",
        )
    total = max(now.bots_unwell(BotHealth.IDLE), len(found))
    yield from more_bots(
        total, 39, ("is alive but idle", "are alive but idle"), health__exact=BotHealth.IDLE
    )


def more_bots(total: int, weight: int, what: tuple[str, str], **filters: str) -> Iterator[Need]:
    """Yield that there are more of a kind; ``what`` of one and of several."""
    more = total - MOST_OF_A_KIND
    if more > 0:
        yield Need(
            weight,
            f"1 more bot {what[0]}" if more == 1 else f"{more:,} more bots {what[1]}",
            "They are in the list.",
            "See the bots",
            rows("bots_botinstance", **filters),
        )


def held_words(held: Sequence[Held]) -> str:
    """Return what a bot holds open, live first, each currency by itself."""
    if not held:
        return "It holds nothing open."
    order = list(TradeType)
    parts = []
    for each in sorted(held, key=lambda one: (order.index(TradeType(one.trade_type)), -one.trades)):
        trades = "trade" if each.trades == 1 else "trades"
        worth = ""
        if each.exposure is not None:
            worth = f" ({money_words(each.exposure)} {each.currency} at entry)"
        parts.append(f"{each.trades:,} {each.trade_type} {trades}{worth}")
    return f"It holds {', '.join(parts)} open."


# --- Limits -------------------------------------------------------------------------------


def fired_limits(now: Readings) -> Iterator[Need]:
    fired = [each for each in now.limits_told if each.status == LimitStatus.TRIGGERED]
    for limit in fired[:MOST_OF_A_KIND]:
        asked = {LimitAction.PAUSE: " Its bots were told to pause.",
                 LimitAction.STOP: " Its bots were told to stop."}  # fmt: skip
        yield Need(
            88,
            f"{limit_shown.kind_words(limit)} fired: {limit_shown.scope_words(limit)}",
            f"{ago(now, limit.triggered_at).capitalize()} at {reached_words(limit)}."
            f"{asked.get(LimitAction(limit.action), '')}",
            "Open the limit",
            thing_url("tradinglimit", limit.pk),
            "danger",
        )
    yield from more_limits(len(fired), 87, "fired today", status__exact=LimitStatus.TRIGGERED)


def near_limits(now: Readings) -> Iterator[Need]:
    near = [each for each in now.limits_told if each.status == LimitStatus.ACTIVE]
    for limit in near[:MOST_OF_A_KIND]:
        share = display.pct_words((limit.usage or Decimal(0)) * 100, signed=False, places=0)
        yield Need(
            69,
            f"{limit_shown.kind_words(limit)} is used up to {share}: "
            f"{limit_shown.scope_words(limit)}",
            f"{standing_words(limit)}.",
            "Open the limit",
            thing_url("tradinglimit", limit.pk),
        )
    yield from more_limits(len(near), 67, "at 80 % and more", used="near")


def reached_words(limit: TradingLimit) -> str:
    value = limit.trigger_price if limit.price is not None else limit.triggered_value
    if value is None:
        return limit_shown.bound_words(limit)
    unit = "" if limit.price is not None else f" {limit_shown.unit(limit)}"
    return f"{limit_shown.amount_words(limit, value)}{unit}".strip()


def standing_words(limit: TradingLimit) -> str:
    if limit.current_value is None:
        return f"It fires at {limit_shown.bound_words(limit)}"
    value = limit_shown.amount_words(limit, limit.current_value)
    return f"It stands at {value} and fires at {limit_shown.bound_words(limit)}"


def more_limits(count: int, weight: int, what: str, **filters: str) -> Iterator[Need]:
    more = count - MOST_OF_A_KIND
    if more > 0:
        yield Need(
            weight,
            f"{more:,} more limit{'s' if more > 1 else ''} {what}",
            "They are in the list.",
            "See the limits",
            rows("bots_tradinglimit", **filters),
        )


# --- Words --------------------------------------------------------------------------------


def span(now: Readings, moment: Any) -> str:
    return display.span_words(now.at - moment)


def seconds_words(seconds: Any) -> str:
    return display.span_words(timedelta(seconds=float(seconds)))


def ago(now: Readings, moment: Any) -> str:
    return f"{span(now, moment)} ago" if moment else "at a time unknown"


NEEDS: list[tuple[str, Callable[[Readings], Iterator[Need]]]] = [
    ("bots.view_botinstance", silent_bots),
    ("bots.view_botinstance", bots_in_error),
    ("bots.view_botinstance", unanswered_wishes),
    ("bots.view_botinstance", stale_bots),
    ("bots.view_botinstance", idle_bots),
    ("bots.view_tradinglimit", fired_limits),
    ("bots.view_tradinglimit", near_limits),
]
