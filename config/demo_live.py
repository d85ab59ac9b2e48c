"""The demo's bots at work: they beat, obey, and trade on as candles become known.

``make run`` keeps it running beside the servers while the demo is wanted.
"""

import logging
import os
import signal
import threading

import django

LOAD_EVERY = 60  # beats

logger = logging.getLogger("config.demo_live")


def main() -> None:
    """Let the bots live until somebody asks for the end."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    # Only now: these modules need the applications.
    from django.db import DatabaseError, connection
    from django.utils import timezone

    from apps.bots.services.heartbeats import Instruction
    from config import demo_bots, setup

    over = threading.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *ignored: over.set())
    answers: dict[str, Instruction] = {}
    beats = 0
    while not over.wait(demo_bots.BEAT_SECONDS / 2):
        try:
            beats += demo_bots.beat_all(answers, now=timezone.now()) > 0
            if beats and beats % LOAD_EVERY == 0:
                setup.demo()
        except DatabaseError as error:
            logger.warning("The demo's bots could not report: %s", type(error).__name__)
        finally:
            connection.close()


if __name__ == "__main__":
    main()
