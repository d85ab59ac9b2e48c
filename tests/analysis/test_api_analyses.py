"""Strategies, analyses and their figures over HTTP."""

import base64
import hashlib
import io
import json
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest
from django.contrib.auth.models import User

from apps.analysis.models import Analysis, BacktestMetric, StrategyConfiguration
from apps.analysis.services.trade_files import read_trades
from tests.client import ApiClient
from tests.factories import (
    make_analysis,
    make_execution,
    make_key,
    make_metric,
    make_strategy_configuration,
)

pytestmark = pytest.mark.django_db

BASE = "/api/v1/analysis/"
ANALYSES, METRICS = f"{BASE}analyses/", f"{BASE}metrics/"
STRATEGIES, LEVERAGE = f"{BASE}strategy-configurations/", f"{BASE}leverage-calculations/"
RANKING = f"{BASE}ranking/"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MEBIBYTE = 1024 * 1024


@pytest.fixture(autouse=True)
def root(tmp_path, settings):
    settings.MEDIA_ROOT = tmp_path / "media"
    return settings.MEDIA_ROOT


@pytest.fixture
def run():
    return make_execution(execution_id="nightly 2026-03-02").pk


def at(hours):
    return (NOON + timedelta(hours=hours)).isoformat()


def trades(*nets):
    return [
        {
            "entry_time": at(24 * day),
            "exit_time": at(24 * day + 1),
            "entry_price": "100.5",
            "exit_price": 101,
            "net_pct": net,
        }
        for day, net in enumerate(nets)
    ]


def sent(run, **values):
    usual = {
        "execution_id": run,
        "symbol": "BTC/USD",
        "timeframe": "1h",
        "config": "Balanced - 1h",
        "generated_at": "2026-03-02T12:00:00Z",
    }
    return usual | values


def pointers(answer):
    return [each["pointer"] for each in answer.json()["errors"]]


def assert_problem(answer, status):
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/problem+json")
    return answer.json()


class TestPostingAnalyses:
    def test_stores_what_is_reported(self, api, run):
        answer = api.post(ANALYSES, sent(run, sharpe_ratio=1.5, win_rate="0.55", total_trades=20))

        body = answer.json()
        assert answer.status_code == 201
        assert (body["origin"], body["sharpe_ratio"], body["win_rate"]) == ("reported", 1.5, 0.55)
        assert body["reported"] == {"sharpe_ratio": 1.5, "win_rate": 0.55, "total_trades": 20}

    def test_computes_figures_from_trades(self, api, run):
        answer = api.post(ANALYSES, sent(run, trades=trades("10", "-10", "20"), win_rate=0.9))

        body = answer.json()
        assert answer.status_code == 201
        assert (body["origin"], body["total_trades"]) == ("computed", 3)
        assert body["win_rate"] == pytest.approx(2 / 3)
        assert body["reported"] == {"win_rate": 0.9}
        assert body["parameters"] == {"stake": "0.1"}
        assert body["period_start"] == "2026-03-02T12:00:00Z"
        found = api.get(f"{METRICS}?analysis_id={body['id']}&metric_name=win_rate").json()
        [metric] = found["results"]
        assert metric["metric_value"] == pytest.approx(2 / 3)
        assert metric["reported_value"] == 0.9
        assert (metric["definition"], metric["n"]) == ("win_rate/net/decided", 3)

    def test_again_answers_the_same(self, api, run):
        row = sent(run, trades=trades("10", "-10"), metrics={"sqn": 2})
        first = api.post(ANALYSES, row).json()

        answer = api.post(ANALYSES, row)

        assert (answer.status_code, answer.json()) == (200, first)

    def test_with_other_content_is_a_conflict_that_names_it(self, api, run):
        api.post(ANALYSES, sent(run, trades=trades("10"), sharpe_ratio=1))

        found = assert_problem(
            api.post(ANALYSES, sent(run, trades=trades("11"), sharpe_ratio=2)), 409
        )

        assert sorted(each["pointer"] for each in found["errors"]) == ["/sharpe_ratio", "/trades"]

    def test_of_an_unknown_execution_names_it(self, api):
        found = assert_problem(api.post(ANALYSES, sent("no-such-run")), 400)

        assert found["errors"] == [
            {
                "pointer": "/execution_id",
                "code": "unknown_execution",
                "message": "There is no execution no-such-run.",
            }
        ]

    def test_of_many_names_the_bad_ones(self, api, run):
        rows = [
            sent(run, config="a", trades=trades("1")),
            sent("elsewhere", config="b"),
            sent(run, config="c", trades=[*trades("1"), {"entry_price": 1}]),
            sent(run, config="d"),
        ]

        body = api.post(ANALYSES, rows).json()

        assert (body["created"], body["failed"]) == (2, 2)
        assert [each["index"] for each in body["results"]] == [1, 2]
        assert body["results"][1]["errors"][0]["pointer"] == "/trades/1/entry_time"

    def test_keeps_a_name_with_odd_signs(self, api):
        run = make_execution(execution_id="a\\b c").pk

        assert api.post(ANALYSES, sent(run, trades=trades("1"))).status_code == 201

    def test_keeps_the_leverage_of_each_trade(self, api, run):
        details = [
            {"trade_number": 1, "final_leverage": "5.5", "calculation_timestamp": at(0)},
            {"trade_number": 2, "final_leverage": 6, "calculation_timestamp": at(24)},
        ]
        row = sent(run, leverage_details=details)
        answer = api.post(ANALYSES, row)

        found = api.get(f"{LEVERAGE}?analysis_id={answer.json()['id']}").json()["results"]
        assert [each["final_leverage"] for each in found] == ["6", "5.5"]
        assert api.post(ANALYSES, row).status_code == 200
        details[1]["final_leverage"] = 7
        assert pointers(api.post(ANALYSES, row)) == ["/leverage_details/1/final_leverage"]


