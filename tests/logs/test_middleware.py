"""Every request leaves a row that says who did what, and no request pays for it."""

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.http import HttpResponse, StreamingHttpResponse
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from apps.logs import handler, middleware
from apps.logs.middleware import UserActionMiddleware, address_of
from tests.client import ApiClient
from tests.factories import make_key

PASSWORD = "correct horse battery"


@pytest.fixture
def rows(monkeypatch):
    """Return the rows of requests as they come."""
    rows = []

    class Kept:
        def put(self, table, values):
            if table == "UserActionLog":
                rows.append(values)

        def is_own_thread(self):
            return False

    monkeypatch.setattr(middleware, "writer", Kept())
    monkeypatch.setattr(handler, "writer", Kept())
    return rows


@pytest.fixture
def staff(db):
    return User.objects.create_superuser("ada", password=PASSWORD)


@pytest.fixture
def browser(staff):
    browser = Client()
    browser.force_login(staff)
    return browser


class TestRow:
    def test_of_a_page_says_who_saw_what(self, rows, browser):
        answer = browser.get(
            "/admin/?page=2", headers={"user-agent": "Firefox", "x-request-id": "cause-1"}
        )

        (row,) = rows
        assert row["action_type"] == "page_view"
        assert (row["request_method"], row["request_path"]) == ("GET", "/admin/?page=2")
        assert (row["response_status"], row["user_id"]) == (answer.status_code, "ada")
        assert (row["correlation_id"], row["user_agent"]) == ("cause-1", "Firefox")
        assert row["ip_address"] == "127.0.0.1"
        assert row["duration_ms"] > 0

    def test_of_a_call_names_the_client_of_its_key(self, rows, db):
        ApiClient(make_key(client="grid bot").text).get("/api/v1/alerts/alerts/")

        (row,) = rows
        assert (row["action_type"], row["user_id"]) == ("api_call", "grid bot")
        assert (row["response_status"], row["session_id"]) == (200, "")

    def test_of_a_refused_call_names_nobody(self, rows, db):
        ApiClient("blt_nonsense").get("/api/v1/alerts/alerts/")

        (row,) = rows
        assert (row["response_status"], row["user_id"]) == (401, "")

    def test_of_a_call_from_a_page_names_the_user(self, rows, browser):
        browser.get("/api/v1/alerts/alerts/")

        assert (rows[0]["action_type"], rows[0]["user_id"]) == ("api_call", "ada")

    def test_of_a_page_without_anybody_names_nobody(self, rows, db):
        Client().get("/admin/login/")

        assert (rows[0]["user_id"], rows[0]["response_status"]) == ("", 200)

    def test_of_an_unknown_address_is_there_too(self, rows, db):
        Client().get("/api/v1/nowhere/")

        assert rows[0]["response_status"] == 404


class TestLogin:
    def test_and_logout_name_the_user_and_one_session(self, rows, staff):
        browser = Client()
        browser.post("/admin/login/", {"username": "ada", "password": PASSWORD, "next": "/admin/"})
        browser.get("/admin/")
        browser.post("/admin/logout/")

        assert [row["action_type"] for row in rows] == ["login", "page_view", "logout"]
        assert {row["user_id"] for row in rows} == {"ada"}
        assert len({row["session_id"] for row in rows}) == 1

    def test_that_failed_is_told_apart(self, rows, staff):
        Client().post("/admin/login/", {"username": "ada", "password": "wrong"})

        (row,) = rows
        assert (row["action_type"], row["user_id"]) == ("login_failed", "")
        assert "wrong" not in str(row)

    def test_leaves_no_key_to_the_session(self, rows, browser):
        browser.get("/admin/")

        assert rows[0]["session_id"]
        assert rows[0]["session_id"] not in browser.session.session_key
        assert browser.session.session_key not in str(rows)


class TestForm:
    def test_that_is_sent_is_told_as_one(self, rows, browser):
        browser.post("/admin/auth/user/add/", {})

        assert rows[0]["action_type"] == "form_post"


