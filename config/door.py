"""The web servers' own sign of life: who cannot be heard is not called silent.

While no web server is up, programs outside cannot report. The watches over runs and bots look
at what is noted here, and extend every deadline by the time the door was closed.
"""

import logging
import threading
from contextlib import suppress

from django.db import Error, connection
from django.utils import timezone

from apps.executions.domain.liveness import DOOR_GAP
from apps.executions.services.watching import DOOR, note_look

logger = logging.getLogger(__name__)

# Often enough for a watch that calls a door without a note for so long closed (DOOR_GAP).
SECONDS = 5.0


def note() -> None:
    """Note that requests are answered. What goes wrong is logged: the next note comes soon."""
    try:
        note_look(name=DOOR, now=timezone.now(), gap=DOOR_GAP)
    except Error as error:
        logger.warning("The door could not be noted: %s", type(error).__name__)
    finally:
        with suppress(Error):
            connection.close()


def keep_noting() -> None:
    """Note it at once and from then on, in a thread that ends with the process."""

    def work() -> None:
        stopped = threading.Event()
        while True:
            note()
            stopped.wait(SECONDS)

    threading.Thread(target=work, name="door", daemon=True).start()
