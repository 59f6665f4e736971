"""How a run says how far it is: one line that changes on a terminal, plain lines elsewhere."""

import io

from engine.cli.load.voice import Voice


class Terminal(io.StringIO):
    """A place to write that says it is one."""

    def isatty(self):
        return True


class Clock:
    """Each look is a second later."""

    def __init__(self):
        self.now_s = 0.0

    def now(self):
        self.now_s += 1
        return self.now_s

    def wall(self):
        return self.now()


def told(out):
    """What is written for two lines of progress, and a word that stays."""
    voice = Voice(out, Clock())
    voice.progress("first, and long")
    voice.progress("second")
    voice.say("done")
    return out.getvalue()


def test_elsewhere_every_line_stays():
    """A log of a build can be read."""
    assert "   1.0 s  first, and long\n   2.0 s  second\n   3.0 s  done\n" == told(io.StringIO())


def test_on_a_terminal_one_line_changes():
    """What was longer before is wiped out, and what stays has a line of its own."""
    text = told(Terminal())

    assert 1 == text.count("\n")
    assert ["", "   1.0 s  first, and long", "   2.0 s  second         "] == text.split("\r")[:3]
    assert text.endswith("\r   3.0 s  done\n")
