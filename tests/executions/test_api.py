"""Runs over HTTP: started, reported on, ended, called off, done once more."""

import threading
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from apps.access.services import ensure_roles
from apps.executions.choices import ExecutionStatus, StepStatus
from apps.executions.domain.states import EXECUTION, FINAL
from apps.executions.models import Execution, ExecutionStep
from apps.executions.services import wishes
from tests.client import ApiClient
from tests.factories import make_execution, make_key, make_step

pytestmark = pytest.mark.django_db

RUNS = "/api/v1/executions/executions/"
STEPS = "/api/v1/executions/steps/"
STATES = list(ExecutionStatus)


def program(*scopes: str) -> ApiClient:
    return ApiClient(make_key(client="pipeline", scopes=list(scopes)).text)


def staff(role: str) -> Client:
    ensure_roles()
    user = User.objects.create_user(f"{role} person", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client


def run_row(**values: Any) -> dict[str, Any]:
    return {"execution_id": "nightly_1", "execution_type": "NIGHTLY", "status": "RUNNING"} | values


def started(api: ApiClient, **values: Any) -> str:
    assert api.post(RUNS, run_row(**values)).status_code == 201
    return f"{RUNS}{run_row(**values)['execution_id']}/"


def pointers(answer: Any) -> list[str]:
    return [error["pointer"] for error in answer.json()["errors"]]


class TestStarting:
    def test_answers_the_run_as_it_is_stored(self, api):
        answer = api.post(RUNS, run_row(symbol="BTC/USDT", total_tasks=3, metadata={"seed": 0.1}))

        assert answer.status_code == 201
        body = answer.json()
        assert (body["status"], body["health"], body["total_tasks"]) == ("RUNNING", "ok", 3)
        assert body["timestamp_start"] is not None
        assert body["heartbeat_at"] is not None
        assert body["metadata"] == {"seed": 0.1}

    def test_announces_one_that_waits(self, api):
        body = api.post(RUNS, {"execution_id": "a", "execution_type": "NIGHTLY"}).json()

        assert (body["status"], body["timestamp_start"]) == ("PENDING", None)

    def test_again_is_harmless_whatever_the_run_has_done(self, api):
        at = started(api)
        api.post(f"{at}finish/", {"status": "COMPLETED"})

        answer = api.post(RUNS, run_row())

        assert (answer.status_code, answer.json()["status"]) == (200, "COMPLETED")

    def test_with_other_content_is_a_conflict(self, api):
        started(api)

        answer = api.post(RUNS, run_row(execution_type="WEEKLY", version="2"))

        assert answer.status_code == 409
        assert pointers(answer) == ["/execution_type", "/version"]

    def test_of_many_names_the_bad_ones(self, api):
        rows = [
            run_row(execution_id="a"),
            run_row(execution_id="b", status="COMPLETED"),
            run_row(execution_id="c", status="PENDING", timestamp_start="2026-01-01T00:00:00Z"),
        ]

        body = api.post(RUNS, rows).json()

        assert (body["created"], body["failed"]) == (1, 2)
        assert [each["errors"][0]["pointer"] for each in body["results"]] == [
            "/status",
            "/timestamp_start",
        ]

    @pytest.mark.parametrize(
        ("values", "pointer"),
        [
            ({"execution_id": ""}, "/execution_id"),
            ({"execution_id": "a/b"}, "/execution_id"),
            ({"execution_id": "x" * 256}, "/execution_id"),
            ({"execution_id": "nul\0"}, "/execution_id"),
            ({"execution_type": ""}, "/execution_type"),
            ({"execution_type": "x" * 51}, "/execution_type"),
            ({"status": "FAILED"}, "/status"),
            ({"status": "SUCCESS"}, "/status"),
            ({"symbols": "BTC"}, "/symbols"),
            ({"symbols": ["BTC", ""]}, "/symbols/1"),
            ({"symbols": ["BTC", 1]}, "/symbols/1"),
            ({"symbols": ["B"] * 1001}, "/symbols"),
            ({"timestamp_start": "2026-01-01T00:00:00"}, "/timestamp_start"),
            ({"timestamp_start": "2999-01-01T00:00:00Z"}, "/timestamp_start"),
            ({"total_tasks": -1}, "/total_tasks"),
            ({"total_tasks": 2**31}, "/total_tasks"),
            ({"total_tasks": True}, "/total_tasks"),
            ({"lease_seconds": 0}, "/lease_seconds"),
            ({"lease_seconds": 10**9}, "/lease_seconds"),
            ({"metadata": []}, "/metadata"),
            ({"metadata": {"a": "\ud800"}}, "/metadata/a"),
            ({"runner": "apps.analysis.tasks.evil"}, "/runner"),
            ({"progress_percentage": 50}, "/progress_percentage"),
        ],
    )
    def test_refuses_with_the_field_named(self, api, values, pointer):
        answer = api.post(RUNS, run_row(**values))

        assert answer.status_code == 400
        assert answer["Content-Type"] == "application/problem+json"
        assert pointers(answer) == [pointer]
        assert not Execution.objects.exists()

    def test_refuses_numbers_that_are_none(self, api):
        body = b'{"execution_id": "a", "execution_type": "T", "metadata": {"sharpe": NaN}}'

        assert api.post_bytes(RUNS, body).status_code == 400


class TestDescribing:
    def test_changes_what_describes_a_run(self, api):
        at = started(api)

        answer = api.patch(at, {"version": "1.2", "total_tasks": 7})

        assert answer.status_code == 200
        body = answer.json()
        assert (body["version"], body["total_tasks"], body["status"]) == ("1.2", 7, "RUNNING")

    def test_creates_a_run_that_waits(self, api):
        answer = api.put(f"{RUNS}a/", {"execution_type": "NIGHTLY"})

        assert (answer.status_code, answer.json()["status"]) == (201, "PENDING")

    @pytest.mark.parametrize("field", ["status", "timestamp_start", "timestamp_end", "health"])
    @pytest.mark.parametrize("verb", ["put", "patch"])
    def test_moves_no_state(self, api, verb, field):
        at = started(api)

        answer = getattr(api, verb)(at, {"execution_type": "NIGHTLY", field: "COMPLETED"})

        assert answer.status_code == 400
        assert pointers(answer) == [f"/{field}"]

    def test_leaves_the_type_alone(self, api):
        at = started(api)

        assert api.put(at, {"execution_type": "OTHER"}).status_code == 409

    def test_of_nothing_is_not_found(self, api):
        assert api.patch(f"{RUNS}none/", {"version": "1"}).status_code == 404


class TestReporting:
    def test_begins_a_run_that_waits_once(self, api):
        at = started(api, status="PENDING")

        first = api.post(f"{at}begin/", {})
        start = api.get(at).json()["timestamp_start"]

        assert first.json() == {
            "execution_id": "nightly_1",
            "status": "RUNNING",
            "progress_percentage": "0",
            "cancel_requested": False,
        }
        assert api.send("POST", f"{at}begin/").json() == first.json()
        assert api.get(at).json()["timestamp_start"] == start

    def test_counts_progress_from_tasks_and_steps(self, api):
        at = started(api, total_tasks=4)

        assert (
            api.post(f"{at}progress/", {"completed_tasks": ["a", "b"]}).json()[
                "progress_percentage"
            ]
            == "50"
        )
        answer = api.post(f"{at}steps/", {"step_name": "c", "status": "SUCCESS"})

        assert (answer.status_code, answer.json()["progress_percentage"]) == (201, "75")
        again = api.post(f"{at}progress/", {"completed_tasks": ["a"]})
        assert again.json()["progress_percentage"] == "75"

    def test_takes_an_empty_report_as_a_sign_of_life(self, api):
        at = started(api)
        long_ago = datetime.now(UTC) - timedelta(seconds=200)
        Execution.objects.update(heartbeat_at=long_ago)

        assert api.post(f"{at}progress/", {}).status_code == 200
        assert Execution.objects.get().heartbeat_at > long_ago

    def test_keeps_the_use_of_resources(self, api):
        at = started(api)
        api.post(f"{at}progress/", {"cpu_usage_avg": 12.5, "memory_peak_mb": "900"})
        api.post(f"{at}progress/", {"memory_peak_mb": 300, "disk_io_mb": 4})

        body = api.get(at).json()
        assert [body[name] for name in ("cpu_usage_avg", "memory_peak_mb", "disk_io_mb")] == [
            "12.5",
            "900",
            "4",
        ]

    def test_keeps_a_failure_with_whatever_its_text_holds(self, api):
        at = started(api)
        text = "Traceback: \ud800 \0 caf\u00e9"

        answer = api.post(
            f"{at}steps/",
            {
                "step_name": "load",
                "status": "FAILED_INSUFFICIENT_DATA",
                "reason": "history_too_short",
                "error_type": "ValueError",
                "error_message": text,
                "error_traceback": text,
            },
        )

        assert answer.status_code == 201
        kept = "Traceback: \ufffd \ufffd caf\u00e9"
        assert ExecutionStep.objects.get().error_traceback == kept
        (error,) = api.get(at).json()["errors"]
        assert (error["step"], error["traceback"]) == ("load", kept)

    def test_of_the_same_step_again_has_no_effect(self, api):
        at = started(api)
        report = {"step_name": "load", "status": "SUCCESS", "result_data": {"rows": 1}}
        api.post(f"{at}steps/", report)
        before = api.get(f"{STEPS}?execution_id=nightly_1").json()["results"]

        assert api.post(f"{at}steps/", report).status_code == 200
        assert api.get(f"{STEPS}?execution_id=nightly_1").json()["results"] == before

    def test_of_another_outcome_is_refused(self, api):
        at = started(api)
        api.post(f"{at}steps/", {"step_name": "load", "status": "FAILED"})

        answer = api.post(f"{at}steps/", {"step_name": "load", "status": "SUCCESS"})

        assert (answer.status_code, answer.json()["code"]) == (409, "illegal_transition")

    @pytest.mark.parametrize(
        ("verb", "body", "pointer"),
        [
            ("begin", {"now": True}, "/now"),
            ("progress", {"progress_percentage": 99}, "/progress_percentage"),
            ("progress", {"current_operation": "x" * 501}, "/current_operation"),
            ("progress", {"completed_tasks": "a"}, "/completed_tasks"),
            ("progress", {"completed_tasks": [1]}, "/completed_tasks/0"),
            ("progress", {"completed_tasks": ["x" * 256]}, "/completed_tasks/0"),
            ("progress", {"completed_tasks": ["x"] * 10_001}, "/completed_tasks"),
            ("progress", {"cpu_usage_avg": -1}, "/cpu_usage_avg"),
            ("progress", {"memory_peak_mb": "1e40"}, "/memory_peak_mb"),
            ("progress", {"disk_io_mb": "nan"}, "/disk_io_mb"),
            ("steps", {"status": "SUCCESS"}, "/step_name"),
            ("steps", {"step_name": "", "status": "SUCCESS"}, "/step_name"),
            ("steps", {"step_name": "a", "status": "COMPLETED"}, "/status"),
            ("steps", {"step_name": "a", "status": "SUCCESS", "reason": "x" * 51}, "/reason"),
            ("steps", {"step_name": "a", "status": "SUCCESS", "attempt": 1}, "/attempt"),
            ("steps", {"step_name": "a", "status": "SUCCESS", "result_data": 1}, "/result_data"),
            ("finish", {}, "/status"),
            ("finish", {"status": "RUNNING"}, "/status"),
            ("finish", {"status": "FAILED", "errors": [{}, {"at": 1}]}, "/errors/1/at"),
            ("finish", {"status": "FAILED", "errors": [{}] * 1001}, "/errors"),
            ("cancel", {"why": "because"}, "/why"),
            ("retry", {"execution_id": "a/b"}, "/execution_id"),
            ("retry", {"force": True}, "/force"),
        ],
    )
    def test_refuses_with_the_field_named(self, api, verb, body, pointer):
        at = started(api)
        before = api.get(at).json()

        answer = api.post(f"{at}{verb}/", body)

        assert answer.status_code == 400
        assert pointers(answer) == [pointer]
        assert api.get(at).json() == before

    @pytest.mark.parametrize("verb", ["begin", "progress", "steps", "finish", "cancel", "retry"])
    def test_refuses_parameters(self, api, verb):
        at = started(api)

        answer = api.send("POST", f"{at}{verb}/?force=1", b"{}")

        assert (answer.status_code, answer.json()["code"]) == (400, "unknown_parameter")

    @pytest.mark.parametrize("key", ["none", "nul%00", "a/b", "%ff"])
    @pytest.mark.parametrize(
        ("verb", "body"),
        [
            ("begin", {}),
            ("progress", {}),
            ("steps", {"step_name": "a", "status": "SUCCESS"}),
            ("finish", {"status": "COMPLETED"}),
            ("cancel", {}),
            ("retry", {}),
        ],
    )
    def test_of_what_is_not_there_is_not_found(self, api, key, verb, body):
        answer = api.post(f"{RUNS}{key}/{verb}/", body)

        assert answer.status_code == 404
        assert answer["Content-Type"] == "application/problem+json"


class TestEnding:
    @pytest.mark.parametrize(
        ("outcomes", "ended"),
        [
            (["SUCCESS", "SUCCESS"], "COMPLETED"),
            (["SUCCESS", "FAILED"], "PARTIAL_SUCCESS"),
            (["FAILED", "FAILED"], "FAILED"),
            (["SUCCESS"], "PARTIAL_SUCCESS"),
        ],
    )
    def test_looks_at_what_its_steps_say(self, api, outcomes, ended):
        at = started(api, total_tasks=2)
        for number, status in enumerate(outcomes):
            api.post(f"{at}steps/", {"step_name": f"step {number}", "status": status})

        answer = api.post(f"{at}finish/", {"status": "COMPLETED"})

        assert answer.json()["status"] == ended
        assert api.get(at).json()["reported_status"] == "COMPLETED"
        # The answer was lost, and it is sent again.
        assert api.post(f"{at}finish/", {"status": "COMPLETED"}).json() == answer.json()

    def test_takes_the_errors_and_the_last_figures(self, api):
        at = started(api)

        api.post(
            f"{at}finish/",
            {
                "status": "FAILED",
                "cpu_usage_avg": 3,
                "errors": [{"step": "load", "error_type": "OSError", "error_message": "gone \0"}],
            },
        )

        body = api.get(at).json()
        assert (body["status"], body["cpu_usage_avg"], body["error_count"]) == ("FAILED", "3", 1)
        assert body["errors"][0]["error_message"] == "gone \ufffd"

    def test_keeps_away_whoever_comes_later(self, api):
        at = started(api)
        api.post(f"{at}finish/", {"status": "CANCELLED"})
        before = api.get(at).json()

        answers = [
            api.post(f"{at}begin/", {}),
            api.post(f"{at}progress/", {}),
            api.post(f"{at}steps/", {"step_name": "a", "status": "SUCCESS"}),
            api.post(f"{at}finish/", {"status": "COMPLETED"}),
        ]

        assert [answer.status_code for answer in answers] == [409] * 4
        assert [answer.json()["code"] for answer in answers] == [
            "execution_ended",
            "execution_ended",
            "execution_ended",
            "illegal_transition",
        ]
        assert api.get(at).json() == before


class TestCancelling:
    def test_is_a_wish_that_the_run_sees(self, api):
        at = started(api)

        answer = program("executions:write").post(f"{at}cancel/", {})

        assert (answer.status_code, answer.json()["status"]) == (200, "RUNNING")
        seen = api.get(f"{at}cancellation/").json()
        assert (seen["cancel_requested"], seen["cancel_requested_by"]) == (True, "pipeline")
        assert api.post(f"{at}progress/", {}).json()["cancel_requested"] is True
        assert api.post(f"{at}cancel/", {}).json() == answer.json()
        assert api.get(f"{at}cancellation/").json() == seen
        assert api.post(f"{at}finish/", {"status": "CANCELLED"}).json()["status"] == "CANCELLED"

    def test_ends_a_waiting_one_at_once_and_again(self, api):
        at = started(api, status="PENDING")

        for _ in range(2):
            answer = api.send("POST", f"{at}cancel/")
            assert (answer.status_code, answer.json()["status"]) == (200, "CANCELLED")

    @pytest.mark.parametrize("status", ["COMPLETED", "PARTIAL_SUCCESS", "FAILED"])
    def test_comes_too_late_for_one_that_ended(self, api, status):
        run = make_execution(status=status)

        answer = api.post(f"{RUNS}{run.pk}/cancel/", {})

        assert (answer.status_code, answer.json()["code"]) == (409, "execution_ended")
        assert status in answer.json()["detail"]

    def test_of_nothing_is_not_found(self, api):
        assert api.get(f"{RUNS}none/cancellation/").status_code == 404


class TestRetrying:
    def test_makes_a_new_run_that_points_to_the_old(self, api):
        old = make_execution(status="FAILED", metadata={"a": 1})

        answer = api.send("POST", f"{RUNS}{old.pk}/retry/")

        assert answer.status_code == 201
        body = answer.json()
        assert (body["retry_of_id"], body["status"], body["metadata"]) == (
            old.pk,
            "PENDING",
            {"a": 1},
        )

    def test_under_a_chosen_id_is_safe_to_repeat(self, api):
        old = make_execution(status="FAILED")

        first, again = (
            api.post(f"{RUNS}{old.pk}/retry/", {"execution_id": "second"}) for _ in range(2)
        )

        assert (first.status_code, again.status_code) == (201, 200)
        assert first.json() == again.json()

    def test_of_one_that_runs_is_refused(self, api):
        answer = api.post(f"{RUNS}{make_execution().pk}/retry/", {})

        assert (answer.status_code, answer.json()["code"]) == (409, "illegal_transition")

    def test_wakes_the_workers_of_one_of_ours(self, api, monkeypatch):
        woken: list[str] = []
        monkeypatch.setattr(wishes, "wake", woken.append)
        old = make_execution(status="FAILED", runner="apps.analysis.tasks.add_symbols")

        api.post(f"{RUNS}{old.pk}/retry/", {})

        assert woken == ["apps.analysis.tasks.add_symbols"]


class TestReading:
    def test_filters_the_list(self, api):
        old = make_execution(execution_id="old", status="FAILED", symbol="ETH/USD")
        make_execution(execution_id="new", retry_of=old, symbol="", symbols=["BTC/USD", "XRP/USD"])
        Execution.objects.filter(pk="old").update(created_at=datetime(2026, 1, 1, tzinfo=UTC))

        def ids(query: str) -> list[str]:
            return [row["execution_id"] for row in api.get(f"{RUNS}?{query}").json()["results"]]

        assert ids("") == ["new", "old"]
        assert ids("ordering=created_at") == ["old", "new"]
        assert ids("status=FAILED,CANCELLED") == ["old"]
        assert ids("symbol=BTC/USD") == ["new"]
        assert ids("symbol=BTC/USD,ETH/USD") == ["new", "old"]
        assert ids("symbol=BTC") == []
        assert ids("retry_of_id=old") == ["new"]
        assert ids("health=stuck") == []
        assert ids("created_at_before=2026-01-02T00:00:00Z") == ["old"]
        assert ids("execution_type=NIGHTLY&runner=") == ["new", "old"]

    def test_shows_steps_of_one_run(self, api):
        run = make_execution()
        make_step(execution=run, step_name="load", status="SUCCESS")
        make_step(execution=run, step_name="train", status="RUNNING")
        make_step(step_name="load")

        rows = api.get(f"{STEPS}?execution_id={run.pk}&ordering=created_at").json()["results"]

        assert [(row["step_name"], row["status"]) for row in rows] == [
            ("load", "SUCCESS"),
            ("train", "RUNNING"),
        ]
        assert float(rows[0]["duration_seconds"]) > 0
        assert api.post(STEPS, {}).status_code == 405


class TestPermission:
    def test_of_a_reader_is_to_look(self):
        run = make_execution()
        reader = program("executions:read")

        assert reader.get(f"{RUNS}{run.pk}/cancellation/").status_code == 200
        for verb in ("begin", "progress", "steps", "finish", "cancel", "retry"):
            assert reader.post(f"{RUNS}{run.pk}/{verb}/", {}).status_code == 403

    def test_of_staff_is_to_wish_and_not_to_report(self):
        run = make_execution()
        for role, status in (("Viewer", 403), ("Operator", 200)):
            client = staff(role)
            body, kind = "{}", "application/json"
            assert client.post(f"{RUNS}{run.pk}/cancel/", body, kind).status_code == status
            assert client.post(f"{RUNS}{run.pk}/progress/", body, kind).status_code == 403
        run.refresh_from_db()
        assert run.cancel_requested_by == "Operator person"


@pytest.mark.django_db(transaction=True)
class TestAllWaysThatAreNone:
    def test_change_nothing_sent_by_eight_threads_at_once(self):
        """Every pair of states that the table does not know, by whatever verb leads there."""
        verbs = {
            "RUNNING": ("begin", {}),
            "COMPLETED": ("finish", {"status": "COMPLETED"}),
            "PARTIAL_SUCCESS": ("finish", {"status": "PARTIAL_SUCCESS"}),
            "FAILED": ("finish", {"status": "FAILED"}),
            "CANCELLED": ("finish", {"status": "CANCELLED"}),
        }
        illegal = [
            (before, after)
            for before, after in product(STATES, verbs)
            if after not in EXECUTION.get(before, ()) and before != after
        ]
        runs = [
            make_execution(status=before, reported_status=before if before in FINAL else "")
            for before, _ in illegal
        ]
        key = make_key(scopes=["executions:write"]).text
        before = list(Execution.objects.order_by("pk").values())
        answers: list[int] = []

        def send() -> None:
            client = ApiClient(key)
            for run, (_, after) in zip(runs, illegal, strict=True):
                verb, body = verbs[after]
                answers.append(client.post(f"{RUNS}{run.pk}/{verb}/", body).status_code)
            connection.close()

        threads = [threading.Thread(target=send) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert len(answers) == 8 * len(illegal) >= 64
        assert set(answers) == {409}
        assert list(Execution.objects.order_by("pk").values()) == before


def test_the_verbs_are_documented(capfd):
    document = SchemaGenerator().get_schema(request=None, public=True)
    at = f"{RUNS}{{execution_id}}/"

    def content(verb: str, part: str) -> Any:
        described = document["paths"][f"{at}{verb}/"]["post"]
        found = described["requestBody"] if part == "body" else described["responses"][part]
        return found["content"]["application/json"]["schema"]

    assert "ExecutionViewSet" not in capfd.readouterr().err
    for verb in ("begin", "progress", "steps", "finish", "cancel"):
        assert content(verb, "200") == {"$ref": "#/components/schemas/RunAnswer"}
    assert content("steps", "body") == {"$ref": "#/components/schemas/StepRow"}
    assert "get" in document["paths"][f"{at}cancellation/"]
    step = document["components"]["schemas"]["StepRow"]["properties"]
    assert step["status"]["enum"] == StepStatus.values
