"""How fast streams are decoded and made, in depth; scripts/speed.py is its command, docs/evaluation.md its protocol.

A line is a JSON object with `kind` "decode", "cold" or "encode". What was repeated is an object of seconds: median_s, low_s and
high_s (quartiles), min_s, max_s, and count.
"""

from inrcodec.evaluation.speed.cold import cold_speed
from inrcodec.evaluation.speed.decoding import decode_speed, find_streams
from inrcodec.evaluation.speed.encoding import encode_speed
from inrcodec.evaluation.speed.tables import read_speeds, tables
from inrcodec.evaluation.speed.timing import Conditions

__all__ = ["Conditions", "cold_speed", "decode_speed", "encode_speed", "find_streams", "read_speeds", "tables"]
