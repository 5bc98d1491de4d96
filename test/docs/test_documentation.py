"""README.md and docs/: every command is known and fits the code, names exist, links lead somewhere.

What a command must fulfil is in checks.py; those that can be run are run by test_documented_commands.py.
"""

import ast
import json
import re
import xml.etree.ElementTree as ElementTree
from configparser import ConfigParser
from dataclasses import fields
from graphlib import TopologicalSorter

import pytest
import yaml
from checks import CHECKS, REMAPPED, accepts, check, generated, message_fields, options_of
from documents import DOCUMENTS, OTHERS, ROOT, SHELL, anchors, blocks, commands, inline_code, links, prose

from rehdr_ros.cli import VERBS
from rehdr_ros.products import PRODUCTS
from rehdr_ros.training.config import TrainConfig

each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
DOCS = ROOT / "docs"
WIDTH = 110
OTHERS_SAY = (
    "externally-managed-environment",  # pip
    "numpy.core.multiarray failed to import",
    "_ARRAY_API not found",
    "No module named 'rehdr_ros.msg'",
    "package 'libcaer_driver' not found",  # launch
)


def where(path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def tables(path, head: str) -> str:
    """The rows of all tables of a page whose first column has this head."""
    return "".join(re.findall(rf"^\| {re.escape(head)} \|.*\n((?:\|.*\n)+)", path.read_text(), re.MULTILINE))


@each_document
def test_every_command_is_known_and_fits_the_code(path, interface):
    for command in commands(path):
        try:
            check(command.words, interface)
        except Exception as error:
            pytest.fail(f"{where(path, command.line)}: {command.text}\n{error!r}")


@each_document
def test_every_block_says_what_it_is(path):
    for block in blocks(path):
        assert block.language in (*SHELL, *OTHERS), where(path, block.line)
        if block.language == "python":
            ast.parse(block.text)
        elif block.language == "xml":
            ElementTree.fromstring(block.text)
        elif block.language == "json":
            json.loads(block.text)
        elif block.language == "yaml":
            known = {each.name for each in fields(TrainConfig)}
            assert yaml.safe_load(block.text).keys() <= known, block.text


@each_document
def test_commands_and_parameters_in_the_text_exist(path, interface):
    ours = {each.name for each in fields(TrainConfig)} | message_fields("rehdr_ros/msg/FrameInfo")
    known = ours | {"rehdr_node", "use_sim_time"}
    for line, text in inline_code(path):
        program, _, rest = text.partition(" ")
        if program in ("rehdr", "make") and re.match(r"[a-z]", rest):
            name = rest.split()[0]
            if program == "make":
                CHECKS["make"]((name,), interface)
            else:
                _verb_and_options_exist(rest.split(), where(path, line))
        elif (match := re.fullmatch(r"([a-z_]+): (.+)", text)) and match[1] not in known:
            for name, value in yaml.safe_load(f"{{{text}}}").items():
                accepts(name, value)


def _verb_and_options_exist(words: list[str], place: str) -> None:
    assert words[0] in VERBS, f"{place}: rehdr {words[0]}"
    options = {word for word in words if word.startswith("--")} - {"--help"}
    if options:
        said = options_of(words[0]).format_help()
        assert all(option in said for option in options), f"{place}: rehdr {words[0]} {options}"


@each_document
def test_every_link_leads_somewhere(path):
    for line, target in links(path):
        if re.match(r"https?://", target):
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), f"{where(path, line)}: {target} does not exist"
        assert not anchor or anchor in anchors(there), (
            f"{where(path, line)}: {there.name} has no heading #{anchor}"
        )


@each_document
def test_prose_is_narrow(path):
    """Tables can't be broken; code is as wide as it is."""
    for line, text in prose(path):
        assert len(text) <= WIDTH or text.startswith("|"), where(path, line)


