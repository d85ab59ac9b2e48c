"""Strategy configurations in the admin: only what can be run is taken, and changes are counted."""

import json
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.analysis.models import StrategyConfiguration
from tests.analysis.pages import MARKUP, page, staff
from tests.factories import make_analysis, make_strategy_configuration

pytestmark = pytest.mark.django_db

NAME = "admin:analysis_strategyconfiguration"
LIST, PAGE, EDIT, ADD = (f"{NAME}_{each}" for each in ("changelist", "change", "edit", "add"))
SOUND = {
    "risk_multiplier": 1,
    "confidence_threshold": 0.6,
    "max_leverage": 10,
    "stop_loss_threshold": 0.05,
    "take_profit_threshold": 0.1,
}


@pytest.fixture(autouse=True)
def none_yet():
    StrategyConfiguration.objects.all().delete()


def send(client, address, **changes):
    values = {
        "name": "Careful",
        "base_strategy": "Balanced",
        "timeframe": "1h",
        "is_active": "on",
        "description": "",
        "parameters": json.dumps(SOUND),
        "leverage_parameters": "{}",
    }
    return client.post(address, values | changes)


def edit(client, row, **changes):
    given = {
        "name": row.name,
        "parameters": json.dumps(row.parameters),
        "leverage_parameters": json.dumps(row.leverage_parameters),
    }
    return send(client, reverse(EDIT, args=[row.pk]), **given | changes)


def step(client, name, row):
    return client.post(reverse(f"{NAME}_{name}", args=[row.pk]), follow=True).content.decode()


class TestList:
    def test_counts_analyses_and_shows_the_best(self, admin_client):
        row = make_strategy_configuration(name="Tried")
        make_analysis(strategy_configuration=row, sharpe_ratio=1.5)
        make_analysis(strategy_configuration=row, sharpe_ratio=None)
        make_strategy_configuration(name="Untried")

        shown = page(admin_client, LIST)

        cells = re.findall(r'field-tried_out [^>]*>\s*<span class="b-num">(\d+)<', shown)
        assert sorted(cells) == ["0", "2"]
        assert ">1.50<" in shown
        assert "Not tried out yet." in shown

    def test_costs_the_same_for_many(self, admin_client):
        counts = []
        page(admin_client, LIST)  # what is cached for all pages is there now
        for _ in range(2):
            for _ in range(4):
                make_analysis(strategy_configuration=make_strategy_configuration())
            with CaptureQueriesContext(connection) as asked:
                page(admin_client, LIST)
            counts.append(len(asked))

        assert counts[0] == counts[1]

    def test_can_be_sorted_by_the_best(self, admin_client):
        for name, best in (("first", 3.0), ("second", 1.0)):
            row = make_strategy_configuration(name=name)
            make_analysis(strategy_configuration=row, sharpe_ratio=best)
        make_strategy_configuration(name="never")

        shown = page(admin_client, LIST, o="-8")

        assert shown.index("first") < shown.index("second") < shown.index("never")


class TestForm:
    def test_takes_what_can_be_run(self, admin_client):
        answer = send(admin_client, reverse(ADD))

        row = StrategyConfiguration.objects.get()
        assert answer.status_code == 302
        assert (row.name, row.parameters, row.version) == ("Careful", SOUND, 1)
        assert row.created_by == "admin"
        assert not row.is_default

    def test_names_every_fault_of_the_parameters(self, admin_client):
        wrong = SOUND | {"stop_loss_threshold": 5, "speed": 1}
        del wrong["max_leverage"]

        shown = send(admin_client, reverse(ADD), parameters=json.dumps(wrong)).content.decode()

        assert "stop_loss_threshold: Must lie between" in shown
        assert "speed: There is no such parameter." in shown
        assert "max_leverage: This value is required." in shown
        assert not StrategyConfiguration.objects.exists()

    def test_names_every_fault_of_the_leverage(self, admin_client):
        wrong = json.dumps({"floor": 0, "ceilling": 3})

        shown = send(admin_client, reverse(ADD), leverage_parameters=wrong).content.decode()

        assert "floor: Must be above 0" in shown
        assert "ceilling: There is no such parameter." in shown

    @pytest.mark.parametrize("wrong", ["[1]", "5", '"x"', "null", "{", "[]", "{}", '{"a": NaN}'])
    def test_survives_parameters_of_any_shape(self, admin_client, wrong):
        for field in ("parameters", "leverage_parameters"):
            answer = send(admin_client, reverse(ADD), name="odd", **{field: wrong})
            assert answer.status_code in (200, 302)
        kept = StrategyConfiguration.objects.values_list("parameters", "leverage_parameters")
        assert all(pair == (SOUND, {}) for pair in kept)

    def test_counts_changes_of_the_parameters_alone(self, admin_client):
        row = make_strategy_configuration(name="Careful", parameters=SOUND)

        edit(admin_client, row, description="as before")
        row.refresh_from_db()
        assert (row.version, row.description) == (1, "as before")

        edit(admin_client, row, parameters=json.dumps(SOUND | {"max_leverage": 5}))
        row.refresh_from_db()
        assert row.version == 2

        edit(admin_client, row, leverage_parameters='{"floor": "2"}')
        row.refresh_from_db()
        assert row.version == 3

    def test_refuses_a_name_that_is_taken(self, admin_client):
        make_strategy_configuration(name="Careful", parameters=SOUND)

        answer = send(admin_client, reverse(ADD))

        assert "already exists" in answer.content.decode()