class TestBadInput:
    @pytest.mark.parametrize("name", ["sharpe_ratio", "total_return", "win_rate", "avg_leverage"])
    @pytest.mark.parametrize("raw", ['"NaN"', '"Infinity"', '"-inf"', "1e999", "true", '"x"', "{}"])
    def test_no_figure_that_is_no_finite_number(self, api, run, name, raw):
        body = json.dumps(sent(run))[:-1] + f', "{name}": {raw}}}'

        found = assert_problem(api.post_bytes(ANALYSES, body.encode()), 400)

        assert found["errors"][0]["pointer"] == f"/{name}"
        assert not Analysis.objects.exists()

    @pytest.mark.parametrize("raw", ["NaN", "Infinity", "-Infinity"])
    def test_no_constant_that_is_no_json(self, api, run, raw):
        body = json.dumps(sent(run))[:-1] + f', "sharpe_ratio": {raw}}}'

        assert assert_problem(api.post_bytes(ANALYSES, body.encode()), 400)["code"] == "malformed"

    @pytest.mark.parametrize("value", ["NaN", "1e999", None, [], True])
    def test_no_further_figure_that_is_no_finite_number(self, api, run, value):
        found = assert_problem(api.post(ANALYSES, sent(run, metrics={"a/b": value})), 400)

        assert found["errors"][0]["pointer"] == "/metrics/a~1b"

    def test_no_metric_that_is_no_finite_number(self, api):
        row = {"analysis_id": make_analysis().pk, "metric_name": "sqn", "reported_value": "NaN"}

        assert assert_problem(api.post(METRICS, row), 400)["errors"][0]["code"] == "not_finite"

    @pytest.mark.parametrize("name", ["chart_path", "compressed_path"])
    @pytest.mark.parametrize(
        "path",
        ["/etc/passwd", "../x", "a/../../x", "a\\x", "C:/x", "c:x", "a\x00b", "a//b", "x" * 501],
    )
    def test_no_path_out_of_the_media_root(self, api, run, name, path):
        found = assert_problem(api.post(ANALYSES, sent(run, **{name: path})), 400)

        assert found["errors"][0]["pointer"] == f"/{name}"
        assert not Analysis.objects.exists()

    @pytest.mark.parametrize(
        ("values", "pointer"),
        [
            ({"exit_time": at(-1)}, "/trades/1/exit_time"),
            ({"entry_price": 0}, "/trades/1/entry_price"),
            ({"entry_price": "-5"}, "/trades/1/entry_price"),
            ({"exit_price": "NaN"}, "/trades/1/exit_price"),
            ({"leverage": 0}, "/trades/1/leverage"),
            ({"leverage": -3}, "/trades/1/leverage"),
            ({"direction": "up"}, "/trades/1/direction"),
            ({"net_pct": "inf"}, "/trades/1/net_pct"),
            ({"entry_time": "2026-03-02T12:00:00"}, "/trades/1/entry_time"),
            ({"trade_number": 1}, "/trades/1/trade_number"),
            ({"typo": 1}, "/trades/1/typo"),
            ({"exit_reason": "x" * 51}, "/trades/1/exit_reason"),
        ],
    )
    def test_no_trade_that_cannot_be(self, api, run, values, pointer):
        rows = trades("1", "1")
        rows[1] |= values

        found = assert_problem(api.post(ANALYSES, sent(run, trades=rows)), 400)

        assert pointer in [each["pointer"] for each in found["errors"]]
        assert not Analysis.objects.exists()

    @pytest.mark.parametrize("value", ["many", {}, 5, [5], [[]]])
    def test_no_trades_that_are_no_list_of_trades(self, api, run, value):
        found = assert_problem(api.post(ANALYSES, sent(run, trades=value)), 400)

        assert found["errors"][0]["pointer"].startswith("/trades")

    def test_not_more_trades_than_are_taken(self, api, run):
        found = assert_problem(api.post(ANALYSES, sent(run, trades=[{}] * 100_001)), 400)

        assert found["errors"][0]["code"] == "too_many"

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("POST", "analyses/"),
            ("PUT", "analyses/"),
            ("PATCH", "analyses/"),
            ("POST", "strategy-configurations/"),
            ("PUT", "strategy-configurations/"),
            ("POST", "metrics/"),
            ("POST", "leverage-calculations/"),
        ],
    )
    def test_no_body_of_300_megabytes(self, api, method, path):
        if method != "POST":
            made = make_analysis() if path == "analyses/" else make_strategy_configuration()
            path = f"{path}{made.pk}/"

        answer = api.send(method, BASE + path, b"{}", CONTENT_LENGTH=str(300 * MEBIBYTE))

        assert_problem(answer, 413)

    def test_no_body_of_300_megabytes_in_pieces(self, api):
        class Endless:
            """A body whose sender does not say when it ends."""

            given = 0

            def read(self, size=-1):
                assert size > 0, "The body is read whole."
                self.given += size
                return b" " * size if self.given <= 300 * MEBIBYTE else b""

            readline = read

        body = Endless()
        answer = api.send(
            "POST",
            ANALYSES,
            **{
                "wsgi.input": body,
                "CONTENT_LENGTH": "",
                "HTTP_TRANSFER_ENCODING": "chunked",
                "CONTENT_TYPE": "application/json",
            },
        )

        assert_problem(answer, 413)
        assert body.given < 70 * MEBIBYTE


