"""Torch's threads on a CPU: what takes a fraction of a millisecond takes longer where some must be woken."""

from collections.abc import Iterator
from contextlib import contextmanager

_alone = False


def claim() -> None:
    """Nobody else in this process uses torch.

    Else its number of threads stays as it is: a thread that comes to torch first while that is another one
    keeps it.
    """
    global _alone
    _alone = True


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Torch works by so many, in a process that is claimed."""
    import torch  # here: a command that needs none may claim its process

    before = torch.get_num_threads()
    if not _alone or before == count:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