class TestSteps:
    def test_deactivate_and_activate(self, admin_client):
        row = make_strategy_configuration()

        assert "1 strategy configuration deactivated" in step(admin_client, "deactivate", row)
        row.refresh_from_db()
        assert not row.is_active
        assert "activated" in step(admin_client, "activate", row)
        row.refresh_from_db()
        assert row.is_active

    def test_duplicate_under_a_name_of_its_own(self, admin_client):
        row = make_strategy_configuration(
            name="Careful", is_default=True, version=4, parameters=SOUND
        )

        step(admin_client, "duplicate", row)
        step(admin_client, "duplicate", row)

        copies = StrategyConfiguration.objects.exclude(pk=row.pk).order_by("pk")
        assert [each.name for each in copies] == ["Careful copy", "Careful copy 2"]
        for each in copies:
            assert (each.parameters, each.version, each.is_default) == (SOUND, 1, False)
            assert each.description == "Copied from Careful."
            assert each.created_by == "admin"

    def test_duplicate_a_name_of_full_length(self, admin_client):
        most = StrategyConfiguration._meta.get_field("name").max_length
        row = make_strategy_configuration(name="x" * most)

        step(admin_client, "duplicate", row)

        copy = StrategyConfiguration.objects.exclude(pk=row.pk).get()
        assert copy.name == "x" * (most - 5) + " copy"

    def test_are_for_those_who_may_change_them(self):
        row = make_strategy_configuration()
        client = staff("analysis.view_strategyconfiguration")

        for name in ("activate", "deactivate", "duplicate"):
            address = reverse(f"{NAME}_{name}", args=[row.pk])
            assert client.post(address).status_code == 403


class TestDeleting:
    def test_is_refused_for_a_default(self, admin_client):
        row = make_strategy_configuration(is_default=True)

        answer = admin_client.post(
            reverse(f"{NAME}_delete", args=[row.pk]), {"post": "yes"}, follow=True
        )

        assert "came with the product and stays" in answer.content.decode()
        assert StrategyConfiguration.objects.filter(pk=row.pk).exists()

    def test_is_refused_for_one_in_use(self, admin_client):
        row = make_strategy_configuration()
        make_analysis(strategy_configuration=row)

        answer = admin_client.get(reverse(f"{NAME}_delete", args=[row.pk]), follow=True)

        assert "1 analysis was made with" in answer.content.decode()

    def test_is_done_for_one_that_nothing_needs(self, admin_client):
        row = make_strategy_configuration()

        admin_client.post(reverse(f"{NAME}_delete", args=[row.pk]), {"post": "yes"})

        assert not StrategyConfiguration.objects.filter(pk=row.pk).exists()


class TestPage:
    def test_tells_in_words_what_it_does(self, admin_client):
        row = make_strategy_configuration(
            parameters=SOUND | {"max_bars": 96, "stake": 0.2},
            leverage_parameters={"floor": "2"},
        )

        shown = page(admin_client, PAGE, row.pk)

        assert "from a score of 0.6 on" in shown
        assert "5 % away" in shown
        assert "2.00 times as far as the stop" in shown
        assert "at most 96 bars of 1h" in shown
        assert "20 % of the equity per trade" in shown
        assert "usually 1" in shown

    def test_says_when_it_cannot_be_run(self, admin_client):
        row = make_strategy_configuration(parameters={"speed": 1})

        assert "Cannot be run" in page(admin_client, PAGE, row.pk)

    def test_lists_its_analyses_the_best_first(self, admin_client):
        row = make_strategy_configuration()
        for symbol, sharpe in (("GOOD/USD", 2.0), ("NONE/USD", None), ("BEST/USD", 3.0)):
            make_analysis(strategy_configuration=row, symbol=symbol, sharpe_ratio=sharpe)

        shown = page(admin_client, PAGE, row.pk)

        assert shown.index("BEST/USD") < shown.index("GOOD/USD") < shown.index("NONE/USD")

    def test_costs_the_same_for_many_analyses(self, admin_client, django_assert_num_queries):
        row = make_strategy_configuration()
        for _ in range(3):
            make_analysis(strategy_configuration=row)
        with django_assert_num_queries(4):  # session, user, configuration, analyses
            page(admin_client, PAGE, row.pk)

    def test_shows_foreign_text_as_text(self, admin_client):
        row = make_strategy_configuration(name=MARKUP, description=MARKUP)
        make_analysis(strategy_configuration=row, symbol=MARKUP[:45])

        for shown in (page(admin_client, PAGE, row.pk), page(admin_client, LIST)):
            assert "<img src=x" not in shown
