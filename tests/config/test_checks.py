"""What would go wrong later is said before anything starts."""

from config import checks


class TestSecrets:
    def test_must_be_long(self, settings):
        settings.SECRET_KEY, settings.API_KEY_PEPPER = "short", "p" * 50

        (error,) = checks.secrets_are_worth_their_name(None)

        assert "SECRET_KEY" in error.msg

    def test_must_differ(self, settings):
        settings.SECRET_KEY = settings.API_KEY_PEPPER = "s" * 50

        assert [error.id for error in checks.secrets_are_worth_their_name(None)] == ["blotter.E002"]


class TestHosts:
    def test_are_named_where_many_machines_serve(self, settings):
        settings.DISTRIBUTED, settings.ALLOWED_HOSTS = True, ["*"]

        assert [warning.id for warning in checks.hosts_are_named(None)] == ["blotter.W001"]


class TestSuccessRules:
    def test_need_a_price_at_their_hour(self, settings):
        settings.ALERT_CHECKPOINT_HOURS, settings.ALERT_SUCCESS = [1, 24], {24: "5", 72: "10"}

        (error,) = checks.checkpoints_are_judged(None)

        assert "72" in error.msg

    def test_are_as_they_should_be(self):
        assert checks.checkpoints_are_judged(None) == []