class TestChangingAnalyses:
    def test_changes_what_is_sent_only(self, api, run):
        made = api.post(ANALYSES, sent(run, trades=trades("10", "-10"), metrics={"sqn": 2})).json()

        answer = api.patch(f"{ANALYSES}{made['id']}/", {"chart_path": "charts/a.png"})

        assert answer.status_code == 200
        changed = {name for name, value in answer.json().items() if value != made[name]}
        assert changed == {"chart_path", "updated_at"}

    def test_completes_an_analysis_with_its_trades(self, api, run):
        made = api.post(ANALYSES, sent(run, status="running")).json()

        answer = api.patch(
            f"{ANALYSES}{made['id']}/", {"status": "completed", "trades": trades("10")}
        )

        assert (answer.json()["origin"], answer.json()["total_trades"]) == ("computed", 1)

    def test_takes_other_trades(self, api, run):
        made = api.post(ANALYSES, sent(run, trades=trades("10"))).json()

        answer = api.patch(f"{ANALYSES}{made['id']}/", {"trades": trades("1", "2")})

        assert (answer.status_code, answer.json()["total_trades"]) == (200, 2)
        assert answer.json()["compressed_path"] != made["compressed_path"]
        assert answer.json()["period_end"] == "2026-03-03T13:00:00Z"

    def test_keeps_the_period_that_was_told_before_there_were_trades(self, api, run):
        period = {"period_start": at(-48), "period_end": at(240)}
        made = api.post(ANALYSES, sent(run, status="running", **period)).json()

        answer = api.patch(f"{ANALYSES}{made['id']}/", {"trades": trades("10")})

        assert answer.json()["period_start"] == made["period_start"] is not None
        found = api.get(f"{METRICS}?analysis_id={made['id']}&metric_name=total_return").json()
        assert found["results"][0]["n"] == 13

    def test_puts_a_whole_analysis_in_its_place(self, api, run):
        made = api.post(ANALYSES, sent(run, trades=trades("10"))).json()

        answer = api.put(f"{ANALYSES}{made['id']}/", sent(run, sharpe_ratio=2))

        body = answer.json()
        assert (answer.status_code, body["origin"], body["sharpe_ratio"]) == (200, "reported", 2)
        assert (body["compressed_path"], body["trades_checksum"]) == ("", "")

    def test_does_not_rename(self, api, run):
        made = api.post(ANALYSES, sent(run)).json()

        found = assert_problem(api.patch(f"{ANALYSES}{made['id']}/", {"symbol": "ETH/BTC"}), 400)

        assert found["errors"][0]["code"] == "differs_from_path"

    def test_does_not_touch_what_was_computed_here(self, api):
        ours = make_analysis(strategy_configuration=make_strategy_configuration())

        found = assert_problem(api.patch(f"{ANALYSES}{ours.pk}/", {"status": "failed"}), 400)

        assert found["errors"][0]["code"] == "computed_here"
        ours.refresh_from_db()
        assert ours.status == "completed"

    def test_misses_what_is_not_there(self, api):
        assert_problem(api.patch(f"{ANALYSES}4711/", {"chart_path": "a"}), 404)

    def test_leaves_nothing_of_a_change_that_is_refused(self, api, run):
        made = api.post(ANALYSES, sent(run, trades=trades("10"))).json()
        bad = trades("1")
        bad[0]["exit_time"] = at(-1)

        assert_problem(api.patch(f"{ANALYSES}{made['id']}/", {"trades": bad}), 400)

        assert api.get(f"{ANALYSES}{made['id']}/").json() == made


