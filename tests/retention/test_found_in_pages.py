"""What was found by using the pages and commands of retention wrongly."""

import json
import re
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.urls import reverse
from django.utils import timezone

from apps.retention.admin import archive_pages
from apps.retention.management.commands import restore as restore_command
from apps.retention.management.commands import retention as retention_command
from apps.retention.models import RetentionPolicy
from apps.retention.services.policies import ensure_policies
from apps.shared.retention.restoring import Restored, TablePreview
from tests.factories import make_archive
from tests.logs.pages import page

pytestmark = pytest.mark.django_db(transaction=True)

RESTORE = "admin:retention_archive_restore"
LIST = "admin:retention_retentionpolicy_changelist"
PAGE = "admin:retention_retentionpolicy_change"
PREVIEW = "admin:retention_retentionpolicy_preview"
PREVIEW_ALL = "admin:retention_retentionpolicy_preview_all"
EDIT = "admin:retention_retentionpolicy_edit"


@pytest.fixture(autouse=True)
def policies(settings, tmp_path):
    settings.ARCHIVE_ROOT, settings.ARCHIVE_RESERVE = tmp_path / "archives", 0
    ensure_policies(now=timezone.now())


@pytest.fixture
def archive():
    return make_archive(dataset="trades")


def words_of(client, name, *args):
    """Return the words of a page, without the marks around them."""
    return re.sub(r"<[^>]+>", "", page(client, name, *args))


def told(*words):
    out = StringIO()
    call_command(*words, stdout=out, stderr=StringIO())
    return out.getvalue()


class TestRestorePage:
    def previewed(self, monkeypatch, *tables):
        monkeypatch.setattr(archive_pages, "preview_restore", lambda **kwargs: list(tables))

    def test_promises_no_row_in_whose_place_another_one_stands(
        self, admin_client, archive, monkeypatch
    ):
        self.previewed(monkeypatch, TablePreview("trades", 10, 7, 3, 0, "", 2))

        shown = words_of(admin_client, RESTORE, archive.pk)

        assert "Restore 5 rows of" in shown
        assert "2 rows cannot come back: in their place another one stands." in shown
        assert "In the way" in shown

    def test_offers_nothing_where_every_missing_row_has_lost_its_place(
        self, admin_client, archive, monkeypatch
    ):
        self.previewed(monkeypatch, TablePreview("trades", 4, 1, 3, 0, "", 1))

        shown = words_of(admin_client, RESTORE, archive.pk)

        assert "There is nothing to restore." in shown
        assert "1 row cannot come back: in its place another one stands." in shown
        assert "Restore 1 row" not in shown


class TestPreviewOfAll:
    def test_names_the_policy_that_it_could_not_count(self, admin_client):
        RetentionPolicy.objects.filter(dataset="trades").update(exemptions=[])

        shown = page(admin_client, PREVIEW_ALL)

        assert "Not counted: Closed paper and optimization trades: Live trades are never" in shown

    def test_says_nothing_of_the_kind_where_all_are_counted(self, admin_client):
        assert "Not counted" not in page(admin_client, PREVIEW_ALL)


class TestExemptions:
    @pytest.mark.parametrize("written", [None, 5, {"open": True}, [["open"], None]])
    @pytest.mark.parametrize("dataset", ["trades", "notifications"])
    def test_that_are_no_list_of_names_break_no_page(self, admin_client, dataset, written):
        policy = RetentionPolicy.objects.get(dataset=dataset)
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE retention_policies SET exemptions = %s WHERE id = %s",
                [json.dumps(written), policy.pk],
            )

        page(admin_client, LIST)
        page(admin_client, PREVIEW_ALL)
        for name in (PAGE, PREVIEW, EDIT):
            page(admin_client, name, policy.pk)


class TestForm:
    def test_refuses_a_form_that_was_sent_without_anything(self, admin_client):
        policy = RetentionPolicy.objects.get(dataset="trades")

        answer = admin_client.post(reverse(EDIT, args=[policy.pk]), {})

        assert "It was not saved: see below." in answer.content.decode()


class TestCommands:
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--preview", "trades"], "Interrupted."),
            (["--run", "trades"], "Interrupted: workers go on with what was planned."),
        ],
    )
    def test_retention_says_in_a_line_that_it_was_interrupted(self, monkeypatch, words, said):
        def interrupted(*args, **kwargs):
            raise KeyboardInterrupt

        monkeypatch.setattr(retention_command, "preview", interrupted)
        monkeypatch.setattr(retention_command.stepping, "work", interrupted)

        with pytest.raises(CommandError, match=f"^{said}$") as refusal:
            told("retention", *words)

        assert refusal.value.returncode == 130

    def test_restore_says_in_a_line_that_it_was_interrupted(self, monkeypatch, archive):
        def interrupted(**kwargs):
            raise KeyboardInterrupt

        monkeypatch.setattr(restore_command, "restore_archive", interrupted)

        with pytest.raises(CommandError, match=r"^Interrupted: rows come back all at once"):
            told("restore", str(archive.pk))

    @pytest.mark.parametrize("words", [["retention"], ["restore", "1"]])
    def test_says_in_a_line_that_there_is_no_database(self, monkeypatch, words):
        def unreachable(*args, **kwargs):
            raise OperationalError("connection refused\nIs the server running?")

        monkeypatch.setattr(retention_command, "ensure_policies", unreachable)
        monkeypatch.setattr(restore_command, "find_archive", unreachable)

        with pytest.raises(CommandError, match=r"^The database cannot be used: connection ref"):
            told(*words)

    def test_speaks_of_one_row_in_the_singular(self, monkeypatch, archive):
        monkeypatch.setattr(
            restore_command, "restore_archive", lambda **kwargs: [Restored("trades", 1, 0, 0)]
        )

        assert "1 row came back." in told("restore", str(archive.pk))

    def test_speaks_of_one_policy_in_the_singular(self):
        RetentionPolicy.objects.get(dataset="trades").delete()

        assert told("ensure_policies") == "1 policy added\n"
