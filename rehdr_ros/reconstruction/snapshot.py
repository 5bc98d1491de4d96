"""What an interrupted reconstruction needs to go on as if nothing had happened."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from rehdr_ros import safetensors_file
from rehdr_ros.errors import InputError, replacing
from rehdr_ros.network.contract import State

_ABOUT = "snapshot 3"  # in the metadata; counts on where the state's names change


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A stream after `frames` frames; what its messages tell anew when they are read again is not in it.

    device, precision: of the network. engine: what runs it, None while that is open. state: the hidden state,
    empty after a reset; since_ns: of which stamp. event_fit: as it was last looked at, a NaN where unknown.
    exposure: of the tone mapping. not_finite: frames at which the network gave NaN or infinity; fallbacks:
    how often the device was out of memory. complete: these were all of the frames.
    """

    frames: int
    device: str
    precision: str
    engine: str | None
    state: State
    since_ns: int
    event_fit: tuple[float, ...]
    exposure: tuple[float, float, int] | None
    not_finite: int
    fallbacks: int
    complete: bool = False

    def write(self, path: str | Path, **notes: str) -> None:
        """Into a safetensors file, whole or not at all; notes: more for its metadata. Raises OSError."""
        about = {name: value for name, value in vars(self).items() if name != "state"}
        with replacing(path) as unfinished:
            safetensors_file.write(unfinished, self.state, {**notes, _ABOUT: json.dumps(about)})

    @classmethod
    def read(cls, path: str | Path) -> tuple[Snapshot, dict[str, str]]:
        """What `write` has written, and the notes. Raises InputError for any other file."""
        try:
            state, notes = safetensors_file.read(path)
            about = json.loads(notes.pop(_ABOUT))
            about["exposure"] = about["exposure"] and tuple(about["exposure"])
            about["event_fit"] = tuple(about["event_fit"])
            return cls(state=state, **about), notes
        except (KeyError, ValueError, TypeError) as error:
            raise InputError(
                f"{path} is damaged, or of another version ({error}): remove it to start anew"
            ) from error
