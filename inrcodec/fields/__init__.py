"""The families of field. Adding one means: a file here, a row of `FAMILIES`, a row in the shared tests, vectors."""

from inrcodec.fields.asmr import Asmr
from inrcodec.fields.base import Field, Parameters, Plan, TensorSpec
from inrcodec.fields.coordx import CoordX
from inrcodec.fields.hashgrid import HashGrid
from inrcodec.fields.pyramid import Pyramid
from inrcodec.fields.siren import Siren

FAMILIES: dict[str, type[Field]] = {family.family: family for family in (Siren, CoordX, Asmr, HashGrid, Pyramid)}

__all__ = ["FAMILIES", "Field", "Parameters", "Plan", "Pyramid", "TensorSpec"]
