"""The closed list of scopes, and what they and bindings open."""

import uuid
from dataclasses import dataclass, field

import msgspec
import pytest
from django.core.exceptions import ValidationError

from apps.access import scopes
from apps.shared.api import permissions

BOT = {"bot": "bot_id"}
BOTH = {"bot": "bot_id", "agent": "agent_id"}


@dataclass
class Key:
    scopes: list[str] = field(default_factory=list)
    bindings: dict[str, str] = field(default_factory=dict)


class Leg(msgspec.Struct):
    size: int
    bot_id: str | msgspec.UnsetType | None = msgspec.UNSET


class Row(msgspec.Struct):
    bot_id: str | msgspec.UnsetType | None = msgspec.UNSET
    agent_id: uuid.UUID | msgspec.UnsetType | None = msgspec.UNSET
    legs: list[Leg] = []
    extra_data: dict = {}


class Plain(msgspec.Struct):
    size: int


FREE, BOUND = Key(), Key(bindings={"bot": "alpha"})


def codes(key, fields, value, **options):
    return [
        (error.pointer, error.code)
        for error in permissions.check_subject(key, fields, value, **options)
    ]


def test_every_domain_app_has_read_and_write():
    known = scopes.known_scopes()

    assert {"market:read", "market:write", "alerts:read", "alerts:write"} <= set(known)
    assert not [scope for scope in known if scope.startswith(("shared:", "access:", "auth:"))]


@pytest.mark.parametrize("wrong", [[], ["market:delete"], ["market:read"] * 2, ["*"]])
def test_refuses_scopes_that_are_not_on_the_list(wrong):
    with pytest.raises(ValidationError):
        scopes.validate_scopes(wrong)


@pytest.mark.parametrize(
    ("scope", "method", "open_"),
    [
        ("market:read", "GET", True),
        ("market:read", "HEAD", True),
        ("market:read", "OPTIONS", True),
        ("market:read", "POST", False),
        ("market:write", "POST", True),
        ("market:write", "PUT", True),
        ("market:write", "PATCH", True),
        ("market:write", "GET", False),
        ("alerts:write", "POST", False),
        ("alerts:read", "GET", False),
    ],
)
def test_scope_opens_its_app_and_verb_alone(scope, method, open_):
    assert permissions.allows(Key(scopes=[scope]), "market", method) is open_


def test_free_key_may_name_anybody():
    assert codes(FREE, BOT, Row(bot_id="beta")) == []


def test_things_of_nobody_are_open_to_bound_keys():
    assert codes(BOUND, {}, Plain(size=1)) == []


def test_bound_key_may_name_its_own():
    assert codes(BOUND, BOT, Row(bot_id="alpha")) == []


def test_refuses_another_subject():
    assert codes(BOUND, BOT, Row(bot_id="beta")) == [("/bot_id", "other_subject")]


@pytest.mark.parametrize("nobody", [None, "", msgspec.UNSET])
def test_bound_key_has_to_say_whose_it_is(nobody):
    assert codes(BOUND, BOT, Row(bot_id=nobody)) == [("/bot_id", "subject_missing")]


def test_change_to_a_thing_of_its_own_need_not_name_it_again():
    assert codes(BOUND, BOT, Row(), partial=True) == []
    assert codes(BOUND, BOT, Row(bot_id="beta"), partial=True) == [("/bot_id", "other_subject")]


def test_refuses_the_one_row_of_a_batch():
    rows = [Row(bot_id="alpha"), Row(bot_id="beta"), Row(bot_id="alpha")]

    assert codes(BOUND, BOT, rows) == [("/1/bot_id", "other_subject")]


def test_refuses_another_subject_deep_inside():
    row = Row(bot_id="alpha", legs=[Leg(1, "alpha"), Leg(2, "beta")])

    assert codes(BOUND, BOT, row) == [("/legs/1/bot_id", "other_subject")]


def test_free_json_inside_a_row_belongs_to_nobody():
    assert codes(BOUND, BOT, Row(bot_id="alpha", extra_data={"bot_id": "beta"})) == []


def test_key_of_a_bot_touches_nothing_of_an_agent():
    agent = uuid.uuid4()

    assert codes(BOUND, BOTH, Row(bot_id="alpha", agent_id=agent)) == [
        ("/agent_id", "other_subject")
    ]
    assert codes(BOUND, {"agent": "agent_id"}, Row(agent_id=agent)) == [
        ("/agent_id", "other_subject")
    ]


def test_key_of_both_needs_one_of_them():
    agent = uuid.uuid4()
    key = Key(bindings={"bot": "alpha", "agent": str(agent)})

    assert codes(key, BOTH, Row(agent_id=agent)) == []
    assert codes(key, BOTH, Row(bot_id="alpha", agent_id=agent)) == []
    assert codes(key, BOTH, Row(bot_id="beta", agent_id=agent)) == [("/bot_id", "other_subject")]


def test_row_that_cannot_name_a_subject_is_held_by_its_address_alone():
    assert codes(BOUND, BOT, Plain(size=1)) == []
