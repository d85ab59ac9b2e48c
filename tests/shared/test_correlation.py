"""How a line of the log is printed."""

import logging

from apps.shared.correlation import UtcFormatter


def line(text):
    record = logging.LogRecord("n", logging.INFO, "", 0, "It says %s.", (text,), None)
    record.created = 0.0
    return UtcFormatter("%(asctime)s %(message)s", "%H:%M:%S").format(record)


class TestLine:
    def test_is_in_utc(self):
        assert line("ümlaut") == "00:00:00 It says ümlaut."

    def test_is_printed_whatever_a_text_from_outside_holds(self):
        assert line(chr(0xD800)) == "00:00:00 It says \\ud800."
