"""The report of measurements: one self-contained HTML page, and its figures for papers (`figures.py`, by matplotlib).

lines = read_results([Path("results/kodak-peers.jsonl")], [])
Path("report.html").write_text(page(lines, crops=crops(CropRequest(...), lines)), "utf-8")
"""

from inrcodec.evaluation.report.crops import CropRequest, crops
from inrcodec.evaluation.report.page import page
from inrcodec.evaluation.report.results import read_results

__all__ = ["CropRequest", "crops", "page", "read_results"]
