"""Analyses: taken in from outside, changed, judged by their trades."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db import connection, transaction

from apps.analysis.choices import Origin
from apps.analysis.domain.trades import TradeRecord, judge
from apps.analysis.models import Analysis
from apps.analysis.services.drafts import (
    COLUMNS,
    FIGURES,
    KEY,
    AnalysisLike,
    Draft,
    checked,
    differing_leverage,
    named_precisely,
    settle,
    stake_of,
)
from apps.analysis.services.figures import (
    ingest_leverage,
    report,
    store_computed,
    store_leverage,
    unreport,
)
from apps.analysis.services.rankings import rank_run, ranking
from apps.analysis.services.trade_files import is_whole, read_trades, write_trades
from apps.shared.errors import FieldError
from apps.shared.ingest import Ingested, RowStatus, ingest
from apps.shared.quant.performance import Conventions

__all__ = [
    "as_changed",
    "as_sent",
    "judge_trades",
    "rank_run",
    "ranking",
    "replace_analyses",
    "store_analyses",
    "store_leverage",
]

# What depends on the trades and how they are judged; nothing else needs judging anew.
JUDGED_BY: Final = {"period_start", "period_end", "parameters", "compressed_path"}
COMPUTED: Final = (
    *FIGURES, "origin", "compressed_path", "trades_checksum", "trades_bytes", "period_start",
    "period_end", "updated_at",
)  # fmt: skip
# What may be told of an analysis that was computed here.
BESIDE_OURS: Final = {"reported", "chart_path"}
# Every day has a return, also where a market rests.
DAYS_OF_YEAR: Final = 365

FILL_REPORTED = f"""
    UPDATE analyses SET origin = CASE WHEN reported ?| %s THEN 'reported' ELSE 'none' END,
    {", ".join(f"{name} = (reported ->> '{name}')::float8" for name in FIGURES)}
    WHERE id = ANY(%s)
"""
FIND = """
    SELECT held.id FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[]) WITH ORDINALITY
        AS sent (execution_id, symbol, timeframe, config, place)
    LEFT JOIN analyses AS held USING (execution_id, symbol, timeframe, config) ORDER BY place
"""


# --- Taking in ----------------------------------------------------------------------------


@transaction.atomic
def store_analyses(rows: Sequence[AnalysisLike], *, now: datetime) -> Ingested:
    """Store analyses with all that came with them, and say what became of each row.

    Where trades came, figures are computed from them and the trades are kept as a file; what was
    reported stays beside. The same analysis again is *unchanged*; with other content it is
    *failed*, naming what differs; trades are compared by the numbers they hold. Leverage that is
    not told of again is not compared.
    """
    outcome = Ingested()
    places, drafts = [], []
    for place, draft in enumerate(checked(rows, now=now)):
        if draft.errors:
            outcome.fail(place, draft.errors)
        else:
            places.append(place)
            drafts.append(draft)
    stored = ingested(drafts, on_conflict="refuse")
    listed = {result.index: result for result in stored.results}
    ids = found_ids(drafts)
    created = [
        (number, draft)
        for at, (number, draft) in enumerate(zip(ids, drafts, strict=True))
        if at not in listed
    ]
    complete(created)
    for at, result in listed.items():
        if result.status is RowStatus.UNCHANGED:
            if errors := differing_leverage(ids[at], drafts[at]):
                stored.unchanged, stored.failed = stored.unchanged - 1, stored.failed + 1
                result.status, result.errors = RowStatus.FAILED, errors
        elif ids[at]:
            held = Analysis.objects.get(pk=ids[at])
            result.errors = named_precisely(result.errors, held, drafts[at])
    outcome.merge(stored, places)
    outcome.sort()
    return outcome


def ingested(drafts: Sequence[Draft], *, on_conflict: Any) -> Ingested:
    return ingest(
        Analysis,
        [tuple(draft.values[name] for name in COLUMNS) for draft in drafts],
        columns=COLUMNS,
        key=KEY,
        on_conflict=on_conflict,
    )


def found_ids(drafts: Sequence[Draft]) -> list[int]:
    """Return the ids of the analyses of these keys, 0 where there is none."""
    columns = [[draft.values[name] for draft in drafts] for name in KEY]
    with connection.cursor() as cursor:
        cursor.execute(FIND, columns)
        return [number or 0 for (number,) in cursor.fetchall()]


def complete(created: Sequence[tuple[int, Draft]]) -> None:
    """Add to new analyses what their rows do not hold yet."""
    fill_reported([number for number, draft in created if draft.trades is None])
    report({number: draft.reported for number, draft in created})
    for number, draft in created:
        if draft.trades is not None:
            judge_sent(Analysis.objects.get(pk=number), draft.trades)
    ingest_leverage(
        [
            (number, detail)
            for number, draft in created
            for detail in draft.row.leverage_details or ()
        ]
    )


# --- Changing -----------------------------------------------------------------------------


def as_sent(analysis: Analysis) -> dict[str, Any]:
    """Return the row that an analysis could have come as, its trades left out."""
    named = dict(analysis.reported)
    return {
        **{name: getattr(analysis, name) for name in COLUMNS if name != "reported"},
        **{name: named.pop(name, None) for name in FIGURES},
        "metrics": named,
    }


def as_changed(analysis: Analysis, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row that an analysis is with some fields changed."""
    values = as_sent(analysis)
    if changes.get("trades") is not None:
        values["compressed_path"] = ""
        if analysis.trades_checksum:
            # Unless it is told again, the period is that of the trades.
            values["period_start"] = values["period_end"] = None
    return values | dict(changes)


