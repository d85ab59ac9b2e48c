"""The web servers' own sign of life: who cannot be heard is not called silent.

While no web server is up, programs outside cannot report. The watches over runs and bots look
at what is noted here, and extend every deadline by the time the door was closed.
"""

import logging
import threading

from django.db import DatabaseError, connection
from django.utils import timezone

from apps.executions.services.watching import DOOR, note_look

logger = logging.getLogger(__name__)

# Often enough for a watch that calls a minute without a note a closed door.
SECONDS = 10.0


def note() -> None:
    """Note that requests are answered. What goes wrong is logged: the next note comes soon."""
    try:
        note_look(name=DOOR, now=timezone.now())
    except DatabaseError as error:
        logger.warning("The door could not be noted: %s", type(error).__name__)
    finally:
        connection.close()


def keep_noting() -> None:
    """Note it at once and from then on, in a thread that ends with the process."""

    def work() -> None:
        stopped = threading.Event()
        while True:
            note()
            stopped.wait(SECONDS)

    threading.Thread(target=work, name="door", daemon=True).start()
