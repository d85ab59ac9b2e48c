"""Archives in the admin: what they hold, reading them again, bringing their rows back."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.bots.models import Trade
from apps.retention.admin import archive_pages, archives
from apps.retention.choices import ArchiveStatus
from apps.retention.models import Archive, RetentionPolicy
from apps.retention.services.policies import ensure_policies
from apps.retention.services.runs import plan_retention
from apps.retention.services.stepping import work
from tests.factories import make_archive, make_bot, make_trade
from tests.logs.pages import page

LIST = "admin:retention_archive_changelist"
PAGE = "admin:retention_archive_change"
VERIFY = "admin:retention_archive_verify"
RESTORE = "admin:retention_archive_restore"


def words_of(client, name, *args):
    """Return the words of a page, without the marks around them."""
    return re.sub(r"<[^>]+>", "", page(client, name, *args))


def told(client, name, archive, **values):
    """Return what a page says after a form was sent to it."""
    answer = client.post(reverse(name, args=[archive.pk]), values, follow=True)
    assert answer.status_code == 200
    return re.sub(r"<[^>]+>", "", answer.content.decode())


def staff(*permissions):
    user = User.objects.create_user("someone", is_staff=True)
    for name in permissions:
        user.user_permissions.add(
            Permission.objects.get(codename=name, content_type__app_label="retention")
        )
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def kept(transactional_db, settings, tmp_path):
    """Return an archive of three trades that have left."""
    settings.ARCHIVE_ROOT, settings.ARCHIVE_RESERVE = tmp_path, 0
    ensure_policies(now=timezone.now())
    left = timezone.now() - timedelta(days=200)
    bot = make_bot(type="paper")
    for hours in range(3):
        moment = left + timedelta(hours=hours)
        make_trade(bot=bot, closed=True, entry_time=moment - timedelta(hours=3), exit_time=moment)
    plan_retention(dataset="trades", by="somebody", now=timezone.now())
    while work(clock=timezone.now, joined=lambda: None):
        pass
    return Archive.objects.get()


def a_file_of(archive, root):
    return sorted((Path(root) / archive.path).glob("*.parquet"))[0]


def flip_a_byte(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.django_db
class TestListAndPage:
    def test_list_tells_what_each_holds(self, admin_client):
        make_archive(path="trades/a/0001", rows=1234, bytes=2048)

        html = words_of(admin_client, LIST)

        for words in ("Closed paper", "trades/a/0001", "Kept", "1,234", "2.0", "2025-05-06"):
            assert words in html

    def test_list_says_what_would_fill_it(self, admin_client):
        assert "the first time that rows are old" in page(admin_client, LIST)

    def test_page_says_that_the_files_are_gone(self, admin_client):
        html = words_of(admin_client, PAGE, make_archive().pk)

        assert "Its files are not to be found." in html

    def test_page_of_a_path_that_leads_out_reads_nothing(self, admin_client):
        html = words_of(admin_client, PAGE, make_archive(path="../../etc").pk)

        assert "archive root" in html

    def test_names_what_stayed(self, admin_client):
        html = words_of(admin_client, PAGE, make_archive(stayed=["a<b>", "c"]).pk)

        assert "a&lt;b&gt;" in html

    def test_who_only_looks_is_offered_nothing(self):
        archive = make_archive()
        client = staff("view_archive")

        assert "Verify" not in words_of(client, PAGE, archive.pk)
        for name in (VERIFY, RESTORE):
            address = reverse(name, args=[archive.pk])
            assert client.post(address, {"confirmed": "yes"}).status_code == 403
        assert client.get(reverse(RESTORE, args=[archive.pk])).status_code == 403


class TestVerify:
    def test_finds_damage_marks_it_and_takes_the_mark_off_again(self, admin_client, kept, settings):
        file = a_file_of(kept, settings.ARCHIVE_ROOT)
        assert "Whole: every file is what was written." in told(admin_client, VERIFY, kept)

        flip_a_byte(file)
        html = told(admin_client, VERIFY, kept)
        kept.refresh_from_db()
        assert "Damaged: The file 0_trades.parquet" in html
        assert "Nothing is deleted by it." in html
        assert kept.status == ArchiveStatus.DAMAGED

        assert "It cannot be restored." in words_of(admin_client, RESTORE, kept.pk)
        assert "Nothing was restored." in told(admin_client, RESTORE, kept, confirmed="yes")
        assert not Trade.objects.exists()

        flip_a_byte(file)
        told(admin_client, VERIFY, kept)
        kept.refresh_from_db()
        assert kept.status == ArchiveStatus.KEPT

        file.unlink()
        html = words_of(admin_client, PAGE, kept.pk)
        assert "Missing, or of another length: 0_trades.parquet." in html
        assert "Damaged" in told(admin_client, VERIFY, kept)


class TestRestore:
    def test_is_previewed_and_brings_the_rows_back_once(self, admin_client, kept, monkeypatch):
        assert "Restore 3 rows" in words_of(admin_client, RESTORE, kept.pk)
        told(admin_client, RESTORE, kept)
        assert not Trade.objects.exists(), "looking brings nothing back"

        html = told(admin_client, RESTORE, kept, confirmed="yes")
        kept.refresh_from_db()
        assert "3 rows restored." in html
        assert Trade.objects.count() == 3
        assert (kept.status, kept.restored_by) == (ArchiveStatus.RESTORED, "admin")
        assert RetentionPolicy.objects.get(dataset="trades").held_until > timezone.now()

        assert "There is nothing to restore." in words_of(admin_client, RESTORE, kept.pk)
        again = told(admin_client, RESTORE, kept, confirmed="yes")
        assert "0 rows restored; 3 stood there already." in again

        Trade.objects.all().delete()
        for module in (archives, archive_pages):
            monkeypatch.setattr(module, "MOST_AT_ONCE", 2)
        assert f"manage.py restore {kept.pk}" in words_of(admin_client, RESTORE, kept.pk)
        told(admin_client, RESTORE, kept, confirmed="yes")
        assert not Trade.objects.exists(), "so many are left to the command"
