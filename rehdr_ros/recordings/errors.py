"""What readers and writers of recordings raise."""

from rehdr_ros.errors import InputError


class RecordingError(InputError):
    """A recording is not there, not readable, or lacks what was asked for; the message is one line."""
