"""Strategy configurations: the defaults, what is taken in, versions."""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection

from apps.analysis.domain.strategies import DEFAULTS, StrategyRefused, read_parameters
from apps.analysis.models import StrategyConfiguration
from apps.analysis.services.strategies import (
    replace_strategies,
    save_strategy,
    store_strategies,
)
from tests.factories import make_analysis, make_strategy_configuration

pytestmark = pytest.mark.django_db

migration = import_module("apps.analysis.migrations.0002_default_strategies")

PARAMETERS = {
    "risk_multiplier": Decimal("1.0"),
    "confidence_threshold": Decimal("0.6"),
    "max_leverage": 10,
    "stop_loss_threshold": Decimal("0.05"),
    "take_profit_threshold": Decimal("0.1"),
}


@dataclass
class Sent:
    """A configuration as it is sent."""

    name: str = "Careful"
    base_strategy: str = "Balanced"
    timeframe: str = "1h"
    parameters: dict = field(default_factory=lambda: dict(PARAMETERS))
    leverage_parameters: dict = field(default_factory=dict)
    description: str = ""
    is_active: bool = True


def own():
    return StrategyConfiguration.objects.filter(is_default=False)


def with_parameter(**values):
    return Sent(parameters=PARAMETERS | values)


def pointers(outcome):
    return [each.pointer for result in outcome.results for each in result.errors]


class TestDefaults:
    def test_are_those_of_the_rules(self):
        held = StrategyConfiguration.objects.filter(is_default=True).values_list(
            "name", "base_strategy", "timeframe", "parameters"
        )

        assert sorted(held, key=str) == sorted(map(tuple, DEFAULTS), key=str)
        assert len(held) == 18

    def test_can_all_be_run(self):
        for each in StrategyConfiguration.objects.filter(is_default=True):
            assert read_parameters(each.base_strategy, each.timeframe, each.parameters)
            assert (each.is_active, each.version, each.leverage_parameters) == (True, 1, {})

    def test_come_a_second_time_without_harm(self):
        StrategyConfiguration.objects.filter(timeframe="1w").delete()
        StrategyConfiguration.objects.update(is_active=False)

        with connection.schema_editor() as editor:
            migration.add_defaults(apps, editor)

        assert StrategyConfiguration.objects.count() == 18
        assert StrategyConfiguration.objects.filter(is_active=True).count() == 3

    def test_go_again_but_for_those_in_use(self):
        mine = make_strategy_configuration()
        used = StrategyConfiguration.objects.filter(is_default=True).first()
        make_analysis(strategy_configuration=used)

        with connection.schema_editor() as editor:
            migration.remove_defaults(apps, editor)

        assert set(StrategyConfiguration.objects.all()) == {mine, used}


class TestStoring:
    def test_notes_who_sent_it(self):
        outcome = store_strategies([Sent()], by="pipeline")

        held = own().get()
        assert outcome.created == 1
        assert (held.created_by, held.version, held.is_default) == ("pipeline", 1, False)
        assert held.parameters["stop_loss_threshold"] == 0.05

    def test_again_changes_nothing(self):
        store_strategies([Sent()], by="pipeline")

        assert store_strategies([Sent()], by="another").unchanged == 1
        assert own().get().created_by == "pipeline"

    def test_with_other_parameters_is_refused(self):
        store_strategies([Sent()], by="pipeline")

        outcome = store_strategies([with_parameter(max_leverage=12)], by="pipeline")

        assert pointers(outcome) == ["/parameters"]

    def test_names_every_fault(self):
        row = with_parameter(max_leverage=0, typo=1)
        del row.parameters["risk_multiplier"]
        row.leverage_parameters = {"no_such": 1, "floor": -1}

        outcome = store_strategies([Sent(), row], by="")

        assert (outcome.created, outcome.failed) == (1, 1)
        assert set(pointers(outcome)) == {
            "/parameters/max_leverage",
            "/parameters/typo",
            "/parameters/risk_multiplier",
            "/leverage_parameters/no_such",
            "/leverage_parameters/floor",
        }

    @pytest.mark.parametrize(
        ("values", "pointer"),
        [({"base_strategy": "Nothing"}, "/base_strategy"), ({"timeframe": "7m"}, "/timeframe")],
    )
    def test_refuses_what_nobody_can_run(self, values, pointer):
        assert pointers(store_strategies([Sent(**values)], by="")) == [pointer]

    def test_loses_no_digit(self):
        long = Decimal("0.06000000000000000000001")
        store_strategies([with_parameter(stop_loss_threshold=long)], by="")

        held = own().get()
        found = read_parameters(held.base_strategy, held.timeframe, held.parameters)
        assert found.stop_loss == long


class TestReplacing:
    def test_counts_changes_of_parameters(self):
        store_strategies([Sent()], by="")

        replace_strategies([with_parameter(max_leverage=12)], by="")
        assert own().get().version == 2
        replace_strategies([with_parameter(max_leverage=12)], by="")
        assert own().get().version == 2

        row = with_parameter(max_leverage=12)
        row.leverage_parameters = {"floor": "2"}
        replace_strategies([row], by="")
        assert own().get().version == 3

    def test_of_the_same_changes_nothing(self):
        store_strategies([Sent()], by="")
        before = own().values().get()
        same = with_parameter(max_leverage=Decimal("10.0"))

        assert replace_strategies([same], by="").unchanged == 1
        assert own().values().get() == before

    def test_of_other_columns_is_no_version(self):
        store_strategies([Sent()], by="pipeline")

        outcome = replace_strategies([Sent(description="Tuned.", is_active=False)], by="other")

        held = own().get()
        assert outcome.replaced == 1
        assert (held.description, held.is_active, held.version) == ("Tuned.", False, 1)
        assert held.created_by == "pipeline"

    def test_makes_what_is_new(self):
        assert replace_strategies([Sent()], by="pipeline").created == 1

    def test_leaves_a_default_a_default(self):
        held = StrategyConfiguration.objects.get(base_strategy="Balanced", timeframe="1h")
        row = Sent(name=held.name, parameters=held.parameters | {"max_leverage": 5})

        replace_strategies([row], by="")

        held.refresh_from_db()
        assert (held.is_default, held.version, held.parameters["max_leverage"]) == (True, 2, 5)

    def test_refuses_what_cannot_be_run(self):
        store_strategies([Sent()], by="")

        outcome = replace_strategies([with_parameter(max_leverage="many")], by="")

        assert pointers(outcome) == ["/parameters/max_leverage"]
        assert own().get().parameters["max_leverage"] == 10


class TestSaving:
    def test_notes_who_made_it(self):
        made = StrategyConfiguration(**replace(Sent(), parameters=plain()).__dict__)

        save_strategy(made, by="ann")

        assert own().get().created_by == "ann"

    def test_counts_changes_of_parameters(self):
        held = make_strategy_configuration()
        held.parameters = held.parameters | {"max_leverage": 3}

        save_strategy(held, by="ann")

        held.refresh_from_db()
        assert (held.version, held.parameters["max_leverage"], held.created_by) == (2, 3, "")

    def test_refuses_what_cannot_be_run(self):
        held = make_strategy_configuration()
        held.parameters = {}

        with pytest.raises(StrategyRefused) as caught:
            save_strategy(held, by="ann")

        assert "/parameters/max_leverage" in [each.pointer for each in caught.value.errors]


def plain():
    return {name: float(value) for name, value in PARAMETERS.items()}
