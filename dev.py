#!/usr/bin/env python3
"""Everything a person does in a clone of StableNew: python3 dev.py COMMAND

  setup         make .venv and install StableNew with all that its checks need
  demo          run packs/demo.txt from end to end on the embedded engine; says where the images are
  test          every check: ruff, mypy, import-linter, pytest (--fast leaves the slow tests out;
                --torch installs torch and what the diffusers backend needs, so that its tests run too,
                --torch=near does so only where pip has torch on this disk;
                what follows goes to pytest: dev.py test tests/cli -k rows);
                on Linux the desktop is tested on Xvfb, which root gets by apt-get if it is not there
  lint          ruff and import-linter
  format        put the code into its form
  types         mypy
  proto         make the Python code of the .proto files again
  docs          make the pages of docs/ again that are made from the code
  shots         make the pictures of the desktop in docs/images/desktop again, in some minutes, or those of a
                kind: shots tabs, shots overlays, shots walk (a first start to rated images); Linux
  bench         NAME [ARGS]: run a benchmark (--peers first: install what it compares with)
  run ARGS      the stablenew command: dev.py run doctor
  tool NAME     a tool of .venv on its own: dev.py tool ruff check --fix, dev.py tool lint-imports

Each command installs what it needs first, if that has not been done. Standard library only.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

# Old Pythons must be able to read this file, so that they can say what is wrong: no match, no walrus.
NEEDED = (3, 11)
if sys.version_info < NEEDED:
    newer = [name for name in ("python3.14", "python3.13", "python3.12", "python3.11") if shutil.which(name)]
    sys.exit(
        f"dev.py: StableNew needs Python {NEEDED[0]}.{NEEDED[1]} or newer; this is {sys.version.split()[0]} "
        f"({sys.executable}).\n"
        + (
            f"Use the one you have: {newer[0]} dev.py {' '.join(sys.argv[1:])}"
            if newer
            else "Install it from https://www.python.org/downloads/ and start dev.py with it."
        )
    )

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "stablenew-dev.json"
EXAMPLE = ROOT / "plugins" / "example"
CLOSING_LINE = re.compile(r"=+ .*\bin \d+\.\d+s\b.* =+")
"""How pytest ends: ``==== 312 passed, 1 skipped in 80.12s (0:01:20) ====``."""
SPREAD = ["-n", "3", "--dist", "worksteal"]
"""Three at a time on the two cores of a small machine: tests with real processes mostly wait."""
TORCH = "torch==2.13.0"
"""What ``--torch`` asks pip for, as the extra ``dev-torch`` of pyproject.toml does."""
APT_INSTALL = "apt-get install -y --no-install-recommends xvfb"
XVFB = {
    "apt-get": APT_INSTALL,
    "dnf": "dnf install -y xorg-x11-server-Xvfb mesa-dri-drivers",
    "zypper": "zypper install -y xorg-x11-server-Xvfb Mesa-dri",
    "pacman": "pacman -S --needed xorg-server-xvfb mesa",
}
"""What brings Xvfb, by package manager: the display without a screen of the desktop's tests."""
ATTEMPTS = 3
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class Problem(Exception):
    """Something that the person at the screen must mend; the text says what."""


# --- the environment ----------------------------------------------------------------------------------------


def venv_python() -> Path:
    """The interpreter of .venv."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def install_key() -> str:
    """What an installation depends on: our pyproject, the example's, the Python of .venv and where we are."""
    digest = hashlib.sha256(str(ROOT).encode("utf-8", "surrogateescape"))
    for path in (ROOT / "pyproject.toml", EXAMPLE / "pyproject.toml", VENV / "pyvenv.cfg"):
        digest.update(b"\0" + (path.read_bytes() if path.exists() else b""))
    return digest.hexdigest()


