"""What the rest of the product does after rows have left, as it was found in use."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from django.test import Client

from apps.agents.models import AgentPerformance
from apps.agents.services.performance import snapshot_agents
from apps.alerts.models import Alert, AlertPerformance
from apps.analysis.models import ModelOutcome, Prediction
from apps.executions.models import Execution
from apps.market.models import Instrument
from apps.retention.models import RetentionPolicy
from apps.retention.services import stepping
from apps.retention.services.policies import change_policy, ensure_policies
from apps.retention.services.runs import plan_retention
from config import demo
from tests.factories import make_agent, make_agent_performance, make_alert, make_key

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 6, 17, 15, tzinfo=UTC)
DAY, QUARTER = timedelta(days=1), timedelta(minutes=15)
TAPE = demo.Tape("T", "Test", "package", "path", datetime(2026, 1, 5, tzinfo=UTC))


@pytest.fixture(autouse=True)
def room(tmp_path, settings):
    settings.ARCHIVE_ROOT = tmp_path / "archives"
    settings.ARCHIVE_RESERVE = 0


def leave(dataset, now, **changes):
    """Have everything of a dataset leave that may by then; return how many rows left."""
    ensure_policies(now=now)
    policy = RetentionPolicy.objects.get(dataset=dataset)
    if changes:
        change_policy(policy=policy, changes=changes, by="ada", now=now)
    plan_retention(dataset=dataset, by="ada", now=now)
    stepping.work(clock=lambda: now, joined=lambda: None)
    policy.refresh_from_db()
    assert policy.last_error == ""
    return policy.last_rows


@pytest.fixture
def short_tape(monkeypatch):
    """Some months of one share, and only what the demo says of it."""

    def text(tape):
        days = (TAPE.present - timedelta(days=offset) for offset in range(80, -30, -1))
        lines = [f"{day:%Y-%m-%d},100,110,90,{100 + day.day % 7 + day.day % 5},5" for day in days]
        return "\n".join(["Date,Open,High,Low,Close,Volume", *lines])

    monkeypatch.setattr(demo, "TAPES", [TAPE])
    monkeypatch.setattr(demo, "read", text)
    Instrument.objects.create(symbol="T", source=demo.SOURCE, created_at=NOW)


def demo_rows():
    return {
        "alerts": Alert.objects.count(),
        "predictions": Prediction.objects.count(),
        "executions": Execution.objects.filter(triggered_by="demo").count(),
    }


class TestDemo:
    @pytest.mark.parametrize("archive", [True, False])
    def test_does_not_tell_again_what_has_left(self, short_tape, archive):
        with time_machine.travel(NOW, tick=False) as clock:
            demo.load()
            told = demo_rows()
            assert all(told.values())
            clock.shift(4 * DAY)
            # Judged by hand, for what waits to be judged stays.
            ModelOutcome.objects.filter(status="open").update(
                status="settled", settled_at=NOW, due_at=None
            )
            later = NOW + 4 * DAY
            for dataset in told:
                assert leave(dataset, later + 3650 * DAY, archive=archive), dataset
            left = demo_rows()
            assert all(left[name] < told[name] for name in told)

            demo.load()

        assert demo_rows()["executions"] == left["executions"] == 0
        # Of the days since, not of those before.
        assert not Alert.objects.filter(created_at__gte=later, timestamp__lte=NOW - DAY).exists()
        assert Prediction.objects.filter(timestamp__lte=NOW - DAY).count() == left["predictions"]

    def test_goes_on_with_what_has_become_known_since(self, short_tape):
        with time_machine.travel(NOW, tick=False) as clock:
            demo.load()
            ModelOutcome.objects.filter(status="open").update(
                status="settled", settled_at=NOW, due_at=None
            )
            leave("predictions", NOW + 3650 * DAY)
            before = set(Prediction.objects.values_list("prediction_id", flat=True))
            clock.shift(7 * DAY)

            demo.load()

        new = Prediction.objects.exclude(prediction_id__in=before)
        assert new.exists()
        assert min(new.values_list("timestamp", flat=True)) > NOW - DAY


class TestAlerts:
    @pytest.mark.parametrize("page", ["alerts", "performance"])
    def test_one_whose_id_has_a_slash_is_found_until_it_has_left(self, page):
        alert = make_alert(alert_id="demo-EUR/USD-1", timestamp=NOW - 1000 * DAY)
        api = Client(headers={"Authorization": f"Bearer {make_key().text}"})
        address = f"/api/v1/alerts/{page}/{alert.alert_id}/"
        assert api.get(address).json()["alert_id"] == alert.alert_id
        AlertPerformance.objects.filter(alert=alert).update(status="settled", settled_at=NOW)

        leave("alerts", NOW)

        assert api.get(address).json()["code"] == "not_found"


class TestAccountsOfAgents:
    def test_their_peak_stays_where_the_newest_snapshot_is_made_again(self):
        agent = make_agent()
        peak = Decimal(10_450)
        make_agent_performance(agent=agent, snapshot_time=NOW - 400 * DAY, peak_value=peak)
        make_agent_performance(agent=agent, snapshot_time=NOW - 300 * DAY, peak_value=peak)
        snapshot_agents(now=NOW)
        before = AgentPerformance.objects.filter(agent=agent).latest("snapshot_time")
        assert before.max_drawdown > 0

        assert leave("agent_performance", NOW) == 1
        snapshot_agents(now=NOW + QUARTER / 3)

        after = AgentPerformance.objects.filter(agent=agent).latest("snapshot_time")
        assert after.snapshot_time == before.snapshot_time
        assert (after.peak_value, after.max_drawdown) == (before.peak_value, before.max_drawdown)
