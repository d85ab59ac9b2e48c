"""A running product is backed up while programs write, and the backup proves itself elsewhere."""

import json
import threading
from datetime import UTC, datetime

import pytest

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def product(shared_product):
    return shared_product.with_key("a bot", "logs:write")


class TestBackup:
    def test_of_a_product_at_work_is_restored_and_found_good(self, product):
        over, posted = threading.Event(), []
        line = {"level": "INFO", "logger_name": "bot", "message": "a line of a running bot"}

        def write():
            while not over.is_set():
                status, _ = product.post("/api/v1/logs/system-logs/", [line] * 50)
                posted.append(status)

        before = datetime.now(UTC)
        writer = threading.Thread(target=write)
        writer.start()
        try:
            folder = product.manage("backup").splitlines()[0]
        finally:
            over.set()
            writer.join()
        assert set(posted) == {201}

        report = json.loads(product.manage("restore_backup", folder, "--verify", "--json"))
        assert report["verified"]
        checks = {each["check"]: each for each in report["findings"]}
        assert {each["status"] for each in checks.values()} == {"ok"}, checks
        assert checks["login"]["figure"].startswith("1 of the staff")
        with open(f"{folder}/manifest.json") as file:
            manifest = json.load(file)
        assert manifest["tables"]["system_logs"] >= 50
        assert datetime.fromisoformat(manifest["made_at"]) > before
        # The product went on, and nothing of the verification stands in it.
        with product.database() as database:
            probes = "SELECT count(*) FROM auth_user WHERE username LIKE 'probe-%'"
            assert database.execute(probes).fetchone() == (0,)