def read_stamp() -> dict:
    """What was installed last; empty if nothing, or nobody knows."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def ensure(level: str, torch: bool = False) -> Path:
    """Have .venv with StableNew in it and return its Python. ``level``: use, dev (all that the checks need) or
    bench (dev, and the peers of the benchmarks). ``torch``: what the diffusers backend needs, too. Costs next
    to nothing when it was done before."""
    levels = ("use", "dev", "bench")
    stamp = read_stamp()
    python = venv_python()
    done = stamp.get("level")
    had_torch = stamp.get("torch") is True
    current = stamp.get("key") == install_key() and done in levels[levels.index(level) :]
    if python.exists() and current and (had_torch or not torch):
        return python
    torch = torch or had_torch
    if done in levels and levels.index(done) > levels.index(level):
        level = done  # what was there before stays there
    moved = bool(stamp) and stamp.get("root") != str(ROOT)  # scripts in it name the old place
    if moved or not (python.exists() and quiet([python, "-m", "pip", "--version"]) == 0):
        say(f"making .venv with Python {sys.version.split()[0]}")
        if run([sys.executable, "-m", "venv", "--clear", VENV]) != 0:
            raise Problem(
                "the virtual environment could not be made (see above); "
                "on Debian and Ubuntu: sudo apt install python3-venv"
            )
    what = {"use": "StableNew", "dev": "StableNew and what its checks need", "bench": "StableNew and its peers"}
    say(f"installing {what[level]} into .venv; the first time takes a minute or two")
    extras = {"use": ["detect"], "dev": ["dev", "detect"], "bench": ["dev", "detect", "bench"]}[level]
    if torch:
        extras = [*extras, "diffusers", "dev-torch"]
        say("torch and its companions take 1.2 GB; on Linux PyPI has the build for NVIDIA GPUs, several GB:")
        say("for a smaller one set PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu")
    packages = ["-e", ".[" + ",".join(extras) + "]"]
    if level != "use" and (EXAMPLE / "pyproject.toml").exists():
        packages += ["-e", "plugins/example"]
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    if run([*pip, *packages]) != 0:
        raise Problem("pip could not install everything (see above); is there a network? Then start again")
    # Written last: whatever is interrupted before is done again.
    stamp = {"key": install_key(), "level": level, "root": str(ROOT)}
    if torch:
        stamp["torch"] = True
    STAMP.write_text(json.dumps(stamp) + "\n", encoding="utf-8", newline="\n")
    return python


def torch_is_near(python: Path) -> bool:
    """Whether pip would take torch from a file of this machine: then it costs a minute and no network."""
    options = ["--dry-run", "--ignore-installed", "--no-deps", "--quiet", "--disable-pip-version-check"]
    report = output([python, "-m", "pip", "install", *options, "--no-input", "--report", "-", TORCH])
    try:
        installs = json.loads(report)["install"]
    except (ValueError, KeyError, TypeError):
        return False
    return bool(installs) and all(item["download_info"]["url"].startswith("file:") for item in installs)


def on_linux() -> bool:
    """Whether windows need an X server here."""
    return sys.platform.startswith("linux")


def is_root() -> bool:
    """Whether we may install what we like."""
    return on_linux() and os.geteuid() == 0


def find(program: str) -> str:
    """Where ``program`` is; empty if nowhere."""
    return shutil.which(program) or ""


def ensure_display() -> None:
    """On Linux: have Xvfb, which the tests of the desktop draw on. Installs it where that needs no password,
    else a :class:`Problem` says what to type."""
    if not on_linux() or find("Xvfb"):
        return
    manager = next((name for name in XVFB if find(name)), None)
    if manager is None:
        raise Problem("the tests of the desktop need Xvfb: install it with the package manager of this system")
    if manager != "apt-get" or not is_root():
        command = ("" if is_root() else "sudo ") + XVFB[manager]
        raise Problem("the tests of the desktop need Xvfb; type this, then start again: " + command)
    say("installing Xvfb for the tests of the desktop")
    patient = ["-qq", "-o", "Acquire::Retries=3", "-o", "DPkg::Lock::Timeout=120"]
    apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", *patient]
    install = [*apt, *APT_INSTALL.split()[1:]]
    if quiet(install) == 0 and find("Xvfb"):
        return
    for attempt in range(1, ATTEMPTS + 1):
        # One broken source fails the update, and the package may come from another one.
        quiet([*apt, "update"])
        if (run if attempt == ATTEMPTS else quiet)(install) == 0 and find("Xvfb"):
            return
        if attempt < ATTEMPTS:
            pause(5 * attempt)
    raise Problem(
        "apt-get could not install Xvfb (see above); when it can, type this and start again: "
        "apt-get update && " + APT_INSTALL
    )


# --- running ------------------------------------------------------------------------------------------------


def say(text: str) -> None:
    """A line of our own."""
    print("dev.py: " + text, flush=True)


def pause(seconds: float) -> None:
    """Give something else the time to end."""
    time.sleep(seconds)


def keep_compiled() -> None:
    """Let what we start keep its compiled modules in __pycache__, which git ignores; always.

    With PYTHONDONTWRITEBYTECODE=1 each kernel, agent and worker that a test starts compiles StableNew again,
    and pytest rewrites every test again: as much work as the tests themselves.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def wait(process: subprocess.Popen) -> int:
    """The exit code of ``process``. A Ctrl-C reaches the child too: it is the child's business how to end."""
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


