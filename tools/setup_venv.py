"""Makes .venv: ROS 2 from PyPI (or the one that is sourced), this package's dependencies and its messages.

Each step remembers what it was made from in .venv/setup.json and runs again only when that changes.

    python tools/setup_venv.py [NAME [ARGUMENT ...]]

NAME: another of environments.py, beside .venv. Its Python then runs with the arguments; where it can't be
had, that is skipped with the reason.
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

from environments import ENVIRONMENTS, ROOT, interpreter

NAME = sys.argv[1] if len(sys.argv) > 1 else "kilted"
THIS = ENVIRONMENTS[NAME]
VENV = THIS.folder
STATE = VENV / "setup.json"
LOG = VENV / "setup.log"
PYTHON = VENV / "bin" / "python"
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
SITE = VENV / "lib" / f"python{VERSION}" / "site-packages"
PYPI = "PyPI"
NO_ROS = "none"
FREE_BYTES = 4e9
INTERFACES = ("event_camera_msgs", "dvs_msgs")  # what is built of interfaces/, unless the system has it


def main():
    if NAME != "kilted":
        run_by_its_own_python()
    with open(ROOT / THIS.constraints) as lock:  # `make test` and `make demo` may be started side by side
        fcntl.flock(lock, fcntl.LOCK_EX)
        set_up()
    if len(sys.argv) > 2:
        sys.stdout.flush()
        os.execv(PYTHON, [PYTHON, *sys.argv[2:]])


def run_by_its_own_python():
    if os.environ.get("ROS_DISTRO"):
        skip(f"ROS {os.environ['ROS_DISTRO']} is sourced, which would come before what is tested")
    if THIS.wheels and (sys.platform, os.uname().machine) != ("linux", "x86_64"):
        skip("PyPI has ROS 2 only for x86-64 Linux")
    python = interpreter(THIS)
    if python is None:
        skip(f"no Python {' or '.join(THIS.pythons)} with ensurepip and Python.h, on the PATH or by pyenv")
    # Where .venv has its libraries is nothing for another ROS, whose wheels find their own.
    os.environ.pop("_ROS_WHEELS_BOOTSTRAP_COMPLETE", None)
    os.environ["LD_LIBRARY_PATH"] = str(VENV / "lib")
    if not os.path.samefile(python, sys.executable):
        os.execv(python, [python, *sys.argv])


def set_up():
    done = json.loads(STATE.read_text()) if STATE.exists() else {}
    ros = sourced_ros()
    torch_index = os.environ.get("TORCH_INDEX") or done.get("torch_index", "")
    check_same(done, ros)

    also = [THIS.wheels, THIS.packages, torch_index]
    packages = digest("setup.py", "setup.cfg", THIS.constraints, also=also)
    messages = digest(THIS.constraints, "package.xml", "CMakeLists.txt", "msg", "interfaces")
    steps = (
        ("environment", [VERSION, ros], f"making {VENV.name}", lambda: make_environment(ros)),
        ("packages", packages, "installing packages", lambda: install_packages(ros, torch_index, done)),
        ("exports", packages, "repairing the wheels' CMake exports", repair_exports),
        ("messages", messages, "building messages", lambda: build_messages(ros)),
    )
    if ros == NO_ROS:
        steps = steps[:2]
    if all(done.get(name) == key for name, key, _, _ in steps):
        print(f"setup: {VENV.name} is up to date")
        return

    say(1, "checking this machine")
    check_machine(ros, done)
    for number, (name, key, title, action) in enumerate(steps, 2):
        if done.get(name) == key:
            say(number, f"{title}: already done")
            continue
        say(number, title)
        remember({**done, name: None})  # whatever an interrupted step leaves is not done
        action()
        done[name] = key
        remember(done)
    with_ros = "no ROS 2" if ros == NO_ROS else f"ROS 2 from {ros}"
    print(f"setup: ready, with Python {VERSION} and {with_ros}")
    if ros not in (PYPI, NO_ROS):
        print(f"setup: to use .venv outside make, source {VENV}/share/rehdr_ros/local_setup.bash")


def remember(done):
    VENV.mkdir(exist_ok=True)
    STATE.write_text(json.dumps(done, indent=1))


def sourced_ros():
    if not THIS.wheels:
        return NO_ROS
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
    if VENV.exists() and not STATE.exists():
        fail(f"{VENV} was not made by setup: move it away")
    if done.get("environment") not in (None, [VERSION, ros]):
        python, other = done["environment"]
        fail(
            f"{VENV.name} was made with Python {python} and ROS 2 from {other}, this is Python {VERSION} "
            f"and ROS 2 from {ros}: run `make clean` first, or use the shell and the PYTHON it was made with"
        )


def check_machine(ros, done):
    if not importlib.util.find_spec("ensurepip"):
        fail(f"{sys.executable} has no ensurepip: install python3-venv, or choose another with PYTHON=...")
    for variable, usual in (("CC", ["cc", "gcc", "clang"]), ("CXX", ["c++", "g++", "clang++"])):
        if not any(map(shutil.which, os.environ.get(variable, "").split()[:1] or usual)):
            fail("no C and C++ compiler, which building the messages needs: install gcc and g++")
    if not Path(sysconfig.get_config_var("INCLUDEPY"), "Python.h").exists():
        fail(f"no Python.h for {sys.executable}, which building the messages needs: install python3-dev")
    wheels_fit = sys.platform == "linux" and os.uname().machine == "x86_64" and VERSION in THIS.pythons
    if ros == PYPI and not wheels_fit:
        fail(
            f"PyPI has ROS 2 only for x86-64 Linux with Python {', '.join(THIS.pythons)}, this is "
            f"{os.uname().machine} with {VERSION}: source a ROS 2 installation, or choose with PYTHON=..."
        )
    free = shutil.disk_usage(ROOT).free
    if not done.get("packages") and free < FREE_BYTES:
        needs = "setup needs 4, and 10 for a CUDA build of torch"
        fail(f"{ROOT} has {free / 1e9:.1f} GB free, {needs}: make room")


def make_environment(ros):
    shutil.rmtree(VENV)
    remember({})  # it is ours, even where this ends too early
    system = [] if ros in (PYPI, NO_ROS) else ["--system-site-packages"]
    # The base interpreter: an unfinished .venv may be the one that runs this.
    run([sys._base_executable, "-m", "venv", *system, VENV])  # noqa: SLF001


def install_packages(ros, torch_index, done):
    pip = [PYTHON, "-m", "pip"]
    if torch_index != done.get("torch_index", torch_index):
        run([*pip, "uninstall", "-y", "torch"])  # the same version of another build would count as installed
    if ros in (PYPI, NO_ROS):
        extra = ["-c", THIS.constraints, *THIS.wheels]
    else:  # its compiled parts are bound to its NumPy
        numpy = subprocess.check_output([PYTHON, "-c", "import numpy; print(numpy.__version__)"], text=True)
        extra = [f"numpy=={numpy.strip()}"]
    index = ["--extra-index-url", torch_index] if torch_index else []
    install = [*pip, "install", "--disable-pip-version-check", "--use-pep517", *index, *extra]
    run([*install, *THIS.packages], show=r"Downloading .*(MB|GB)")
    done["torch_index"] = torch_index


def repair_exports():
    """The wheels' CMake files name the Python of the machine that built them."""
    include = sysconfig.get_config_var("INCLUDEPY")
    program = "import numpy; print(numpy.get_include())"
    numpy = subprocess.check_output([PYTHON, "-c", program], text=True).strip()
    for path in VENV.glob("share/**/*.cmake"):
        text = path.read_text()
        fixed = re.sub(r"/opt/python/[^/;\"]+/include/python3\.\d+", include, text)
        fixed = re.sub(r"/opt/python/[^/;\"]+/lib/python3\.\d+/site-packages", str(SITE), fixed)
        fixed = re.sub(rf"{SITE}/numpy/\w+/include", numpy, fixed)  # its folder has another name from 2.0 on
        if fixed != text:
            path.write_text(fixed)


