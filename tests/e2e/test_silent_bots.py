"""Many bots die, come back and beat irregularly, while those who watch them are killed.

Time is the test's own: it goes on when all heartbeats up to it have been sent, and when somebody
has looked. So a slow machine is no silent bot, and what must be found follows from the script.
BOTS_SILENT and BOTS_KILLS give the number of bots and of checkers that are killed.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection

from apps.bots.models import BotInstance
from apps.bots.services.heartbeats import BeatReport, beat
from apps.executions.models import Watch
from apps.logs.models import Notification

BOTS = int(os.environ.get("BOTS_SILENT", "60"))
KILLS = int(os.environ.get("BOTS_KILLS", "3"))
START = datetime(2026, 3, 2, 12, tzinfo=UTC)
TICK = 15
# Seconds from the start. In between nobody looks, and nobody can be heard.
DOWN, UP, END = 900, 1500, 2700
# A spell that is so short may begin and end between two looks.
SLACK = 8 * TICK
CHECKERS = 2


@dataclass(slots=True)
class Scripted:
    """A bot: when it beats, and between which seconds it must be found silent."""

    name: str
    interval: int
    beats: list[float] = field(default_factory=list)
    # (earliest moment of the mark, moment of the return)
    spells: list[tuple[float, float]] = field(default_factory=list)


def deadline(last: float, interval: int) -> float:
    """Return when a bot becomes silent that was heard last at a moment."""
    end = last + 3 * interval
    return end if end < DOWN else max(last, UP) + 3 * interval


def script(number: int, chance: random.Random) -> Scripted:
    """Return a bot that beats within its limits, and every third time dies for a while or ever."""
    interval = chance.randint(20, 90)
    bot = Scripted(f"bot-{number}", interval)
    mortal = number % 3 == 0
    at = chance.uniform(0, interval)
    while at < END:
        bot.beats.append(at)
        end = deadline(at, interval)
        certain = not DOWN - SLACK < end < DOWN and end + SLACK < END
        if mortal and certain and chance.random() < interval / 500:
            back = end + SLACK + chance.expovariate(1 / 600)
            if DOWN <= back < UP:
                back += UP - DOWN
            bot.spells.append((end, min(back, END)))
            at = back
            continue
        gap = interval * (chance.uniform(0.2, 2.95) if number % 2 else chance.uniform(0.9, 1.1))
        # Whoever would beat while nobody can be heard does so afterwards.
        at += gap + (UP - DOWN if at < DOWN <= at + gap else 0)
    return bot


def moment(second: float) -> datetime:
    return START + timedelta(seconds=second)


class Checkers:
    """Processes that look for silent bots, each with another at hand for when it is killed."""

    def __init__(self, folder: Path) -> None:
        self.clock = folder / "clock"
        self.tell(0)
        self.pids = [folder / f"checker-{n}" for n in range(CHECKERS)]
        self.killed = 0
        database = connection.settings_dict["NAME"]
        self.processes = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.e2e.bot_checker", database, self.clock, pid]
            )
            for pid in self.pids
        ]

    def tell(self, second: float) -> None:
        """Let it be so late."""
        written = self.clock.with_suffix(".new")
        written.write_text(moment(second).isoformat())
        written.rename(self.clock)

    def wait_for_look(self, second: float) -> None:
        until = time.monotonic() + 30
        while not Watch.objects.filter(name="bots", looked_at__gte=moment(second)).exists():
            assert time.monotonic() < until, "nobody looks"
            time.sleep(0.001)

    def kill_one(self, chance: random.Random) -> None:
        """Kill one of them in the middle of its work."""
        time.sleep(chance.uniform(0, 0.005))
        os.kill(int(chance.choice(self.pids).read_text()), signal.SIGKILL)
        self.killed += 1

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        for pid in self.pids:
            with suppress(ProcessLookupError, FileNotFoundError):
                os.kill(int(pid.read_text()), signal.SIGKILL)


@pytest.fixture
def checkers(tmp_path, transactional_db):
    found = Checkers(tmp_path)
    try:
        found.wait_for_look(0)
        while not all(pid.exists() for pid in found.pids):
            time.sleep(0.01)
        yield found
    finally:
        found.stop()


def play(bots: list[Scripted], checkers: Checkers, chance: random.Random) -> None:
    """Send all heartbeats at their moments, with old ones in between; kill those who look."""
    counts = dict.fromkeys((bot.name for bot in bots), 0)
    due = defaultdict(list)
    for bot in bots:
        for at in bot.beats:
            due[int(at // TICK)].append((at, bot.name))
        for start, end in bot.spells:
            # Old ones that come once more while it is silent.
            for _ in range(2):
                at = chance.uniform(start, end)
                due[int(at // TICK)].append((at, f"{bot.name}!"))
    ticks = [n for n in range(END // TICK) if not DOWN // TICK <= n < UP // TICK]
    fatal = set(chance.sample(ticks[:-4], min(KILLS, len(ticks) - 4)))
    for tick in ticks:
        for at, name in sorted(due[tick]):
            old = name.endswith("!")
            name = name.removesuffix("!")
            report = BeatReport(beat=counts[name] - 1 if old else counts[name])
            counts[name] = beat(bot_id=name, report=report, now=moment(at)).beat
        checkers.tell((tick + 1) * TICK)
        if tick in fatal:
            checkers.kill_one(chance)
        checkers.wait_for_look((tick + 1) * TICK)


def told_of(what: str) -> dict[str, list[float]]:
    """Return at which seconds staff were told of each bot."""
    found = defaultdict(list)
    rows = Notification.objects.filter(what=what).order_by("created_at")
    for subject, at in rows.values_list("subject", "created_at"):
        found[subject.split(": ")[1]].append((at - START).total_seconds())
    return found


def test_every_silence_is_found_and_told_once(checkers):
    chance = random.Random(11)
    bots = [script(number, chance) for number in range(BOTS)]
    BotInstance.objects.bulk_create(
        BotInstance(
            id=bot.name,
            type="paper",
            status="running",
            heartbeat_interval_seconds=bot.interval,
            created_at=START,
            overdue_at=START,
        )
        for bot in bots
    )

    play(bots, checkers, chance)

    silent, back = told_of("bot_silent"), told_of("bot_recovered")
    missed, doubled, false = [], [], []
    for bot in bots:
        for start, end in bot.spells:
            marks = [at for at in silent[bot.name] if start < at <= end]
            if not marks:
                missed.append((bot.name, start, end))
            doubled += [(bot.name, at) for at in marks[1:]]
        false += [
            (bot.name, at)
            for at in silent[bot.name]
            if not any(start < at <= end for start, end in bot.spells)
        ]
        returns = [end for _, end in bot.spells if end < END]
        assert back[bot.name] == pytest.approx(returns, abs=0.001)
    spells = sum(len(bot.spells) for bot in bots)
    print(  # noqa: T201 - the figures that the run is about
        f"{BOTS} bots, {sum(len(bot.beats) for bot in bots)} heartbeats, {spells} silences,"
        f" {checkers.killed} checkers killed: {len(missed)} missed, {len(doubled)} doubled,"
        f" {len(false)} false"
    )
    assert (missed, doubled, false) == ([], [], [])
    assert spells >= BOTS // 4
    assert checkers.killed == KILLS