def run(command: list, cwd: Path = ROOT) -> int:
    """Run ``command`` (no shell) in our terminal; return its exit code."""
    sys.stdout.flush()
    return wait(subprocess.Popen([str(part) for part in command], cwd=str(cwd)))


def start_quietly(command: list) -> subprocess.Popen:
    """Start ``command`` without its output and do not wait for it."""
    return subprocess.Popen(
        [str(part) for part in command], cwd=str(ROOT), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


class Beside:
    """A command that runs beside others: what it prints is kept until somebody waits for it."""

    def __init__(self, command: list) -> None:
        self._begun = time.monotonic()
        self._process = subprocess.Popen(
            [str(part) for part in command],
            cwd=str(ROOT),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        self._output, _ = self._process.communicate()
        self._took = time.monotonic() - self._begun

    def wait(self) -> tuple:
        """Print what it printed; return its exit code and the seconds that it took."""
        self._reader.join()
        sys.stdout.write(self._output)
        sys.stdout.flush()
        return self._process.returncode, self._took


def quiet(command: list) -> int:
    """Run ``command`` without its output; return its exit code."""
    return subprocess.run(
        [str(part) for part in command], cwd=str(ROOT), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ).returncode


def output(command: list) -> str:
    """What ``command`` prints; empty if it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=str(ROOT),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
        errors="replace",
    )
    return done.stdout if done.returncode == 0 else ""


def run_pytest(command: list, cwd: Path = ROOT) -> tuple:
    """Run pytest, passing its output on as it comes; return its exit code and its closing line."""
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=str(cwd),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    closing = ""
    with process.stdout:
        while True:
            try:
                line = process.stdout.readline()
            except KeyboardInterrupt:  # pytest got it too, and has a summary to write
                continue
            if not line:
                return wait(process), closing
            sys.stdout.write(line)
            sys.stdout.flush()
            plain = COLOURS.sub("", line).strip()
            if CLOSING_LINE.fullmatch(plain):
                closing = plain


def stablenew(python: Path, *arguments: str) -> list:
    """The ``stablenew`` command of .venv."""
    return [python, "-m", "stablenew_kernel.cli", *arguments]


def tool_command(python: Path, name: str, *arguments: str) -> list:
    """A tool of .venv, by module: its scripts have another name on Windows and break when the clone moves."""
    if name == "lint-imports":  # the one that cannot be run as a module
        return [python, "-c", "from importlinter.cli import lint_imports_command as c; c()", *arguments]
    return [python, "-m", name, *arguments]


# --- commands -----------------------------------------------------------------------------------------------


def setup(_arguments: list) -> int:
    """Make .venv and install everything."""
    ensure("dev")
    say("ready; next: python3 dev.py demo, python3 dev.py run (the window), python3 dev.py run --help")
    return 0


def demo(arguments: list) -> int:
    """Run the demo pack end to end. Leaves no kernel running that was not there before."""
    python = ensure("use")
    data = ("--data", str(ROOT / ".demo"))
    was_running = quiet(stablenew(python, *data, "kernel", "status")) == 0
    say("running packs/demo.txt with the preset everything, on the embedded engine: a stand-in, no AI model")
    try:
        code = run(stablenew(python, *data, "run", "packs/demo.txt", "--preset", "everything", *arguments))
    finally:
        if not was_running:
            quiet(stablenew(python, *data, "kernel", "stop"))
    if code == 0:
        say("that was everything from the pack to the images; now with yours: python3 dev.py run run PACK.txt")
        say("or in a window: python3 dev.py run")
    return code


def test(arguments: list) -> int:
    """Every check. Returns 1 if one of them fails; all of them run."""
    fast = "--fast" in arguments
    torch = [argument for argument in arguments if argument in ("--torch", "--torch=near")]
    chosen = [argument for argument in arguments if argument != "--fast" and argument not in torch]
    ensure_display()
    python = ensure("dev")
    if torch and (torch != ["--torch=near"] or torch_is_near(python)):
        python = ensure("dev", torch=True)
    elif torch:
        say("pip has no torch on this disk: the tests of the diffusers backend are left out")
    pytest = [python, "-m", "pytest", "--color=" + ("yes" if sys.stdout.isatty() else "no")]
    select = ["-m", "not slow"] if fast else []
    steps = [
        ("ruff check", tool_command(python, "ruff", "check", ".")),
        ("ruff format", tool_command(python, "ruff", "format", "--check", ".")),
        ("import-linter", tool_command(python, "lint-imports")),
    ]
    # It takes half a minute of one core. The others are for what follows.
    mypy = Beside(tool_command(python, "mypy"))
    # pytest's three processes would each compile the tests: one does it before.
    warming = None if chosen else start_quietly([*pytest, "--collect-only", "-qq"])
    results = []
    for name, command in steps:
        begun = time.monotonic()
        say(name)
        results.append((name, run(command), time.monotonic() - begun))
    if (EXAMPLE / "tests").is_dir() and not chosen:
        begun = time.monotonic()
        say("pytest plugins/example")
        code, _ = run_pytest([*pytest, "-q", *select], cwd=EXAMPLE)
        results.append(("pytest plugins/example", code, time.monotonic() - begun))
    if warming is not None:
        wait(warming)
    begun = time.monotonic()
    say("pytest")
    code, closing = run_pytest([*pytest, *SPREAD, *select, *chosen])
    took = time.monotonic() - begun
    say("mypy, which ran beside the others")
    results += [("mypy", *mypy.wait()), ("pytest", code, took)]
    print()
    for name, code, took in results:
        print(f"{'FAILED' if code else 'ok':<6} {name:<24} {took:7.1f} s")
    if closing:
        print(closing, flush=True)
    return 1 if any(code for _, code, _ in results) else 0


def lint(_arguments: list) -> int:
    """Ruff and the import rules."""
    python = ensure("dev")
    codes = [
        run(tool_command(python, "ruff", "check", ".")),
        run(tool_command(python, "ruff", "format", "--check", ".")),
        run(tool_command(python, "lint-imports")),
    ]
    return 1 if any(codes) else 0


def format_code(_arguments: list) -> int:
    """Put the code into its form."""
    python = ensure("dev")
    fixed = run(tool_command(python, "ruff", "check", "--fix", "--show-fixes", "."))
    return run(tool_command(python, "ruff", "format", ".")) or fixed


def types(_arguments: list) -> int:
    """Mypy."""
    return run(tool_command(ensure("dev"), "mypy"))


def proto(_arguments: list) -> int:
    """Make the Python code of the .proto files again."""
    return run([ensure("dev"), "proto/stablenew_proto/generate.py"])


def docs(_arguments: list) -> int:
    """Make the pages again that are made from the code."""
    return run([ensure("dev"), "-m", "stablenew_plugins.reference", "docs"])


def shots(arguments: list) -> int:
    """Make the pictures of the desktop again."""
    if not on_linux():
        raise Problem("the pictures are made on an X server without a screen, which needs Linux")
    ensure_display()
    return run([ensure("dev"), "-m", "tests.desktop.shots", *arguments])


def bench(arguments: list) -> int:
    """Run a benchmark by its name."""
    names = sorted(path.stem for path in (ROOT / "benchmarks").glob("[a-z]*.py"))
    peers = arguments[:1] == ["--peers"]
    arguments = arguments[1:] if peers else arguments
    if not arguments or arguments[0] not in names:
        raise Problem(f"which benchmark? dev.py bench [--peers] NAME; there are: {', '.join(names) or 'none'}")
    python = ensure("bench" if peers else "dev")
    return run([python, "-m", "benchmarks." + arguments[0], *arguments[1:]])


def run_stablenew(arguments: list) -> int:
    """The ``stablenew`` command."""
    return run(stablenew(ensure("use"), *arguments), cwd=Path.cwd())


def tool(arguments: list) -> int:
    """A tool of .venv."""
    if not arguments:
        raise Problem("which tool? dev.py tool NAME [ARGS], such as ruff, mypy, pytest, lint-imports")
    return run(tool_command(ensure("dev"), *arguments))


COMMANDS = {
    "setup": setup,
    "demo": demo,
    "test": test,
    "lint": lint,
    "format": format_code,
    "types": types,
    "proto": proto,
    "docs": docs,
    "shots": shots,
    "bench": bench,
    "run": run_stablenew,
    "tool": tool,
}


def main(arguments: list) -> int:
    """Run the command that ``arguments`` name; return the exit code."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(__doc__.strip())
        return 0
    if arguments[0] not in COMMANDS:
        print(f"dev.py: no command {arguments[0]!r}; there are: {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    keep_compiled()
    try:
        return COMMANDS[arguments[0]](arguments[1:])
    except Problem as problem:
        print(f"dev.py: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
