"""Which training a field has."""

from __future__ import annotations

from inrcodec.encoder.training import Training
from inrcodec.encoder.training_coordx import CoordXTraining
from inrcodec.encoder.training_pyramid import PyramidTraining
from inrcodec.fields import Field, Pyramid
from inrcodec.fields.coordx import CoordX


def training_of(field: Field, *given) -> Training:
    """`given`: as `Training` takes them after the field."""
    if isinstance(field, Pyramid):
        return PyramidTraining(field, *given)
    return (CoordXTraining if isinstance(field, CoordX) else Training)(field, *given)
