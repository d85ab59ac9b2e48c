"""How complete the features of each symbol are: the summary that the dashboard reads."""

import logging
from collections.abc import Callable
from datetime import datetime
from time import monotonic
from typing import Final, NamedTuple

import pglock
from django.conf import settings
from django.db import connection, transaction

from apps.executions.choices import StepStatus
from apps.executions.models import Execution
from apps.executions.services.work import (
    PlannedStep,
    claim_step,
    close_runs,
    finish_step,
    plan_run,
    release_step,
)
from apps.market.models import FeatureCoverage

logger = logging.getLogger(__name__)

TYPE: Final = "COVERAGE_REFRESH"
RUNNER: Final = "apps.market.tasks.run_coverage_refreshes"
VIEW: Final = FeatureCoverage._meta.db_table
IS_POPULATED = "SELECT relispopulated FROM pg_class WHERE oid = to_regclass(%s)"


class Refresh(NamedTuple):
    """A refresh, or None's worth of it where somebody else was at it already."""

    done: bool
    symbols: int = 0
    seconds: float = 0.0


def refresh_coverage(*, now: datetime) -> Refresh:
    """Compute the summary anew; readers see the one before until it is there.

    ``done`` is False where somebody else is computing it right now. ``now`` is that of the
    caller's log line: the rows carry the database's own time.
    """
    began = monotonic()
    with transaction.atomic():
        if not pglock.advisory("market.coverage", xact=True, timeout=0).acquire():
            return Refresh(done=False)
        with connection.cursor() as cursor:
            cursor.execute(IS_POPULATED, [VIEW])
            [(populated,)] = cursor.fetchall()
            # A view that was never filled cannot be compared with its new rows.
            cursor.execute(
                f"REFRESH MATERIALIZED VIEW {'CONCURRENTLY' if populated else ''} {VIEW}"
            )
        symbols = FeatureCoverage.objects.count()
    seconds = round(monotonic() - began, 3)
    logger.info("Coverage of %s symbols as of %s: %s s", symbols, now.isoformat(), seconds)
    return Refresh(True, symbols, seconds)


@transaction.atomic
def request_refresh(*, by: str, now: datetime) -> Execution:
    """Plan a refresh on demand and return its run; one that is still waiting is the same."""
    pglock.advisory("market.coverage_request", xact=True).acquire()
    waiting = Execution.objects.unfinished().filter(
        execution_type=TYPE, steps__status=StepStatus.PENDING
    )
    return waiting.first() or plan_run(
        execution_type=TYPE,
        runner=RUNNER,
        steps=[PlannedStep("refresh")],
        triggered_by=by,
        now=now,
    )


def run_refreshes(*, clock: Callable[[], datetime]) -> int:
    """Do the refreshes that were asked for; return how many."""
    done = 0
    while step := claim_step(runner=RUNNER, now=clock(), lease=settings.STEP_LEASE):
        found = refresh_coverage(now=clock())
        if not found.done:
            # The one under way may have read what is older: this one takes its turn behind it.
            release_step(step=step, now=clock())
            break
        finish_step(step=step, status=StepStatus.SUCCESS, result_data=found._asdict(), now=clock())
        done += 1
    close_runs(now=clock(), runner=RUNNER)
    return done