@transaction.atomic
def replace_analyses(rows: Sequence[AnalysisLike], *, now: datetime) -> Ingested:
    """Store analyses over what is stored under the same key, and say what became of each row.

    A row that names the file of the trades known here keeps them; else its own trades, or none,
    take their place. Of what was computed here only reported figures and the chart can be
    changed. A *failed* row may be half written: the caller takes the transaction back.
    """
    outcome = Ingested()
    for place, draft in enumerate(checked(rows, now=now)):
        if draft.errors:
            outcome.fail(place, draft.errors)
            continue
        place_of_key = dict(zip(KEY, draft.key, strict=True))
        held = Analysis.objects.select_for_update().filter(**place_of_key).first()
        if held is None:
            outcome.merge(store_analyses([draft.row], now=now), [place])
        elif faults := keep_trades(held, draft):
            outcome.fail(place, faults)
        else:
            outcome.note(place, *replaced(held, draft))
    return outcome


def keep_trades(held: Analysis, draft: Draft) -> list[FieldError]:
    """Judge the trades known here anew where a row keeps them and changes what they depend on."""
    values = draft.values
    same = all(getattr(held, name) == values[name] for name in JUDGED_BY)
    if draft.trades is None and keeps_file(held, draft) and not same:
        settle(draft, read_trades(held))
    return draft.errors


def keeps_file(held: Analysis, draft: Draft) -> bool:
    return bool(held.trades_checksum) and draft.values["compressed_path"] == held.compressed_path


def replaced(held: Analysis, draft: Draft) -> tuple[RowStatus, Sequence[FieldError]]:
    """Write a row over an analysis; return what became of it."""
    ingested([draft], on_conflict="replace")
    fresh = Analysis.objects.get(pk=held.pk)
    changed = {name for name in COLUMNS if getattr(held, name) != getattr(fresh, name)}
    details = draft.row.leverage_details
    if details is not None and other_leverage(held, draft):
        changed.add("leverage_details")
    if held.strategy_configuration_id is not None and (refused := changed - BESIDE_OURS):
        message = "Is computed here; only reported figures and the chart can be changed."
        names = sorted("trades" if name == "compressed_path" else name for name in refused)
        return RowStatus.FAILED, [
            FieldError(f"/{name}", "computed_here", message) for name in names
        ]
    if "reported" in changed:
        unreport(fresh, held.reported.keys() - fresh.reported.keys())
        report({fresh.pk: fresh.reported})
    if draft.trades is not None:
        if changed & JUDGED_BY or not is_whole(held):
            judge_sent(fresh, draft.trades)
    elif not keeps_file(held, draft):
        forget_trades(fresh)
    if "leverage_details" in changed:
        fresh.leverage_calculations.all().delete()
        ingest_leverage([(fresh.pk, detail) for detail in details or ()])
    return (RowStatus.REPLACED if changed else RowStatus.UNCHANGED), ()


def other_leverage(held: Analysis, draft: Draft) -> bool:
    details = draft.row.leverage_details or ()
    return held.leverage_calculations.count() != len(details) or bool(
        differing_leverage(held.pk, draft)
    )


def forget_trades(analysis: Analysis) -> None:
    """Let an analysis show what is reported of it, now that its trades are not known."""
    if analysis.trades_checksum:
        store_computed(analysis, [])
        Analysis.objects.filter(pk=analysis.pk).update(trades_checksum="", trades_bytes=None)
    fill_reported([analysis.pk])


def fill_reported(ids: Sequence[int]) -> None:
    """Show what is reported of analyses in their columns."""
    if ids:
        with connection.cursor() as cursor:
            cursor.execute(FILL_REPORTED, [list(FIGURES), list(ids)])


# --- Judging ------------------------------------------------------------------------------


@transaction.atomic
def judge_trades(
    *,
    analysis: Analysis,
    trades: Sequence[TradeRecord],
    stake: Decimal,
    start: datetime | None,
    end: datetime | None,
    periods_per_year: int,
    now: datetime,
) -> None:
    """Compute all figures of an analysis from its trades, keep the trades, save the analysis.

    ``stake`` is the share of equity that each trade puts up as margin. Figures that are computed
    take the place of those computed before; what was reported stays beside them. Again with the
    same trades changes nothing but the moment it was tried out at, ``now``.
    """
    judge_into(
        analysis,
        trades,
        stake=stake,
        start=start,
        end=end,
        conventions=Conventions(periods_per_year=periods_per_year),
    )
    analysis.generated_at = now
    analysis.save()


def judge_into(
    analysis: Analysis,
    trades: Sequence[TradeRecord],
    *,
    stake: Decimal,
    start: datetime | None,
    end: datetime | None,
    conventions: Conventions,
) -> None:
    """Set the columns that follow from trades, and write metrics and file; without saving."""
    found = judge(trades, stake=stake, start=start, end=end, conventions=conventions)
    total = found.value("total_trades")
    analysis.total_trades = None if total is None else int(total)
    analysis.win_rate = found.value("win_rate")
    analysis.total_return = found.value("total_return")
    analysis.sharpe_ratio = found.value("sharpe_ratio")
    analysis.max_drawdown = found.value("max_drawdown")
    analysis.avg_leverage = found.avg_leverage
    analysis.origin = Origin.COMPUTED
    analysis.period_start, analysis.period_end = start, end
    store_computed(analysis, found.metrics)
    write_trades(analysis=analysis, trades=trades)


def judge_sent(analysis: Analysis, trades: Sequence[TradeRecord]) -> None:
    """Judge trades that came from outside; what else was sent is left as it is stored."""
    judge_into(
        analysis,
        trades,
        stake=stake_of(analysis.parameters),
        start=analysis.period_start,
        end=analysis.period_end,
        conventions=Conventions(periods_per_year=DAYS_OF_YEAR),
    )
    # Numbers in the JSON columns may have more digits than Python's hold.
    analysis.save(update_fields=COMPUTED)
