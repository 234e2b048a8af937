"""How the symbols of a field's grids are coded: one interface (`base`) over the context models, for streams and for training.

A segment holds a context network as whole-number symbols; what these stand for, and the differentiable counterpart that
training uses, is the business of a coding. `Interlaced` serves grids of any dimension, `Planes` and `PlanesApart` pyramids of
pictures, `Frames` films. Only what training asks for loads PyTorch.
"""

from inrcodec.entropy.codings.apart import PlanesApart, TensorPrecision
from inrcodec.entropy.codings.base import GridCoding
from inrcodec.entropy.codings.frames import Frames, FrameSymbols
from inrcodec.entropy.codings.interlaced import Interlaced
from inrcodec.entropy.codings.mirrored import PlanesMirrored
from inrcodec.entropy.codings.planes import COEFFICIENT_UNIT, MODES, PlanePrecision, Planes

__all__ = [
    "COEFFICIENT_UNIT",
    "MODES",
    "FrameSymbols",
    "Frames",
    "GridCoding",
    "Interlaced",
    "PlanePrecision",
    "Planes",
    "PlanesApart",
    "PlanesMirrored",
    "TensorPrecision",
]
