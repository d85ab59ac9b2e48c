"""Keys are made, recognized, replaced and revoked; answers are kept for a day."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.db.utils import IntegrityError

from apps.access import services
from apps.access.choices import KeyState
from apps.access.models import ApiKey, IdempotencyRecord

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
READ = ["market:read"]

pytestmark = pytest.mark.django_db


def create(now, **values):
    return services.create_key(**{"client": "collector", "scopes": READ, "now": now} | values)


class TestCreate:
    def test_keeps_a_hash_and_not_the_key(self, now):
        issued = create(now)

        with connection.cursor() as cursor:
            cursor.execute("SELECT to_jsonb(api_keys)::text FROM api_keys")
            stored = cursor.fetchone()[0]
        assert issued.text not in stored
        assert issued.text.rpartition("_")[2] not in stored
        assert issued.key.prefix in stored

    def test_is_valid_for_a_year_unless_told_otherwise(self, now):
        assert create(now).key.expires_at == now + timedelta(days=365)
        assert create(now, expires_at=now + DAY).key.expires_at == now + DAY

    def test_refuses_unknown_scopes(self, now):
        with pytest.raises(ValidationError, match="weather:read"):
            create(now, scopes=["weather:read"])

    def test_refuses_a_nameless_client(self, now):
        with pytest.raises(ValidationError):
            create(now, client="")

    def test_refuses_an_expiry_in_the_past(self, now):
        with pytest.raises(ValidationError):
            create(now, expires_at=now)

    def test_database_holds_on_to_a_client_and_a_scope(self, now):
        key = create(now).key
        for wrong in ({"client": ""}, {"scopes": []}, {"replaced_by": key.pk}):
            with pytest.raises(IntegrityError), transaction.atomic():
                ApiKey.objects.filter(pk=key.pk).update(**wrong)


class TestIdentify:
    def test_recognizes_a_key(self, now):
        issued = create(now)

        assert services.identify(text=issued.text, now=now) == issued.key

    def test_asks_the_database_once(self, now, django_assert_num_queries):
        issued = create(now)

        with django_assert_num_queries(1):
            services.identify(text=issued.text, now=now)

    def test_refuses_what_is_no_key_without_asking(self, now, django_assert_num_queries):
        with django_assert_num_queries(0), pytest.raises(services.KeyRefused) as refused:
            services.identify(text="x" * 90, now=now)

        assert refused.value.code == "key_unknown"

    def test_refuses_a_right_prefix_with_a_wrong_secret(self, now):
        issued = create(now, expires_at=now + HOUR)
        forged = issued.key.prefix + "_" + "0" * 64

        for moment in (now, now + DAY):
            with pytest.raises(services.KeyRefused) as refused:
                services.identify(text=forged, now=moment)
            assert refused.value.code == "key_unknown"

    def test_refuses_an_expired_key(self, now):
        issued = create(now, expires_at=now + HOUR)

        with pytest.raises(services.KeyRefused) as refused:
            services.identify(text=issued.text, now=now + HOUR)

        assert refused.value.code == "key_expired"

    def test_refuses_a_revoked_key(self, now):
        issued = create(now)
        services.revoke_key(key_id=issued.key.pk, now=now)

        with pytest.raises(services.KeyRefused) as refused:
            services.identify(text=issued.text, now=now)

        assert refused.value.code == "key_revoked"

    def test_key_of_another_pepper_is_unknown(self, now, settings):
        issued = create(now)
        settings.API_KEY_PEPPER = "another"

        with pytest.raises(services.KeyRefused):
            services.identify(text=issued.text, now=now)


class TestRotate:
    def test_both_keys_open_during_the_overlap(self, now):
        old = create(now)
        new = services.rotate_key(key_id=old.key.pk, now=now, overlap=DAY)

        for moment in (now, now + DAY - timedelta(seconds=1)):
            assert services.identify(text=old.text, now=moment).pk == old.key.pk
            assert services.identify(text=new.text, now=moment).pk == new.key.pk
        with pytest.raises(services.KeyRefused):
            services.identify(text=old.text, now=now + DAY)
        assert services.identify(text=new.text, now=now + DAY).pk == new.key.pk

    def test_new_key_has_the_same_rights_and_line(self, now):
        old = create(now, scopes=["alerts:read", "alerts:write"], bot="alpha")
        new = services.rotate_key(key_id=old.key.pk, now=now).key

        assert (new.client, new.scopes, new.bot, new.line) == (
            old.key.client,
            old.key.scopes,
            "alpha",
            old.key.line,
        )
        assert new.owner == old.key.owner

    def test_old_key_never_lives_longer_by_it(self, now):
        old = create(now, expires_at=now + HOUR)
        services.rotate_key(key_id=old.key.pk, now=now, overlap=DAY)

        old.key.refresh_from_db()
        assert old.key.expires_at == now + HOUR

    def test_without_overlap_the_old_key_ends_at_once(self, now):
        old = create(now)
        services.rotate_key(key_id=old.key.pk, now=now, overlap=timedelta())

        with pytest.raises(services.KeyRefused):
            services.identify(text=old.text, now=now)

    def test_refuses_a_second_replacement(self, now):
        old = create(now)
        services.rotate_key(key_id=old.key.pk, now=now)

        with pytest.raises(services.KeyNotRotatable):
            services.rotate_key(key_id=old.key.pk, now=now)
        assert ApiKey.objects.count() == 2

    def test_refuses_a_revoked_key(self, now):
        old = create(now)
        services.revoke_key(key_id=old.key.pk, now=now)

        with pytest.raises(services.KeyNotRotatable):
            services.rotate_key(key_id=old.key.pk, now=now)


class TestRevoke:
    def test_first_moment_stays_on_record(self, now):
        key = create(now).key

        assert services.revoke_key(key_id=key.pk, now=now)
        assert not services.revoke_key(key_id=key.pk, now=now + DAY)
        key.refresh_from_db()
        assert key.revoked_at == now


class TestStates:
    def test_query_and_row_agree(self, now):
        create(now)
        services.rotate_key(key_id=create(now).key.pk, now=now, overlap=DAY)
        create(now, expires_at=now + HOUR)
        services.revoke_key(key_id=create(now).key.pk, now=now)

        for moment in (now, now + HOUR, now + DAY):
            for state in KeyState:
                assert set(ApiKey.objects.in_state(state, moment)) == {
                    key for key in ApiKey.objects.all() if key.state(moment) is state
                }


class TestOwner:
    def test_belongs_to_the_rights_too(self, now):
        key = create(now, scopes=["market:read", "market:write"]).key
        before = key.owner
        key.scopes = READ

        assert key.owner != before

    def test_two_keys_of_one_client_do_not_share(self, now):
        assert create(now).key.owner != create(now).key.owner

    def test_fits_its_column(self, now):
        assert len(create(now).key.owner) <= 100


class TestNoteUse:
    def test_writes_once_a_minute(self, now, django_assert_num_queries):
        key = create(now).key
        services.note_use(key=key, now=now)
        key.refresh_from_db()
        assert key.last_used_at == now

        with django_assert_num_queries(0):
            services.note_use(key=key, now=now + timedelta(seconds=59))
        services.note_use(key=key, now=now + timedelta(seconds=60))
        key.refresh_from_db()
        assert key.last_used_at == now + timedelta(seconds=60)


class TestAnswers:
    def keep(self, now, **values):
        defaults = {
            "owner": "key:1",
            "key": "a",
            "fingerprint": "f",
            "status": 201,
            "headers": {},
            "body": b"first",
        }
        services.keep_answer(now=now, **defaults | values)

    def test_lives_for_a_day(self, now):
        self.keep(now)

        assert services.kept_answer(owner="key:1", key="a", now=now + DAY - HOUR).status == 201
        assert services.kept_answer(owner="key:1", key="a", now=now + DAY) is None

    def test_belongs_to_its_owner(self, now):
        self.keep(now)

        assert services.kept_answer(owner="key:2", key="a", now=now) is None

    def test_outlived_one_gives_way(self, now):
        self.keep(now)
        self.keep(now + DAY, body=b"second")

        record = services.kept_answer(owner="key:1", key="a", now=now + DAY)
        assert bytes(record.body) == b"second"
        assert IdempotencyRecord.objects.count() == 1

    def test_forgets_the_old_ones_in_batches(self, now):
        for number in range(5):
            self.keep(now, key=f"old {number}")
        self.keep(now + HOUR, key="young")

        assert services.forget_answers(now=now + DAY, batch=2) == 5
        assert [record.key for record in IdempotencyRecord.objects.all()] == ["young"]
        assert services.forget_answers(now=now + DAY, batch=2) == 0
