"""The Fast DDS profile in the environment: by the variable of Fast DDS 3, and of 2, of Humble and Jazzy."""

import os
import sys

import pytest

from rehdr_ros.node.transport import use_large_shared_memory

VARIABLES = {"fastdds": "FASTDDS_DEFAULT_PROFILES_FILE", "fastrtps": "FASTRTPS_DEFAULT_PROFILES_FILE"}
TRANSPORTS = "FASTDDS_BUILTIN_TRANSPORTS"


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    for name in (*VARIABLES.values(), TRANSPORTS):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.mark.parametrize("package", VARIABLES)
def test_the_variable_that_this_fast_dds_reads_names_the_shipped_profile(package, monkeypatch, tmp_path):
    (tmp_path / "share" / package).mkdir(parents=True)
    monkeypatch.setattr(sys, "prefix", "/usr")
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/nowhere:{tmp_path}")
    use_large_shared_memory()
    named = {name: value for name in VARIABLES.values() if (value := os.environ.get(name))}
    assert named.keys() == {VARIABLES[package]}
    assert named[VARIABLES[package]].endswith("config/fastdds_shm.xml")


@pytest.mark.parametrize("name", VARIABLES.values())
def test_a_profile_of_the_users_own_is_the_only_one(name, monkeypatch):
    monkeypatch.setenv(name, "/my.xml")
    use_large_shared_memory()
    assert {each: os.environ.get(each) for each in VARIABLES.values()} == {
        **dict.fromkeys(VARIABLES.values()),
        name: "/my.xml",
    }


def test_transports_of_the_users_choice_are_not_overruled(monkeypatch):
    monkeypatch.setenv(TRANSPORTS, "UDPv4")
    use_large_shared_memory()
    assert not VARIABLES.values() & os.environ.keys()
