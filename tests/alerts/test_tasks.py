"""Ticks of the alerts app."""

import pytest

from apps.alerts import tasks
from tests.alerts.rows import HOUR, NOON, closing_at, performance, raised, store


@pytest.mark.django_db(transaction=True)
def test_a_tick_of_each_settles_an_alert_of_the_past():
    alert = raised()
    store(*(closing_at(NOON + h * HOUR, 100 + h) for h in range(80)))

    assert tasks.track_prices() == 4
    assert tasks.settle_alerts() == 1
    assert performance(alert).is_success is True
    assert (tasks.track_prices(), tasks.settle_alerts()) == (0, 0)
