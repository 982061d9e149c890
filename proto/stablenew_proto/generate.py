"""Make the Python code of the .proto files: ``python proto/stablenew_proto/generate.py``.

The generated files are committed. A test runs this into a temporary folder and compares. The compiler is
the oldest that we support (pinned in pyproject's ``dev`` extra): newer protobuf runtimes run older generated
code, never the reverse.
"""

from __future__ import annotations

import argparse
import sys
from importlib.resources import files
from pathlib import Path

PROTO_ROOT = Path(__file__).resolve().parent.parent


def generate(out: Path) -> None:
    """Write the modules and their type stubs below ``out``. Raises RuntimeError on failure."""
    from grpc_tools import protoc

    protos = sorted((PROTO_ROOT / "stablenew_proto" / "v1").glob("*.proto"))
    scripts = Path(sys.executable).parent
    plugin = scripts / ("protoc-gen-mypy_grpc.exe" if sys.platform == "win32" else "protoc-gen-mypy_grpc")
    arguments = [
        "protoc",
        f"--plugin=protoc-gen-mypy_grpc={plugin}",
        f"-I{PROTO_ROOT}",
        f"-I{files('grpc_tools') / '_proto'}",
        f"--python_out={out}",
        f"--pyi_out={out}",
        f"--grpc_python_out={out}",
        f"--mypy_grpc_out={out}",
        *(str(path.relative_to(PROTO_ROOT)) for path in protos),
    ]
    if protoc.main(arguments) != 0:
        raise RuntimeError("protoc failed; see its message above")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=PROTO_ROOT, help="folder to write below")
    generate(parser.parse_args().out)
    sys.exit(0)
