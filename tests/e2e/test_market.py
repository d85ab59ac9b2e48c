"""Candles come in over HTTP, and the running product keeps what is computed of them.

``FEATURE_SYMBOLS=500`` gives that many to the build whose workers are killed.
"""

import csv
import http.cookiejar
import io
import json
import os
import random
import re
import signal
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode
from urllib.request import HTTPCookieProcessor, build_opener

import numpy as np
import pytest

from apps.market.domain.features.columns import NUMERIC
from apps.market.domain.features.compute import Candles, compute
from tests.e2e.product import wait_for

MARKET = "/api/v1/market/"
SOURCE = "pipeline"
VERSION = "3.1"
BUILD = "apps.market.tasks.build_features"
REFRESH = "apps.market.tasks.run_coverage_refreshes"
WATCH = "apps.executions.tasks.watch_executions"
CSV = "text/csv"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# Enough for the windows of a week, too few for those of two weeks at the beginning.
HOURS = 260
MANY = int(os.environ.get("FEATURE_SYMBOLS", "40"))
MANY_HOURS = 60
SHARE, COIN = "E2ESHARE", "E2E/USD"

pytestmark = pytest.mark.timeout(240 + MANY // 2)


class Pipeline:
    """Sends candles and keeps them, so that all that is stored can be computed once more."""

    def __init__(self, product):
        self.product = product
        self.held = {}
        self.zones = {}

    def send(self, candles):
        """Post candles {symbol: {start: (open, high, low, close, volume)}} as one table."""
        text = io.StringIO()
        writer = csv.writer(text)
        names = ("open", "high", "low", "close", "volume")
        writer.writerow(["symbol", "source", "granularity", "timestamp", *names])
        for symbol, rows in candles.items():
            self.held.setdefault(symbol, {}).update(rows)
            for start, values in rows.items():
                writer.writerow([symbol, SOURCE, "1h", start.isoformat(), *values])
        body = text.getvalue().encode()
        status, answer = self.product.request("POST", f"{MARKET}candles/", body, kind=CSV)
        # 200 where nothing is new: what is known already was replaced.
        assert status in (200, 201), answer
        assert answer["failed"] == 0, answer

    def series(self, symbol):
        """Return where the features of a symbol stand; None where they have not begun."""
        _, page = self.product.get(f"{MARKET}feature-series/?{urlencode({'symbol': symbol})}")
        return next(iter(page["results"]), None)

    def is_built(self, symbol):
        found, held = self.series(symbol), self.held[symbol]
        return (
            found is not None
            and (found["rows"], found["changed_from"]) == (len(held), None)
            and datetime.fromisoformat(found["last_timestamp"]) == max(held)
        )

    def build(self, symbols, *, seconds=60):
        """Have the workers look until the features of these symbols are up to date."""

        def so():
            self.product.wake(BUILD)
            return all(self.is_built(symbol) for symbol in symbols)

        wait_for(so, seconds, lambda: self.product.said()[-3000:])

    def rows(self, symbol):
        """Return the stored features of a symbol, oldest first."""
        asked = {"symbol": symbol, "feature_version": VERSION, "ordering": "timestamp"}
        return list(self.product.every(f"{MARKET}features/?{urlencode(asked)}&limit=1000"))

    def check(self, symbol, rows):
        """See that rows are the features of all the candles that were sent; null is not known."""
        held = sorted(self.held[symbol].items())
        assert [datetime.fromisoformat(row["timestamp"]) for row in rows] == [at for at, _ in held]
        start = np.array([int(at.timestamp()) for at, _ in held])
        candles = Candles(start, *np.array([values for _, values in held], float).T)
        wanted = compute(candles, version=VERSION, zone=self.zones.get(symbol, "UTC"))
        found = np.array([[row[name] for row in rows] for name in NUMERIC], float)
        assert np.array_equal(np.isnan(found), np.isnan(wanted))
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)

    def run(self, symbol):
        """Return the run that computed a symbol last, once it is over, and its steps."""
        name = self.series(symbol)["execution_id"]
        path = f"/api/v1/executions/executions/{name}/"
        wait_for(lambda: self.product.get(path)[1]["status"] not in ("PENDING", "RUNNING"), 30)
        steps = self.product.every(f"/api/v1/executions/steps/?execution_id={name}")
        return self.product.get(path)[1], list(steps)


