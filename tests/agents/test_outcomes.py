"""What the outcome of a decision is at birth, and what it says of itself."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from apps.agents.choices import Action
from apps.agents.domain import outcomes as rules
from apps.shared.quant import outcomes

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
FIVE = timedelta(minutes=5)
HOUR = timedelta(hours=1)
LATER = NOON + timedelta(days=9)


@dataclass(slots=True)
class Decision:
    """A decision as it is stored."""

    id: int = 7
    agent_id: int = 3
    timestamp: datetime = NOON
    action: str = "OPEN_LONG"
    coin: str = "BTC"
    symbol: str = "BTC/USD"
    direction: str = "long"
    status: str = "success"
    confidence: Decimal | None = Decimal("0.8")
    entry_price: Decimal | None = Decimal(100)
    stop_loss_price: Decimal | None = Decimal(95)
    take_profit_price: Decimal | None = Decimal(110)
    prompt_version: str = "v1"


class TestBirth:
    def test_is_open_and_due_at_its_own_moment(self):
        born = rules.birth(Decision())

        assert (born.status, born.note, born.due_at) == ("open", "", NOON)
        assert (born.decision_id, born.agent_id, born.symbol) == (7, 3, "BTC/USD")
        assert (born.entry_price, born.target, born.stop) == (100, 110, 95)
        assert (born.direction, born.confidence, born.prompt_version) == (
            "long",
            Decimal("0.8"),
            "v1",
        )

    @pytest.mark.parametrize(
        ("values", "reason"),
        [
            ({"action": ""}, rules.NO_ACTION),
            ({"action": "BUY"}, rules.NO_ACTION),
            ({"action": "", "coin": "", "symbol": ""}, rules.NO_ACTION),
            ({"coin": "", "symbol": ""}, rules.NO_COIN),
            ({"symbol": ""}, rules.NO_SYMBOL),
        ],
    )
    def test_claims_nothing_where_something_is_not_known(self, values, reason):
        born = rules.birth(Decision(**values))

        assert (born.status, born.note, born.due_at) == ("no_claim", reason, None)

    @pytest.mark.parametrize("action", Action.values)
    @pytest.mark.parametrize("status", ["success", "rejected", "failed", "parsing_error"])
    def test_every_readable_decision_is_judged_whatever_became_of_it(self, action, status):
        born = rules.birth(Decision(action=action, status=status))

        assert born.status == "open"
        assert born.is_accepted is (status == "success")

    @pytest.mark.parametrize("action", ["HOLD", "CLOSE_POSITION"])
    def test_only_openings_have_a_target_and_a_stop(self, action):
        born = rules.birth(Decision(action=action, direction=""))

        assert (born.target, born.stop) == (None, None)

    @pytest.mark.parametrize("price", [None, Decimal(0), Decimal(-1), Decimal(10) ** 20])
    def test_a_price_is_above_zero_and_fits(self, price):
        born = rules.birth(
            Decision(entry_price=price, stop_loss_price=price, take_profit_price=price)
        )

        assert (born.entry_price, born.target, born.stop) == (None, None, None)

    @pytest.mark.parametrize(
        ("told", "kept"),
        [("0", "0"), ("1", "1"), ("1.00000001", None), ("65", None), ("-0.1", None), (None, None)],
    )
    def test_a_confidence_is_a_probability_or_left_out(self, told, kept):
        found = rules.birth(Decision(confidence=told and Decimal(told))).confidence

        assert found == (kept and Decimal(kept))


class TestClaimOf:
    @pytest.mark.parametrize(("direction", "sign"), [("long", 1), ("short", -1), ("", 1)])
    def test_counts_in_its_direction_and_without_one_as_buying(self, direction, sign):
        claim = rules.claim_of(rules.birth(Decision(direction=direction)))

        assert (claim.direction, claim.moment, claim.entry) == (sign, NOON, 100)


def bar(end, close, high=None, low=None):
    close = Decimal(close)
    return outcomes.Bar(end - FIVE, Decimal(high or close), Decimal(low or close), close)


def judged(*bars, now=LATER, **values):
    born = rules.birth(Decision(**values))
    found = outcomes.judge(
        rules.claim_of(born), bars, width=FIVE, hours=rules.HOURS, thresholds={}, now=now
    )
    return rules.standing(found, moment=born.moment, direction=born.direction)


BARS = (
    bar(NOON + HOUR, 101),
    bar(NOON + 4 * HOUR, 98, high=112, low=97),
    bar(NOON + 24 * HOUR, 103),
)


class TestStanding:
    def test_of_a_long(self):
        found = judged(*BARS)

        assert (found.status, found.next_hours, found.due_at) == ("settled", None, None)
        assert (found.price_1h, found.price_4h, found.price_24h) == (101, 98, 103)
        assert (found.change_1h, found.change_4h, found.change_24h) == (1, -2, 3)
        assert (found.max_gain, found.max_loss) == (12, -3)
        assert (found.first_touch, found.first_touch_at) == ("target", NOON + 4 * HOUR - FIVE)
        assert (found.is_hit, found.note) == (True, "")

    def test_of_a_short_is_the_mirror(self):
        found = judged(*BARS, direction="short", action="OPEN_SHORT")

        assert (found.change_1h, found.change_4h, found.change_24h) == (-1, 2, -3)
        assert (found.max_gain, found.max_loss) == (3, -12)
        assert found.is_hit is False

    def test_of_a_hold_is_that_of_buying_and_has_no_verdict(self):
        found = judged(*BARS, direction="", action="HOLD")

        assert (found.change_24h, found.is_hit, found.first_touch) == (3, None, "")
        assert found.status == "settled"

    @pytest.mark.parametrize(("end", "hit"), [("100", False), ("100.00000001", True)])
    def test_what_did_not_move_is_no_hit(self, end, hit):
        assert judged(bar(NOON + 24 * HOUR, end)).is_hit is hit

    def test_waits_for_its_next_checkpoint(self):
        found = judged(*BARS, now=NOON + 3 * HOUR)

        assert (found.status, found.next_hours, found.due_at) == ("open", 4, NOON + 4 * HOUR)
        assert (found.change_1h, found.change_4h) == (1, None)
        assert (found.max_gain, found.first_touch, found.is_hit, found.note) == (None, "", None, "")

    def test_says_which_prices_are_missing(self):
        found = judged(bar(NOON + 24 * HOUR, 103))

        assert found.note == f"{rules.no_price(1)} {rules.no_price(4)}"
        assert (found.change_1h, found.change_24h, found.is_hit) == (None, 3, True)

    def test_without_an_entry_is_undecided(self):
        found = judged(*BARS, entry_price=None)

        assert (found.entry_price, found.is_hit, found.max_gain) == (None, None, None)
        assert found.note == rules.NO_ENTRY
        assert found.first_touch == "target"

    def test_says_that_the_window_is_empty(self):
        found = judged(bar(NOON + 30 * HOUR, 103))

        assert found.note == " ".join([*map(rules.no_price, rules.HOURS), rules.EMPTY_WINDOW])

    def test_says_that_a_change_is_too_large(self):
        found = judged(*BARS, entry_price=Decimal("1e-18"))

        assert (found.note, found.is_hit) == (rules.TOO_LARGE, None)


class TestSelling:
    def test_is_the_exact_negative(self):
        assert rules.selling(Decimal("-99999999999.12345678")) == Decimal("99999999999.12345678")
        assert str(rules.selling(Decimal(0))) == "0"
        assert rules.selling(None) is None
