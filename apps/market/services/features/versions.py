"""The versions of features that are computed here, as rows of their table."""

from typing import Any, Final

from django.db import transaction

from apps.market.choices import FeatureOrigin, Granularity
from apps.market.domain.features.columns import COLUMNS
from apps.market.domain.features.versions import DEFINITIONS, definition_hash
from apps.market.models import FeatureVersion

# The version that is kept up to date; the original is there to be compared with.
BUILT: Final = "3.1"
GRANULARITIES: Final = [Granularity.H1.value, Granularity.D1.value]


@transaction.atomic
def ensure_versions() -> None:
    """Make the rows of the versions computed here, and bring their definition up to date.

    What staff may change (built, granularities, description) is left as it is. A built version
    whose hash has changed differs from that of its series, which are rebuilt for it.
    """
    for version, definition in DEFINITIONS.items():
        told: dict[str, Any] = {
            "origin": FeatureOrigin.COMPUTED,
            "definition_hash": definition_hash(version),
            "columns": list(COLUMNS),
            "is_causal": definition.causal,
        }
        made = {
            "built": version == BUILT,
            "granularities": GRANULARITIES,
            "description": definition.description,
        }
        row, created = FeatureVersion.objects.select_for_update(no_key=True).get_or_create(
            version=version, defaults=told | made
        )
        changed = [name for name, value in told.items() if getattr(row, name) != value]
        if changed and not created:
            for name in changed:
                setattr(row, name, told[name])
            row.save(update_fields=[*changed, "updated_at"])
