"""Filters of admin lists, chosen by the type of the column.

Each reads plain parameters (``timestamp_after``, ``leverage_min``), the same names as the API.
Nonsense in one of them is said beside its field and filters nothing out.
"""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import ModelAdmin
from django.contrib.admin.utils import get_model_from_relation
from django.contrib.admin.views.main import ChangeList
from django.core.cache import cache
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from redis import RedisError
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    BooleanRadioFilter,
    ChoicesDropdownFilter,
)

from apps.shared.admin.periods import PERIODS, parse_utc
from apps.shared.admin.reads import column_of, leads_an_index, values_by_index

MAX_LISTED_VALUES = 200
VALUES_CACHE_SECONDS = 60


def last_of(values: Any) -> str:
    """Return the last of the values of a parameter, as browsers and people take it."""
    return str(values[-1]).strip() if values else ""


class OwnFilter(admin.FieldListFilter):
    """Base: takes its parameters by name, keeps what is wrong to say it beside the field."""

    suffixes: tuple[str, ...] = ()

    def __init__(
        self,
        field: models.Field,
        request: HttpRequest,
        params: dict[str, Any],
        model: type[models.Model],
        model_admin: ModelAdmin,
        field_path: str,
    ) -> None:
        self.names = [f"{field_path}{suffix}" for suffix in self.suffixes]
        self.errors: dict[str, str] = {}
        super().__init__(field, request, params, model, model_admin, field_path)
        self.given = {
            name: text for name in self.names if (text := last_of(self.used_parameters.get(name)))
        }

    def expected_parameters(self) -> list[str | None]:
        return list(self.names)

    def has_output(self) -> bool:
        return True

    def refuse(self, name: str, why: str) -> None:
        self.errors[name] = why

    def inputs(self) -> list[dict[str, Any]]:
        """Return the input fields: name, label, value, kind, hint."""
        raise NotImplementedError

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        inputs = self.inputs()
        for item in inputs:
            item["error"] = self.errors.get(item["name"], "")
        yield {"inputs": inputs, "links": self.links(changelist)}

    def links(self, changelist: ChangeList) -> list[dict[str, Any]]:
        return []

    def chips(self) -> list[tuple[str, list[str]]]:
        """Return what is set, as (words, parameters that a click removes)."""
        raise NotImplementedError


class PeriodFilter(OwnFilter):
    """A span of time, from (included) to (excluded), in UTC; with quick links."""

    template = "admin/shared/filter_inputs.html"
    suffixes = ("_after", "_before", "_last")

    def __init__(
        self,
        field: models.Field,
        request: HttpRequest,
        params: dict[str, Any],
        model: type[models.Model],
        model_admin: ModelAdmin,
        field_path: str,
    ) -> None:
        super().__init__(field, request, params, model, model_admin, field_path)
        self.after, self.before, self.last = self.names
        period = self.given.get(self.last)
        if period is None and not self.given and field_path == getattr(model_admin, "time", None):
            default = getattr(model_admin, "get_default_period", None)
            period = default(request) if default else None
        self.period = period if period in PERIODS else None

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        bounds: dict[str, datetime] = {}
        span = PERIODS[self.period][1] if self.period else None
        if span is not None:
            bounds[f"{self.field_path}__gte"] = timezone.now() - span
        for name, lookup in ((self.after, "gte"), (self.before, "lt")):
            if name not in self.given:
                continue
            moment = parse_utc(self.given[name], end_of_day=lookup == "lt")
            if moment is None:
                self.refuse(name, "Not a time. Write 2026-01-31 or 2026-01-31 14:05 (UTC).")
            else:
                bounds[f"{self.field_path}__{lookup}"] = moment
        return queryset.filter(**bounds)

    def inputs(self) -> list[dict[str, Any]]:
        hint = "2026-01-31 14:05"
        return [
            {
                "name": name,
                "label": label,
                "value": self.given.get(name, ""),
                "hint": hint,
            }
            for name, label in (
                (self.after, "From (UTC)"),
                (self.before, "Until (UTC)"),
            )
        ]

    def links(self, changelist: ChangeList) -> list[dict[str, Any]]:
        return [
            {
                "label": label,
                "selected": self.period == key or (key == "all" and self.is_open()),
                "url": changelist.get_query_string({self.last: key}, [self.after, self.before]),
            }
            for key, (label, _) in PERIODS.items()
        ]

    def is_open(self) -> bool:
        return self.period is None and not self.given

    def chips(self) -> list[tuple[str, list[str]]]:
        words = [f"from {self.given[self.after]}"] if self.after in self.given else []
        words += [f"until {self.given[self.before]}"] if self.before in self.given else []
        if not words:
            return []
        return [(f"{self.title} {' '.join(words)}", [self.after, self.before])]


