"""The encoder: overfits a field to a signal and writes it as a stream."""

from inrcodec.encode.encoder import encode
from inrcodec.encode.options import EncodeOptions, EncodeResult, Progress

__all__ = ["EncodeOptions", "EncodeResult", "Progress", "encode"]
