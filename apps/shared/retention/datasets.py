"""Datasets: what of a table may leave one day, what never does, what goes along with it.

Each app declares its own in ``datasets.py`` beside its models; the engine knows none by name.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, NamedTuple

from django.db.models import Exists, ForeignKey, Model, OuterRef, Q
from django.db.models.expressions import Combinable

from apps.shared.errors import DomainError

Around = Callable[[Collection[Any]], AbstractContextManager[None]]

UNDATED = "undated"


class UnknownDataset(DomainError):
    """There is no dataset of this name."""

    code = "unknown_dataset"
    status = 404


@dataclass(frozen=True, eq=False)
class Exemption:
    """Rows of a dataset that stay however old they are.

    ``why`` is a clause for staff: "it is open". A row counts under the first that holds.
    """

    name: str
    why: str
    rows: Q


@dataclass(frozen=True, eq=False)
class Dependent:
    """Rows that leave, and come back, with the row they belong to.

    ``root``: the expression that gives the key of that row, from the dependent's own columns or
    through its foreign keys; NULL where it belongs to none.
    """

    model: type[Model]
    root: Combinable


@dataclass(frozen=True, eq=False, kw_only=True)
class Dataset:
    """Rows of one table that grow old together.

    ``times``: columns from which an age may be counted, the usual one first. ``least_days``:
    younger rows are needed by others, so no policy lets them leave. ``scope``: which rows of the
    table are meant at all. ``never``: exemptions that no policy may lift; what a row outside cites
    is among them without being named. ``exempt``: those that staff may lift. ``dependents`` stand
    after what they need: rows come back in this order and leave in the opposite one. ``monthly``:
    the table is cut into months, which leave whole. ``around``: what an app has to do about rows
    that leave or come back, entered with their keys inside of the transaction.
    """

    name: str
    title: str
    about: str
    model: type[Model]
    times: tuple[str, ...]
    age_days: int
    least_days: int = 0
    archive: bool = True
    enabled: bool = True
    scope: Q = field(default_factory=Q)
    never: tuple[Exemption, ...] = ()
    exempt: tuple[Exemption, ...] = ()
    dependents: tuple[Dependent, ...] = ()
    monthly: bool = False
    around: Around | None = None

    @property
    def table(self) -> str:
        return self.model._meta.db_table

    @property
    def models(self) -> tuple[type[Model], ...]:
        """The table itself and those of its dependents, one for each part of an archive."""
        return (self.model, *(each.model for each in self.dependents))

    @cached_property
    def mandatory(self) -> tuple[Exemption, ...]:
        """What no policy touches: as declared, and rows that others cite."""
        return (*self.never, *self.citations())

    @cached_property
    def exemptions(self) -> tuple[Exemption, ...]:
        """Every exemption, in the order in which a row is counted under them."""
        return (*self.mandatory, *self.exempt)

    def citations(self) -> Iterator[Exemption]:
        """Yield an exemption for each foreign key by which a row outside cites one of these."""
        inside = set(self.models)
        for relation in relations(self.model):
            key = relation.field
            model = relation.related_model
            # What leaves along is no citation, unless the table cites itself by another key.
            if not isinstance(key, ForeignKey) or (model in inside and model is not self.model):
                continue
            if model is self.model and any(
                each.model is model and key.name in repr(each.root) for each in self.dependents
            ):
                continue
            citing = model._base_manager.filter(**{key.name: OuterRef(key.target_field.name)})
            yield Exemption(
                f"cited_by_{model._meta.db_table}_{key.name}",
                f"a kept {model._meta.verbose_name} cites it ({key.verbose_name})",
                Q(Exists(citing)),
            )


class Rule(NamedTuple):
    """A policy as it is applied: rows whose ``time`` lies ``age`` back, but for ``exemptions``."""

    dataset: Dataset
    time: str
    age: timedelta
    # Names of those optional exemptions that hold; the mandatory ones hold in any case.
    exemptions: frozenset[str]

    def cutoff(self, now: datetime) -> datetime:
        """Rows before this moment are old; of tables cut into months, whole months are."""
        moment = now - self.age
        if self.dataset.monthly:
            return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return moment

    @property
    def holding(self) -> tuple[Exemption, ...]:
        """The exemptions that hold, in the order in which rows are counted under them.

        The last one is for rows whose age is not known.
        """
        lifted = {each.name for each in self.dataset.exempt} - self.exemptions
        held = [each for each in self.dataset.exemptions if each.name not in lifted]
        undated = Q(**{f"{self.time}__isnull": True})
        return (*held, Exemption(UNDATED, "the time it would be judged by is empty", undated))


_known: dict[str, Dataset] = {}


def register(*datasets: Dataset) -> None:
    """Make datasets known. What others cite stands before those that cite it.

    Raises ValueError for a name that is taken.
    """
    for each in datasets:
        if _known.get(each.name, each) is not each:
            raise ValueError(f"There are two datasets called {each.name}.")
        _known[each.name] = each


def datasets() -> list[Dataset]:
    """Return every dataset, those that others cite first.

    So a run of all of them deletes what a preview of all of them told: what one frees by leaving
    goes with the next run.
    """
    waiting = sorted(_known.values(), key=lambda each: each.name)
    ordered: list[Dataset] = []
    while waiting:
        # Where some cite each other in a circle, the first by name begins.
        free = [
            each
            for each in waiting
            if not any(cites(each, other) for other in waiting if other is not each)
        ]
        ordered.append((free or waiting)[0])
        waiting.remove(ordered[-1])
    return ordered


def relations(model: type[Model]) -> list[Any]:
    """Return every foreign key that points to a table, those without a way back among them."""
    return [
        field
        for field in model._meta.get_fields(include_hidden=True)
        if field.auto_created and not field.concrete and (field.one_to_many or field.one_to_one)
    ]


def cites(one: Dataset, other: Dataset) -> bool:
    """Tell whether rows of one dataset cite rows of the other."""
    citing = {relation.related_model for relation in relations(other.model)}
    return bool(citing.difference(other.models).intersection(one.models))


def dataset(name: str) -> Dataset:
    """Return a dataset by its name. Raises UnknownDataset."""
    try:
        return _known[name]
    except KeyError:
        raise UnknownDataset(f'There is no dataset called "{name[:100]}".') from None
