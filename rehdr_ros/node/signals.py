"""SIGINT and SIGTERM as the usual end of a process."""

import os
import signal

_ENDING = (signal.SIGINT, signal.SIGTERM)


def interrupt_on_signals() -> None:
    """Let the first SIGINT or SIGTERM raise KeyboardInterrupt, and ignore those that follow.

    ros2 launch repeats the terminal's Ctrl-C, which must not cut short what the first began. rclpy's handlers
    would end the context before anybody can say how it went: initialise it with SignalHandlerOptions.NO.
    """
    for number in _ENDING:
        signal.signal(number, _interrupt)


def _interrupt(number: int, frame: object) -> None:
    for each in _ENDING:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


class Ending:
    """SIGINT and SIGTERM as a question that the process looks at: `asked`.

    An exception, raised wherever the process just is, may abort it where it imports C++, or be swallowed in a
    library's callback. Where `begin` is not called within `seconds` of the signal, the process ends, with 0.
    """

    def __init__(self, seconds: float):
        self.asked, self._seconds = False, seconds
        for number in _ENDING:
            signal.signal(number, self._ask)

    def begin(self) -> None:
        """The process ends by itself from here on, however long it takes."""
        for each in _ENDING:
            signal.signal(each, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _ask(self, number: int, frame: object) -> None:
        for each in _ENDING:
            signal.signal(each, signal.SIG_IGN)
        self.asked = True
        signal.signal(signal.SIGALRM, lambda number, frame: os._exit(0))
        signal.setitimer(signal.ITIMER_REAL, self._seconds)
