import pytest

from rehdr_ros.jit import cache_folder

KERNELS = """from package.jit import kernel
from package.constants import (
    FIRST,
    SECOND,
)
from package import levels
"""


@pytest.fixture
def package(tmp_path):
    """Kernels that import from a module in brackets, import another whole, and not a third."""
    package = tmp_path / "package"
    package.mkdir()
    (package / "kernels.py").write_text(KERNELS)
    for name in ("constants", "levels", "others"):
        (package / f"{name}.py").write_text("FIRST, SECOND = 1, 2\n")
    return package


@pytest.mark.parametrize("name, changes", [("constants", True), ("levels", True), ("others", False)])
def test_kernels_are_compiled_anew_when_a_constant_changes_that_they_import(package, name, changes):
    before = cache_folder(package)
    (package / f"{name}.py").write_text("FIRST, SECOND = 1, 3\n")
    assert (cache_folder(package) != before) == changes


def test_and_when_they_change_themselves(package):
    before = cache_folder(package)
    assert cache_folder(package) == before
    (package / "kernels.py").write_text(KERNELS + "\n# another")
    assert cache_folder(package) != before