def walk(seed, first, hours):
    """Return hourly candles that wander, to the cent."""
    chance, close, found = random.Random(seed), 100.0, {}
    for number in range(hours):
        before, close = close, round(close * (1 + chance.gauss(0, 0.01)), 2)
        high = round(max(before, close) * (1 + chance.random() / 100), 2)
        low = round(min(before, close) * (1 - chance.random() / 100), 2)
        values = (before, high, low, close, chance.randint(1, 1_000))
        found[first + number * HOUR] = values
    return found


def last_hour():
    """Return the start of an hour behind which another one is over, too."""
    now = datetime.now(UTC)
    return now.replace(minute=0, second=0, microsecond=0) - 3 * HOUR


def keyed(product):
    return product.with_key("pipeline", "market:read", "market:write", "executions:read")


@pytest.fixture(scope="module")
def product(shared_product):
    return keyed(shared_product)


@pytest.fixture(scope="module")
def pipeline(product):
    """Return a pipeline whose candles of two symbols have been made into features."""
    share = {"symbol": SHARE, "asset_class": "equity"}
    status, answer = product.post(f"{MARKET}instruments/", share)
    assert status == 201, (answer, product.said()[-3000:])
    pipeline = Pipeline(product)
    pipeline.zones[SHARE] = "America/New_York"
    first = last_hour() - (HOURS - 1) * HOUR
    pipeline.send({symbol: walk(symbol, first, HOURS) for symbol in (SHARE, COIN)})
    pipeline.build([SHARE, COIN])
    return pipeline


class TestFeatures:
    def test_are_built_in_a_run_and_are_those_of_the_candles(self, pipeline):
        run, _ = pipeline.run(COIN)

        assert (run["execution_type"], run["status"]) == ("FEATURE_BUILD", "COMPLETED")
        for symbol in (SHARE, COIN):
            rows = pipeline.rows(symbol)
            pipeline.check(symbol, rows)
            assert (rows[0]["rsi_1d"], rows[-1]["rsi_1d"] is None) == (None, False)

    def test_are_carried_on_by_one_for_another_candle(self, pipeline):
        before = pipeline.rows(COIN)
        later = max(pipeline.held[COIN]) + HOUR

        pipeline.send({COIN: {later: (100.5, 101.25, 99.75, 100, 7)}})
        pipeline.build([COIN])

        after = pipeline.rows(COIN)
        assert after[:-1] == before
        pipeline.check(COIN, after)
        _, steps = pipeline.run(COIN)
        assert any(step["step_name"].startswith("new candles") for step in steps)

    def test_are_built_again_from_a_replaced_candle_on(self, pipeline):
        before = pipeline.rows(SHARE)
        place = len(before) // 2
        late = sorted(pipeline.held[SHARE])[place]

        pipeline.send({SHARE: {late: (90, 95.5, 85, 91.25, 3)}})
        pipeline.build([SHARE])

        after = pipeline.rows(SHARE)
        assert after[:place] == before[:place]
        assert {row["id"] for row in after[place:]}.isdisjoint(row["id"] for row in before)
        pipeline.check(SHARE, after)
        _, steps = pipeline.run(SHARE)
        assert any(step["step_name"].startswith("rebuild") for step in steps)

    def test_are_counted_when_their_coverage_is_asked_for(self, pipeline, product):
        status, run = product.request("POST", f"{MARKET}feature-coverage/refresh/", b"")
        assert status == 202, run

        def is_over():
            product.wake(REFRESH)
            _, found = product.get(f"/api/v1/executions/executions/{run['execution_id']}/")
            return found["status"] == "COMPLETED"

        wait_for(is_over, 60, product.said)

        status, found = product.get(f"{MARKET}feature-coverage/{quote(SHARE)}/")
        rows = pipeline.rows(SHARE)
        known = [row["rsi_1d"] for row in rows if row["rsi_1d"] is not None]
        assert (status, found["total_records"], found["latest_version"]) == (200, HOURS, VERSION)
        assert found["rsi_coverage"] == pytest.approx(len(known) / HOURS, abs=1e-9)
        assert found["latest_rsi"] == known[-1]


