"""CoordX: the first layers split into one branch per group of coordinates (arXiv 2201.12425).

A branch is a sine layer of its own on the coordinates of its group, then sine layers that all branches share; the last
one is widened to width * rank. Features of the branches are fused after their sine, as in the paper's code with
`fusion_before_act` off: multiplied (or added) per feature and rank, then summed over the rank (the paper's R). The
fused features go through the head, sine layers per pixel and a linear one; without sine layers the field is split
through.

A constant keeps the variance of the fused features at that of one sine (1/2): sqrt(2)^(B-1) / sqrt(R) for a product of
B branches, 1 / sqrt(R B) for a sum. It is no part of the published code; without it rank and the number of branches
would change the scale that the head's initialization counts on.

An image is split into y and x; a video into t and (y, x), or into t, y and x.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch
from torch import Tensor

from inrcodec.bytestream import Wired, choice, uint
from inrcodec.errors import UsageError
from inrcodec.fields.base import PLAN_BYTES, Field, Importance, Parameters, Plan, Reference, TensorSpec
from inrcodec.fields.sine import (
    Layer,
    centered,
    chain,
    first_bound,
    hidden_bound,
    layer_initial,
    layer_specs,
    outer,
    row_tiles,
)
from inrcodec.kernels import native
from inrcodec.kernels.sines import sine_errors
from inrcodec.lattice import Lattice

MAX_FEATURES = 4096
"""Of one branch: width * rank."""


@dataclass(frozen=True)
class CoordXConfig(Wired):
    """split: of a video (an image is always y and x). branch_layers: sine layers of a branch, the first included.
    head_layers: sine layers after the fusion. rank: terms of the sum of products (or sums) that is the fusion."""

    split: str = choice("t_yx", "t_y_x")
    branch_layers: int = uint(1, 16)
    head_layers: int = uint(0, 16)
    width: int = uint(1, 1024)
    rank: int = uint(1, 16)
    fusion: str = choice("product", "sum")
    omega_first: int = uint(1, 255, default=30)
    omega_hidden: int = uint(1, 255, default=30)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width * self.rank > MAX_FEATURES:
            raise UsageError(f"CoordXConfig: width * rank is {self.width * self.rank}, allowed are 1 to {MAX_FEATURES}")


class CoordX(Field):
    """See the module's text; `config` is the header, shape is (T, H, W, C)."""

    family = "coordx"
    Config = CoordXConfig

    def __init__(self, config: CoordXConfig, shape: tuple[int, int, int, int]) -> None:
        super().__init__(config, shape)
        if shape[0] == 1:
            self.groups = ((1,), (2,))
        else:
            self.groups = ((0,), (1, 2)) if config.split == "t_yx" else ((0,), (1,), (2,))
        outputs = [config.width] * (config.branch_layers - 1) + [config.width * config.rank]
        self.first = tuple(self._first(group, outputs[0]) for group in self.groups)
        self.shared = tuple(self._hidden(f"branch{index}", out) for index, out in enumerate(outputs) if index)
        bound = hidden_bound(config.width, config.omega_hidden)
        self.head = (
            *(self._hidden(f"head{index}", config.width) for index in range(config.head_layers)),
            Layer("last", config.width, self.channels, bound, None),
        )
        self.layers = (*self.first, *self.shared, *self.head)

    def _first(self, group: tuple[int, ...], outputs: int) -> Layer:
        name = "branch0." + "".join("tyx"[axis] for axis in group)
        return Layer(name, len(group), outputs, first_bound(len(group)), self.config.omega_first)

    def _hidden(self, name: str, outputs: int) -> Layer:
        width, omega = self.config.width, self.config.omega_hidden
        return Layer(name, width, outputs, hidden_bound(width, omega), omega)

    def specs(self) -> tuple[TensorSpec, ...]:
        return layer_specs(self.layers, self.config.width)

    def initial(self, generator: torch.Generator) -> Parameters:
        return layer_initial(self.layers, generator)

    # -- evaluation --------------------------------------------------------------------------------------------------

    def branch(self, parameters: Parameters, index: int, coordinates: Tensor) -> Tensor:
        """Features of one branch, scaled for the fusion: (coordinates, N) → (width, R, N).

        A sum over branches and a sum over the rank are one sum, so there the rank is summed here and R is 1.
        """
        config, branches = self.config, len(self.groups)
        features = chain((self.first[index], *self.shared), parameters, coordinates)
        features = features.view(config.width, config.rank, -1)
        if config.fusion == "sum":
            return features.sum(1, keepdim=True) * (config.rank * branches) ** -0.5
        return features if index else features * math.sqrt(2 ** (branches - 1) / config.rank)

    def join(self, first: Tensor, second: Tensor) -> Tensor:
        """Fusion of two branches, feature by feature and rank by rank; shapes broadcast."""
        return first * second if self.config.fusion == "product" else first + second

    def fuse(self, first: Tensor, second: Tensor) -> Tensor:
        """Fusion of two branches at all pairs of their points: (width, R, n) and (width, R, m) → (width, n * m).

        With products this is one small matrix product per feature, over the rank.
        """
        first = first.transpose(1, 2)
        fused = torch.bmm(first, second) if self.config.fusion == "product" else first + second
        return fused.view(self.config.width, -1)

    def at(self, parameters: Parameters, points: Tensor) -> Tensor:
        device = parameters["last.weight"].device
        coordinates = centered(points, device).T
        branches = [self.branch(parameters, index, coordinates[list(group)]) for index, group in enumerate(self.groups)]
        return chain(self.head, parameters, reduce(self.join, branches).sum(1)).T

    def squared_errors(
        self, parameters: Parameters, lattice: Lattice, reference: Reference, importance: Importance | None = None
    ) -> Tensor:
        """By the compiled sweep where it can be."""
        on_processor = parameters["last.weight"].device.type == "cpu"
        if self.config.fusion == "sum" or not (native.available() and on_processor):
            return super().squared_errors(parameters, lattice, reference, importance)
        plan = self.plan(parameters, lattice, keep_bytes=1 << 40)
        head, weights = self.flat_head(parameters), self.pair_weights(lattice, importance)
        total = torch.zeros(self.channels)
        for index in range(lattice.shape[0]):
            first, second = plan.factors(index)
            target = reference(index).permute(2, 0, 1).reshape(self.channels, first.shape[-1], second.shape[-1])
            total = total + _SweptErrors.apply(first, second, head, len(self.head) - 1, target, weights)
        return total

    def pair_weights(self, lattice: Lattice, importance: Importance | None) -> Importance:
        """Importance of rows and columns, for the pairs that a plan's `factors` are fused to: (n,) and (m,)."""
        rows, columns = importance or map(torch.ones, lattice.shape[1:])
        return (torch.ones(1), torch.outer(rows, columns).flatten()) if (1, 2) in self.groups else (rows, columns)

    def flat_head(self, parameters: Parameters) -> Tensor:
        """Weights and biases of the layers behind the fusion, one after the other, with the factors of their sines."""
        parts = [
            (layer.omega or 1) * parameters[name].reshape(-1)
            for layer in self.head
            for name in (layer.weight, layer.bias)
        ]
        return torch.cat(parts)

    def plan(self, parameters: Parameters, lattice: Lattice, keep_bytes: int = PLAN_BYTES) -> Plan:
        return (_JointPlan if (1, 2) in self.groups else _SplitPlan)(self, parameters, lattice, keep_bytes)

    # -- complexity --------------------------------------------------------------------------------------------------

    @property
    def joint_macs(self) -> int:
        """Of the fusion of two branches and the head, per point."""
        products = self.config.width * self.config.rank if self.config.fusion == "product" else 0
        return products + sum(layer.macs for layer in self.head)

    def branch_macs(self, index: int) -> int:
        """Of one branch, per point."""
        return sum(layer.macs for layer in (self.first[index], *self.shared))

    @property
    def macs_per_point(self) -> float:
        branches = len(self.groups)
        products = (branches - 2) * self.config.width * self.config.rank if self.config.fusion == "product" else 0
        return float(self.joint_macs + products + sum(self.branch_macs(index) for index in range(branches)))


class _SplitPlan(Plan):
    """An image, or t, y and x: keeps one row of features per axis.

    The row of t is fused into the rows of y, so that a frame costs no more than an image: one fusion and the head.
    """

    def __init__(self, field: CoordX, parameters: Parameters, lattice: Lattice, keep_bytes: int) -> None:
        self.field, self.parameters, self.lattice = field, parameters, lattice
        device = parameters["last.weight"].device
        axes = (lattice.t, lattice.y, lattice.x)
        self.features = [
            field.branch(parameters, index, centered(axes[axis], device)[None])
            for index, (axis,) in enumerate(field.groups)
        ]

    def factors(self, index: int) -> tuple[Tensor, Tensor]:
        """Features of rows and of columns, which are left to be fused at a frame: (width, R, h) and (width, R, w)."""
        *times, y, x = self.features
        for t in times:
            y = self.field.join(y, t[..., index : index + 1])
        return y, x

    def frame(self, index: int) -> Tensor:
        y, x = self.factors(index)
        _, height, width = self.lattice.shape
        bands = [
            chain(self.field.head, self.parameters, self.field.fuse(y[..., start:stop], x))
            for start, stop in row_tiles(height, width)
        ]
        return torch.cat(bands, dim=1).view(-1, height, width).permute(1, 2, 0)

    @property
    def kept_bytes(self) -> int:
        return 4 * sum(features.numel() for features in self.features)

    @property
    def macs_per_pixel(self) -> float:
        config = self.field.config
        joins = len(self.features) - 2 if config.fusion == "product" else 0
        return self.field.joint_macs + joins * config.width * config.rank / self.lattice.shape[2]


