"""Models that are registered, and since when each has had its status."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from django.db import connection, transaction

from apps.analysis.models import MLModel
from apps.shared.ingest import Ingested, RowStatus, ingest

COLUMNS = (
    "model_id",
    "name",
    "version",
    "model_type",
    "parameters",
    "metrics",
    "file_path",
    "status",
)

# Compared with the last one told, not with what the row held before: so the history is whole
# again however the row was written. Times run forward even where clocks do not.
NOTE_CHANGES = """
    INSERT INTO model_status_changes (model_id, status, since, changed_by, created_at)
    SELECT m.model_id, m.status, greatest(%(now)s, last.since), %(by)s, %(now)s
    FROM models m
    LEFT JOIN LATERAL (
        SELECT c.status, c.since FROM model_status_changes c
        WHERE c.model_id = m.model_id ORDER BY c.since DESC, c.id DESC LIMIT 1
    ) last ON true
    WHERE m.model_id = ANY(%(model_ids)s) AND m.status IS DISTINCT FROM last.status
    ORDER BY m.model_id
"""


class ModelRow(Protocol):
    """A model as it arrives: whatever has these values."""

    @property
    def model_id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def model_type(self) -> str: ...
    @property
    def parameters(self) -> Any: ...
    @property
    def metrics(self) -> Any: ...
    @property
    def file_path(self) -> str: ...
    @property
    def status(self) -> str: ...


@transaction.atomic
def register_models(rows: Sequence[ModelRow], *, by: str, now: datetime) -> Ingested:
    """Store new models; one that is stored with other content is *failed* (see ``ingest``)."""
    outcome = ingest(
        MLModel, values_of(rows), columns=COLUMNS, key=["model_id"], on_conflict="refuse"
    )
    refused = {each.index for each in outcome.results if each.status == RowStatus.FAILED}
    stored = [row.model_id for place, row in enumerate(rows) if place not in refused]
    note_status_changes(stored, by=by, now=now)
    return outcome


@transaction.atomic
def replace_models(rows: Sequence[ModelRow], *, by: str, now: datetime) -> Ingested:
    """Store models over what is stored under the same ``model_id``."""
    outcome = ingest(
        MLModel, values_of(rows), columns=COLUMNS, key=["model_id"], on_conflict="replace"
    )
    note_status_changes([row.model_id for row in rows], by=by, now=now)
    return outcome


def values_of(rows: Sequence[ModelRow]) -> list[tuple[Any, ...]]:
    return [tuple(getattr(row, name) for name in COLUMNS) for row in rows]


def note_status_changes(model_ids: Sequence[str], *, by: str, now: datetime) -> int:
    """Note every status that is another than the last one noted; return how many.

    To be called in the transaction that writes the models, whoever writes them.
    """
    with connection.cursor() as cursor:
        cursor.execute(NOTE_CHANGES, {"model_ids": list(model_ids), "by": by, "now": now})
        return int(cursor.rowcount)


class ActiveVersion(NamedTuple):
    """A version of a model that was active, and since when."""

    model_id: str
    name: str
    version: str
    model_type: str
    since: datetime


def active_models(*, at: datetime, name: str = "") -> list[ActiveVersion]:
    """Return the versions that were active at a moment, by name, the longest active first."""
    # The type checker does not follow annotated columns through a method.
    found: Any = MLModel.objects.active_at(at)
    if name:
        found = found.filter(name=name)
    rows = found.order_by("name", "since_then", "id").values_list(
        "model_id", "name", "version", "model_type", "since_then"
    )
    return [ActiveVersion(*row) for row in rows]
