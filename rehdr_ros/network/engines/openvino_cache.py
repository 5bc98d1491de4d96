"""Networks as OpenVINO has read them, kept on disk where that can be written: reading one takes seconds."""

import contextlib
import hashlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from rehdr_ros.network.contract import Network
from rehdr_ros.network.engines.openvino_core import core, openvino

_PACKAGE = Path(__file__).parent.parent.parent
FOLDER = _PACKAGE / "__pycache__"
_FILE = "network.xml"
_MOST = 6  # networks


def cached(network: Network, read: Callable[[], openvino.Model]) -> openvino.Model:
    """What `read` makes of the network, or what it made before of the same weights by the same code."""
    folder = FOLDER / f"openvino-{_fingerprint(network)}"
    try:
        return core().read_model(folder / _FILE)
    except Exception:  # not there, or damaged
        model = read()
    with contextlib.suppress(OSError, RuntimeError):  # not writable, or another process does the same
        _store(model, folder)
    return model


def _store(model: openvino.Model, folder: Path) -> None:
    FOLDER.mkdir(exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix="new-", dir=FOLDER))
    try:
        openvino.save_model(model, new / _FILE, compress_to_fp16=False)
        shutil.rmtree(folder, ignore_errors=True)
        new.rename(folder)  # never half of it
    finally:
        shutil.rmtree(new, ignore_errors=True)
    oldest_first = sorted(FOLDER.glob("openvino-*"), key=lambda path: path.stat().st_mtime)
    for old in oldest_first[:-_MOST]:
        shutil.rmtree(old, ignore_errors=True)


def _fingerprint(network: Network) -> str:
    digest = hashlib.sha256(f"{openvino.__version__} {network.config}".encode())
    for path in sorted((_PACKAGE / "network").rglob("*.py")):
        digest.update(path.read_bytes())
    for name, value in network.state_dict().items():
        digest.update(name.encode() + value.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
