"""``manage.py retention``: what would leave, and letting it leave without a worker."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from apps.bots.models import Trade
from apps.market.models import CacheInvalidation
from apps.retention.models import Archive, RetentionPolicy
from apps.retention.services.policies import ensure_policies
from apps.retention.services.runs import plan_retention
from tests.factories import make_cache_invalidation, make_trade
from tests.retention.trades import NOW, make_trees

pytestmark = pytest.mark.django_db(transaction=True)
LONG_AGO = timedelta(days=120)


@pytest.fixture(autouse=True)
def root(tmp_path, settings):
    settings.ARCHIVE_ROOT, settings.ARCHIVE_RESERVE = tmp_path / "archives", 0
    ensure_policies(now=NOW)


def retention(*words):
    out = StringIO()
    call_command("retention", *words, stdout=out, stderr=StringIO())
    return out.getvalue()


def old_trees(count):
    return make_trees(count, exit_time=timezone.now() - LONG_AGO)


class TestPreview:
    @pytest.mark.parametrize("words", [[], ["--preview"]])
    def test_shows_a_line_for_each_dataset(self, words):
        old_trees(2)
        make_trade(closed=True, exit_time=timezone.now() - LONG_AGO)

        (line,) = [each for each in retention(*words).splitlines() if " trades " in each]

        cells = [cell.strip() for cell in line.strip("│ ").split("│")]
        assert cells[:7] == ["trades", "on", "90", "3", "2", "8", "live 1"]
        assert Trade.objects.count() == 7

    def test_shows_one_dataset_with_its_reasons(self):
        old_trees(2)
        RetentionPolicy.objects.filter(dataset="trades").update(enabled=False)

        said = retention("--preview", "trades")

        assert "(90 days); the policy is off." in said
        assert "with them, of fills" in said
        assert "stay: it is open" in said

    def test_is_told_as_json(self):
        old_trees(1)

        assert json.loads(retention("--preview", "trades", "--json"))["rows"] == 1
        every = {each["dataset"]: each for each in json.loads(retention("--json"))}
        assert (every["trades"]["rows"], every["alerts"]["policy"]) == (1, "off")

    def test_refuses_a_dataset_that_it_does_not_know(self):
        with pytest.raises(CommandError, match='no dataset called "tea"') as refused:
            retention("--preview", "tea")
        assert refused.value.returncode == 1

    def test_tells_what_is_forbidden_and_shows_the_others(self):
        RetentionPolicy.objects.filter(dataset="trades").update(exemptions=[])

        with pytest.raises(CommandError, match="Live trades are never deleted"):
            retention()


class TestRun:
    def test_does_the_work_of_one_dataset(self):
        old_trees(2)

        said = retention("--run", "trades")

        assert said.startswith("trades: Completed, 10 rows freed.")
        assert not Trade.objects.exists()
        assert Archive.objects.get().rows == 10

    def test_does_the_work_of_every_policy_that_is_on(self):
        old_trees(1)
        make_cache_invalidation(invalidated_at=timezone.now() - LONG_AGO)
        RetentionPolicy.objects.exclude(dataset__in=["trades", "cache_invalidations"]).update(
            enabled=False
        )

        ended = {each["dataset"]: each for each in json.loads(retention("--run", "--json"))}

        assert set(ended) == {"trades", "cache_invalidations"}
        assert ended["trades"]["steps"]["count"]["freed"] == 5
        assert not CacheInvalidation.objects.exists()

    def test_joins_a_run_that_is_under_way(self):
        old_trees(1)
        run = plan_retention(dataset="trades", by="ada", now=timezone.now())

        assert run.pk in retention("--run", "trades")
        assert not Trade.objects.exists()

    def test_says_when_nothing_was_to_leave(self):
        assert "trades: Completed, nothing was to leave." in retention("--run", "trades")

    def test_fails_with_the_reason(self, settings):
        old_trees(1)
        settings.ARCHIVE_RESERVE = 1 << 62

        with pytest.raises(CommandError, match="Not everything came to its end: trades"):
            retention("--run", "trades")
        assert Trade.objects.count() == 3

    def test_refuses_what_is_held_or_forbidden(self):
        policies = RetentionPolicy.objects.filter(dataset="trades")
        policies.update(held_until=timezone.now() + timedelta(days=1))
        with pytest.raises(CommandError, match="rows were restored"):
            retention("--run", "trades")
        policies.update(held_until=None, exemptions=[])
        with pytest.raises(CommandError, match="Live trades are never deleted"):
            retention("--run", "trades")
