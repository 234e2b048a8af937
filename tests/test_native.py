"""The compiled loops and what calls them must be of one version."""

from ctypes import Structure, c_char, sizeof
from importlib import import_module
from pkgutil import iter_modules

import pytest

from inrcodec import kernels
from inrcodec.errors import InrError
from inrcodec.kernels import adam, native

NAMES = {one.name for one in iter_modules(kernels.__path__)} - {
    "_native",
    "film_triton",
}  # the latter needs a GPU's compiler
MODULES = [import_module(f"inrcodec.kernels.{name}") for name in sorted(NAMES)]
STRUCTURES = {
    one.__name__: one
    for module in MODULES
    for one in vars(module).values()
    if isinstance(one, type) and issubclass(one, Structure) and one is not Structure
}
needs_loops = pytest.mark.skipif(not native.available(), reason="the compiled loops were not built")


@needs_loops
@pytest.mark.parametrize("structure", STRUCTURES.values(), ids=STRUCTURES)
def test_loops_know_structures_by_their_size(structure):
    """One that is older than the sources beside it, as `git pull` leaves it in a checkout, would read and write elsewhere."""
    native.loop("lanes", filled=[structure])
    larger = type(structure.__name__, (Structure,), {"_fields_": [("more", c_char * (sizeof(structure) + 8))]})
    message = f"{sizeof(structure)}, to this version {sizeof(structure) + 8}: build them again"
    with pytest.raises(InrError, match=message):
        native.loop("lanes", filled=[larger])
    with pytest.raises(InrError, match=message):
        native.loop("lanes", larger)


@needs_loops
@pytest.mark.parametrize("name", native.LAYOUT)
def test_loops_of_other_constants_are_refused(name, monkeypatch):
    monkeypatch.setitem(native.LAYOUT, name, native.LAYOUT[name] + 1)
    with pytest.raises(InrError, match=f"{name} is {native.LAYOUT[name] - 1}, to this version"):
        native.available.__wrapped__()


@needs_loops
def test_a_library_that_does_not_tell_its_layout_is_refused(monkeypatch):
    monkeypatch.setattr(native, "_extension", object)
    with pytest.raises(InrError, match="LOOPS is None, .* build them again"):
        native.available.__wrapped__()


def test_structures_were_found():
    assert len(STRUCTURES) > 15 and STRUCTURES["_Adam"] is adam._Adam
