"""Lines of the league as tables and pages show them: ranks, returns, what they stand against."""

from collections.abc import Mapping
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.agents.admin import shown
from apps.shared import display
from apps.shared.admin.figures import WIDE, ratio, short_words, signed_money
from apps.shared.fields import plain_text


def rank(standing: Any) -> SafeString:
    """Return a rank with its interval: "2 (1–4)"."""
    if standing is None:
        return display.empty(shown.NOT_RANKED, figure=True)
    if standing.rank is None:
        return display.empty(standing.verdict_reason or "Too little is known of it.", figure=True)
    return format_html(
        '<span class="b-num b-tip" title="95 % interval of its rank: {} to {}."><strong>{}</strong>'
        ' <span class="b-quiet">({}–{})</span></span>',
        standing.rank_low,
        standing.rank_high,
        standing.rank,
        standing.rank_low,
        standing.rank_high,
    )


def against(standing: Any, name: str) -> SafeString:
    """Return by how many points of percent an agent did better than a benchmark."""
    own, other = standing.net_return, getattr(standing, name)
    if other is None:
        return display.empty(
            shown.reason_of(standing, name, "No price of then is known."), figure=True
        )
    told = f"It would have returned {display.pct_words(other)} from the same start."
    if own is None:
        return display.empty(f"{shown.reason_of(standing, 'net_return')} {told}", figure=True)
    return shown.points(WIDE.subtract(own, other), title=told)


def known_cost(standing: Any) -> SafeString:
    """Return what an agent's models cost, and beside it whether that is all of it."""
    reasons = standing.reasons if isinstance(standing.reasons, Mapping) else {}
    missing = reasons.get("model_cost")
    if not missing:
        return shown.cost(standing.model_cost)
    words = short_words(standing.model_cost)
    return display.figure(f"≥ {words}", f"{plain_text(standing.model_cost)} USD. {missing}")


def standing_lines(row: Any) -> list[dict[str, Any]]:
    """Return all figures of a line of the league, each with what it means or why it is empty."""

    def why(name: str) -> str:
        return shown.reason_of(row, name)

    interval = display.empty(why("return_low"))
    if row.return_low is not None and row.return_high is not None:
        interval = display.figure(shown.interval_words(row.return_low, row.return_high))
    return [
        {"label": label, "meaning": meaning, "value": value}
        for label, meaning, value in (
            ("Rank", "By the lower end of the interval of its return.", rank(row)),
            ("Why", "What the verdict stands on.", display.text(row.verdict_reason, "Not told.")),
            ("Net return", "Net of fees and of model cost.",
             shown.percent_return(row.net_return, why("net_return"))),
            ("In 95 %", "By resampling its closed trades.", interval),
            ("Net P&L", "Net of fees, before model cost.", signed_money(row.net_pnl)),
            ("Model cost", "US dollars.", known_cost(row)),
            ("To buy-and-hold", "In points of percent.", against(row, "hold_return")),
            ("To equal weight", "In points of percent.", against(row, "equal_return")),
            ("Drawdown", "Largest fall from a high, in percent of it.",
             display.signed_pct(row.max_drawdown_percent, why("max_drawdown_percent"))
             if row.max_drawdown_percent is None
             else display.figure(display.pct_words(row.max_drawdown_percent, signed=False))),
            ("Sharpe", "", ratio(row.sharpe_ratio, why("sharpe_ratio"))),
            ("Days", "", display.figure(f"{row.days:,.1f}")),
            ("Trades", "Closed, P&L known.", display.number(row.trades)),
            ("Won", "", display.number(row.winning_trades)),
            ("P&L unknown", "Closed at a price that nobody told.",
             display.number(row.unknown_trades)),
            ("Open trades", "", display.number(row.open_trades)),
            ("Calls", "", display.number(row.calls)),
            ("Decisions", "", display.number(row.decisions)),
            ("Accepted", "", display.number(row.accepted)),
            ("Rejected", "", display.number(row.rejected)),
            ("Failed", "", display.number(row.failed)),
            ("Unreadable", "", display.number(row.unreadable)),
            ("Holds", "", display.number(row.holds)),
            ("Model-driven", "Accepted among all decisions.",
             shown.share(row.model_share, row.model_share_low, row.model_share_high,
                   why("model_share"))),
            ("Cost a decision", "US dollars.",
             shown.cost(row.cost_per_decision, why("cost_per_decision"))),
            ("Hit rate", "After 24 hours, of the accepted that are judged.",
             shown.share(row.hit_rate, reason=why("hit_rate"))),
            ("Judged", "n of the hit rate.", display.number(row.judged)),
            ("Brier", "0 is perfect, 0.25 a coin.", ratio(row.brier, why("brier"))),
        )
    ]  # fmt: skip


def version_line(row: Any) -> dict[str, Any]:
    """Return how one version of a prompt did, as a line of a table."""
    return {
        "key": row.pk,
        "name": shown.version(row.prompt_version),
        "since": display.age(row.began_at, "It was never used."),
        "verdict": shown.verdict(row),
        "decisions": display.number(row.decisions),
        "model_share": shown.share(
            row.model_share, row.model_share_low, row.model_share_high,
            shown.reason_of(row, "model_share", "It has decided nothing."),
        ),
        "net_return": shown.percent_return(row.net_return, shown.reason_of(row, "net_return")),
        "interval": ""
        if row.return_low is None or row.return_high is None
        else shown.interval_words(row.return_low, row.return_high),
        "trades": display.number(row.trades),
        "cost": shown.cost(
            row.cost_per_decision, shown.reason_of(row, "cost_per_decision", "It is not known.")
        ),
        "hit_rate": shown.share(
            row.hit_rate, reason=shown.reason_of(row, "hit_rate", "Nothing is judged.")
        ),
        "judged": row.judged,
        "brier": ratio(row.brier, shown.reason_of(row, "brier", "No confidence was told.")),
    }  # fmt: skip
