"""ASMR: one digit of the position per layer, activations shared by all positions with the same leading digits.

Activation-Sharing Multi-Resolution coordinate networks (arXiv 2405.12398). Each axis is written in a mixed radix with
one digit per layer (see `radix`); d_i holds the i-th digits of those axes whose i-th base is above 1:

    h_1 = sin(omega (M_1 d_1 + b_1)),   h_i = sin(omega (W_i h_{i-1} + b_i + omega M_i d_i)),   value = V h_L + c

so h_i has one value for all positions with the same first i digits, and W_i h_{i-1} is computed before it is spread
over the next digit. Modulations are multiplied by omega twice, as in the published code. That code gives its first sine
layer two digits; here every sine layer has one. An axis whose bases exceed its size is padded at its end; what lies
there is no part of any picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from inrcodec.bytestream import Wired, uint, uints
from inrcodec.errors import UsageError
from inrcodec.fields.asmr_plan import AsmrPlan, BandedPlan
from inrcodec.fields.base import PLAN_BYTES, Field, Parameters, Plan, TensorSpec
from inrcodec.fields.radix import Prefixes, digits
from inrcodec.fields.sine import bias_spec, first_bound, hidden_bound, learning_rate, uniform, weight_spec
from inrcodec.lattice import Lattice

MAX_CELLS = 1 << 32
"""Along one axis, padding included."""
MODULATION_RATE = 0.1
"""Learning rate of modulations, relative to that of the other weights: they are multiplied by omega twice."""


@dataclass(frozen=True)
class AsmrConfig(Wired):
    """bases_t, bases_y, bases_x: of the digits, coarse to fine, one per sine layer; all 1 for the time of an image."""

    bases_t: tuple[int, ...] = uints(1, 16, 1, 1 << 16)
    bases_y: tuple[int, ...] = uints(1, 16, 1, 1 << 16)
    bases_x: tuple[int, ...] = uints(1, 16, 1, 1 << 16)
    width: int = uint(1, 1024)
    omega: int = uint(1, 255, default=30)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not len(self.bases_t) == len(self.bases_y) == len(self.bases_x):
            counts = len(self.bases_t), len(self.bases_y), len(self.bases_x)
            raise UsageError(f"AsmrConfig: {counts} digits of t, y, x; all axes have as many digits, one a layer")
        for axis, bases in zip("tyx", self.bases, strict=True):
            if math.prod(bases) > MAX_CELLS:
                cells = math.prod(bases)
                raise UsageError(f"AsmrConfig.bases_{axis} make {cells} cells, allowed are up to {MAX_CELLS}")

    @property
    def bases(self) -> tuple[tuple[int, ...], ...]:
        """Of t, y, x."""
        return self.bases_t, self.bases_y, self.bases_x


class Asmr(Field):
    """See the module's text; `config` is the header, shape is (T, H, W, C)."""

    family = "asmr"
    Config = AsmrConfig

    def __init__(self, config: AsmrConfig, shape: tuple[int, int, int, int]) -> None:
        super().__init__(config, shape)
        for axis, bases, size in zip("tyx", config.bases, shape[:3], strict=True):
            if math.prod(bases) < size:
                raise UsageError(f"AsmrConfig.bases_{axis} make {math.prod(bases)} cells, {size} samples need as many")
        if shape[0] == 1 and max(config.bases_t) > 1:
            raise UsageError(f"AsmrConfig.bases_t are {config.bases_t}, for a single frame they are all 1")
        self.levels = len(config.bases_y)
        self.modulated = tuple(
            tuple(axis for axis in range(3) if config.bases[axis][level] > 1) for level in range(self.levels)
        )
        """Per level, the axes whose digit it sees."""

    @property
    def patch(self) -> tuple[int, int, int]:
        """Frames, rows and columns that share all activations but the last."""
        return tuple(bases[-1] for bases in self.config.bases)

    # -- parameters --------------------------------------------------------------------------------------------------

    def _matrices(self) -> dict[str, tuple[int, int, float]]:
        """Rows, columns and bound of the initial values of each weight matrix."""
        width = self.config.width
        bound = hidden_bound(width, self.config.omega)
        matrices = {}
        for level, axes in enumerate(self.modulated):
            if level:
                matrices[f"layer{level}.weight"] = (width, width, bound)
            if axes:
                scale = 1 / self.config.omega if level else 1
                matrices[f"layer{level}.digits"] = (width, len(axes), scale * first_bound(len(axes)))
        matrices["last.weight"] = (self.channels, width, bound)
        return matrices

    def _biases(self) -> dict[str, int]:
        sizes = {f"layer{level}.bias": self.config.width for level in range(self.levels)}
        return sizes | {"last.bias": self.channels}

    def specs(self) -> tuple[TensorSpec, ...]:
        omega, rate = self.config.omega, self._rate
        weights = [weight_spec(name, *matrix, rate) for name, matrix in self._matrices().items()]
        biases = [bias_spec(name, size, omega, rate) for name, size in self._biases().items()]
        return tuple(self._slowed(spec) for spec in weights) + tuple(biases)

    @property
    def _rate(self) -> float:
        """Learning rate: the more levels see digits, the smaller.

        The activations of coarse levels are few, so that a step moves all of what follows the same way. Seven digits at the
        rate of two do not learn (10.8 dB on a gray square of 512; a third of it: 23.1 dB), five lose 2 dB; two lose by less.
        """
        return learning_rate(self.config.width) / max(1, sum(map(bool, self.modulated)) - 1)

    @staticmethod
    def _slowed(spec: TensorSpec) -> TensorSpec:
        """A modulation learns at its own rate; other weights are left as they are."""
        is_modulation = spec.name.endswith(".digits") and spec.name != "layer0.digits"
        return replace(spec, rate=spec.rate * MODULATION_RATE) if is_modulation else spec

    def initial(self, generator: torch.Generator) -> Parameters:
        """Layers as in SIREN, the first digits as SIREN's coordinates, later ones as `_waves`."""
        weights = {
            name: uniform((rows, columns), bound, generator)
            for name, (rows, columns, bound) in self._matrices().items()
        }
        waves = {f"layer{level}.digits": self._waves(level, generator) for level in range(1, self.levels)}
        bound = hidden_bound(self.config.width, self.config.omega)
        bounds = [first_bound(max(1, len(self.modulated[0])))] + [bound] * self.levels
        biases = zip(self._biases().items(), bounds, strict=True)
        weights |= {name: wave for name, wave in waves.items() if name in weights}
        return weights | {name: uniform((size,), bound, generator) for (name, size), bound in biases}

    def _waves(self, level: int, generator: torch.Generator) -> Tensor:
        """Modulations that are waves over the cells of a level: at most half a turn from cell to cell, and most much slower.

        The published code draws them from U(-1, 1) / sqrt(2): hundreds of turns, by which neighboring cells are as different
        as any two. Waves as slow as pictures are give 1.5 dB more on a photograph of 481x321 in 15 s.
        """
        axes = self.modulated[level]
        fastest = torch.tensor([math.pi / 2 * self.config.bases[axis][level] for axis in axes])
        return uniform((self.config.width, len(axes)), 1, generator) ** 3 * fastest / self.config.omega**2

    # -- evaluation --------------------------------------------------------------------------------------------------

    def at(self, parameters: Parameters, points: Tensor) -> Tensor:
        device = parameters["last.weight"].device
        axes = [
            digits(points[:, axis], self.shape[axis], bases).float().to(device)
            for axis, bases in enumerate(self.config.bases)
        ]
        hidden = None
        for level in range(self.levels):
            total = parameters[f"layer{level}.bias"][:, None].expand(-1, len(points))
            if level:
                total = total + parameters[f"layer{level}.weight"] @ hidden
            for axis in self.modulated[level]:
                total = total + self.modulation(parameters, level, axis, axes[axis][:, level])
            hidden = torch.sin(self.config.omega * total)
        return (parameters["last.bias"][:, None] + parameters["last.weight"] @ hidden).T

    def modulation(self, parameters: Parameters, level: int, axis: int, digit: Tensor) -> Tensor:
        """What the digits (N,) of one axis add at one level: (width, N); zero where the level does not see the axis."""
        if axis not in self.modulated[level]:
            return digit.new_zeros(self.config.width, len(digit))
        column = parameters[f"layer{level}.digits"][:, self.modulated[level].index(axis)]
        return column[:, None] * (digit * self.config.omega if level else digit)

    def plan(self, parameters: Parameters, lattice: Lattice, keep_bytes: int = PLAN_BYTES) -> Plan:
        prefixes = self.prefixes(lattice)
        rows, needed = len(lattice.y), self.needed_bytes(prefixes)
        if needed <= keep_bytes or rows == 1:
            return AsmrPlan(self, parameters, lattice, prefixes)
        return BandedPlan(self, parameters, lattice, self._aligned(max(1, rows * keep_bytes // needed)))

    def prefixes(self, lattice: Lattice) -> list[Prefixes]:
        """Of t, y, x."""
        positions = (lattice.t, lattice.y, lattice.x)
        return [Prefixes(*axis) for axis in zip(positions, self.shape[:3], self.config.bases, strict=True)]

    def needed_bytes(self, prefixes: list[Prefixes]) -> int:
        """What a plan keeps from frame to frame."""
        _, y, x = (axis.counts for axis in prefixes)
        return 4 * self.config.width * sum(y[level] * x[level] for level in range(self.levels - 1))

    def _aligned(self, rows: int) -> int:
        """The largest number of rows up to `rows` that is whole cells of some level, so that bands share no prefix."""
        cells = (math.prod(self.config.bases_y[level:]) for level in range(1, self.levels + 1))
        return next(rows // cell * cell for cell in cells if cell <= rows)

    # -- complexity --------------------------------------------------------------------------------------------------

    @property
    def macs_per_point(self) -> float:
        return float(sum(rows * columns for rows, columns, _ in self._matrices().values()))
