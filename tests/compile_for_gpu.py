"""Compiles what a film's frames launch on a GPU, without one: arguments that the compiler cannot take are no matter to the
interpreter. Prints each variant of a kernel.

A process of its own, since Triton interprets or compiles, not both.
"""

import numpy as np
import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from inrcodec.fields.film import FilmConfig
from inrcodec.kernels import film_triton, on_gpu
from inrcodec.lattice import Lattice
from inrcodec.render import rgb_colors
from inrcodec.segment import LazySymbols, SegmentReader, encode_segment

from streams import random_coded, video_info  # isort: skip

HOPPER = GPUTarget("cuda", 90, 32)
OPTIONS = {"num_warps"}
POINTERS = {
    torch.float32: "*fp32", torch.int32: "*i32", torch.int16: "*i16", torch.int8: "*i8",
    torch.uint8: "*u8", torch.uint16: "*u16",
}  # fmt: skip


class Compiling:
    """In a kernel's place: compiles it for the arguments it is launched with, and runs nothing."""

    seen: set[str] = set()

    def __init__(self, kernel) -> None:
        self._kernel = kernel

    def __getitem__(self, grid):
        return self._compile

    def _compile(self, *arguments, **constants) -> None:
        names = [name for name in self._kernel.arg_names if name not in constants]
        given = dict(zip(names, arguments, strict=True))
        fixed = {name: value for name, value in constants.items() if name not in OPTIONS}
        fixed |= {name: None for name, value in given.items() if value is None}
        fixed |= {
            name: 1 for name, value in given.items() if isinstance(value, int) and value == 1 and name != "plane_count"
        }  # as Triton does
        signature = {name: "constexpr" if name in fixed else _type(given[name]) for name in self._kernel.arg_names}
        variant = f"{self._kernel.__name__} {signature} {fixed}"
        if variant not in self.seen:
            options = {name: constants[name] for name in OPTIONS & constants.keys()}
            triton.compile(ASTSource(self._kernel, signature, fixed), target=HOPPER, options=options)
            self.seen.add(variant)
            print(self._kernel.__name__, fixed)


def _type(value) -> str:
    if isinstance(value, torch.Tensor):
        return POINTERS[value.dtype]
    return "i32" if isinstance(value, int) else "fp32"


def main() -> None:
    on_gpu.available = lambda device: True
    for name in ("_frame", "_along_rows", "_rgb", "_displacements"):
        setattr(film_triton, name, Compiling(getattr(film_triton, name)))
    for height, width in ((24, 40), (1, 1)):
        film(height, width)


def film(height: int, width: int) -> None:
    config = FilmConfig(3, 25, 3, 8, "ycbcr", 1, (0, 1, 3, 0, 0))
    coded = random_coded("film", (5, height, width, 3), config=config)
    info = video_info(5, height, width, pixel_format="yuv420")
    reader = SegmentReader(encode_segment(coded), info)
    plan = reader.field.plan(LazySymbols(reader, torch.device("cpu")), Lattice.full(5, height, width))
    samples = torch.from_numpy(np.zeros((3, height, width), np.uint8)).permute(1, 2, 0)
    for frame in (1, 2, 0, 3, 4, 1):
        plan.show(frame, rgb_colors(info), samples)
        plan.frame(frame)


if __name__ == "__main__":
    main()
