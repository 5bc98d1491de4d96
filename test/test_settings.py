"""Settings that describe themselves: what a description holds, and which values it lets pass."""

import math
from dataclasses import dataclass, fields, replace

import pytest

from rehdr_ros.errors import InputError
from rehdr_ros.reconstruction import PipelineConfig
from rehdr_ros.settings import bounds, changed, check, setting


@dataclass(frozen=True)
class Kettle:
    power: float = setting(1.0, "of the heater, kW", least=0.5, most=3)
    cups: int = setting(4, "that it holds, at least", least=1)
    colour: str = setting("red", "of the lid", choices=("red", "blue"))
    name: str = setting("", "anything", fixed=True)


FIELDS = {field.name: field for field in fields(Kettle)}


@pytest.mark.parametrize("fits", [{}, {"power": 0.5}, {"power": 3}, {"cups": 10**9}, {"colour": "blue"}, {"name": "x"}])
def test_value_within_its_bounds_or_choices_passes(fits):
    check(Kettle(**fits))


WRONG = {
    "below": ({"power": 0.49}, "power=0.49: must be from 0.5 to 3"),
    "above": ({"power": 3.01}, "power=3.01: must be from 0.5 to 3"),
    "not a number": ({"power": math.nan}, "power=nan: must be from 0.5 to 3"),
    "infinite": ({"power": math.inf}, "power=inf: must be from 0.5 to 3"),
    "below its only bound": ({"cups": 0}, "cups=0: must be at least 1"),
    "no choice": ({"colour": "green"}, "colour='green': use red, blue"),
}


@pytest.mark.parametrize(("values", "said"), WRONG.values(), ids=WRONG)
def test_value_outside_is_refused_by_its_name_with_what_would_pass(values, said):
    with pytest.raises(InputError) as refused:
        check(Kettle(**values))
    assert str(refused.value) == said


def test_bounds_are_told_in_words():
    assert {name: bounds(field) for name, field in FIELDS.items()} == {
        "power": "from 0.5 to 3",
        "cups": "at least 1",
        "colour": "",
        "name": "",
    }


def test_changed_settings_are_told_by_name():
    kettle = Kettle()
    assert changed(kettle, kettle) == set()
    assert changed(kettle, replace(kettle, power=2.0, name="x")) == {"power", "name"}


def test_every_setting_of_the_pipeline_tells_its_text_and_has_a_default_that_passes():
    check(PipelineConfig())
    for field in fields(PipelineConfig):
        about = field.metadata
        assert about["text"] and "\n" not in about["text"], field.name
        is_number = type(field.default) in (int, float) and field.name != "response"  # a power, or a file
        assert is_number == (about["least"] is not None), field.name
        assert not about["choices"] or field.default in about["choices"], field.name
