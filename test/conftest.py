import os
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real recordings and expected values, which is not part of the repository."""
    path = ROOT / os.environ.get("REHDR_SHARED", "../shared")
    if not path.is_dir():
        pytest.skip(f"no real recordings at {path} (REHDR_SHARED names their folder)")
    return path


@pytest.fixture(scope="session")
def assert_same_events():
    """A function that fails unless two Events are equal in values, order and dtypes."""

    def check(actual, expected):
        for name in "txyp":
            a, b = getattr(actual, name), getattr(expected, name)
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b, err_msg=name)

    return check