def build_messages(ros):
    for package in INTERFACES:
        spec = importlib.util.find_spec(package) if ros != PYPI else None
        if spec is None or Path(spec.origin).is_relative_to(VENV):
            build_package(ros, ROOT / "interfaces" / package)
    build_package(ros, ROOT, MESSAGES_ONLY="ON")
    # Leaves the source tree the one rehdr_ros package, which finds msg beside it by extend_path.
    (SITE / "rehdr_ros" / "__init__.py").unlink()
    for generated in SITE.glob("rehdr_ros-*.egg-info"):
        shutil.rmtree(generated)


def build_package(ros, source, **options):
    cmake = VENV / "bin" / "cmake" if ros == PYPI else "cmake"
    environment = {**os.environ, "ROS_VERSION": "2"}
    with tempfile.TemporaryDirectory() as build:
        options = {
            "BUILD_TESTING": "OFF",
            "CMAKE_INSTALL_PREFIX": VENV,
            "CMAKE_PREFIX_PATH": VENV,
            "Python3_EXECUTABLE": PYTHON,
            **options,
        }
        define = [f"-D{name}={value}" for name, value in options.items()]
        run([cmake, "-S", source, "-B", build, *define], env=environment)
        run([cmake, "--build", build, "--parallel", str(os.cpu_count())], env=environment)
        run([cmake, "--install", build], env=environment)


def run(command, show=None, env=None):
    """Logs a command's output; shows its lines that match, and its last ones where it fails."""
    command = [str(word) for word in command]
    lines = ["$ " + " ".join(command) + "\n"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with open(LOG, "a") as log, subprocess.Popen(command, cwd=ROOT, env=env, **pipes) as process:
        log.write(lines[0])
        for line in process.stdout:
            lines.append(line)
            log.write(line)
            if show and re.search(show, line):
                print("     ", line.strip(), flush=True)
    if process.returncode:
        sys.stderr.writelines(lines[-20:])
        fail(f"`{' '.join(command[:4])} ...` ended with {process.returncode}; the whole output is in {LOG}")


def digest(*names, also=None):
    """Of the files and folders named, and of a value."""
    total = hashlib.sha256(repr(also).encode())
    for path in (ROOT / name for name in names):
        for file in [path] if path.is_file() else sorted(filter(Path.is_file, path.rglob("*"))):
            total.update(str(file.relative_to(ROOT)).encode() + file.read_bytes())
    return total.hexdigest()


def say(number, text):
    print(f"[{number}/{5 if THIS.wheels else 3}] {text}", flush=True)


def skip(reason):
    print(f"setup: {NAME} skipped: {reason}")
    sys.exit()


def fail(message):
    sys.exit(f"setup: {message}")


if __name__ == "__main__":
    main()
