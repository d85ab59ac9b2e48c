"""How bots have done, over HTTP."""

import json

import pytest

from apps.bots.models import BotPerformance
from tests.bots.ledgers import book
from tests.client import ApiClient
from tests.factories import make_bot, make_bot_performance, make_key

pytestmark = pytest.mark.django_db

PERFORMANCE = "/api/v1/bots/performance/"


def report(bot, **values):
    key = {"bot_id": bot.pk, "trade_type": "live", "calculated_at": "2026-03-02T12:00:00Z"}
    return key | values


def pointers(answer):
    return [each["pointer"] for each in answer.json()["errors"]]


class TestReports:
    def test_are_stored_in_either_shape(self, api):
        bot = make_bot()

        flat = api.post(PERFORMANCE, report(bot, sharpe_ratio=1.25, net_pnl="12.5"))
        nested = api.post(
            PERFORMANCE,
            report(bot, calculated_at="2026-03-03T12:00:00Z", metrics={"sharpe_ratio": 1.25}),
        )

        assert (flat.status_code, nested.status_code) == (201, 201)
        assert (flat.json()["sharpe_ratio"], flat.json()["net_pnl"]) == (1.25, "12.5")
        assert nested.json()["sharpe_ratio"] == 1.25
        assert nested.json()["quote_currency"] == "USD"
        assert flat.json()["origin"] == nested.json()["origin"] == "reported"

    def test_of_what_is_no_finite_number_say_so(self, api):
        answer = api.post(PERFORMANCE, report(make_bot(), profit_factor="inf", sharpe_ratio="NaN"))

        assert answer.status_code == 201
        assert answer.json()["profit_factor"] is None
        assert answer.json()["reasons"] == {
            "profit_factor": "Reported as infinity.",
            "sharpe_ratio": "Reported as NaN.",
        }

    def test_keep_every_digit_of_money(self, api):
        digits = "12345678901234567890.123456789012345678"
        body = json.dumps([report(make_bot(), net_pnl="here")]).replace('"here"', digits)

        assert api.post_bytes(PERFORMANCE, body.encode()).json()["created"] == 1
        assert str(BotPerformance.objects.get().net_pnl) == digits

    def test_sent_again_are_unchanged_or_conflict(self, api):
        sent = report(make_bot(), win_rate=50)
        api.post(PERFORMANCE, sent)

        assert api.post(PERFORMANCE, sent).status_code == 200
        answer = api.post(PERFORMANCE, sent | {"win_rate": 51})
        assert (answer.status_code, pointers(answer)) == (409, ["/win_rate"])

    def test_in_a_list_are_stored_but_for_the_bad_ones(self, api):
        bot = make_bot()
        rows = [report(bot), report(bot) | {"bot_id": "nobody"}, report(bot, win_rate="half")]

        body = api.post(PERFORMANCE, rows).json()

        assert (body["created"], body["failed"]) == (1, 2)


class TestLists:
    def test_are_narrowed(self, api):
        bot = make_bot()
        make_bot_performance(bot=bot, origin="reported")
        mine = make_bot_performance(bot=bot)
        make_bot_performance()

        body = api.get(f"{PERFORMANCE}?bot_id={bot.pk}&origin=computed").json()

        assert [row["id"] for row in body["results"]] == [str(mine.pk)]


class TestSnapshots:
    def test_answer_the_rows_that_they_made(self, api):
        bot, other = make_bot(), make_bot()
        book(bot, (0, "10"), (1, "-5"))
        book(other, (0, "10"))

        answer = api.post(f"{PERFORMANCE}snapshot/", {"bot_id": bot.pk})

        [row] = answer.json()["results"]
        assert answer.status_code == 201
        assert (row["bot_id"], row["net_pnl"], row["total_trades"]) == (bot.pk, "5", 2)
        assert len(api.post(f"{PERFORMANCE}snapshot/", {}).json()["results"]) == 2

    def test_of_nobody_are_refused(self, api):
        answer = api.post(f"{PERFORMANCE}snapshot/", {"bot_id": "nobody"})

        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_bot")

    def test_of_a_bot_that_closed_nothing_make_none(self, api):
        answer = api.post(f"{PERFORMANCE}snapshot/", {"bot_id": make_bot().pk})

        assert (answer.status_code, answer.json()) == (200, {"results": []})


class TestEquity:
    def test_is_that_of_the_bots_own_type_and_currency(self, api):
        bot = make_bot(initial_balance=100)
        book(bot, (0, "10"), (1, "-5"))
        book(bot, (0, "999"), trade_type="paper")

        body = api.get(f"{PERFORMANCE}equity/?bot_id={bot.pk}").json()

        assert (body["trade_type"], body["quote_currency"]) == ("live", "USD")
        assert [each["equity"] for each in body["points"]] == ["110", "105"]

    def test_of_nobody_is_not_found(self, api):
        assert api.get(f"{PERFORMANCE}equity/?bot_id=nobody").status_code == 404
        assert api.get(f"{PERFORMANCE}equity/").status_code == 400


class TestDefinitions:
    def test_tell_what_each_figure_means(self, api):
        body = api.get(f"{PERFORMANCE}definitions/").json()

        assert body["total_return/balance/percent"].startswith("Total return: 100 ×")


class TestBoundKeys:
    def test_see_and_write_nothing_of_other_bots(self):
        mine, other = make_bot(), make_bot()
        book(other, (0, "10"))
        make_bot_performance(bot=other)
        api = ApiClient(make_key(bot=mine.pk).text)

        assert api.get(PERFORMANCE).json()["results"] == []
        assert api.get(f"{PERFORMANCE}equity/?bot_id={other.pk}").status_code == 403
        assert api.post(PERFORMANCE, report(other)).status_code == 403
        assert api.post(f"{PERFORMANCE}snapshot/", {"bot_id": other.pk}).status_code == 403
        assert api.post(f"{PERFORMANCE}snapshot/", {}).status_code == 403
        assert api.post(f"{PERFORMANCE}snapshot/", {"bot_id": mine.pk}).status_code == 200
        assert api.post(PERFORMANCE, report(mine)).status_code == 201
