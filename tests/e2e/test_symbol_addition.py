"""A symbol is added by the running product; workers are killed in the middle of every step."""

import hashlib
import os
import signal
import time

import pytest

from tests.e2e.conftest import LEASE_SECONDS
from tests.e2e.product import DATA, wait_for

CANDLES = DATA / "candles" / "ETH_BTC-5m.csv.gz"
RUNS = "/api/v1/executions/executions/"
ADDITIONS = "/api/v1/analysis/symbol-additions/"
WATCH = "apps.executions.tasks.watch_executions"
WORK = "apps.analysis.tasks.run_symbol_additions"

pytestmark = [
    pytest.mark.skipif(not CANDLES.exists(), reason="real candles (../shared/data) are not here"),
    pytest.mark.timeout(400),
]


@pytest.fixture(scope="module")
def product(harried_product):
    harried_product.manage("import_candles", str(CANDLES))
    scopes = ["executions:read", "executions:write", "analysis:read", "analysis:write"]
    return harried_product.with_key("pipeline", *scopes)


@pytest.fixture
def database(product):
    with product.database() as connection:
        yield connection


# Where each kind of step stores its work. There it can be held up, and so be found at it.
PLACES = {
    "data_fetch": "INSERT ON analyses FOR EACH STATEMENT",
    "backtest": "INSERT ON backtest_summary FOR EACH STATEMENT",
    "result_save": (
        "UPDATE ON analyses FOR EACH ROW WHEN (NEW.ranking IS DISTINCT FROM OLD.ranking)"
    ),
}


@pytest.fixture
def held_up(database):
    """Have every step wait where it stores its work, until ``let_go``."""
    for number, place in enumerate(PLACES.values()):
        database.execute(
            f"""
            CREATE FUNCTION held_{number}() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN PERFORM pg_advisory_xact_lock_shared(7100, {number}); RETURN NEW; END $$;
            CREATE TRIGGER held_{number} BEFORE {place} EXECUTE FUNCTION held_{number}();
            """
        )
        database.execute("SELECT pg_advisory_lock(7100, %s)", [number])
    yield database
    database.execute("SELECT pg_advisory_unlock_all()")
    for number in range(len(PLACES)):
        database.execute(f"DROP FUNCTION held_{number} CASCADE")


def let_go(database, stage):
    database.execute("SELECT pg_advisory_unlock(7100, %s)", [list(PLACES).index(stage)])


def steps_of(product, run):
    return list(product.every(f"/api/v1/executions/steps/?execution_id={run}&limit=1000"))


def working_on(product, run):
    return [step["step_name"] for step in steps_of(product, run) if step["status"] == "RUNNING"]


def status_of(product, run):
    status, row = product.get(f"{RUNS}{run}/")
    assert status == 200, row
    return row["status"]


def kill(before, processes):
    """SIGKILL processes, then see new ones come."""
    for pid in before:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue  # it fell with its parent
    wait_for(lambda: set(processes()) - set(before), 60)


def look_after(product, condition, seconds):
    """Send the messages that beat would send, until it is so."""

    def so():
        product.wake(WATCH)
        return condition()

    wait_for(so, seconds, lambda: product.said()[-3000:])


def ask(product, name, **more):
    return product.post(ADDITIONS, {"symbol": "ETH/BTC", "execution_id": name, **more})


def test_workers_that_are_killed_at_every_step_leave_nothing_undone(product, held_up):
    status, refusal = product.post(ADDITIONS, {"symbol": "LTC/BTC"})
    assert (status, refusal["errors"][0]["code"]) == (422, "symbol_not_found")

    status, run = ask(product, "killed")
    assert status == 201, run
    for stage in PLACES:

        def at_it(stage=stage):
            return any(name.startswith(stage) for name in working_on(product, "killed"))

        look_after(product, at_it, 60)
        kill(product.workers(), product.workers)
        assert at_it()
        let_go(held_up, stage)

    look_after(product, lambda: status_of(product, "killed") == "PARTIAL_SUCCESS", 120)

    steps = {step["step_name"]: step for step in steps_of(product, "killed")}
    assert steps["data_fetch"]["attempt"] == steps["result_save"]["attempt"] == 2
    # Twenty days of candles are enough for bars of up to an hour, and for no trade of others.
    failed = [name for name, step in steps.items() if step["status"].startswith("FAILED")]
    assert sorted(name[-2:] for name in failed) == ["1d"] * 3 + ["1w"] * 3
    path = "/api/v1/analysis/analyses/?execution_id=killed&limit=1000"
    analyses = list(product.every(path))
    assert len(analyses) == 18
    assert {row["status"] for row in analyses} <= {"completed", "no_signal", "failed"}
    done = [row for row in analyses if row["status"] == "completed"]
    assert sorted(row["ranking"] for row in done) == list(range(1, len(done) + 1))
    for row in done:
        status, content = product.download(f"/api/v1/analysis/analyses/{row['id']}/trades/")
        assert status == 200
        assert hashlib.sha256(content).hexdigest() == row["trades_checksum"]


def test_a_step_that_costs_three_workers_fails_and_a_retry_completes(product, held_up):
    status, _ = ask(product, "doomed")
    assert status == 201
    for attempt in (1, 2, 3):

        def taken_up(attempt=attempt):
            steps = {step["step_name"]: step for step in steps_of(product, "doomed")}
            return steps["data_fetch"]["attempt"] == attempt

        look_after(product, taken_up, 60)
        # The processes of the pool alone: the more often a whole worker falls, the longer it rests.
        kill(product.pool(), product.pool)
    began = time.monotonic()
    look_after(product, lambda: status_of(product, "doomed") == "FAILED", 60)
    # Within the lease of the step and two looks of the watch.
    assert time.monotonic() - began < LEASE_SECONDS + 30
    _, row = product.get(f"{RUNS}doomed/")
    assert row["errors"][-1]["error_type"] == "WorkerLost"

    for stage in PLACES:
        let_go(held_up, stage)
    status, again = product.post(f"{RUNS}doomed/retry/", {})
    assert status == 201, again
    name = again["execution_id"]
    look_after(product, lambda: status_of(product, name) == "PARTIAL_SUCCESS", 120)

    assert status_of(product, "doomed") == "FAILED"
    analyses = product.every(f"/api/v1/analysis/analyses/?execution_id={name}&status=completed")
    assert len(list(analyses)) > 5
