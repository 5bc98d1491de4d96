"""What stands in the documents for something of the reader's, and what the tests put in its place."""

import re

PLACEHOLDERS = (
    "RECORDING",
    "BAG",
    "OUT",
    "FOLDER",
    "RUN2",
    "RUN3",
    "RUN",
    "ROOT",
    "DIR",
    "RESULTS",
    "WEIGHTS",
    "NET.onnx",
    "PUBLISHED.pth",
    "published.safetensors",
    "CONFIG",
    "FILE",
)
_NAME = re.compile(rf"^({'|'.join(map(re.escape, PLACEHOLDERS))})(?=$|/)")

# So that a command takes seconds: the size of frames, of the benchmark, of a training; repeats and lengths.
_SMALLER = (
    (r"\b\d{3,4}x\d{3,4}\b", "64x48"),
    (r"(?<=--size )\d+$", "16"),
    (r"(?<=--repeat )\d+$", "1"),
    (r"(?<=--start )[\d.]+$", "0.2"),
    (r"(?<=--stop )[\d.]+$", "0.6"),
    (r"(?<=--seconds )[\d.]+$", "0.4"),
    (r"(?<=--sequences )\d+$", "2"),
    (r"(?<=--reclip )[\d.,]+$", "0.3,0.5"),  # of the simulated recording a fifth is clipped already
    (r"(?<=\bsteps=)\d+$", "2"),
    (r"(?<=--steps )\d+$", "2"),
)
# Put behind the verb or the program, so that what the document says counts; by the form of a verb, too.
SMALL = {
    "simulate": "--seconds 0.4 --fps 10 --size 64x48",
    "replay": "--rate 5",
    "demo": "--seconds 0.4",
    "evaluate --benchmark": "--size 16",
    "evaluate --odometry": "--drives 1 --seeds 1 --drive-size 96x72",
    "evaluate --tunnel": "--drives 1 --drive-size 96x72",
    "evaluate --downstream": "--drives 1 --drive-size 96x72",
    "rehdr_ros.training.pruning": "--batches 1",
    "ablations.py": "--only 0 --size 32 --test-size 32",
    "forms.py": "--sizes 64x48 --repeat 1",
    "benchmark": "--repeat 1 --sizes 64x48 --networks rehdr_t --size 64x48 --rate 0.2 --fps 10 --seconds 0.4",
}


def placeholder(word: str) -> str | None:
    """The placeholder that a word is or begins with, as a path."""
    match = _NAME.match(word)
    return match[1] if match else None


def smaller(words: tuple[str, ...]) -> list[str]:
    """The same words for less work."""
    done: list[str] = []
    for word in words:
        before = f"{done[-1]} " if done else ""
        for pattern, less in _SMALLER:
            word = re.sub(pattern, less, before + word).removeprefix(before)
        done.append(word)
    return done
