"""Rows of every kind that retention knows, at every age: what leaves, and what never may."""

from datetime import timedelta
from decimal import Decimal

from apps.alerts.models import AlertPerformance
from apps.analysis.models import ModelOutcome
from apps.executions.choices import ExecutionStatus
from apps.logs.services.partitions import make_partitions
from tests.factories import (
    make_agent,
    make_agent_decision,
    make_agent_performance,
    make_agent_trade,
    make_alert,
    make_analysis,
    make_bot,
    make_bot_performance,
    make_cache_entry,
    make_cache_invalidation,
    make_decision_outcome,
    make_error_log,
    make_execution,
    make_feature_series,
    make_feature_vector,
    make_fill,
    make_leverage_calculation,
    make_llm_call,
    make_metric,
    make_model_signal,
    make_notification,
    make_order,
    make_paper_performance,
    make_paper_portfolio,
    make_performance_log,
    make_prediction,
    make_step,
    make_system_log,
    make_tracked_price,
    make_trade,
    make_trading_event,
    make_user_action_log,
)

# Days: between the ages by which policies are told apart.
AGES = (5, 40, 150, 250, 500, 900)
HOUR = timedelta(hours=1)


def make_all_kinds(now):
    """Make rows of every dataset, exempt ones among them, of several ages before ``now``."""
    cast = Cast()
    for days in AGES:
        at = now - timedelta(days=days)
        make_trades(at, cast)
        make_figures(at, cast)
        make_decisions(at, cast)
        make_runs(at)
        make_claims(at)
        make_market_rows(at)
        make_logs(at)
    make_partitions(now=now)


class Cast:
    """Who trades."""

    def __init__(self):
        self.paper = make_bot(type="paper")
        self.trial = make_bot(type="optimization")
        self.live = make_bot(type="live")
        self.agent = make_agent()
        self.portfolio = make_paper_portfolio()


# --- Trades ---------------------------------------------------------------------------------


def closed_trade(bot, at, **values):
    times = {"created_at": at - HOUR, "entry_time": at - HOUR, "exit_time": at}
    return make_trade(bot=bot, closed=True, **times | values)


def part_of(trade, at, number=1):
    values = {"is_partial_exit": True, "partial_exit_sequence": number, "parent_trade": trade}
    part = closed_trade(trade.bot, at, **values)
    type(trade).objects.filter(pk=trade.pk).update(partial_exits=number)
    return part


def filled_order(trade, at, **values):
    defaults = {"status": "filled", "filled_quantity": Decimal(1), "trade_type": trade.trade_type}
    order = make_order(bot=trade.bot, trade=trade, created_at=at, **defaults | values)
    make_fill(order=order, timestamp=at)
    return order


def make_trades(at, cast):
    for bot in (cast.paper, cast.trial, cast.live):
        filled_order(closed_trade(bot, at), at)
        times = {"created_at": at, "entry_time": at}
        filled_order(make_trade(bot=bot, **times), at)
        make_trade(bot=bot, status="cancelled", **times)
        whole = closed_trade(bot, at)
        for number in (1, 2):
            filled_order(part_of(whole, at - HOUR, number), at)
    half_closed = make_trade(bot=cast.paper, created_at=at, entry_time=at)
    filled_order(part_of(half_closed, at), at)
    # Closed, but somebody still has an order out.
    for status in ("pending", "accepted", "partially_filled"):
        filled_order(closed_trade(cast.paper, at), at, status=status, filled_quantity=0)
    whole = closed_trade(cast.paper, at)
    filled_order(part_of(whole, at - HOUR), at, status="accepted", filled_quantity=0)
    # Not live themselves, but an order of them is.
    filled_order(closed_trade(cast.paper, at), at, trade_type="live")
    whole = closed_trade(cast.paper, at)
    filled_order(part_of(whole, at - HOUR), at, trade_type="live")
    # On their own.
    make_order(created_at=at, status="cancelled", trade_type="paper")


