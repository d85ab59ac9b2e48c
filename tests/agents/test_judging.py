"""What became of each decision, judged by the hundred."""

import os
import random
import threading
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.agents.choices import Action
from apps.agents.domain import outcomes as rules
from apps.agents.models import AgentDecision, DecisionOutcome
from apps.agents.services.judging import insert_outcomes, judge_decisions
from apps.market.choices import Granularity
from apps.market.models import Instrument
from apps.shared.quant import outcomes
from tests.agents.judged import DAY, decided, decided_all, decision, hours_later, outcome_of
from tests.alerts.rows import FIVE, HOUR, LATER, NOON, bars_of, candle, closing_at, store
from tests.factories import make_agent


def prices(*closes, **values):
    """Store the price at noon and 1, 4 and 24 hours later; None leaves a hole."""
    pairs = zip([0, *rules.HOURS], closes, strict=True)
    store(*(closing_at(hours_later(h), close, **values) for h, close in pairs if close is not None))


# --- Birth --------------------------------------------------------------------------------


@pytest.mark.django_db
class TestInsertOutcomes:
    def test_equals_the_pure_birth_of_each(self):
        chance, agent = random.Random(3), make_agent()
        edges = [None, "0", "0.5", "1", "1.00000001", "65", "-1"]
        rows = decided_all(
            [
                decision(
                    agent,
                    action=chance.choice(["", *Action.values]),
                    coin=chance.choice(["BTC", "BTC", ""]),
                    symbol=chance.choice(["BTC/USD", "BTC/USD", ""]),
                    direction=chance.choice(["", "long", "short"]),
                    status=chance.choice(["rejected", "failed", "parsing_error"]),
                    confidence=chance.choice(edges),
                    entry_price=chance.choice([None, "0.5", "12345678901234567890.123456789"]),
                    stop_loss_price=chance.choice(edges),
                    take_profit_price=chance.choice(edges),
                    prompt_version=chance.choice(["", "v1"]),
                )
                for _ in range(200)
            ]
        )

        names = rules.Birth._fields
        stored = {row["decision_id"]: row for row in DecisionOutcome.objects.values(*names)}
        assert stored == {row.pk: rules.birth(row)._asdict() for row in rows}

    def test_knows_what_was_accepted(self):
        found = decided(status="success", confidence="0.7")

        assert outcome_of(found).is_accepted is True

    def test_begins_with_everything_else_empty(self):
        found = outcome_of(decided())

        assert (found.source, found.granularity, found.first_touch) == ("", "", "")
        assert (found.next_hours, found.settled_at, found.is_hit) == (None, None, None)

    def test_twice_is_once(self):
        found = decided()
        judge = outcome_of(found)

        assert insert_outcomes([found.pk]) == 0
        assert outcome_of(found).pk == judge.pk

    def test_of_many_is_one_statement_and_of_none_nothing(self):
        agent = make_agent()
        rows = AgentDecision.objects.bulk_create([decision(agent) for _ in range(20)])

        with CaptureQueriesContext(connection) as queries:
            assert insert_outcomes([each.pk for each in rows]) == 20
        assert len(queries) == 1
        assert insert_outcomes([]) == 0


# --- Judging ------------------------------------------------------------------------------


