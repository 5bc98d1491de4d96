from collections.abc import Callable
from typing import NamedTuple

import pytest

from rehdr_ros.cli import main


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def rehdr(capfd) -> Callable[..., Outcome]:
    """A function that runs the command with arguments, in this process."""

    def run(*arguments) -> Outcome:
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = end.code
        return Outcome(code, *capfd.readouterr())

    return run
