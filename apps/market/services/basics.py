"""The rows of the market that the code brings along."""

from django.db import transaction

from apps.market.domain.cache import DEFAULT_RULES
from apps.market.models import CacheRule
from apps.market.services.features.versions import ensure_versions


@transaction.atomic
def ensure_basics() -> int:
    """Have the versions of features that are computed here, and a rule per type of data.

    May be repeated: what staff have changed stays as it is, a definition that the code has
    changed is brought up to date. Returns how many rules were added.
    """
    ensure_versions()
    known = set(CacheRule.objects.values_list("data_type", flat=True))
    rules = [CacheRule(**rule._asdict()) for rule in DEFAULT_RULES if rule.data_type not in known]
    return len(CacheRule.objects.bulk_create(rules, ignore_conflicts=True))