class TestReadingAnalyses:
    def test_filters(self, api):
        good = make_analysis(sharpe_ratio=2.0, max_drawdown=-0.1)
        make_analysis(sharpe_ratio=1.0, max_drawdown=-0.4, symbol="ETH/BTC")

        for query in ("sharpe_ratio_min=1.5", "max_drawdown_min=-0.2", "symbol=BTC/USD"):
            found = api.get(f"{ANALYSES}?{query}").json()["results"]
            assert [each["id"] for each in found] == [good.pk]

    def test_ranks_the_best_first(self, api):
        made = [make_analysis(sharpe_ratio=value) for value in (1.0, 3.0, None, 2.0)]

        found = api.get(RANKING).json()["results"]

        assert [each["id"] for each in found] == [made[place].pk for place in (1, 3, 0, 2)]

    def test_ranks_what_reaches_the_bounds(self, api):
        best = make_analysis(sharpe_ratio=3.0, max_drawdown=-0.1)
        make_analysis(sharpe_ratio=4.0, max_drawdown=-0.5)

        query = "sharpe_min=1&max_drawdown_min=-0.2&win_rate_min=0.1&total_trades_min=5&limit=10"
        found = api.get(f"{RANKING}?{query}&symbol=BTC/USD&timeframe=1h").json()["results"]

        assert [each["id"] for each in found] == [best.pk]

    @pytest.mark.parametrize(
        "query", ["limit=0", "limit=1001", "sharpe_min=NaN", "sharpe_min=x", "nothing=1", "symbol="]
    )
    def test_refuses_a_question_that_is_none(self, api, query):
        assert_problem(api.get(f"{RANKING}?{query}"), 400)

    def test_ranks_nothing_where_there_is_nothing(self, api):
        assert api.get(RANKING).json() == {"results": []}


