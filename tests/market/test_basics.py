"""What the code brings along: versions of features and rules of the cache."""

import pytest

from apps.market.domain.cache import DEFAULT_RULES
from apps.market.domain.features.versions import DEFINITIONS, definition_hash
from apps.market.models import CacheRule, FeatureVersion
from apps.market.services.basics import ensure_basics

pytestmark = pytest.mark.django_db


class TestBasics:
    def test_are_there_after_the_first_time(self):
        assert ensure_basics() == len(DEFAULT_RULES)
        assert set(FeatureVersion.objects.values_list("version", flat=True)) == set(DEFINITIONS)

    def test_are_made_once(self):
        ensure_basics()
        assert ensure_basics() == 0
        assert CacheRule.objects.count() == len(DEFAULT_RULES)

    def test_keep_what_staff_have_changed(self):
        ensure_basics()
        CacheRule.objects.filter(data_type="news").update(ttl_seconds=7)
        FeatureVersion.objects.filter(version="3.0").update(built=True)
        ensure_basics()
        assert CacheRule.objects.get(data_type="news").ttl_seconds == 7
        assert FeatureVersion.objects.get(version="3.0").built

    def test_follow_a_definition_that_the_code_has_changed(self):
        ensure_basics()
        FeatureVersion.objects.filter(version="3.1").update(definition_hash="of old")
        ensure_basics()
        assert FeatureVersion.objects.get(version="3.1").definition_hash == definition_hash("3.1")
