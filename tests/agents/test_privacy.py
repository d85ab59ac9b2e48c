"""What prompts and answers go through before they are stored."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from apps.access.roles import TABLE, Role, allowed
from apps.access.scopes import known_scopes
from apps.access.services import ensure_roles
from apps.agents.services.privacy import LONGEST_TEXT, SECRETS, cleaned, cleaned_document
from apps.logs.domain.redaction import REDACTED
from tests.client import ApiClient
from tests.contract.registry import endpoints
from tests.factories import make_agent, make_agent_decision, make_key, make_llm_call
from tests.logs.test_redaction import OPEN_HASHES, PLANTED, WALLETS

ANSWER = Path(__file__).parents[3] / "shared/data/agents/llm_answer_all_hold.txt"
PROMPT = """# Account
Available cash: 4,927.64 USD. Wallet 0x{address}. Last order 0x{hash} (tx), id {order}.
# Market
ETH: price 3,842.15, key level 3,800, RSI(7) 61.2, funding 0.0000125.
# Rules
Use at most 10x leverage. {planted}
Answer with JSON.
"""
WORDS = {
    "address": "ab" * 20,
    "hash": "cd" * 32,
    "order": "123e4567-e89b-12d3-a456-426614174000",
}


class TestText:
    def test_without_anything_to_do_stays_as_it_is(self):
        prompt = PROMPT.format(planted="Close nothing.", **WORDS)

        assert cleaned(prompt) == (prompt, "")
        assert cleaned("") == ("", "")

    @pytest.mark.skipif(not ANSWER.exists(), reason="the sample answer is not here")
    def test_of_a_real_answer_stays_as_it_is(self):
        answer = ANSWER.read_text()

        assert cleaned(answer) == (answer, "")

    @pytest.mark.parametrize(("planted", "secret"), PLANTED, ids=range(len(PLANTED)))
    def test_loses_every_secret_and_nothing_around_it(self, planted, secret):
        text, note = cleaned(PROMPT.format(planted=f"\n{planted}\n", **WORDS))

        assert secret not in text
        assert REDACTED in text
        assert note == SECRETS
        assert "ETH: price 3,842.15, key level 3,800" in text
        assert text.startswith("# Account\nAvailable cash: 4,927.64 USD. Wallet 0xabab")
        assert cleaned(text) == (text, "")

    @pytest.mark.parametrize("text", OPEN_HASHES)
    def test_keeps_addresses_and_hashes(self, text):
        assert cleaned(text) == (text, "")

    def test_loses_what_no_database_keeps(self):
        assert cleaned("a\x00b\ud800c") == ("a\ufffdb\ufffdc", "2 characters that cannot be kept")
        assert cleaned("\ud83d\ude00") == ("\U0001f600", "")

    def test_is_searched_after_what_cannot_be_kept_is_gone(self):
        planted, secret = WALLETS[0]
        head, _, tail = planted.partition(secret)

        text, note = cleaned(f"\x00{head}{secret}{tail}")

        assert secret not in text
        assert note == f"1 character that cannot be kept; {SECRETS}"

    def test_of_a_million_characters_stays_whole_and_a_longer_one_is_cut(self):
        whole = "x" * LONGEST_TEXT

        assert cleaned(whole) == (whole, "")
        text, note = cleaned(f"{whole}y")
        assert (len(text), text[-2:]) == (LONGEST_TEXT, "x…")
        assert note == "cut from 1000001 to 1000000 characters"

    def test_that_is_cut_leaves_no_half_of_a_secret(self):
        planted, secret = WALLETS[0]
        for room in range(60, 100):
            text, _ = cleaned("x " * 25 + planted, limit=room)
            assert len(text) <= room
            assert secret[:8] not in text


class TestDocument:
    def test_without_anything_to_do_stays_as_it_is(self):
        value = {"BTC": {"signal": "hold", "confidence": Decimal("0.65"), "token": "BTC"}, "n": [1]}

        assert cleaned_document(value) == (value, "")
        assert cleaned_document(None) == (None, "")

    def test_loses_secrets_by_name_and_by_shape(self):
        planted, secret = WALLETS[0]
        value = {"ETH": {"justification": planted, "api_key": "x1"}, "wallet_key": f"0x{secret}"}

        found, note = cleaned_document(value)

        assert secret not in str(found)
        assert found["ETH"]["api_key"] == found["wallet_key"] == REDACTED
        assert note == SECRETS

    def test_holds_only_what_json_and_the_database_can_keep(self):
        found, note = cleaned_document({"a\x00": float("nan"), "b": ["\ud800"]})

        assert json.loads(json.dumps(found, allow_nan=False)) == {"a\ufffd": "nan", "b": ["\ufffd"]}
        assert note == "2 characters that cannot be kept"


class TestWhoMayRead:
    def test_are_risk_and_administrators(self):
        readers = {
            (model, role) for model in TABLE for role in Role if "read" in allowed(model, role)
        }

        assert readers == {("agents.llmcall", Role.RISK), ("agents.llmcall", Role.ADMINISTRATOR)}

    def test_are_keys_with_a_scope_of_its_own(self):
        assert [each for each in known_scopes() if each.startswith("agents:")] == [
            "agents:read",
            "agents:write",
            "agents:prompts",
        ]
        assert sum(each.endswith(":prompts") for each in known_scopes()) == 1

    @pytest.mark.django_db
    @pytest.mark.parametrize("role", list(Role))
    def test_have_the_permission(self, role):
        ensure_roles()
        user = User.objects.create_user("vera", is_staff=True)
        user.groups.add(Group.objects.get(name=role.value))

        may = role in (Role.RISK, Role.ADMINISTRATOR)
        assert user.has_perm("agents.read_llmcall") is may
        assert user.has_perm("agents.view_llmcall")


MARK = "Nobody else may read this"
PRIVATE = {"calls": ["prompt", "answer"], "decisions": ["chain_of_thought", "raw"]}


@pytest.mark.django_db
class TestOverTheApi:
    @pytest.fixture
    def agent(self):
        agent = make_agent()
        call = make_llm_call(agent=agent, prompt=f"{MARK} 1", answer=f"{MARK} 2")
        make_agent_decision(call=call, chain_of_thought={"BTC": f"{MARK} 3"}, raw=f"{MARK} 4")
        return agent

    @staticmethod
    def addresses():
        return [each.path for each in endpoints() if each.path.startswith("/api/v1/agents/")]

    def test_no_list_and_no_row_holds_private_texts(self, api, agent):
        lists = [path for path in self.addresses() if "(" not in path and "<" not in path]
        for path in lists:
            found = api.get(path)
            assert found.status_code == 200, path
            assert MARK not in found.content.decode(), path
            for row in found.json().get("results", []):
                assert MARK not in api.get(f"{path}{row['id']}/").content.decode(), path
        assert {"/api/v1/agents/calls/", "/api/v1/agents/decisions/"} <= set(lists)

    @pytest.mark.parametrize("resource", PRIVATE)
    def test_they_are_answered_by_name_to_who_may_read_them(self, api, agent, resource):
        names = PRIVATE[resource]
        address = f"/api/v1/agents/{resource}/"
        reader = ApiClient(make_key(scopes=["agents:read", "agents:write"]).text)

        for name in names:
            (row,) = api.get(f"{address}?fields={name}").json()["results"]
            assert MARK in str(row[name])
            refused = reader.get(f"{address}?fields=id,{name}")
            assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
            assert MARK not in refused.content.decode()

    @pytest.mark.parametrize("resource", PRIVATE)
    def test_a_key_of_another_agent_reads_none_of_them(self, agent, resource):
        other = ApiClient(make_key(agent=str(make_agent().pk)).text)

        for name in PRIVATE[resource]:
            found = other.get(f"/api/v1/agents/{resource}/?fields={name}")
            assert found.json()["results"] == []

    @pytest.mark.parametrize("resource", PRIVATE)
    @pytest.mark.parametrize("role", list(Role))
    def test_staff_read_them_by_their_role(self, agent, resource, role):
        ensure_roles()
        user = User.objects.create_user("vera", is_staff=True)
        user.groups.add(Group.objects.get(name=role.value))
        client = Client()
        client.force_login(user)

        found = client.get(f"/api/v1/agents/{resource}/", {"fields": PRIVATE[resource][0]})

        may = role in (Role.RISK, Role.ADMINISTRATOR)
        assert found.status_code == (200 if may else 403)
        assert (MARK in found.content.decode()) is may