@pytest.mark.django_db
class TestJudgeDecisions:
    @pytest.mark.parametrize(
        ("action", "direction", "changes", "hit"),
        [
            ("OPEN_LONG", "long", (1, -2, 3), True),
            ("OPEN_SHORT", "short", (-1, 2, -3), False),
            ("CLOSE_POSITION", "short", (-1, 2, -3), False),
            ("CLOSE_POSITION", "long", (1, -2, 3), True),
            ("CLOSE_POSITION", "", (1, -2, 3), None),
            ("HOLD", "", (1, -2, 3), None),
        ],
    )
    def test_judges_in_the_direction_taken(self, action, direction, changes, hit):
        found = decided(action=action, direction=direction)
        prices(100, 101, 98, 103)

        assert judge_decisions(now=LATER) == 1

        row = outcome_of(found)
        assert (row.status, row.is_hit, row.note) == ("settled", hit, "")
        assert (row.change_1h, row.change_4h, row.change_24h) == changes
        assert (row.entry_price, row.price_1h, row.price_4h, row.price_24h) == (100, 101, 98, 103)
        assert (row.source, row.granularity, row.settled_at) == ("test", "5m", LATER)
        assert (row.next_hours, row.due_at) == (None, None)

    def test_the_entry_it_told_counts(self):
        found = decided(entry_price="50")
        prices(100, 101, 98, 103)

        judge_decisions(now=LATER)

        assert (outcome_of(found).entry_price, outcome_of(found).change_24h) == (50, 106)

    def test_goes_from_checkpoint_to_checkpoint(self):
        found = decided(stop_loss_price="99", take_profit_price="120")
        prices(100, 101, 98, 103)

        def seen():
            row = outcome_of(found)
            return row.status, row.next_hours, row.change_1h, row.change_4h, row.first_touch

        assert judge_decisions(now=NOON - FIVE) == 0
        assert seen() == ("open", None, None, None, "")
        judge_decisions(now=NOON)
        assert seen() == ("open", 1, None, None, "")
        judge_decisions(now=hours_later(1))
        assert seen() == ("open", 4, 1, None, "")
        assert outcome_of(found).due_at == hours_later(4)
        judge_decisions(now=hours_later(23.9))
        assert seen() == ("open", 24, 1, -2, "")
        assert judge_decisions(now=hours_later(24)) == 1
        assert seen() == ("settled", None, 1, -2, "stop")

    def test_measures_the_way_there(self):
        long = decided()
        short = decided(action="OPEN_SHORT")
        hold = decided(action="HOLD")
        prices(100, 100, 100, 101)
        store(candle(hours_later(5), 100, high=112, low=93))
        store(candle(hours_later(24), 100, high=500, low=1))
        store(candle(hours_later(-1), 100, high=500, low=1))

        judge_decisions(now=LATER)

        seen = [outcome_of(each) for each in (long, short, hold)]
        assert [(row.max_gain, row.max_loss) for row in seen] == [(12, -7), (7, -12), (12, -7)]

    @pytest.mark.parametrize(
        ("moves", "touch", "at"),
        [
            ([(111, 99), (101, 94)], "target", 0),
            ([(109, 94), (111, 99)], "stop", 0),
            ([(109, 96), (110, 95)], "ambiguous", 1),
            ([(109, 96), (109, 96)], "none", None),
        ],
    )
    @pytest.mark.parametrize("action", ["OPEN_LONG", "OPEN_SHORT"])
    def test_tells_which_of_target_and_stop_came_first(self, action, moves, touch, at):
        target, stop = 110, 95
        if action == "OPEN_SHORT":
            moves = [(200 - low, 200 - high) for high, low in moves]
            target, stop = 90, 105
        found = decided(action=action, take_profit_price=target, stop_loss_price=stop)
        prices(100, 100, 100, 100)
        store(
            *(
                candle(hours_later(5 + index), 100, high=high, low=low)
                for index, (high, low) in enumerate(moves)
            )
        )

        judge_decisions(now=LATER)

        row = outcome_of(found)
        assert (row.first_touch, row.first_touch_at) == (
            touch,
            None if at is None else hours_later(5 + at),
        )

    @pytest.mark.parametrize(
        ("closes", "note"),
        [
            ((100, None, 98, 103), rules.no_price(1)),
            ((100, 101, None, 103), rules.no_price(4)),
            ((100, 101, 98, None), rules.no_price(24)),
            ((100, None, None, 103), f"{rules.no_price(1)} {rules.no_price(4)}"),
            ((None, 101, 98, 103), rules.NO_ENTRY),
        ],
    )
    def test_goes_on_over_a_hole_and_names_it(self, closes, note):
        found = decided()
        prices(*closes)
        store(closing_at(NOON + 2 * DAY, 100))

        assert judge_decisions(now=LATER) == 1

        row = outcome_of(found)
        assert (row.status, row.note) == ("settled", note)
        assert row.is_hit is (None if None in (closes[0], closes[3]) else True)

    def test_a_change_too_large_to_keep_is_undecided(self):
        found = decided()
        prices("1e-18", 10**10, 10**10, 10**10)

        judge_decisions(now=LATER)

        row = outcome_of(found)
        assert (row.is_hit, row.change_24h, row.note) == (None, None, rules.TOO_LARGE)

    def test_waits_while_candles_may_still_come(self):
        found = decided()
        prices(100, 101, None, None)

        assert judge_decisions(now=LATER) == 0
        assert (outcome_of(found).next_hours, outcome_of(found).change_1h) == (4, 1)
        store(closing_at(hours_later(4), 98), closing_at(hours_later(24), 103))
        assert judge_decisions(now=LATER) == 1
        assert outcome_of(found).change_4h == -2

    def test_takes_candles_that_are_filled_in_while_it_waits(self):
        found = decided()
        prices(100, None, None, None)
        judge_decisions(now=LATER)
        store(*(closing_at(hours_later(h), 100 + h) for h in range(1, 25)))

        assert judge_decisions(now=LATER) == 1
        assert outcome_of(found).change_1h == 1

    def test_waits_without_any_candle(self):
        found = decided(symbol="NOTHING")

        assert judge_decisions(now=LATER) == 0
        assert (outcome_of(found).status, outcome_of(found).source) == ("open", "")

    def test_leaves_alone_what_claims_nothing(self):
        found = decided(action="")
        prices(100, 101, 98, 103)

        assert judge_decisions(now=LATER) == 0
        assert (outcome_of(found).status, outcome_of(found).note) == ("no_claim", rules.NO_ACTION)

    def test_a_judgement_is_final(self):
        found = decided()
        prices(100, 101, 98, 103)
        judge_decisions(now=LATER)
        store(candle(hours_later(5), 100, high=500))

        assert judge_decisions(now=LATER + HOUR) == 0
        assert outcome_of(found).max_gain == 3

    def test_does_not_touch_rows_that_cannot_have_moved(self):
        decided(symbol="NOTHING")
        decided()
        prices(100, 101, None, None)
        judge_decisions(now=hours_later(3))
        before = list(DecisionOutcome.objects.order_by("id").values_list("updated_at", flat=True))

        judge_decisions(now=hours_later(8))

        after = DecisionOutcome.objects.order_by("id").values_list("updated_at", flat=True)
        assert list(after) == before

    def test_a_series_stays_once_it_is_chosen(self):
        found = decided()
        store(closing_at(NOON, 100, source="b"))
        judge_decisions(now=NOON)
        prices(1, 1, 1, 1, source="a")
        store(*(closing_at(hours_later(h), 100 + h, source="b") for h in rules.HOURS))

        judge_decisions(now=LATER)

        assert (outcome_of(found).source, outcome_of(found).price_24h) == ("b", 124)

    def test_the_primary_source_comes_first(self):
        Instrument.objects.create(symbol="BTC/USD", primary_source="slow")
        prices(100, 101, 101, 101, source="fast")
        prices(100, 99, 99, 99, source="slow", granularity="1h")
        found = decided()

        judge_decisions(now=LATER)

        assert (outcome_of(found).source, outcome_of(found).granularity) == ("slow", "1h")
        assert outcome_of(found).is_hit is False

    def test_goes_over_many_in_batches(self, monkeypatch):
        monkeypatch.setattr("apps.market.services.outcomes.BATCH", 3)
        agent = make_agent()
        decided_all([decision(agent) for _ in range(10)])
        prices(100, 101, 98, 103)

        assert judge_decisions(now=LATER) == 10

    def test_costs_the_same_queries_for_one_and_for_many(self):
        agent = make_agent()
        prices(100, 101, 98, 103)
        decided(agent)
        with CaptureQueriesContext(connection) as for_one:
            judge_decisions(now=LATER)
        decided_all([decision(agent) for _ in range(50)])
        with CaptureQueriesContext(connection) as for_many:
            assert judge_decisions(now=LATER) == 50

        assert len(for_many) == len(for_one)


