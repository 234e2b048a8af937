"""The families of field. Adding one means: a file here, a row of `FAMILIES`, a row in the shared tests, vectors."""

from collections.abc import Iterator, Mapping
from importlib import import_module

from inrcodec.fields.base import Arrays, Field, Parameters, Plan, TensorSpec
from inrcodec.fields.film import Film
from inrcodec.fields.pyramid import Pyramid


class _Families(Mapping[str, type[Field]]):
    """Classes by the name of their family and file; a file is imported when its class is asked for, since most load PyTorch."""

    _CLASSES = {
        "siren": "Siren",
        "coordx": "CoordX",
        "asmr": "Asmr",
        "hashgrid": "HashGrid",
        "pyramid": "Pyramid",
        "film": "Film",
    }

    def __getitem__(self, family: str) -> type[Field]:
        name = self._CLASSES[family]
        return getattr(import_module(f"{__name__}.{family}"), name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._CLASSES)

    def __len__(self) -> int:
        return len(self._CLASSES)


FAMILIES = _Families()

__all__ = ["FAMILIES", "Arrays", "Field", "Film", "Parameters", "Plan", "Pyramid", "TensorSpec"]
