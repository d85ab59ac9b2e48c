"""Lives of trades in any order, held against a book-keeper who only looks at what was told."""

import os
import random
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction

import pytest

from apps.agents.models import AgentTrade
from apps.agents.services import trades
from apps.agents.services.accounts import accounts_of
from apps.agents.services.marks import mark_trades
from apps.shared.errors import DomainError
from tests.agents.trading import MINUTE, NOON, Told, priced, told
from tests.factories import make_agent

pytestmark = pytest.mark.django_db

LIVES = int(os.environ.get("AGENTS_LIVES", "10"))
STEPS = 12
HALF = Fraction(1, 2 * 10**18)


@dataclass
class Known:
    """What the book-keeper knows of a trade."""

    row: Told
    status: str = "open"
    entry: Decimal | None = None
    exit: Decimal | None = None
    fees: Decimal | None = None
    told: list[trades.CloseReport] = field(default_factory=list)

    @property
    def net(self):
        if self.status not in ("closed", "liquidated") or self.exit is None:
            return None
        return self.at(self.exit)

    def at(self, price):
        sign = 1 if self.row.side == "long" else -1
        gross = (Fraction(price) - Fraction(self.entry)) * Fraction(self.row.size) * sign
        return gross - Fraction(self.fees or 0)

    def close(self, report):
        """Close or complete; tell whether it was allowed to."""
        if self.status == "cancelled":
            return False
        entry = self.entry if self.entry is not None else report.entry_price
        over = self.status != "open"
        if report.entry_price is not None and report.entry_price != entry:
            return False
        if report.exit_price is not None and entry is None:
            return False
        if over and self.entry is None and report.entry_price and report.exit_price is None:
            # Nothing is completed by half: the entry would be lost in silence.
            return False
        was_liquidated = self.status == "liquidated"
        if over and report.liquidated not in (None, was_liquidated):
            return False
        if self.exit is not None or (over and report.exit_price is None):
            # Nothing moves any more: it is the same, or it is refused.
            return report.exit_price in (None, self.exit)
        if not over:
            self.status = "liquidated" if report.liquidated else "closed"
        self.entry, self.exit = entry, report.exit_price
        return True

    def cancel(self):
        if self.status == "open":
            self.status = "cancelled"
        return self.status == "cancelled"


def amount(draw, least, most):
    return Decimal(draw.randint(least * 10**9, most * 10**9)).scaleb(-9)


def allowed(work):
    try:
        work()
    except DomainError:
        return False
    return True


@pytest.mark.parametrize("seed", range(LIVES))
def test_a_ledger_is_what_was_told_to_it(seed):
    draw = random.Random(seed)
    agent = make_agent()
    known: list[Known] = []
    price = None
    now = NOON

    for _ in range(STEPS):
        now += MINUTE
        step = draw.choice(["open", "open", "close", "close", "close", "cancel", "price", "again"])
        each = draw.choice(known) if known else None
        if step == "price":
            price = amount(draw, 1, 200)
            priced(price, at=now)
        elif step == "open" or each is None:
            row = told(
                agent,
                side=draw.choice(["long", "short"]),
                size=amount(draw, 1, 5),
                leverage=draw.choice([None, Decimal(draw.randint(1, 50))]),
                entry_price=draw.choice([None, amount(draw, 1, 200)]),
                entry_fees=draw.choice([None, amount(draw, -1, 1)]),
            )
            assert trades.store_trades([row], now=now).created == 1
            known.append(Known(row=row, entry=row.entry_price, fees=row.entry_fees))
        elif step == "close":
            report = trades.CloseReport(
                exit_price=draw.choice([None, each.exit, amount(draw, 1, 200)]),
                entry_price=draw.choice([None, None, each.entry, amount(draw, 1, 200)]),
                liquidated=draw.choice([None, None, True, False]),
            )
            did = allowed(
                lambda each=each, report=report, now=now: trades.close_trade(
                    trade_id=each.row.id, report=report, now=now
                )
            )
            assert did == each.close(report)
        elif step == "cancel":
            did = allowed(
                lambda each=each, now=now: trades.cancel_trade(
                    trade_id=each.row.id, reason="", now=now
                )
            )
            assert did == each.cancel()
        else:
            assert trades.store_trades([replace(each.row)], now=now).unchanged == 1
        mark_trades(now=now)
        check(agent, known, price, now=now)


def check(agent, known, price, *, now):
    """Hold every row, its mark, and the account against what the book-keeper knows."""
    rows = {str(row.pk): row for row in AgentTrade.objects.filter(agent=agent)}
    assert len(rows) == len(known)
    realized = unrealized = Fraction(0)
    for each in known:
        row = rows[each.row.id]
        assert (row.status, row.entry_price, row.exit_price) == (
            each.status,
            each.entry,
            each.exit,
        )
        assert (row.realized_pnl is None) == (each.net is None)
        if each.net is not None:
            realized += Fraction(row.realized_pnl)
            assert abs(Fraction(row.realized_pnl) - each.net) <= HALF
        standing = None
        if each.status == "open" and price is not None and each.entry is not None:
            standing = each.at(price)
            unrealized += Fraction(row.unrealized_pnl)
            assert abs(Fraction(row.unrealized_pnl) - standing) <= HALF
        assert (row.unrealized_pnl is None) == (standing is None)
    account = accounts_of([agent.pk], now=now)[agent.pk]
    assert Fraction(account.value) == 10_000 + realized + unrealized
    held = [each for each in known if each.status == "open"]
    assert account.open_trades == len(held)
    assert account.held == ({"BTC": held[-1].row.side} if held else {})
    unknown = [each for each in known if each.status in ("closed", "liquidated")]
    assert account.unknown == len([each for each in unknown if each.exit is None])
