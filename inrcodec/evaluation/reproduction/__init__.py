"""Claims of papers, measured again with our fields and our encoder; docs/reproduction.md has the tables.

A measurement is one JSON line: study (the table that it is a row of), settings (everything that was chosen; a row whose settings
are there is not measured again), result, and where it ran: threads, machine, commit.
"""

from inrcodec.evaluation.reproduction.material import Material, picture, video
from inrcodec.evaluation.reproduction.rows import fit_row, inference_row
from inrcodec.evaluation.reproduction.study import Log, Row, run_rows

__all__ = ["Log", "Material", "Row", "fit_row", "inference_row", "picture", "run_rows", "video"]
