"""What README.md and docs/ hold: blocks of code, commands, inline code, links and headings."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHELL = ("", "bash", "sh", "console")  # an indented block is one, too
OTHERS = ("python", "yaml", "xml", "json", "text")
SHARE = "$(ros2 pkg prefix --share rehdr_ros)"  # where config/ and launch/ come to lie


@dataclass(frozen=True)
class Block:
    """language: as after the fence; empty for an indented block and a bare fence."""

    line: int
    language: str
    text: str


@dataclass(frozen=True)
class Command:
    """words: of one command, without comments and assignments in front; text: as it is in the document.

    The folder that ROS shares the package's files in is the word SHARE.
    """

    line: int
    text: str
    words: tuple[str, ...]


def blocks(path: Path) -> list[Block]:
    """Every block of code, with the number of its first line."""
    found, lines, number = [], path.read_text().splitlines(), 0
    while number < len(lines):
        start = number
        if match := re.match(r"```(\w*)$", lines[number]):
            end = lines.index("```", number + 1)
            text = lines[number + 1 : end]
            found.append(Block(start + 2, match[1], "\n".join(text)))
            number = end
        elif lines[number].startswith("    ") and not lines[number - 1].strip():
            while number < len(lines) and (lines[number].startswith("    ") or not lines[number].strip()):
                number += 1
            text = "\n".join(line[4:] for line in lines[start:number]).rstrip()
            found.append(Block(start + 1, _language(text), text))
            continue
        number += 1
    return found


def _language(text: str) -> str:
    """Of an indented block, which can't say it."""
    if re.match(r"(from|import) \w", text):
        return "python"
    return "yaml" if re.match(r"\w+: ", text) else ""


def commands(path: Path) -> Iterator[Command]:
    """Those of the shell blocks, and what is called from .venv/bin in a text.

    A line that ends with a backslash goes on; && separates two.
    """
    for block in blocks(path):
        if block.language not in (*SHELL, "text"):
            continue
        waiting = ""
        for number, line in enumerate(block.text.splitlines(), block.line):
            if block.language == "text" and not line.startswith(".venv/bin/"):
                continue
            waiting += re.sub(r"(^|\s)#\s.*", "", line)  # a comment; shlex takes any # for one
            if waiting.endswith("\\"):
                waiting = waiting[:-1]
                continue
            for text in waiting.split(" && "):
                words = shlex.split(text.replace(SHARE, "SHARE"))
                while len(words) > 1 and re.match(r"[A-Z_]+=", words[0]):
                    words.pop(0)
                if words:
                    yield Command(number, text.strip(), tuple(words))
            waiting = ""


def inline_code(path: Path) -> Iterator[tuple[int, str]]:
    """The line and the text of everything between backticks, outside of blocks."""
    for number, line in prose(path):
        for text in re.findall(r"`([^`]+)`", line):
            yield number, text


def links(path: Path) -> Iterator[tuple[int, str]]:
    """The line and the target of every link and picture."""
    for number, line in prose(path):
        for target in re.findall(r"\]\(([^)]+)\)", re.sub(r"`[^`]*`", "", line)):
            yield number, target


def anchors(path: Path) -> set[str]:
    """What # may name: the headings as GitHub spells them."""
    headings = (line.lstrip("#").strip() for _, line in prose(path) if re.match(r"#+ ", line))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """The lines outside of blocks, with their numbers."""
    inside: set[int] = set()
    for block in blocks(path):
        inside.update(range(block.line, block.line + block.text.count("\n") + 1))
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if number not in inside:
            yield number, line