class TestKilledBuild:
    @pytest.fixture
    def held_up(self, harried_product):
        """Have the build wait at the features of one symbol in the middle of a transaction."""
        with harried_product.database() as database:
            database.execute(
                """
                CREATE FUNCTION held_up() RETURNS trigger LANGUAGE plpgsql AS
                    $$ BEGIN PERFORM pg_advisory_xact_lock_shared(7200, 0); RETURN NEW; END $$;
                CREATE TRIGGER held_up BEFORE INSERT ON feature_engineered_data
                    FOR EACH ROW WHEN (NEW.symbol = 'K0010') EXECUTE FUNCTION held_up();
                SELECT pg_advisory_lock(7200, 0);
                """
            )
            yield database
            database.execute("SELECT pg_advisory_unlock_all(); DROP FUNCTION held_up CASCADE")

    def test_leaves_one_vector_of_each_candle(self, harried_product, held_up):
        product = keyed(harried_product)
        pipeline = Pipeline(product)
        first = last_hour() - (MANY_HOURS - 1) * HOUR
        symbols = [f"K{number:04}" for number in range(MANY)]
        pipeline.send({symbol: walk(symbol, first, MANY_HOURS) for symbol in symbols})

        def is_held():
            product.wake(BUILD)
            waiting = "SELECT 1 FROM pg_locks WHERE classid = 7200 AND NOT granted"
            return held_up.execute(waiting).fetchone() is not None

        wait_for(is_held, 60, product.said)
        assert not pipeline.is_built(symbols[10])
        before = product.pool()
        for pid in before:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        held_up.execute("SELECT pg_advisory_unlock(7200, 0)")
        wait_for(lambda: set(product.pool()) - set(before), 60, product.said)

        def is_whole():
            for task in (WATCH, BUILD):
                product.wake(task)
            return unlike(held_up) == 0

        wait_for(is_whole, 60 + MANY // 2, lambda: product.said()[-3000:])
        pipeline.build(symbols[::10])
        for symbol in (symbols[0], symbols[10], symbols[-1]):
            pipeline.check(symbol, pipeline.rows(symbol))
        run, steps = pipeline.run(symbols[10])
        assert (run["status"], max(step["attempt"] for step in steps)) == ("COMPLETED", 2)
        counted = "SELECT count(*) FROM feature_engineered_data WHERE symbol ~ '^K[0-9]+$'"
        assert held_up.execute(counted).fetchone() == (MANY * MANY_HOURS,)


def unlike(database):
    """Return how many candles have not exactly one vector, and vectors not exactly one candle."""
    query = """
        SELECT count(*) FROM (
            SELECT symbol, timestamp FROM candles WHERE symbol ~ '^K[0-9]+$'
        ) c FULL JOIN (
            SELECT symbol, timestamp, count(*) FROM feature_engineered_data
            WHERE symbol ~ '^K[0-9]+$' GROUP BY symbol, timestamp
        ) v USING (symbol, timestamp)
        WHERE v.count IS DISTINCT FROM 1 OR c.symbol IS NULL
    """
    return database.execute(query).fetchone()[0]


class TestReportedFeatures:
    def test_of_an_own_version_are_answered_as_they_were_sent(self, product):
        version = {"version": "7.1", "description": "Ours", "columns": ["close", "rsi_1d"]}
        path = f"{MARKET}feature-versions/7.1/"
        status, answer = product.request("PUT", path, json.dumps(version).encode())
        assert status == 201, answer
        head = b"symbol,source,granularity,feature_version,timestamp,close,rsi_1d\n"
        rows = b"".join(
            b"OWN,pipeline,1d,7.1,2026-03-0%dT00:00:00Z,10%d.5,%s\n" % (n, n, b"55.25" * (n > 1))
            for n in (1, 2, 3)
        )

        status, answer = product.request("POST", f"{MARKET}features/", head + rows, kind=CSV)
        computed_here = rows.replace(b"7.1", b"3.1")
        refused, why = product.request("POST", f"{MARKET}features/", head + computed_here, kind=CSV)

        assert (status, answer["created"]) == (201, 3), answer
        assert (refused, why["results"][0]["errors"][0]["code"]) == (400, "computed_here")
        path = f"{MARKET}features/?symbol=OWN&ordering=timestamp&fields=close,rsi_1d,macd"
        assert [tuple(row.values()) for row in product.every(path)] == [
            (101.5, None, None),
            (102.5, 55.25, None),
            (103.5, 55.25, None),
        ]
        _, latest = product.get(f"{MARKET}features/latest/?symbol=OWN&fields=close")
        assert latest == {"close": 103.5}


class TestHealth:
    @pytest.fixture
    def admin(self, product):
        """Return a function that asks for a page as the administrator, or posts to it."""
        jar = http.cookiejar.CookieJar()
        opener = build_opener(HTTPCookieProcessor(jar))

        def ask(path, **posted):
            body = None
            if posted:
                token = next(cookie.value for cookie in jar if "csrf" in cookie.name)
                body = urlencode(posted | {"csrfmiddlewaretoken": token}).encode()
            with opener.open(product.address + path, body, timeout=60) as answer:
                return answer.read().decode()

        name, password = re.search(r"Log in as (\S+) with (\S+)", product.said()).groups()
        ask("/admin/login/")
        ask("/admin/login/", username=name, password=password, next="/admin/")
        return ask

    def test_shows_a_gap_when_it_is_checked_by_hand(self, product, admin):
        midnight = last_hour().replace(hour=0) - 2 * DAY
        rows = walk("gap", midnight, 48)
        missing = [midnight + number * HOUR for number in (10, 11, 12)]
        for moment in missing:
            del rows[moment]
        Pipeline(product).send({"GAPPY": rows})
        _, page = product.get(f"{MARKET}candle-series/?symbol=GAPPY")

        admin(f"/admin/market/candleseries/{page['results'][0]['id']}/check/", go="1")

        _, page = product.get(f"{MARKET}candle-defects/?symbol=GAPPY&kind=gap")
        (gap,) = page["results"]
        assert gap["candles"] == 3
        assert datetime.fromisoformat(gap["start"]) == missing[0]
        assert datetime.fromisoformat(gap["end"]) == missing[-1] + HOUR
        shown = admin("/admin/market/candleseries/health/?symbol=GAPPY")
        assert f'title="{midnight:%Y-%m-%d}: 21 of 24 candles' in shown
        assert f'title="{midnight + DAY:%Y-%m-%d}: 24 of 24 candles' in shown


class TestCache:
    def test_throws_away_no_more_than_what_a_word_says(self, product):
        keys = ["e2e 5% off", "e2e_5", "e2ex5"]
        same = {"data_type": "e2e", "api_source": "e2e", "response_data": "1"}
        for key in keys:
            path = f"{MARKET}api-cache/{quote(key)}/"
            row = json.dumps({"cache_key": key, **same}).encode()
            status, answer = product.request("PUT", path, row)
            assert status == 201, answer

        def found(pattern, **more):
            asked = {"kind": "pattern", "pattern": pattern, **more}
            status, answer = product.post(f"{MARKET}api-cache/invalidate/", asked)
            assert status in (200, 201), answer
            return answer["entries_affected"], answer.get("first_keys")

        assert found("%", preview=True) == (1, [keys[0]])
        assert found("2e_5", preview=True) == (1, [keys[1]])
        assert found("%")[0] == 1
        left = product.every(f"{MARKET}api-cache/?data_type=e2e")
        assert sorted(row["cache_key"] for row in left) == sorted(keys[1:])
