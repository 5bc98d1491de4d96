"""SIGINT and SIGTERM as the usual end of a process."""

import signal

_ENDING = (signal.SIGINT, signal.SIGTERM)


def interrupt_on_signals() -> None:
    """Let the first SIGINT or SIGTERM raise KeyboardInterrupt, and ignore those that follow.

    ros2 launch repeats the terminal's Ctrl-C, which must not cut short what the first began. rclpy's own handlers
    would end the context before anybody can say how it went: initialise it with SignalHandlerOptions.NO.
    """
    for number in _ENDING:
        signal.signal(number, _interrupt)


def _interrupt(number: int, frame: object) -> None:
    for each in _ENDING:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt
