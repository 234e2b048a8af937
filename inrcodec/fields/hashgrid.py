"""Multi-resolution grids and a small head: Instant-NGP (Müller et al., arXiv 2201.05989), made to be coded.

Each level is a lattice of feature vectors; a level with more vertices than 2^table_log2 is a hash table (section 3,
equation 4), the others are dense and coded with context. Features of a point are interpolated per level and
concatenated; a small ReLU network with a linear bypass maps them to the sample.

Two forms. "joint": one lattice over (y, x), or (t, y, x) for video. "split": three planes a level, (y, x), (t, y) and
(t, x), whose features are multiplied: CoordX's split (arXiv 2201.12425) with grids as branches. There the (y, x) plane
does not depend on the frame and the other two are single lines of it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from inrcodec.bytestream import Wired, choice, uint, uints
from inrcodec.errors import UsageError
from inrcodec.fields.base import PLAN_BYTES, Field, Parameters, Plan, TensorSpec
from inrcodec.fields.interpolation import AxisInterpolation, taps
from inrcodec.fields.taps import TAPS, vertex_count
from inrcodec.lattice import Lattice

SPACING_UNIT = 16
HASH_PRIMES = (1, 2654435761, 805459861)
"""Of the axes x, y, t (Instant-NGP, section 3)."""
TILE = 1 << 14
"""Pixels that go through the head at a time: its activations then stay in the cache."""
MAX_VERTICES = 1 << 28
SPLIT_RATE = 3e-2
"""Learning rate of planes: 1e-2 ends 2 dB lower after 300 iterations on a clip, 2^-5 / 20 10 dB lower."""
FEATURE_GAIN = 4
"""Features are a few tenths at most; the first hidden layer's weights are larger by as much."""


