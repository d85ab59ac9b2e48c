"""Statements that come again and again are sent in a form that the server can prepare."""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg import Cursor


def prepared(connection: BaseDatabaseWrapper) -> Any:
    """Return a cursor whose statements the server prepares once they were seen often.

    A page over five tables of many months is planned as long as it is read, a heartbeat longer
    than it is written. Django's usual cursors write the values into the text, so that no statement
    ever comes again.
    """
    connection.ensure_connection()
    return connection._prepare_cursor(Cursor(connection.connection))  # type: ignore[attr-defined]
