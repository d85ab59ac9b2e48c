"""One pass makes a row fit to be stored."""

from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import quote

import pytest

from apps.logs.domain.cleaning import clean
from apps.logs.domain.redaction import REDACTED
from tests.logs.test_redaction import ENCODED, NAMED, PLANTED, SECRET, SHAPES

LIMITS = {"level": 10, "logger_name": 100, "message": None, "request_path": None}


class TestSecrets:
    @pytest.mark.parametrize(("text", "secret"), PLANTED, ids=range(len(PLANTED)))
    def test_survive_in_no_field(self, text, secret):
        row = {
            "message": f"failed: {text}",
            "logger_name": text,
            "correlation_id": text,
            "request_path": f"/x {text}",
            "stack_trace": f'Traceback:\n  File "x.py"\n    {text}\nE: {text}',
            "metadata": {"a": {"b": [text, {"c": text}]}, text: 1, "d": (text,)},
        }
        assert secret not in str(clean(row, LIMITS))

    @pytest.mark.parametrize("way", ENCODED)
    @pytest.mark.parametrize(("text", "secret"), PLANTED, ids=range(len(PLANTED)))
    def test_survive_in_no_encoded_field(self, text, secret, way):
        encoded = ENCODED[way](text)
        row = {
            "message": f"Not Found: {encoded}",
            "request_path": encoded,
            "metadata": {"referer": encoded, "tried": [encoded], encoded: 1},
        }
        cleaned = str(clean(row, LIMITS))
        assert secret not in cleaned
        assert quote(secret) not in cleaned

    def test_leave_what_is_decoded_fit_to_be_stored(self):
        path = f"/x%00%ff{quote(f'password is {SECRET}')}"
        cleaned = clean({"request_path": path}, LIMITS)["request_path"]
        assert cleaned == f"/x\ufffd\ufffdpassword is {REDACTED}"

    def test_are_at_least_twenty_kinds(self):
        assert len(SHAPES) >= 20
        assert len(NAMED) >= 40

    def test_leave_no_half_where_a_text_is_cut(self):
        secret = SHAPES["JWT"][0]
        for room in range(85, 105):
            message = clean({"message": "x" * 80 + " " + secret}, {"message": room})["message"]
            assert len(message) <= room
            assert "eyJ" not in message


class TestTexts:
    def test_are_cut_to_their_limit_with_a_note(self):
        row = clean({"level": "INFORMATIONAL", "metadata": {"a": 1}}, LIMITS)
        assert row["level"] == "INFORMATI…"
        assert row["metadata"] == {"a": 1, "_altered": {"level": "cut from 13 to 10 characters"}}

    def test_have_a_limit_of_a_million_when_none_is_given(self):
        row = clean({"message": "x" * 1_000_001, "other": "x" * 1_000_000}, LIMITS)
        assert len(row["message"]) == 1_000_000
        assert len(row["other"]) == 1_000_000
        assert row["metadata"]["_altered"] == {"message": "cut from 1000001 to 1000000 characters"}

    def test_lose_only_what_cannot_be_kept(self):
        row = clean({"message": "a\x00b\ud800c \x1b[31m<b>é"}, LIMITS)
        assert row["message"] == "a\ufffdb\ufffdc \x1b[31m<b>é"
        assert row["metadata"]["_altered"] == {"message": "2 characters that cannot be kept"}

    def test_are_searched_after_what_cannot_be_kept_is_gone(self):
        assert SECRET not in str(clean({"message": f"password=\x00{SECRET}"}, LIMITS))


class TestRows:
    def test_without_anything_to_do_come_back_equal(self):
        row = {
            "timestamp": datetime(2026, 11, 21, tzinfo=UTC),
            "level": "INFO",
            "message": "filled",
            "price": Decimal("1.10"),
            "line_number": None,
            "metadata": {},
        }
        assert clean(row, LIMITS) == row

    def test_are_not_changed_in_place(self):
        row = {"message": f"password={SECRET}", "metadata": {"token": SECRET}}
        cleaned = clean(row, LIMITS)
        assert row["metadata"] == {"token": SECRET}
        assert cleaned["metadata"] == {"token": REDACTED}

    def test_get_notes_on_their_metadata_beside_those_of_the_sender(self):
        row = clean({"metadata": {"a": "x\x00", "_altered": {"sent": "y"}}}, LIMITS)
        assert row["metadata"]["_altered"] == {
            "sent": "y",
            "metadata": "1 character that cannot be kept",
        }
