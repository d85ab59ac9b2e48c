"""What came of a run: the rows of other tables that point to it, whichever these are."""

from collections.abc import Iterator
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.admin.utils import quote
from django.db.models import Model
from django.urls import reverse
from django.utils.http import urlencode

from apps.executions.models import Execution
from apps.shared import display

# They are counted no further, and the first few of them named.
MOST_COUNTED, FIRST = 1_000, 5


def products_of(run: Execution, *, user: Any, site: AdminSite) -> list[dict[str, Any]]:
    """Return what other tables hold of a run, table by table, as far as ``user`` may see it.

    Whatever points to a run and has a page counts: this app knows none of them by name.
    """
    return [found for each in pointing(run, user, site) if (found := product(run, *each))]


def pointing(run: Execution, user: Any, site: AdminSite) -> Iterator[tuple[type[Model], str]]:
    """Yield each model that points to runs, with the name of the field that does."""
    for relation in run._meta.related_objects:
        model = relation.related_model
        opts = model._meta
        if opts.app_label == run._meta.app_label or model not in site._registry:
            continue
        if user.has_perm(f"{opts.app_label}.view_{opts.model_name}"):
            yield model, relation.field.name


def product(run: Execution, model: type[Model], field: str) -> dict[str, Any] | None:
    opts = model._meta
    rows = model._default_manager.filter(**{field: run.pk})
    count = rows.order_by().values("pk")[: MOST_COUNTED + 1].count()
    if not count:
        return None
    long = [each.name for each in opts.concrete_fields if is_long(each)]
    first = list(rows.defer(*long).order_by("-pk")[:FIRST])
    for row in first:
        setattr(row, field, run)  # so that its name costs no query
    query = urlencode({f"{field}__{run._meta.pk.name}__exact": run.pk})
    return {
        "name": opts.verbose_name if count == 1 else opts.verbose_name_plural,
        "count": f"{MOST_COUNTED:,}+" if count > MOST_COUNTED else f"{count:,}",
        "url": f"{address(model, 'changelist')}?{query}",
        "first": [
            display.link(address(model, "change", quote(row.pk)), display.short_text(row))
            for row in first
        ],
        "more": count > FIRST,
    }


def is_long(field: Any) -> bool:
    return field.get_internal_type() in ("JSONField", "TextField")


def address(model: type[Model], page: str, *args: Any) -> str:
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}"
    return reverse(name, args=args)