class TestTradesFile:
    @pytest.fixture
    def made(self, api, run):
        return api.post(ANALYSES, sent(run, trades=trades("10", "-10", "20"))).json()

    def address(self, made):
        return f"{ANALYSES}{made['id']}/trades/"

    def content(self, answer):
        return b"".join(answer.streaming_content)

    def test_is_answered_as_it_is(self, api, made):
        answer = api.get(self.address(made))
        content = self.content(answer)

        digest = hashlib.sha256(content)
        assert (answer.status_code, answer.streaming) == (200, True)
        assert answer["Content-Type"] == "application/vnd.apache.parquet"
        assert answer["Content-Length"] == str(len(content)) == str(made["trades_bytes"])
        assert answer["ETag"] == f'"{digest.hexdigest()}"' == f'"{made["trades_checksum"]}"'
        encoded = base64.b64encode(digest.digest()).decode()
        assert answer["Repr-Digest"] == f"sha-256=:{encoded}:"
        assert answer["Digest"] == f"sha-256={encoded}"
        assert answer["Content-Disposition"].startswith("attachment")
        assert pq.read_table(io.BytesIO(content)).num_rows == 3

    def test_is_not_sent_to_whoever_has_it(self, api, made):
        tag = f'"{made["trades_checksum"]}"'

        answer = api.send("GET", self.address(made), HTTP_IF_NONE_MATCH=tag)

        assert (answer.status_code, answer.content) == (304, b"")

    def test_is_answered_as_json_in_parts(self, api, made):
        answer = api.get(f"{self.address(made)}?format=json&offset=1&limit=1").json()

        assert answer["count"] == 3
        [trade] = answer["results"]
        assert (trade["trade_number"], trade["direction"]) == (2, "long")
        assert (trade["net_pct"], trade["entry_price"]) == ("-10", "100.5")
        assert trade["entry_time"] == "2026-03-03T12:00:00Z"
        assert trade["stop_price"] is None

    @pytest.mark.parametrize("query", ["format=csv", "offset=-1", "limit=0", "limit=10001", "a=1"])
    def test_refuses_a_question_that_is_none(self, api, made, query):
        assert_problem(api.get(f"{self.address(made)}?{query}"), 400)

    def test_of_an_analysis_without_one_is_missing(self, api):
        made = make_analysis()

        found = assert_problem(api.get(f"{ANALYSES}{made.pk}/trades/"), 404)
        assert found["code"] == "missing_file"
        assert_problem(api.get(f"{ANALYSES}{made.pk}/trades/?format=json"), 404)
        assert_problem(api.get(f"{ANALYSES}4711/trades/"), 404)

    def test_that_was_changed_is_not_answered(self, api, made, root):
        (root / made["compressed_path"]).write_bytes(b"PAR1 anything else")

        for query in ("", "?format=json"):
            found = assert_problem(api.get(self.address(made) + query), 409)
            assert found["code"] == "tampered_file"

    def test_that_leads_out_of_the_root_is_not_answered(self, api, root, tmp_path):
        root.mkdir()
        (tmp_path / "secret").write_bytes(b"secret")
        (root / "link").symlink_to(tmp_path / "secret")

        for path in ("link", "../secret", str(tmp_path / "secret")):
            made = make_analysis(compressed_path=path)
            answer = assert_problem(api.get(f"{ANALYSES}{made.pk}/trades/"), 404)
            assert "secret" not in json.dumps(answer["errors"])

    def test_of_somebody_else_is_answered_with_its_own_digest(self, api, root):
        root.mkdir()
        (root / "theirs.bin").write_bytes(b"theirs")
        made = make_analysis(compressed_path="theirs.bin")

        answer = api.get(f"{ANALYSES}{made.pk}/trades/")

        assert self.content(answer) == b"theirs"
        assert answer["ETag"] == f'"{hashlib.sha256(b"theirs").hexdigest()}"'
        assert_problem(api.get(f"{ANALYSES}{made.pk}/trades/?format=json"), 422)

    def test_is_for_readers(self, made):
        assert ApiClient().get(self.address(made)).status_code == 401
        other = ApiClient(make_key(scopes=["analysis:write"]).text)
        assert other.get(self.address(made)).status_code == 403


class TestMetrics:
    def test_set_what_is_reported_beside_ours(self, api):
        analysis = make_analysis()
        make_metric(
            analysis=analysis, metric_name="sqn", metric_value=1.5, reported_value=None,
            definition="sqn/1", n=4,
        )  # fmt: skip
        row = {"analysis_id": analysis.pk, "metric_name": "sqn", "reported_value": 2}

        answer = api.post(METRICS, row)

        body = answer.json()
        assert (body["metric_value"], body["reported_value"], body["n"]) == (1.5, 2, 4)
        assert api.post(METRICS, row).status_code == 200
        assert_problem(api.post(METRICS, row | {"reported_value": 3}), 409)
        assert BacktestMetric.objects.get().metric_value == 1.5

    def test_do_not_take_ours_from_outside(self, api):
        row = {
            "analysis_id": make_analysis().pk,
            "metric_name": "sqn",
            "reported_value": 2,
            "metric_value": 9,
        }

        assert pointers(api.post(METRICS, row)) == ["/metric_value"]

    def test_of_an_unknown_analysis_are_refused(self, api):
        row = {"analysis_id": 4711, "metric_name": "sqn", "reported_value": 2}

        assert "4711" in assert_problem(api.post(METRICS, row), 400)["errors"][0]["message"]