# --- Against the pure rules ---------------------------------------------------------------


def noisy_candles(seed, granularity="5m", hours=92):
    """Candles of a random walk with holes, from midnight two and a half days before on."""
    chance, width = random.Random(seed), Granularity(granularity).width
    price, candles = 100.0, []
    start = NOON - 2.5 * DAY
    for index in range((hours * HOUR + 2 * DAY) // width):
        price *= 1 + chance.gauss(0, 0.004)
        if chance.random() < 0.05 or 300 < index % 400 < 330:
            continue
        spread = abs(chance.gauss(0, 0.003))
        close, high, low = (
            Decimal(f"{price * factor:.6f}") for factor in (1, 1 + spread, 1 - spread)
        )
        moment = start + index * width
        candles.append(candle(moment, close, high=high, low=low, granularity=granularity))
    return candles


def random_decisions(agent, seed, number):
    chance = random.Random(seed)

    def near(entry, share):
        return None if chance.random() < share else f"{entry * chance.uniform(0.95, 1.05):.6f}"

    return [
        decision(
            agent,
            timestamp=NOON + timedelta(seconds=chance.randrange(-7200, 86400 * 3)),
            action=(action := chance.choice(Action.values)),
            direction={"OPEN_LONG": "long", "OPEN_SHORT": "short"}.get(
                action, "" if action == "HOLD" else chance.choice(["long", "short", ""])
            ),
            entry_price=near(100, 0.7),
            stop_loss_price=near(100, 0.3),
            take_profit_price=near(100, 0.3),
        )
        for _ in range(number)
    ]


def pure(found, candles, granularity, now):
    """Judge a stored decision by the pure rules; return what its outcome should hold."""
    born = rules.birth(found)
    width = Granularity(granularity).width
    judged = outcomes.judge(
        rules.claim_of(born),
        bars_of(candles),
        width=width,
        hours=rules.HOURS,
        thresholds={},
        now=now,
    )
    return rules.standing(judged, moment=born.moment, direction=born.direction)._asdict()


@pytest.mark.django_db
class TestAgainstThePureRules:
    @pytest.mark.parametrize("granularity", ["5m", "15m", "1h", "1d"])
    @pytest.mark.parametrize("hours", [20, 60, 400])
    def test_random_decisions_are_judged_the_same(self, granularity, hours):
        candles, now = noisy_candles(hours, granularity), hours_later(hours)
        store(*candles)
        decided_all(random_decisions(make_agent(), hours, 150))

        judge_decisions(now=now)

        placed = DecisionOutcome.objects.exclude(source="").select_related("decision")
        assert len(placed) > 20
        for row in placed:
            expected = pure(row.decision, candles, granularity, now)
            assert {name: getattr(row, name) for name in expected} == expected
        if (granularity, hours) == ("5m", 400):
            notes = " ".join({row.note for row in placed})
            assert all(each in notes for each in map(rules.no_price, rules.HOURS))
            assert {row.first_touch for row in placed} >= {"", "target", "stop", "none"}

    @pytest.mark.parametrize("granularity", ["5m", "1h", "1d"])
    @pytest.mark.parametrize("seed", range(2))
    def test_a_worker_that_comes_late_says_the_same(self, seed, granularity):
        width = Granularity(granularity).width
        rows, final = random_decisions(make_agent(), seed, 60), hours_later(400)
        decided_all(rows)
        waiting = noisy_candles(seed, granularity)
        for hours in sorted(random.Random(seed).uniform(-2, 100) for _ in range(25)):
            now = hours_later(hours)
            store(*(each for each in waiting if each.timestamp + width <= now))
            waiting = [each for each in waiting if each.timestamp + width > now]
            judge_decisions(now=now)
        store(*waiting)
        judge_decisions(now=final)
        in_time = self.everything()

        DecisionOutcome.objects.all().delete()
        insert_outcomes([each.pk for each in rows])
        judge_decisions(now=final)

        assert in_time == self.everything()

    def everything(self):
        noise = {"id", "created_at", "updated_at", "settled_at"}
        rows = DecisionOutcome.objects.order_by("decision_id").values()
        return [{k: v for k, v in row.items() if k not in noise} for row in rows]


# --- Many, and several at once ------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
class TestTwoWorkersAtOnce:
    def test_share_the_work_and_double_nothing(self):
        agent = make_agent()
        decided_all([decision(agent) for _ in range(300)])
        prices(100, 101, 98, 103)
        failures, settled, start = [], [], threading.Barrier(4)

        def work():
            try:
                start.wait()
                settled.extend(judge_decisions(now=LATER) for _ in range(3))
            except Exception as error:  # noqa: BLE001 - carried over to the test's own thread
                failures.append(error)
            finally:
                connection.close()

        workers = [threading.Thread(target=work) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        settled.append(judge_decisions(now=LATER))

        assert failures == []
        assert sum(settled) == 300
        assert DecisionOutcome.objects.filter(status="settled", is_hit=True).count() == 300


@pytest.mark.django_db
def test_many_are_judged_in_one_go():
    agent, number = make_agent(), int(os.environ.get("AGENTS_JUDGED", "1000"))
    actions = Action.values
    step = timedelta(days=5) / number
    store(*(closing_at(NOON + index * FIVE, 100 + index % 7) for index in range(2000)))
    decided_all(
        [
            decision(agent, timestamp=NOON + index * step, action=actions[index % 4])
            for index in range(number)
        ]
    )

    with CaptureQueriesContext(connection) as queries:
        assert judge_decisions(now=LATER) == number

    # One statement and its savepoint for placing them, and the same for judging them.
    assert len(queries) == 6
