"""The pieces into which time is cut for figures that are kept."""

from datetime import UTC, datetime, timedelta

from apps.shared.quant.periods import quarter_of

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


class TestQuartersOfAnHour:
    def test_begin_at_the_same_moments_everywhere(self):
        for minutes in (0, 1, 14):
            assert quarter_of(NOON + timedelta(minutes=minutes, seconds=30)) == NOON
        assert quarter_of(NOON + timedelta(minutes=15)) == NOON + timedelta(minutes=15)
