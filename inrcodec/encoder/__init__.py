"""The encoder: overfits a field to a signal and writes it as a stream."""

from inrcodec.encoder.options import EncodeOptions, EncodeResult, Progress
from inrcodec.encoder.pipeline import encode

__all__ = ["EncodeOptions", "EncodeResult", "Progress", "encode"]
