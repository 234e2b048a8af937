"""Imports point down only; the decoder and the encoder do not know each other; nothing heavy is loaded early."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import inrcodec

ROOT = Path(inrcodec.__file__).parent
FLOORS = (
    ("errors",),
    ("bytestream", "passes"),
    ("signal", "lattice", "device", "priors", "frames", "ahead"),
    ("kernels",),
    ("quantize", "steps", "entropy"),
    ("fields", "metrics"),
    ("bitstream", "render"),
    ("segment", "metadata", "view"),
    ("source",),
    ("opened",),
    ("encoder", "decode"),
)
"""From the ground up. A room may import its own files and those of lower floors, not its siblings."""
TOP = "cli"
"""Everything else (the command line and what it is made of) is the top floor, and nobody's ground."""


def room(module: str) -> str:
    """The second part of a module's name: inrcodec.signal.info → signal."""
    return module.split(".")[1]


def floor(name: str) -> int:
    return next((level for level, rooms in enumerate(FLOORS) if name in rooms), len(FLOORS))


def modules() -> dict[str, Path]:
    """Every module but the package itself, whose names are lazy."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(("inrcodec", *parts)).removesuffix(".__init__")
        if name != "inrcodec":
            found[name] = path
    return found


def imports(source: str, known) -> set[str]:
    """Modules of ours that a source imports anywhere, in functions too."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute here"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name for name in inner if name in known} or {node.module}
    return {name for name in found if name.startswith("inrcodec.")}


def faults(name: str, targets: set[str]) -> list[str]:
    """The imports of a module that do not point down."""
    mine = room(name)
    return [
        f"{name} imports {target}"
        for target in sorted(targets)
        if room(target) != mine and floor(room(target)) >= floor(mine) and floor(mine) < len(FLOORS)
    ]


def test_imports_point_down_only():
    known = modules()
    assert {"inrcodec.decode", "inrcodec.fields.hashgrid", "inrcodec.signal.info"} <= known.keys()
    wrong = [fault for name, path in known.items() for fault in faults(name, imports(path.read_text("utf-8"), known))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "name, source",
    [
        ("inrcodec.decode", "from inrcodec.encoder import encode"),
        ("inrcodec.encoder.training", "def late():\n    import inrcodec.decode"),
        ("inrcodec.encoder", "from inrcodec.cli import main"),
        ("inrcodec.segment", "from inrcodec import decode"),
        ("inrcodec.fields.siren", "from inrcodec.bitstream import MAGIC"),
        ("inrcodec.bytestream", "from inrcodec.signal.info import SignalInfo"),
        ("inrcodec.entropy.tables", "from inrcodec.metrics import psnr"),
    ],
)
def test_the_test_notices(name, source):
    known = {**modules(), "inrcodec.cli": None}
    assert faults(name, imports(source, known))


def test_the_decoder_reaches_no_encoder():
    """By all imports of imports."""
    known = modules()
    reached, waiting = set(), ["inrcodec.decode"]
    while waiting:
        name = waiting.pop()
        if name in known and name not in reached:
            reached.add(name)
            waiting += imports(known[name].read_text("utf-8"), known)
    assert "inrcodec.segment" in reached
    assert not {name for name in reached if room(name) in ("encoder", TOP)}


def loaded(statement: str) -> set[str]:
    """Modules that are loaded after a statement, in a new interpreter."""
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT.parent, check=True)
    return set(run.stdout.split())


def test_facts_about_a_stream_do_not_load_torch():
    names = loaded("import inrcodec, inrcodec.bitstream, inrcodec.signal.info, inrcodec.metadata; inrcodec.__version__")
    assert "inrcodec.bitstream" in names
    assert not names & {"torch", "constriction", "av", "PIL", "skimage"}


def test_the_package_gives_its_names_when_asked():
    from inrcodec.decode import Decoder

    assert inrcodec.open is inrcodec.Decoder is Decoder
    assert issubclass(inrcodec.StreamError, inrcodec.InrError)
    assert set(inrcodec.__all__) <= set(dir(inrcodec))
    assert inrcodec.__version__[0].isdigit()
    with pytest.raises(AttributeError, match="nothing_of_ours"):
        inrcodec.nothing_of_ours  # noqa: B018


@pytest.mark.parametrize("before", ["", "import inrcodec.encoder.options"])
def test_encode_is_the_function_whatever_was_imported_before(before):
    check = "import inrcodec\nassert inrcodec.encode.__name__ == 'encode', inrcodec.encode"
    run = [sys.executable, "-c", f"{before}\n{check}\n{check}"]
    assert subprocess.run(run, cwd=ROOT.parent, check=False).returncode == 0