class TestLeverage:
    def row(self, analysis, **values):
        usual = {
            "analysis_id": analysis,
            "trade_number": 1,
            "final_leverage": "5",
            "calculation_timestamp": at(0),
            "support_constraint_leverage": "8.5",
            "binding_constraint": "support",
            "reasons": {"btc": "No correlation with Bitcoin is known."},
        }
        return usual | values

    def test_is_stored_once(self, api):
        row = self.row(make_analysis().pk)

        answer = api.post(LEVERAGE, row)

        assert (answer.status_code, answer.json()["support_constraint_leverage"]) == (201, "8.5")
        assert api.post(LEVERAGE, row).status_code == 200
        assert pointers(api.post(LEVERAGE, row | {"final_leverage": 6})) == ["/final_leverage"]

    @pytest.mark.parametrize(
        "values",
        [{"final_leverage": 0}, {"trade_number": 0}, {"analysis_id": 4711}, {"floor": "x"}],
    )
    def test_that_cannot_be_is_refused(self, api, values):
        answer = api.post(LEVERAGE, self.row(make_analysis().pk) | values)

        assert pointers(answer) == [f"/{next(iter(values))}"]
        assert_problem(answer, 400)


class TestStrategies:
    ROW = {
        "name": "Careful",
        "base_strategy": "Balanced",
        "timeframe": "1h",
        "parameters": {
            "risk_multiplier": 0.8,
            "confidence_threshold": "0.7",
            "max_leverage": 8,
            "stop_loss_threshold": 0.04,
            "take_profit_threshold": 0.09,
        },
    }

    def test_list_the_defaults(self, api):
        found = api.get(f"{STRATEGIES}?is_default=true&limit=100").json()["results"]

        assert len(found) == 18

    def test_are_stored_with_who_sent_them(self):
        key = make_key(client="optimizer")

        answer = ApiClient(key.text).post(STRATEGIES, self.ROW)

        body = answer.json()
        assert answer.status_code == 201
        assert (body["created_by"], body["version"], body["is_default"]) == ("optimizer", 1, False)

    def test_name_every_fault(self, api):
        bad = {"parameters": {"risk_multiplier": 99, "typo": 1}, "base_strategy": "None"}

        found = pointers(api.post(STRATEGIES, self.ROW | bad))

        assert {"/base_strategy", "/parameters/risk_multiplier", "/parameters/typo"} <= set(found)

    def test_count_changes_of_their_parameters(self, api):
        made = api.post(STRATEGIES, self.ROW).json()
        address = f"{STRATEGIES}{made['id']}/"

        other = self.ROW["parameters"] | {"max_leverage": 9}
        assert api.patch(address, {"description": "Tuned."}).json()["version"] == 1
        assert api.patch(address, {"parameters": other}).json()["version"] == 2
        assert api.put(address, self.ROW | {"parameters": other}).json()["version"] == 2
        assert api.put(address, self.ROW).json()["version"] == 3

    @pytest.mark.parametrize("name", ["is_default", "version", "created_by"])
    def test_take_nothing_that_is_ours_to_say(self, api, name):
        assert pointers(api.post(STRATEGIES, self.ROW | {name: True})) == [f"/{name}"]

    def test_can_be_switched_off_but_not_deleted(self, api):
        held = StrategyConfiguration.objects.filter(is_default=True).first()
        address = f"{STRATEGIES}{held.pk}/"

        assert api.patch(address, {"is_active": False}).json()["is_active"] is False
        assert api.send("DELETE", address).status_code == 405

    def test_of_staff_carry_their_name(self, client):
        person = User.objects.create_superuser("ann", password="x")
        client.force_login(person)

        answer = client.post(STRATEGIES, json.dumps(self.ROW), content_type="application/json")

        assert answer.json()["created_by"] == "ann"


def test_a_hundred_trades_come_back_exactly(api, run):
    rows = [
        {
            "trade_number": 100 - number,
            "direction": "short" if number % 2 else "long",
            "entry_time": at(number),
            "exit_time": at(number + 1),
            "entry_price": f"{number + 1}.000000000000000001",
            "exit_price": f"{number + 2}.5",
            "leverage": "2.5",
            "fees_pct": "0.1",
            "exit_reason": "target",
        }
        for number in range(100)
    ]
    api.post(ANALYSES, sent(run, trades=rows))

    found = read_trades(Analysis.objects.get())
    assert [str(each.entry_price) for each in reversed(found)] == [
        each["entry_price"] for each in rows
    ]
