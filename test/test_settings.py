"""Settings that describe themselves: what a description holds, and which values it lets pass."""

import math
from dataclasses import dataclass, field, fields, replace

import pytest

from rehdr_ros.errors import InputError
from rehdr_ros.network import RehdrConfig
from rehdr_ros.reconstruction import PipelineConfig
from rehdr_ros.settings import Settings, bounds, changed, description, setting, types
from rehdr_ros.simulation import EventCameraConfig, SimulationConfig
from rehdr_ros.simulation.batch import Variety
from rehdr_ros.training.config import TrainConfig
from rehdr_ros.training.footage import Timing

SIMULATED = (EventCameraConfig, SimulationConfig, Variety)
CONFIGURATIONS = (RehdrConfig, PipelineConfig, *SIMULATED, TrainConfig, Timing)


@dataclass(frozen=True)
class Lid(Settings):
    colour: str = setting("red", "of the lid", choices=("red", "blue"))


@dataclass(frozen=True)
class Kettle(Settings):
    power: float = setting(1.0, "of the heater; 3: fast", unit="kW", least=0.5, most=3)
    cups: int = setting(4, "that it holds, at least", least=1)
    share: float = setting(0.5, "that is filled", above=0, below=1)
    sides: tuple[float, ...] = setting((), "width and height", lengths=(0, 2), above=0)
    name: str | None = setting(None, "anything", fixed=True)
    whistles: bool = setting(False, "when the water boils")
    owners: tuple[str, ...] = setting((), "whose it is")
    weight: float | str = setting(1.5, "a number, or how it feels")
    lid: Lid = field(default_factory=Lid)


FIELDS = {field.name: field for field in fields(Kettle)}


@pytest.mark.parametrize(
    "fits",
    [{}, {"power": 0.5}, {"power": 3}, {"cups": 10**9}, {"sides": (1, 2.5)}]
    + [{"name": "x"}, {"owners": ("A", "B")}]
    + [{"weight": 2}, {"weight": "heavy"}],
    ids=str,
)
def test_value_within_its_bounds_or_choices_passes(fits):
    assert vars(replace(Kettle(), **fits)).items() >= fits.items()


WRONG = {
    "below": ({"power": 0.49}, "power=0.49: must be from 0.5 to 3"),
    "above": ({"power": 3.01}, "power=3.01: must be from 0.5 to 3"),
    "not a number": ({"power": math.nan}, "power=nan: must be from 0.5 to 3"),
    "infinite": ({"power": math.inf}, "power=inf: must be from 0.5 to 3"),
    "a text": ({"power": "1"}, "power='1': must be a number"),
    "nothing": ({"power": None}, "power=None: must be a number"),
    "true": ({"cups": True}, "cups=True: must be a whole number"),
    "not true or false": ({"whistles": 1}, "whistles=1: must be true or false"),
    "no text": ({"name": 5}, "name=5: must be a text"),
    "neither number nor text": ({"weight": False}, "weight=False: must be a number or a text"),
    "below its only bound": ({"cups": 0}, "cups=0: must be at least 1"),
    "infinitely many": ({"cups": math.inf}, "cups=inf: must be a whole number"),
    "not whole": ({"cups": 1.5}, "cups=1.5: must be a whole number"),
    "on an excluded bound": ({"share": 0}, "share=0: must be more than 0 and less than 1"),
    "one of several below": ({"sides": (1, 0)}, "sides=(1, 0): must be more than 0"),
    "one of several infinite": ({"sides": (math.inf, 1)}, "sides=(inf, 1): must be more than 0"),
    "too few": ({"sides": (1,)}, "sides=(1,): must be a list of 0 or 2 values"),
    "not several": ({"sides": 1}, "sides=1: must be a list of 0 or 2 values"),
}


@pytest.mark.parametrize(("values", "said"), WRONG.values(), ids=WRONG)
def test_value_outside_is_refused_by_its_name_with_what_would_pass(values, said):
    with pytest.raises(InputError) as refused:
        Kettle(**values)
    assert str(refused.value) == said


def test_no_choice_is_refused_with_the_choices():
    with pytest.raises(InputError, match="^colour='green': use red, blue$"):
        Lid("green")


@pytest.mark.parametrize(("given", "taken"), [(["A", "B"], ("A", "B")), ("A", ("A",)), ((), ())])
def test_a_list_or_a_single_text_becomes_a_tuple(given, taken):
    assert Kettle(owners=given).owners == taken


def test_a_configuration_is_made_of_a_dictionary():
    made = Kettle.from_dict({"sides": [1, 2], "lid": {"colour": "blue"}})
    assert made == Kettle(sides=(1, 2), lid=Lid("blue"))
    with pytest.raises(TypeError, match="handle"):
        Kettle.from_dict({"lid": {"handle": 1}})


def test_a_description_is_in_words():
    assert {name: bounds(each) for name, each in FIELDS.items() if each.metadata and bounds(each)} == {
        "power": "from 0.5 to 3",
        "cups": "at least 1",
        "share": "more than 0 and less than 1",
        "sides": "more than 0",
    }
    assert description(FIELDS["power"]) == "of the heater, kW; 3: fast"
    assert description(FIELDS["cups"]) == "that it holds, at least"
    assert types(Kettle)["sides"] == (float,) and types(Kettle)["name"] == (str,)
    assert types(Kettle)["weight"] == (float, str)


def test_changed_settings_are_told_by_name():
    kettle = Kettle()
    assert changed(kettle, kettle) == set()
    assert changed(kettle, replace(kettle, power=2.0, name="x")) == {"power", "name"}


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=lambda each: each.__name__)
def test_every_setting_tells_its_text_and_has_a_default_that_passes(configuration):
    configuration()
    for each in fields(configuration):
        about = each.metadata
        if not about:
            assert issubclass(each.default_factory, Settings), each.name
            continue
        assert about["text"] and "\n" not in about["text"], each.name
        if about["choices"]:
            assert all(choice in about["text"] for choice in about["choices"]), each.name


def test_every_number_of_the_node_has_the_bounds_that_ros_asks_for():
    for each in fields(PipelineConfig):
        is_number = type(each.default) in (int, float) and each.name != "response"  # a power, or a file
        assert is_number == (each.metadata["least"] is not None), each.name
