"""What readers and writers of recordings raise."""


class RecordingError(ValueError):
    """A recording is not there, not readable, or lacks what was asked for; the message is one line."""