def make_figures(at, cast):
    for bot in (cast.paper, cast.live):
        for origin in ("computed", "reported"):
            make_bot_performance(bot=bot, origin=origin, calculated_at=at)
    # The only one of its ledger.
    make_bot_performance(calculated_at=at)
    make_paper_performance(portfolio=cast.portfolio, timestamp=at)
    make_paper_performance(timestamp=at)
    everybody = make_paper_performance(timestamp=at)
    type(everybody).objects.filter(pk=everybody.pk).update(portfolio=None)


# --- Agents ---------------------------------------------------------------------------------


def decided(agent, at, *, settled=True):
    call = make_llm_call(agent=agent, timestamp=at)
    decision = make_agent_decision(call=call)
    make_decision_outcome(decision=decision, settled=settled)
    return decision


def make_decisions(at, cast):
    agent = cast.agent
    decided(agent, at)
    decided(agent, at, settled=False)
    opened, closed = decided(agent, at), decided(agent, at)
    times = {"entry_time": at, "exit_time": at + HOUR}
    make_agent_trade(agent=agent, closed=True, decision=opened, close_decision=closed, **times)
    make_agent_trade(agent=agent, decision=decided(agent, at), entry_time=at)
    for hour in range(2):
        make_agent_performance(agent=agent, snapshot_time=at - hour * HOUR)
    make_agent_performance(snapshot_time=at)


# --- Runs and analyses ----------------------------------------------------------------------


def ended(at, status=ExecutionStatus.COMPLETED, **values):
    times = {"created_at": at - HOUR, "timestamp_start": at - HOUR, "timestamp_end": at}
    execution = make_execution(status=status, **times | values)
    make_step(execution=execution, status="SUCCESS")
    return execution


def make_runs(at):
    ended(at)
    make_execution(timestamp_start=at, created_at=at)
    make_execution(status=ExecutionStatus.PENDING, created_at=at)
    ended(at, retry_of=ended(at))
    for status in (
        ExecutionStatus.COMPLETED,
        ExecutionStatus.PARTIAL_SUCCESS,
        ExecutionStatus.FAILED,
        ExecutionStatus.CANCELLED,
    ):
        analysis = make_analysis(execution=ended(at, status), generated_at=at)
        make_metric(analysis=analysis)
        make_leverage_calculation(analysis=analysis)
    make_analysis(execution=make_execution(timestamp_start=at), generated_at=at)


def settle(claim, at):
    ModelOutcome.objects.filter(pk=claim.outcome.pk).update(
        status="settled", settled_at=at + HOUR, due_at=None
    )
    return claim


def make_claims(at):
    settle(make_prediction(timestamp=at), at)
    make_prediction(timestamp=at)
    cited = settle(make_prediction(timestamp=at), at)
    make_order(prediction=cited, created_at=at, status="cancelled")
    trade = closed_trade(make_bot(type="paper"), at)
    filled_order(trade, at, prediction=settle(make_prediction(timestamp=at), at))
    settle(make_model_signal(timestamp=at), at)
    make_model_signal(timestamp=at)
    for settled in (True, False):
        alert = make_alert(timestamp=at)
        make_tracked_price(alert=alert)
        if settled:
            AlertPerformance.objects.filter(alert=alert).update(
                status="settled", settled_at=at + HOUR
            )


# --- Market and logs ------------------------------------------------------------------------


def make_market_rows(at):
    series = make_feature_series(
        feature_version="9", rows=2, first_timestamp=at - HOUR, last_timestamp=at,
        rsi_rows=2, ma_rows=2,
    )  # fmt: skip
    for moment in (at - HOUR, at):
        make_feature_vector(symbol=series.symbol, timestamp=moment)
    make_cache_entry(cached_at=at)
    make_cache_invalidation(invalidated_at=at)


def make_logs(at):
    for make in (
        make_system_log,
        make_user_action_log,
        make_performance_log,
        make_error_log,
        make_trading_event,
    ):
        make(timestamp=at)
    make_notification(created_at=at)
    make_notification(created_at=at, seen_at=at + HOUR, seen_by="somebody")
