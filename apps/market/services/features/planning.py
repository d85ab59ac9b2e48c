"""Planning the building of features: what is due becomes the steps of a run, once."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

import pglock
from django.db import connection, transaction

from apps.executions.models import Execution
from apps.executions.services.work import PlannedStep, plan_run
from apps.market.choices import FeatureOrigin
from apps.market.domain.candles import width
from apps.market.models import FeatureVersion
from apps.market.services.features.lineage import Due, due_series, ensure_series
from apps.market.services.features.rebuilding import BLOCK_ROWS, TOGETHER
from apps.shared.errors import Conflict, DomainError

TYPE: Final = "FEATURE_BUILD"
RUNNER: Final = "apps.market.tasks.build_features"
ADVANCE, REBUILD, ANEW = "new candles", "rebuild", "build anew"
# So many series are continued in one transaction.
ADVANCED_TOGETHER: Final = 1_000

UNDER_WAY = """
SELECT DISTINCT wanted.id::bigint
FROM execution_logs e JOIN execution_steps s USING (execution_id)
CROSS JOIN LATERAL jsonb_array_elements_text(s.parameters -> 'series') AS wanted (id)
WHERE e.runner = %(runner)s AND e.status IN ('PENDING', 'RUNNING')
  AND s.status IN ('PENDING', 'RUNNING') AND s.parameters ->> 'kind' = ANY(%(kinds)s)
"""
CHOSEN = """
SELECT f.id, f.symbol, f.granularity, true, c.first_timestamp, c.last_timestamp
FROM feature_series f JOIN candle_series c USING (symbol, source, granularity)
WHERE f.feature_version = %(version)s
  AND (%(symbols)s::text[] IS NULL OR f.symbol = ANY(%(symbols)s::text[]))
  AND (%(series)s::bigint[] IS NULL OR f.id = ANY(%(series)s::bigint[]))
ORDER BY f.symbol, f.id
"""


class NothingToBuild(DomainError):
    """No candles are stored that the version could be built from."""

    code = "nothing_to_build"


class NotComputedHere(DomainError):
    """The version is not one whose features are computed here."""

    code = "not_computed_here"


@transaction.atomic
def plan_build(
    *,
    now: datetime,
    version: str = "",
    symbols: Sequence[str] | None = None,
    granularity: str = "",
    triggered_by: str = "SCHEDULE",
) -> Execution | None:
    """Plan a run of all that is due and not under way; None where nothing is.

    Due are series of the built versions, or of the one that is named, with new, late or replaced
    candles, another definition or time zone, or without features.
    """
    planning()
    ensure_series(now=now, version=version, symbols=symbols)
    due = due_series(now=now, version=version, symbols=symbols, granularity=granularity)
    busy = under_way(ADVANCE, REBUILD, ANEW) if due else set()
    due = [one for one in due if one.id not in busy]
    if not due:
        return None
    steps = [
        *planned(ADVANCE, in_thousands([one for one in due if not one.broken])),
        *planned(REBUILD, in_groups([one for one in due if one.broken])),
    ]
    return plan(steps, due, triggered_by=triggered_by, now=now)


@transaction.atomic
def request_build(
    *,
    feature_version: str,
    by: str,
    now: datetime,
    symbols: Sequence[str] | None = None,
    series: Sequence[int] | None = None,
) -> Execution:
    """Plan a run that writes all features of these series anew, and return it.

    Of the symbols named, or the ``FeatureSeries`` with these ids, or of all there are candles of.
    Raises NotComputedHere, NothingToBuild, and Conflict while all of it is being built already.
    """
    version = FeatureVersion.objects.filter(version=feature_version).first()
    if version is None or version.origin != FeatureOrigin.COMPUTED:
        raise NotComputedHere(f"Features of version {feature_version} are not computed here.")
    planning()
    if series is None:
        ensure_series(now=now, version=feature_version, symbols=symbols)
    wanted = chosen(feature_version, symbols, series)
    if not wanted:
        raise NothingToBuild(f"There are no candles to build version {feature_version} from.")
    busy = under_way(ANEW)
    free = [one for one in wanted if one.id not in busy]
    if not free:
        raise Conflict("These features are being built anew already.")
    return plan(planned(ANEW, in_groups(free)), free, triggered_by=by, now=now)


def planning() -> None:
    """Let nobody else plan until the transaction ends: nothing is planned twice."""
    pglock.advisory("market.feature_build", xact=True).acquire()


def under_way(*kinds: str) -> set[int]:
    """Return the series that an open step is to work on."""
    with connection.cursor() as cursor:
        cursor.execute(UNDER_WAY, {"runner": RUNNER, "kinds": list(kinds)})
        return {one for (one,) in cursor.fetchall()}


def chosen(version: str, symbols: Sequence[str] | None, series: Sequence[int] | None) -> list[Due]:
    wanted = {
        "version": version,
        "symbols": None if symbols is None else list(symbols),
        "series": None if series is None else list(series),
    }
    with connection.cursor() as cursor:
        cursor.execute(CHOSEN, wanted)
        return [Due._make(row) for row in cursor.fetchall()]


def in_thousands(due: Sequence[Due]) -> Iterator[list[Due]]:
    for first in range(0, len(due), ADVANCED_TOGETHER):
        yield list(due[first : first + ADVANCED_TOGETHER])


def in_groups(due: Iterable[Due]) -> Iterator[list[Due]]:
    """Yield series in groups that are computed together: few, and of few rows."""
    group: list[Due] = []
    held = 0
    for one in due:
        # No more candles than intervals.
        rows = (one.last - one.first) // width(one.granularity) + 1
        if group and (len(group) == TOGETHER or held + rows > BLOCK_ROWS):
            yield group
            group, held = [], 0
        group.append(one)
        held += rows
    if group:
        yield group


def planned(kind: str, groups: Iterable[Sequence[Due]]) -> list[PlannedStep]:
    steps = []
    for number, group in enumerate(groups, 1):
        first, last = group[0].symbol, group[-1].symbol
        symbols = first if first == last else f"{first} to {last}"
        ids = [one.id for one in group]
        steps.append(PlannedStep(f"{kind} {number}: {symbols}", 0, {"kind": kind, "series": ids}))
    return steps


def plan(
    steps: Sequence[PlannedStep], due: Sequence[Due], *, triggered_by: str, now: datetime
) -> Execution:
    symbols = {one.symbol for one in due}
    return plan_run(
        execution_type=TYPE,
        runner=RUNNER,
        steps=steps,
        symbol=min(symbols) if len(symbols) == 1 else "",
        metadata={"series": len(due), "symbols": len(symbols)},
        triggered_by=triggered_by,
        now=now,
    )
