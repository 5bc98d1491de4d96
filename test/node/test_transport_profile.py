"""The Fast DDS profile in the environment: by the variable of Fast DDS 3, and by that of 2, of Humble and Jazzy."""

import os

import pytest

from rehdr_ros.node.transport import use_large_shared_memory

VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def test_both_variables_name_the_shipped_profile():
    use_large_shared_memory()
    assert all(os.environ[name].endswith("config/fastdds_shm.xml") for name in VARIABLES)


@pytest.mark.parametrize("name", VARIABLES)
def test_a_profile_of_the_users_own_is_the_only_one(name, monkeypatch):
    monkeypatch.setenv(name, "/my.xml")
    use_large_shared_memory()
    assert {each: os.environ.get(each) for each in VARIABLES} == {**dict.fromkeys(VARIABLES), name: "/my.xml"}
