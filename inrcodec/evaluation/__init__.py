"""Codecs measured against each other: real files, decoded and compared; see docs/evaluation.md.

What is measured is kept as JSON lines, one object for each (codec, setting, file, frames):

codec (the name of a curve), setting (a point on it), effort (of ours, else null), file (its name), frames, width, height;
bytes, bpp; over ("RGB", "4:2:0" …), psnr_db and the rest of `metrics.Quality.summary`; encode_s, decode_s, macs_per_pixel
(or null), threads; versions, machine, commit. published: whether the numbers are of a publication, not of a measurement;
mean: whether such a line is already a mean over files.
"""
