"""How fast streams are decoded and made, in depth; scripts/speed.py is its command, docs/evaluation.md its protocol.

A line is a JSON object with `kind` "decode", "play", "cold", "encode", "cost" or "machine". What was repeated is an object of
seconds: median_s, low_s and high_s (quartiles), min_s, max_s, and count.
"""

from inrcodec.evaluation.speed.cold import cold_speed
from inrcodec.evaluation.speed.costs import cost_speed, costs
from inrcodec.evaluation.speed.decoding import decode_speed, find_streams
from inrcodec.evaluation.speed.encoding import encode_speed
from inrcodec.evaluation.speed.figures import draw_costs
from inrcodec.evaluation.speed.machine import machine_speed
from inrcodec.evaluation.speed.playing import play_speed
from inrcodec.evaluation.speed.tables import read_speeds, tables
from inrcodec.evaluation.speed.timing import Conditions

__all__ = [
    "Conditions",
    "cold_speed",
    "cost_speed",
    "costs",
    "decode_speed",
    "draw_costs",
    "encode_speed",
    "find_streams",
    "machine_speed",
    "play_speed",
    "read_speeds",
    "tables",
]