class NumberRangeFilter(OwnFilter):
    """A number between two bounds, both included."""

    template = "admin/shared/filter_inputs.html"
    suffixes = ("_min", "_max")

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        bounds: dict[str, Decimal] = {}
        for name, lookup in zip(self.names, ("gte", "lte"), strict=True):
            if name not in self.given:
                continue
            number = self.parse(self.given[name])
            if number is None:
                self.refuse(name, "Not a number.")
            else:
                bounds[f"{self.field_path}__{lookup}"] = number
        return queryset.filter(**bounds)

    @staticmethod
    def parse(text: str) -> Decimal | None:
        """Return the number, or ``None`` for what no column could hold."""
        try:
            number = Decimal(text.replace(",", ""))
        except InvalidOperation:
            return None
        return number if number.is_finite() and abs(number) < Decimal(10) ** 18 else None

    def inputs(self) -> list[dict[str, Any]]:
        return [
            {
                "name": name,
                "label": label,
                "value": self.given.get(name, ""),
                "kind": "decimal",
            }
            for name, label in zip(self.names, ("From", "To"), strict=True)
        ]

    def chips(self) -> list[tuple[str, list[str]]]:
        low, high = (self.given.get(name, "") for name in self.names)
        return [(f"{self.title} {low or '…'} to {high or '…'}", self.names)] if low or high else []


class TextFilter(OwnFilter):
    """Text that must be equal, capital letters and all: what an index can answer."""

    template = "admin/shared/filter_inputs.html"
    suffixes = ("",)

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        word = self.given.get(self.field_path)
        return queryset.filter(**{self.field_path: word.replace("\0", "")}) if word else queryset

    def inputs(self) -> list[dict[str, Any]]:
        name = self.field_path
        return [{"name": name, "label": "Equal to", "value": self.given.get(name, "")}]

    def chips(self) -> list[tuple[str, list[str]]]:
        word = self.given.get(self.field_path)
        return [(f"{self.title}: {word}", [self.field_path])] if word else []


class IndexedTextFilter(TextFilter):
    """As ``TextFilter``, with the values that exist suggested while one types."""

    def suggestions(self) -> list[str]:
        """Return the values that exist, none when they are too many to help."""
        model = self.field.model
        key = f"filter-values:{model._meta.label_lower}:{self.field.name}"
        try:
            known = cache.get(key)
            if known is None:
                known = self.stored_values()
                cache.set(key, known, VALUES_CACHE_SECONDS)
        except RedisError:
            return self.stored_values()
        return known

    def stored_values(self) -> list[str]:
        found = values_by_index(self.field.model, self.field.name, limit=MAX_LISTED_VALUES + 1)
        return [value for value in found if value] if len(found) <= MAX_LISTED_VALUES else []

    def inputs(self) -> list[dict[str, Any]]:
        (item,) = super().inputs()
        return [item | {"suggestions": self.suggestions()}]


class ChoiceFilter(ChoicesDropdownFilter):
    """One of a closed vocabulary."""

    def __init__(
        self,
        field: models.Field,
        request: HttpRequest,
        params: dict[str, Any],
        model: type[models.Model],
        model_admin: ModelAdmin,
        field_path: str,
    ) -> None:
        super().__init__(field, request, params, model, model_admin, field_path)
        # A column that the database computes has the vocabulary of what comes of it.
        self.field = getattr(field, "output_field", field)

    def chips(self) -> list[tuple[str, list[str]]]:
        value = self.value()
        if value in (None, ""):
            return []
        label = dict(self.field.flatchoices).get(value, value)
        return [(f"{self.title}: {label}", [self.lookup_kwarg])]


class FlagFilter(BooleanRadioFilter):
    """Yes, no, or both."""

    def chips(self) -> list[tuple[str, list[str]]]:
        word = {"1": "yes", "0": "no"}.get(str(self.value()))
        return [(f"{self.title}: {word}", [self.lookup_kwarg])] if word else []


class RelatedFilter(AutocompleteSelectFilter):
    """One related thing, found by typing."""

    def chips(self) -> list[tuple[str, list[str]]]:
        value = self.value()
        return [(f"{self.title}: {value}", [self.lookup_kwarg])] if value else []


def filter_for(model: type[models.Model], path: str) -> type[admin.FieldListFilter]:
    """Return the filter that fits the column at ``path`` (``"performance__status"``)."""
    *relations, name = path.split("__")
    owner = model
    for relation in relations:
        owner = get_model_from_relation(owner._meta.get_field(relation))
    column = column_of(owner, name)
    field = getattr(column, "output_field", column)
    if field.choices:
        return ChoiceFilter
    if isinstance(field, models.BooleanField):
        return FlagFilter
    if isinstance(field, models.DateTimeField):
        return PeriodFilter
    if field.is_relation:
        return RelatedFilter
    if isinstance(field, (models.IntegerField, models.DecimalField, models.FloatField)):
        return NumberRangeFilter
    return IndexedTextFilter if leads_an_index(owner, name) else TextFilter
