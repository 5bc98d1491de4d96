"""The options that a configuration gives a verb, and single numbers within bounds."""

import argparse
from dataclasses import dataclass

import pytest

from rehdr_ros.cli.arguments import number
from rehdr_ros.cli.config_options import add_options, option_values
from rehdr_ros.settings import Settings, setting


@dataclass(frozen=True)
class Kettle(Settings):
    boils_s: float = setting(90.0, "time to the boil; 0: at once, 100 %", unit="s", least=0)
    whistles: bool = setting(False, "when the water boils")
    sides: tuple[float, ...] = setting((), "width and height", unit="cm", lengths=(0, 2))
    owners: tuple[str, ...] = setting((), "whose it is")
    weight: float | str = setting(1.5, "a number, or how it feels")
    cups: int = setting(4, "that it holds")


def parse(*words: str, argument_default=None, **choice) -> argparse.Namespace:
    parser = argparse.ArgumentParser(argument_default=argument_default)
    add_options(parser.add_argument_group("kettle"), Kettle, **choice)
    return parser.parse_args(words)


def test_nothing_said_means_the_defaults():
    assert Kettle(**option_values(parse(), Kettle)) == Kettle()


def test_every_kind_of_setting_is_an_option_named_without_its_unit():
    words = "--boils=60 --whistles --sides 1 2.5 --owners A B --owners C --weight=heavy --cups=2"
    made = Kettle(**option_values(parse(*words.split()), Kettle))
    assert made == Kettle(60.0, True, (1.0, 2.5), ("A", "B", "C"), "heavy", 2)


@pytest.mark.parametrize(
    "choice", [{"only": ("cups", "weight")}, {"without": ("boils_s", "whistles", "sides", "owners")}]
)
def test_some_settings_are_options(choice):
    assert vars(parse(**choice)) == {"weight": 1.5, "cups": 4}


def test_what_is_not_said_is_left_out_where_the_parser_says_so():
    assert vars(parse("--cups", "2", argument_default=argparse.SUPPRESS)) == {"cups": 2}


def test_help_tells_the_text_with_its_unit():
    parser = argparse.ArgumentParser()
    add_options(parser, Kettle)
    assert "time to the boil, s; 0: at once, 100 %" in " ".join(parser.format_help().split())


@pytest.mark.parametrize("text", ["0", "nan", "inf", "many", "10.1"])
def test_a_number_outside_its_bounds_is_refused_with_what_would_pass(text):
    with pytest.raises(argparse.ArgumentTypeError, match=f"^{text}: must be "):
        number(above=0, most=10)(text)


def test_a_number_within_its_bounds_is_of_its_kind():
    assert number(above=0, most=10)("10") == 10.0
    assert isinstance(number(int, least=1)("3"), int)
