"""The admin's imports: a preview first, and nothing trusted in between."""

import re

import pytest
from django.contrib.auth.models import Permission
from django.core import signing
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from apps.market.admin import imports
from apps.market.models import Candle, Instrument

CANDLES = reverse("admin:market_candle_changelist")
URL = f"{CANDLES}import/"
HEADER = "timestamp,open,high,low,close,volume\n"
TWO = HEADER + "2024-01-01T00:00:00Z,1,2,0.5,1.5,10\n2024-01-04T00:00:00Z,1,2,0.5,1.5,10\n"


def upload(client, content=TWO, name="BTC_USD-1d.csv", **answers):
    raw = content if isinstance(content, bytes) else content.encode()
    answers = {"source": "test", "symbol": "", "granularity": "", "epoch": ""} | answers
    return client.post(URL, {"file": SimpleUploadedFile(name, raw)} | answers)


def note_in(response):
    return re.search(r'name="note" value="([^"]+)"', response.content.decode())[1]


@pytest.fixture
def staff(client, django_user_model):
    user = django_user_model.objects.create_user("staff", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_candle"]))
    client.force_login(user)
    return client


@pytest.mark.django_db
class TestCandles:
    def test_the_list_leads_to_the_import(self, admin_client):
        assert URL in admin_client.get(CANDLES).content.decode()
        assert admin_client.get(URL).status_code == 200

    def test_a_preview_counts_and_stores_nothing(self, admin_client):
        page = upload(admin_client, TWO + "2024-01-05T00:00:00Z,1,2,0.5,x,10\n")

        report = page.context["report"]
        assert (report.created, report.refused, report.missing) == (2, 1, 2)
        text = page.content.decode()
        assert "Store 2 candles" in text
        assert "close: &#x27;x&#x27; is not a number." in text
        assert not Candle.objects.exists()
        assert not Instrument.objects.exists()

    def test_confirming_stores_what_was_shown(self, admin_client):
        note = note_in(upload(admin_client))

        answer = admin_client.post(URL, {"note": note}, follow=True)

        assert Candle.objects.filter(symbol="BTC/USD", source="test", granularity="1d").count() == 2
        assert (
            "BTC_USD-1d.csv: 2 new, 0 unchanged, 0 replaced, 0 refused." in answer.content.decode()
        )

    def test_confirming_twice_changes_nothing(self, admin_client):
        note = note_in(upload(admin_client))
        admin_client.post(URL, {"note": note})

        answer = admin_client.post(URL, {"note": note}, follow=True)

        assert "0 new, 2 unchanged" in answer.content.decode()

    def test_confirming_checks_everything_again(self, admin_client):
        note = note_in(upload(admin_client))
        place = signing.loads(note, salt=imports.SALT)["place"]
        assert cache.get(f"candle-import:{place}") == TWO.encode()
        cache.set(f"candle-import:{place}", TWO.replace("1.5", "1.6").encode())

        admin_client.post(URL, {"note": note})

        assert not Candle.objects.exists()

    @pytest.mark.parametrize("note", ["", "x", "a:b:c", "\0"])
    def test_a_note_that_is_not_ours_is_refused(self, admin_client, note):
        answer = admin_client.post(URL, {"note": note}, follow=True)

        assert "too old" in answer.content.decode()
        assert not Candle.objects.exists()

    def test_a_note_of_somebody_else_is_refused(self, admin_client, client, django_user_model):
        note = note_in(upload(admin_client))
        other = django_user_model.objects.create_superuser("other", password="x")
        client.force_login(other)

        client.post(URL, {"note": note})

        assert not Candle.objects.exists()

    def test_a_preview_grows_old(self, admin_client, monkeypatch):
        note = note_in(upload(admin_client))
        monkeypatch.setattr(imports, "PREVIEW_SECONDS", -1)

        admin_client.post(URL, {"note": note})

        assert not Candle.objects.exists()

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            ("", "empty"),
            (b"\x1f\x8bgarbage", "cut off|damaged"),
            ("a,b\n1,2\n", "Missing in the header"),
        ],
    )
    def test_says_why_a_file_cannot_be_read(self, admin_client, content, reason):
        page = upload(admin_client, content)

        assert page.status_code == 200
        assert re.search(reason, page.content.decode())

    def test_refuses_a_file_that_is_too_large(self, admin_client, monkeypatch):
        monkeypatch.setattr(imports, "MOST_BYTES", 50)
        assert "manage.py import_candles" in str(upload(admin_client).context["form"].errors)

        monkeypatch.setattr(imports, "MOST_BYTES", 5000)
        monkeypatch.setattr(imports, "MOST_ROWS", 1)
        assert "more than 1 rows" in str(upload(admin_client).context["form"].errors)

    def test_shows_what_a_file_says_as_text(self, admin_client):
        nasty = "<script>alert(1)</script>"
        page = upload(
            admin_client, TWO + f"{nasty},1,1,1,1,1\n", name=f"{nasty}-1d.csv", symbol=nasty
        )

        assert nasty not in page.content.decode()

    def test_needs_the_permission_to_add(self, staff):
        assert staff.get(CANDLES).status_code == 200
        assert URL not in staff.get(CANDLES).content.decode()
        assert staff.get(URL).status_code == 403
        assert upload(staff).status_code == 403


@pytest.mark.django_db
class TestInstruments:
    LIST = reverse("admin:market_instrument_changelist")
    URL = reverse("admin:market_instrument_import")

    def send(self, client, content, **answers):
        file = SimpleUploadedFile("instruments.csv", content.encode())
        return client.post(self.URL, {"import_file": file, "format": "0"} | answers)

    def confirm(self, client, preview):
        form = preview.context["confirm_form"]
        return client.post(
            reverse("admin:market_instrument_process_import"), form.initial, follow=True
        )

    def test_the_list_leads_to_the_import(self, admin_client):
        assert self.URL in admin_client.get(self.LIST).content.decode()

    def test_shows_first_and_stores_then(self, admin_client):
        Instrument.objects.create(symbol="AAPL", company_name="Old")
        preview = self.send(
            admin_client,
            "symbol,company_name,asset_class,active\nAAPL,Apple,equity,1\nBTC/USD,Bitcoin,crypto,1\n",
        )
        assert preview.status_code == 200
        assert Instrument.objects.get().company_name == "Old"

        self.confirm(admin_client, preview)

        named = Instrument.objects.values_list("symbol", "company_name", "asset_class")
        assert set(named) == {("AAPL", "Apple", "equity"), ("BTC/USD", "Bitcoin", "crypto")}

    def test_refuses_what_the_rules_refuse(self, admin_client):
        page = self.send(admin_client, "symbol,asset_class\nAAPL,house\n")

        assert page.status_code == 200
        assert "house" in page.content.decode()
        assert "confirm_form" not in page.context
        assert not Instrument.objects.exists()

    def test_needs_the_permission_to_add(self, staff):
        assert staff.get(self.URL).status_code == 403