class _JointPlan(Plan):
    """t and (y, x): keeps the features of t, and those of all pixels where they fit into `keep_bytes`.

    Where they don't, they are computed for every frame anew, a band of rows at a time.
    """

    def __init__(self, field: CoordX, parameters: Parameters, lattice: Lattice, keep_bytes: int) -> None:
        self.field, self.parameters, self.lattice = field, parameters, lattice
        device = parameters["last.weight"].device
        self.t = field.branch(parameters, 0, centered(lattice.t, device)[None])
        self.y, self.x = centered(lattice.y, device), centered(lattice.x, device)
        pixel_bytes = 4 * self.t.shape[0] * self.t.shape[1]
        _, height, width = lattice.shape
        self.kept = self._pixels(0, height) if pixel_bytes * height * width <= keep_bytes else None

    def factors(self, index: int) -> tuple[Tensor, Tensor]:
        """Features of a frame and of all pixels, if they are kept: (width, R, 1) and (width, R, h · w)."""
        return self.t[..., index : index + 1], self.kept

    def _pixels(self, start: int, stop: int) -> Tensor:
        """Features of (y, x) of the rows [start, stop): (width, R, N)."""
        return self.field.branch(self.parameters, 1, outer([self.y[start:stop], self.x]))

    def frame(self, index: int) -> Tensor:
        _, height, width = self.lattice.shape
        t = self.t[..., index : index + 1]
        bands = []
        for start, stop in row_tiles(height, width):
            kept = self.kept
            pixels = self._pixels(start, stop) if kept is None else kept[..., start * width : stop * width]
            bands.append(chain(self.field.head, self.parameters, self.field.fuse(t, pixels)))
        return torch.cat(bands, dim=1).view(-1, height, width).permute(1, 2, 0)

    @property
    def kept_bytes(self) -> int:
        return 4 * (self.t.numel() + (0 if self.kept is None else self.kept.numel()))

    @property
    def macs_per_pixel(self) -> float:
        return float(self.field.joint_macs + (self.field.branch_macs(1) if self.kept is None else 0))


# -- training ----------------------------------------------------------------------------------------------------------


def fused_errors(
    first: Tensor, second: Tensor, head: Tensor, layers: int, target: Tensor, importance: Importance
) -> Tensor:
    """Squared errors by channel, (C,), as `kernels.sines.sine_errors` sweeps them: the definition."""
    width = len(first)
    values = torch.einsum("wrn,wrm->wnm", first, second).reshape(width, -1)
    sizes = [width * width, width] * layers + [len(target) * width, len(target)]
    parts = head.split(sizes)
    for weight, bias in zip(parts[: 2 * layers : 2], parts[1 : 2 * layers : 2]):
        values = torch.sin(torch.addmm(bias[:, None], weight.view(width, width), values))
    values = torch.addmm(parts[-1][:, None], parts[-2].view(len(target), width), values)
    return (values - target.reshape(len(target), -1)).square() @ torch.outer(*importance).flatten()


class _SweptErrors(torch.autograd.Function):
    """`fused_errors` by the compiled sweep, which computes gradients along with the errors as if all channels weighed
    alike; where it turns out that they do not, it is done again."""

    @staticmethod
    def forward(ctx, first: Tensor, second: Tensor, head: Tensor, layers: int, target: Tensor, importance):
        arrays = (one.detach().numpy() for one in (first, second, head))
        ctx.given = *arrays, layers, target.numpy(), tuple(one.numpy() for one in importance)
        wanted = any(ctx.needs_input_grad)
        ctx.found = sine_errors(*ctx.given, np.ones(len(target), np.float32) if wanted else None)
        return torch.from_numpy(ctx.found.errors).float()

    @staticmethod
    def backward(ctx, upstream: Tensor):
        found, scale = ctx.found, upstream[0]
        if not bool((upstream == scale).all()):
            found, scale = sine_errors(*ctx.given, upstream.numpy()), 1
        gradients = (found.first, found.second, found.parameters)
        return *(torch.from_numpy(one) * scale for one in gradients), None, None, None
