"""Warnings that don't flood the log."""

import time

_SECONDS = 5.0


class Complaints:
    """At most one line in some seconds for each subject. Any thread may complain."""

    def __init__(self, logger):
        self._logger = logger
        self._quiet_until: dict[str, float] = {}

    def warn(self, subject: str, text: str, seconds: float = _SECONDS) -> None:
        if self._may_speak(subject, seconds):
            self._logger.warning(text)

    def error(self, subject: str, text: str, seconds: float = _SECONDS) -> None:
        if self._may_speak(subject, seconds):
            self._logger.error(text)

    def info(self, subject: str, text: str, seconds: float = _SECONDS) -> None:
        if self._may_speak(subject, seconds):
            self._logger.info(text)

    def _may_speak(self, subject: str, seconds: float) -> bool:
        now = time.monotonic()
        if now < self._quiet_until.get(subject, 0.0):
            return False
        self._quiet_until[subject] = now + seconds
        return True