class TestLeftOut:
    @pytest.mark.parametrize(
        "path", ["/livez", "/readyz", "/static/css/blotter.css", "/admin/desk/"]
    )
    def test_is_what_nobody_did(self, rows, browser, path):
        for part in browser.get(path):
            assert part

        assert rows == []

    @pytest.mark.parametrize(("status", "told"), [(200, 0), (403, 1), (500, 1)])
    def test_is_a_page_that_refreshes_itself_unless_it_fails(self, rows, status, told):
        answer = UserActionMiddleware(lambda request: HttpResponse(status=status))
        answer(RequestFactory().get("/admin/executions/execution/nightly/live/"))
        answer(RequestFactory().get("/elsewhere/live/"))

        assert len(rows) == told + 1

    @pytest.mark.parametrize(("status", "told"), [(201, 0), (400, 1), (500, 1)])
    def test_is_what_reports_unless_it_fails(self, rows, status, told):
        answer = UserActionMiddleware(lambda request: HttpResponse(status=status))
        answer(RequestFactory().post("/api/v1/logs/system-logs/"))
        answer(RequestFactory().get("/api/v1/logs/system-logs/"))

        assert len(rows) == told + 1

    @pytest.mark.parametrize(("status", "told"), [(200, 0), (404, 1)])
    def test_is_a_sign_of_life_unless_it_fails(self, rows, status, told):
        answer = UserActionMiddleware(lambda request: HttpResponse(status=status))
        answer(RequestFactory().post("/api/v1/bots/instances/grid/heartbeat/"))

        assert len(rows) == told

    def test_is_not_what_staff_do_with_logs(self, rows):
        answer = UserActionMiddleware(lambda request: HttpResponse())
        answer(RequestFactory().post("/api/v1/logs/notifications/7/acknowledge/"))

        assert len(rows) == 1


class TestCrash:
    def test_is_told_as_500(self, rows):
        def crash(request):
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            UserActionMiddleware(crash)(RequestFactory().get("/x/"))

        assert rows[0]["response_status"] == 500

    def test_is_told_with_the_whole_chain_of_middleware(self, rows, db, monkeypatch):
        monkeypatch.setattr("config.health.unapplied_migrations", lambda: 1 / 0)
        monkeypatch.setattr(middleware, "UNTOLD", frozenset())

        answer = Client(raise_request_exception=False).get("/readyz")

        assert answer.status_code == rows[0]["response_status"] == 500


class TestCost:
    def test_is_no_query_and_no_session_that_nobody_asked_for(self, rows, staff, browser):
        def quiet(request):
            assert request.session is not None
            return HttpResponse()

        from django.contrib.auth.middleware import AuthenticationMiddleware
        from django.contrib.sessions.middleware import SessionMiddleware

        request = RequestFactory().get("/x/")
        request.COOKIES.update({name: cookie.value for name, cookie in browser.cookies.items()})
        with CaptureQueriesContext(
            connection,
        ) as queries:
            chain = UserActionMiddleware(SessionMiddleware(AuthenticationMiddleware(quiet)))
            response = chain(request)

        assert len(queries) == 0
        assert "Vary" not in response
        assert (rows[0]["user_id"], rows[0]["session_id"]) == ("", "")

    def test_leaves_a_streamed_answer_unread(self, rows):
        taken = []

        def parts():
            taken.append(1)
            yield b"one"

        response = UserActionMiddleware(lambda request: StreamingHttpResponse(parts()))(
            RequestFactory().get("/x/")
        )

        assert (len(rows), taken) == (1, [])
        assert b"".join(response) == b"one"


class TestAddress:
    @pytest.mark.parametrize(
        ("proxies", "seen", "address"),
        [
            (0, "203.0.113.9", "192.0.2.1"),
            (1, "203.0.113.9", "203.0.113.9"),
            (1, "6.6.6.6, 203.0.113.9", "203.0.113.9"),
            (2, "6.6.6.6, 203.0.113.9, 10.0.0.1", "203.0.113.9"),
            (2, "203.0.113.9", "192.0.2.1"),
            (1, "203.0.113.9:4711", "203.0.113.9"),
            (1, "[2001:db8::7]:4711", "2001:db8::7"),
            (1, "[2001:db8::7]", "2001:db8::7"),
            (1, "2001:db8::7", "2001:db8::7"),
            (1, "fe80::1%eth0", "fe80::1"),
            (1, "unknown", None),
            (1, "", None),
        ],
    )
    def test_is_that_which_the_outermost_trusted_proxy_saw(self, settings, proxies, seen, address):
        settings.TRUSTED_PROXIES = proxies

        assert address_of({"REMOTE_ADDR": "192.0.2.1", "HTTP_X_FORWARDED_FOR": seen}) == address

    def test_is_not_known_behind_a_socket(self, settings):
        assert address_of({"REMOTE_ADDR": ""}) is None


class TestRequestAfterItsAnswer:
    def test_is_known_to_the_line_that_django_writes_then(self, rows, db, monkeypatch):
        lines = []
        kept = handler.DatabaseHandler()
        monkeypatch.setattr(handler.writer, "put", lambda table, row: lines.append(row))

        import logging

        logger = logging.getLogger("django.request")
        logger.addHandler(kept)
        try:
            Client().get("/nowhere/", headers={"x-request-id": "cause-9"})
        finally:
            logger.removeHandler(kept)

        assert [line["correlation_id"] for line in lines] == ["cause-9"]