@each_document
def test_files_in_the_text_exist(path):
    for line, text in inline_code(path):
        folders = "config|examples|launch|msg|rehdr_ros|test|tools"
        for name in re.findall(rf"(?<![\w/.~-])(?:{folders})/[\w./*-]+", text):
            assert list(ROOT.glob(name)), f"{where(path, line)}: {name} does not exist"


def test_every_picture_is_in_a_page():
    shown = {(path.parent / target).resolve() for path in DOCUMENTS for _, target in links(path)}
    assert {path for path in DOCS.iterdir() if path.suffix != ".md"} <= shown


def test_messages_that_are_explained_are_said_somewhere():
    """`no events for ... frames` in a column of symptoms: the parts between the dots are in the code."""
    sources = "\n".join(
        path.read_text() for path in [*(ROOT / "rehdr_ros").rglob("*.py"), *(ROOT / "tools").glob("*.py")]
    )
    rows = re.findall(r"^\| ([^|]*`[^|]*) \|", tables(DOCS / "tuning.md", "symptom"), re.MULTILINE)
    texts = [text for row in rows for text in re.findall("`([^`]+)`", row)]
    said = [part.strip() for text in texts for part in text.split("...")]
    assert len(said) > 20
    for part in filter(None, said):
        name, sign, value = part.partition(": ")
        found = part in OTHERS_SAY or part in sources or part.replace(" ", "_") in sources
        assert found or (sign and name in sources and value in sources), part


def test_packages_import_only_what_the_architecture_lets_them():
    table = re.findall(
        r"^\| `(\w+)` \|.*\| ([^|]*) \|$", tables(DOCS / "architecture.md", "`rehdr_ros/`"), re.MULTILINE
    )
    allowed = {name: set(re.findall(r"\w+", may)) for name, may in table}
    packages = {path.parent.name for path in (ROOT / "rehdr_ros").glob("*/__init__.py")}
    assert packages == set(allowed)
    for name in packages - {"cli"}:
        text = "\n".join(path.read_text() for path in (ROOT / "rehdr_ros" / name).rglob("*.py"))
        imported = set(re.findall(r"^ *from rehdr_ros\.(\w+)", text, re.MULTILINE)) & packages
        assert imported - {name} <= allowed[name], name
        assert name == "node" or not re.search(r"^ *(from|import) rclpy", text, re.MULTILINE), name


def test_no_files_import_each_other_in_a_circle():
    graph = {}
    for path in (ROOT / "rehdr_ros").rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        # Those for type checkers alone, too.
        graph[module] = re.findall(r"^ *from (rehdr_ros[\w.]*) import", path.read_text(), re.MULTILINE)
    TopologicalSorter(graph).prepare()  # raises CycleError


def test_every_product_is_documented():
    pages = "\n".join(path.read_text() for path in DOCUMENTS)
    for product in PRODUCTS:
        assert f"`{product.name}/NNNNNN{product.suffix}`" in pages
        image = f"^\\| out \\| `{product.topic}` \\| sensor_msgs/msg/Image, {product.encoding}"
        assert not product.topic or re.search(image, pages, re.MULTILINE), product.topic


def test_every_page_is_in_the_index():
    named = {target.partition("#")[0] for _, target in links(DOCS / "README.md")}
    assert {str(path.relative_to(DOCS)) for path in DOCUMENTS[1:]} - {"README.md"} <= named


def absolute(name: str) -> str:
    """The full name of a topic or service, without a namespace."""
    return name.replace("~", "/rehdr_node") if name[0] in "~/" else f"/{name}"


@pytest.mark.parametrize("path", ["config/rehdr.yaml", "docs/parameters.md"])
def test_parameters_are_what_the_code_says(path):
    pytest.importorskip("rclpy", reason="no ROS 2 here: run make setup, or source one")
    assert (ROOT / path).read_text() == generated()["DOCUMENTS"][ROOT / path](), "run make parameters"


