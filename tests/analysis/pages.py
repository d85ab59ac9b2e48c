"""What the tests of the analyses' admin pages share."""

from datetime import timedelta
from decimal import Decimal

from django.contrib.auth.models import Permission, User
from django.test import Client

from apps.analysis.domain.trades import TradeRecord
from apps.analysis.services.analyses import judge_trades
from tests.factories import NOON, make_analysis
from tests.logs.pages import MARKUP, page

__all__ = ["MARKUP", "judged", "page", "staff", "trades"]

DAYS = 40


def staff(*permissions):
    """Return the client of somebody on the staff who may do just that, as ``app.codename``."""
    user = User.objects.create_user("someone", is_staff=True)
    for permission in permissions:
        app, codename = permission.split(".")
        user.user_permissions.add(
            Permission.objects.get(codename=codename, content_type__app_label=app)
        )
    client = Client()
    client.force_login(user)
    return client


def trades(nets=("12.5", "-4", "8", "-20")):
    """Return trades of a day each with these net percents, the first entered at noon."""
    return [
        TradeRecord(
            trade_number=number,
            direction=1 if number % 2 else -1,
            entry_time=NOON + timedelta(days=number),
            exit_time=NOON + timedelta(days=number, hours=5),
            entry_price=Decimal("0.0006123"),
            exit_price=Decimal("0.0006500"),
            stop_price=Decimal("0.0005"),
            target_price=Decimal("0.0007"),
            leverage=Decimal("4.5"),
            exit_reason="target" if Decimal(net) > 0 else "stop",
            gross_pct=Decimal(net) + 1,
            fees_pct=Decimal(1),
            net_pct=Decimal(net),
        )
        for number, net in enumerate(nets, start=1)
    ]


def judged(*, nets=("12.5", "-4", "8", "-20"), stake="0.25", **values):
    """Make an analysis whose figures are computed from trades, file and all."""
    analysis = make_analysis(parameters={"strategy": {"stake": stake}}, **values)
    judge_trades(
        analysis=analysis,
        trades=trades(nets),
        stake=Decimal(stake),
        start=NOON,
        end=NOON + timedelta(days=DAYS),
        periods_per_year=365,
        now=NOON,
    )
    return analysis