@dataclass(frozen=True)
class HashGridConfig(Wired):
    """features: per level, coarse to fine. finest: spacing of the finest level along t, y, x in 1/16 sample; growth:
    its ratio from level to level in 1/16. table_log2: levels with more vertices are hashed. kernel: along y and x
    (time is always linear). width, layers: of the head's hidden layers; with layers = 0 only the bypass is left."""

    form: str = choice("joint", "split")
    features: tuple[int, ...] = uints(1, 24, 1, 64)
    finest: tuple[int, ...] = uints(3, 3, SPACING_UNIT // 4, SPACING_UNIT << 12)
    growth: tuple[int, ...] = uints(3, 3, SPACING_UNIT, 4 * SPACING_UNIT)
    table_log2: int = uint(4, 28)
    kernel: str = choice(*TAPS)
    width: int = uint(1, 256)
    layers: int = uint(0, 4)

    def spacings(self, axis: int) -> tuple[float, ...]:
        """Per level, coarse to fine, in samples; axis 0, 1, 2 = t, y, x."""
        units = [self.finest[axis]]
        for _ in self.features[1:]:
            units.append(min(units[-1] * self.growth[axis] // SPACING_UNIT, SPACING_UNIT << 20))
        return tuple(unit / SPACING_UNIT for unit in reversed(units))


@dataclass(frozen=True)
class _Table:
    """One grid: the axes it spans (a subset of 0, 1, 2 = t, y, x), vertices and spacing along each, features."""

    name: str
    axes: tuple[int, ...]
    vertices: tuple[int, ...]
    spacings: tuple[float, ...]
    features: int
    hashed: bool
    parent: str | None
    offset: float


class HashGrid(Field):
    """See the module's text; `config` is the header, shape is (T, H, W, C)."""

    family = "hashgrid"
    Config = HashGridConfig

    def __init__(self, config: HashGridConfig, shape: tuple[int, int, int, int]) -> None:
        super().__init__(config, shape)
        if config.form == "split" and shape[0] == 1:
            raise UsageError("HashGridConfig.form is 'split', but a signal of one frame has nothing to split")
        self.levels = tuple(self._level(level) for level in range(len(config.features)))
        self.feature_count = sum(config.features)

    # -- structure ---------------------------------------------------------------------------------------------------

    def _level(self, level: int) -> tuple[_Table, ...]:
        if self.config.form == "split":
            return tuple(self._table(level, axes) for axes in ((1, 2), (0, 1), (0, 2)))
        return (self._table(level, (0, 1, 2) if self.shape[0] > 1 else (1, 2)),)

    def _table(self, level: int, axes: tuple[int, ...]) -> _Table:
        spacings = tuple(self.config.spacings(axis)[level] for axis in axes)
        vertices = tuple(vertex_count(self.shape[axis], spacing) for axis, spacing in zip(axes, spacings))
        if math.prod(vertices) > MAX_VERTICES:
            raise UsageError(f"level {level} has {math.prod(vertices)} vertices, allowed are up to {MAX_VERTICES}")
        suffix = "." + "".join("tyx"[axis] for axis in axes)
        hashed = self.config.form == "joint" and math.prod(vertices) > 1 << self.config.table_log2
        parent = f"grid{level - 1}{suffix}" if level and not hashed else None
        offset = 1.0 if self.config.form == "split" and 0 in axes else 0.0
        return _Table(
            f"grid{level}{suffix}", axes, vertices, spacings, self.config.features[level], hashed, parent, offset
        )

    def specs(self) -> tuple[TensorSpec, ...]:
        specs = [self._grid_spec(table) for tables in self.levels for table in tables]
        for name, size in self._head_shapes().items():
            group = "bias" if name.endswith("bias") else name
            scale = FEATURE_GAIN if name == "hidden0" else 1
            specs.append(TensorSpec(name, size, "weight", group, step=2**-7 * scale, rate=5e-3 * scale))
        return tuple(specs)

    def _grid_spec(self, table: _Table) -> TensorSpec:
        joint = self.config.form == "joint"
        step, rate = (2**-4, 2**-4 / 20) if joint else (2**-5, SPLIT_RATE)
        if table.hashed:
            shape, kind = (table.features, 1 << self.config.table_log2), "weight"
        else:
            frames = table.vertices[0] if len(table.vertices) == 3 else 1
            shape, kind = (table.features, frames, *table.vertices[-2:]), "grid"
        return TensorSpec(table.name, shape, kind, table.name, step, rate, table.parent, table.offset)

    def _head_shapes(self) -> dict[str, tuple[int, ...]]:
        config, inputs = self.config, self.feature_count
        shapes: dict[str, tuple[int, ...]] = {}
        for layer in range(config.layers):
            shapes[f"hidden{layer}"] = (config.width, inputs if layer == 0 else config.width)
        if config.layers:
            shapes["last"] = (self.channels, config.width)
        shapes["bypass"] = (self.channels, inputs)
        for layer in range(config.layers):
            shapes[f"hidden{layer}.bias"] = (config.width,)
        shapes["last.bias"] = (self.channels,)
        return shapes

    def initial(self, generator: torch.Generator) -> Parameters:
        """Grids near zero (planes of time: near one), He initialization of the head, its last layer zero."""
        parameters = {}
        for spec in self.specs():
            values = torch.zeros(spec.shape)
            if spec.name.startswith("grid"):
                values = spec.offset + torch.randn(spec.shape, generator=generator) * 0.02
            elif spec.name.startswith("hidden") and not spec.name.endswith("bias"):
                values = torch.randn(spec.shape, generator=generator) * math.sqrt(2 / spec.shape[1])
                values *= FEATURE_GAIN if spec.name == "hidden0" else 1
            elif spec.name == "bypass":
                values = torch.randn(spec.shape, generator=generator) / math.sqrt(spec.shape[1])
            parameters[spec.name] = values
        return parameters

    # -- evaluation --------------------------------------------------------------------------------------------------

    def at(self, parameters: Parameters, points: Tensor) -> Tensor:
        features = []
        for tables in self.levels:
            product = None
            for table in tables:
                value = self._table_at(parameters[table.name], table, points)
                product = value if product is None else product * value
            features.append(product)
        return self.head(parameters, torch.cat(features)).T

    def _table_at(self, values: Tensor, table: _Table, points: Tensor) -> Tensor:
        """Interpolated features of one grid at (N, 3) points: (F, N)."""
        corners = [(torch.zeros(len(points), dtype=torch.long), torch.ones(len(points)))]
        for axis, count, spacing in zip(table.axes, table.vertices, table.spacings):
            index, weight = taps(points[:, axis].cpu(), self.shape[axis], spacing, self._kernel(axis))
            corners = [
                (self._step(table, at, index[:, tap], axis, count), amount * weight[:, tap])
                for at, amount in corners
                for tap in range(index.shape[1])
            ]
        flat = values.reshape(table.features, -1)
        mask = flat.shape[1] - 1
        total = flat.new_zeros(table.features, len(points))
        for at, amount in corners:
            at = at & mask if table.hashed else at
            total = total + flat.index_select(1, at.to(flat.device)) * amount.to(flat.device)
        return total

    def _kernel(self, axis: int) -> str:
        return self.config.kernel if axis else "linear"

    @staticmethod
    def _step(table: _Table, index: Tensor, vertex: Tensor, axis: int, count: int) -> Tensor:
        """Extends an index by the vertex along one more axis."""
        return index ^ (vertex * HASH_PRIMES[2 - axis]) if table.hashed else index * count + vertex

    def head(self, parameters: Parameters, features: Tensor) -> Tensor:
        """(F, N) → (C, N), in tiles."""
        return torch.cat([self._head_tile(parameters, tile) for tile in features.split(TILE, dim=1)], dim=1)

    def _head_tile(self, parameters: Parameters, features: Tensor) -> Tensor:
        values = torch.addmm(parameters["last.bias"][:, None], parameters["bypass"], features)
        hidden = features
        for layer in range(self.config.layers):
            bias = parameters[f"hidden{layer}.bias"][:, None]
            hidden = torch.relu(torch.addmm(bias, parameters[f"hidden{layer}"], hidden))
        return torch.addmm(values, parameters["last"], hidden) if self.config.layers else values

    def plan(self, parameters: Parameters, lattice: Lattice, keep_bytes: int = PLAN_BYTES) -> Plan:
        rows = lattice.shape[1]
        needed = 4 * self.feature_count * rows * lattice.shape[2] * (2 if self.shape[0] > 1 else 1)
        if needed > keep_bytes and rows > 1:
            return _Bands(self, parameters, lattice, max(1, rows * keep_bytes // needed))
        return _GridPlan(self, parameters, lattice)

    # -- complexity --------------------------------------------------------------------------------------------------

    @property
    def head_macs(self) -> int:
        return sum(math.prod(size) for name, size in self._head_shapes().items() if not name.endswith("bias"))

    @property
    def macs_per_point(self) -> float:
        grids = sum(
            table.features * math.prod(TAPS[self._kernel(axis)] for axis in table.axes)
            for tables in self.levels
            for table in tables
        )
        products = 2 * self.feature_count if self.config.form == "split" else 0
        return self.head_macs + grids + products


class _GridPlan(Plan):
    """What is kept: interpolation matrices; planes (y, x) once; per level the two time slices around a frame."""

    def __init__(self, field: HashGrid, parameters: Parameters, lattice: Lattice) -> None:
        self.field, self.parameters, self.lattice = field, parameters, lattice
        self.device = parameters["bypass"].device
        self.axes = {}
        self.levels = [self._prepare(tables) for tables in field.levels]

    def _axis(self, axis: int, spacing: float) -> AxisInterpolation:
        if (axis, spacing) not in self.axes:
            positions = (self.lattice.t, self.lattice.y, self.lattice.x)[axis]
            kernel = self.field._kernel(axis)
            self.axes[axis, spacing] = AxisInterpolation(
                positions, self.field.shape[axis], spacing, kernel, self.device
            )
        return self.axes[axis, spacing]

    def _prepare(self, tables: tuple[_Table, ...]):
        if self.field.config.form == "split":
            return [self.interpolated(table, self.parameters[table.name][:, 0]) for table in tables]
        return _Slices(self, tables[0])

    def interpolated(self, table: _Table, values: Tensor) -> Tensor:
        """(F, vertices, vertices) → (F, n, m) over the last two axes of the grid."""
        first, second = table.axes[-2:], table.spacings[-2:]
        return self._axis(first[1], second[1]).columns(self._axis(first[0], second[0]).rows(values))

    def frame(self, index: int) -> Tensor:
        _, height, width = self.lattice.shape
        features = torch.cat([self._features(level, index) for level in self.levels])
        values = self.field.head(self.parameters, features.view(features.shape[0], height * width))
        return values.view(-1, height, width).permute(1, 2, 0)

    def _features(self, level, index: int) -> Tensor:
        if isinstance(level, _Slices):
            return level.at(index)
        yx, ty, tx = level
        return yx * ty[:, index, :, None] * tx[:, index, None, :]

    @property
    def kept_bytes(self) -> int:
        pixels = self.lattice.shape[1] * self.lattice.shape[2]
        slices = 2 if self.field.config.form == "joint" and self.field.shape[0] > 1 else 1
        matrices = sum(axis.kept_bytes for axis in self.axes.values())
        return matrices + 4 * self.field.feature_count * pixels * slices

    @property
    def macs_per_pixel(self) -> float:
        field = self.field
        if field.config.form == "split":
            return field.head_macs + 2 * field.feature_count
        taps_yx = 2 * TAPS[field.config.kernel]
        if field.shape[0] == 1:
            return field.head_macs + taps_yx * field.feature_count
        new_slices = sum(
            tables[0].features * min(1.0, tables[0].vertices[0] / field.shape[0]) for tables in field.levels
        )
        return field.head_macs + 2 * field.feature_count + taps_yx * new_slices


class _Slices:
    """One joint level: its time slices, interpolated over (y, x), the last two kept."""

    def __init__(self, plan: _GridPlan, table: _Table) -> None:
        self.plan, self.table = plan, table
        self.kept: dict[int, Tensor] = {}
        if len(table.axes) == 3:
            lattice, shape = plan.lattice, plan.field.shape
            self.index, self.weight = taps(lattice.t, shape[0], table.spacings[0], "linear")

    def at(self, frame: int) -> Tensor:
        """(F, H, W) at a frame of the lattice."""
        if len(self.table.axes) == 2:
            return self._slice(0)
        low, high = self.index[frame].tolist()
        share = self.weight[frame, 1].item()
        if low == high or share == 0:
            return self._slice(low)
        return torch.lerp(self._slice(low), self._slice(high), share)

    def _slice(self, t: int) -> Tensor:
        if t not in self.kept:
            self.kept = {other: value for other, value in self.kept.items() if abs(other - t) == 1}
            self.kept[t] = self.plan.interpolated(self.table, self._values(t))
        return self.kept[t]

    def _values(self, t: int) -> Tensor:
        """The slice's vertices: (F, ny, nx)."""
        values, table = self.plan.parameters[self.table.name], self.table
        if not table.hashed:
            return values[:, t]
        y, x = (torch.arange(count) for count in table.vertices[-2:])
        index = (x * HASH_PRIMES[0])[None, :] ^ (y * HASH_PRIMES[1])[:, None]
        if len(table.axes) == 3:
            index = index ^ (t * HASH_PRIMES[2])
        index = (index & (values.shape[1] - 1)).to(values.device)
        return values[:, index.reshape(-1)].view(-1, *table.vertices[-2:])


class _Bands(Plan):
    """A plan that would keep too much: bands of rows, made anew for each frame."""

    def __init__(self, field: HashGrid, parameters: Parameters, lattice: Lattice, rows: int) -> None:
        self.field, self.parameters, self.lattice, self.band = field, parameters, lattice, rows

    def _parts(self):
        height = self.lattice.shape[1]
        for start in range(0, height, self.band):
            yield _GridPlan(self.field, self.parameters, self.lattice.rows(start, min(start + self.band, height)))

    def frame(self, index: int) -> Tensor:
        return torch.cat([part.frame(index) for part in self._parts()])

    @property
    def kept_bytes(self) -> int:
        return 4 * self.field.feature_count * self.band * self.lattice.shape[2] * 2

    @property
    def macs_per_pixel(self) -> float:
        return self.field.macs_per_point