@pytest.mark.parametrize("path", [ROOT / "README.md", DOCS / "node.md"], ids=lambda path: path.name)
def test_tables_of_topics_are_what_the_node_has(path, interface):
    tables = {"in": interface.subscriptions, "out": interface.publishers, "service": interface.services}
    listed = set()
    row = r"^\| (in|out|service) \| ([^|]+)\| (.*)\|$"
    for direction, names, rest in re.findall(row, path.read_text(), re.M):
        for name in re.findall(r"`([^`]+)`", names):
            full = REMAPPED.get(name) or absolute(name)
            assert full in tables[direction], f"the node has no {name}"
            listed.add(full)
            kinds = [kind.split("/")[-1] for kind in tables[direction][full]]
            assert "msg" not in rest or any(kind in rest for kind in kinds), (name, kinds)
    left_out = {"/parameter_events", "/rosout", "/rehdr_node/transition_event"}
    if path.name == "node.md":
        assert {*interface.publishers, *interface.subscriptions} - left_out <= listed


def test_the_enclaves_policy_is_what_the_node_has(interface):
    (text,) = (block.text for block in blocks(DOCS / "node.md") if block.language == "xml")
    policy = ElementTree.fromstring(text)

    def names(path: str) -> set[str]:
        return {absolute(each.text) for each in policy.findall(path)}

    assert names(".//topics[@publish]/topic") == set(interface.publishers)
    subscribed = set(interface.subscriptions) - {"/parameter_events"}
    assert names(".//topics[@subscribe]/topic") - {"/clock"} == subscribed
    since_jazzy = {"/rehdr_node/get_type_description"}
    assert names(".//services/service") - since_jazzy == set(interface.services) - since_jazzy


def test_foxglove_layout_shows_topics_and_fields_of_the_node(interface):
    layout = json.loads((ROOT / "config" / "foxglove_layout.json").read_text())
    info = message_fields("rehdr_ros/msg/FrameInfo")
    for name, panel in layout["configById"].items():
        kind = name.partition("!")[0]
        if kind == "Image":
            assert panel["imageMode"]["imageTopic"] in interface.topics
        elif kind == "Plot":
            for series in panel["paths"]:
                topic, _, field = series["value"].partition(".")
                assert topic in interface.publishers and field.removesuffix("[:]") in info, series["value"]
        else:
            assert kind == "DiagnosticSummary" and panel["topicToRender"] in interface.publishers
    assert set(_panels(layout["layout"])) == set(layout["configById"])


def _panels(layout) -> list[str]:
    return [layout] if isinstance(layout, str) else _panels(layout["first"]) + _panels(layout["second"])


def test_rviz_shows_topics_of_the_node_in_a_qos_that_fits(interface):
    config = yaml.safe_load((ROOT / "config" / "rehdr.rviz").read_text())
    displays = config["Visualization Manager"]["Displays"]
    assert {display["Class"] for display in displays} == {"rviz_default_plugins/Image"}
    for topic in (display["Topic"] for display in displays):
        name = topic["Value"]
        assert name in interface.topics
        asked = topic["Reliability Policy"]
        assert asked == ("Reliable" if interface.reliable.get(name) else "Best Effort"), name


def test_dockerfile_installs_what_the_package_asks_for():
    text = (ROOT / "Dockerfile").read_text()
    assert "FROM ros:${ROS_DISTRO}-ros-base" in text and "rosdep install" in text
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    package = ElementTree.parse(ROOT / "package.xml").getroot()
    from_apt = {each.text.removeprefix("python3-") for each in package.findall("exec_depend")}
    names = {"opencv-python-headless": "opencv", "PyYAML": "yaml"}
    required = re.sub(r">=[\d.]+", "", setup["options"]["install_requires"]).split()
    asked = {name for name in required if names.get(name, name) not in from_apt}
    (pip,) = re.findall(r"pip install(.*?)\n\n", text, re.DOTALL)
    assert asked <= set(pip.replace("\\", " ").split())
    (command,) = re.findall(r"^CMD (.*)$", text, re.MULTILINE)
    *_, package_name, file = json.loads(command)
    assert package_name == "rehdr_ros" and (ROOT / "launch" / file).is_file()
