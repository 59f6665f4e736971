"""What it is that an event of a replay was late for."""

from engine.sources.replay.lateness import Lateness


def test_what_waited_for_room_is_told_from_what_this_machine_did_not_get_to():
    """Also what was due meanwhile; after that the machine has no excuse."""
    lateness = Lateness()
    lateness.sent(1.0, 1.05)
    lateness.had_room(9.0)
    lateness.sent(2.0, 9.0)
    lateness.sent(8.0, 9.05)
    lateness.sent(8.96, 9.05)

    assert (2, 7.0, 0) == (lateness.held, lateness.held_s, lateness.slow)
    lateness.sent(8.5, 9.5)
    lateness.sent(10.0, 10.5)
    assert (2, 2, 0.5) == (lateness.held, lateness.slow, lateness.slow_s)
