"""How near the encoder comes to what was asked, and what that costs in time; scripts/targets.py is its command.

A line is a JSON object: facts of the file, effort, `asked` ({"bpp": …} or {"psnr_db": …}), what was reached, and the seconds of
this encode and of one at the same effort that was asked for the rate_lambda that it ended with.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

from inrcodec.cli.terminal import decibels
from inrcodec.encoder import EncodeOptions, EncodeResult, encode
from inrcodec.evaluation.measure import commit, facts, machine
from inrcodec.evaluation.ours import own_versions
from inrcodec.evaluation.signals import Signal

NEAR_SHARE, NEAR_DB = 0.98, 0.1
"""A size is met from this share of it on, up to all of it; a quality up to so much above it."""


@dataclass(frozen=True)
class Asked:
    """One of both."""

    bpp: float | None = None
    psnr_db: float | None = None

    @property
    def fact(self) -> dict:
        return {"bpp": self.bpp} if self.psnr_db is None else {"psnr_db": self.psnr_db}

    def miss(self, result: EncodeResult) -> dict:
        """miss_percent of a size (negative: below it) or miss_db of a quality (positive: above; null: lossless), and whether it
        is met."""
        if self.psnr_db is None:
            percent = 100 * (result.bpp / self.bpp - 1)
            return {"miss_percent": round(percent, 3), "met": 100 * (NEAR_SHARE - 1) <= percent <= 0}
        if not math.isfinite(result.psnr_db):
            return {"miss_db": None, "met": False}
        excess = result.psnr_db - self.psnr_db
        return {"miss_db": round(excess, 4), "met": 0 <= excess <= NEAR_DB}


def target_line(signal: Signal, asked: Asked, effort: int, threads: int) -> dict:
    """Encodes twice: to the target, and without one. Raises InputError, UsageError, DeviceError."""
    options = EncodeOptions(effort=effort, threads=threads, frames=(0, signal.info.frames))
    result, spent = _timed(signal, replace(options, target_bpp=asked.bpp, target_psnr_db=asked.psnr_db))
    plain, spent_plain = _timed(signal, replace(options, rate_lambda=result.rate_lambda))
    return {
        "kind": "target",
        **facts(signal),
        "effort": effort,
        "asked": asked.fact,
        **_reached(result),
        **asked.miss(result),
        **spent,
        "without_target": {**_reached(plain), **spent_plain},
        "cpu_ratio": round(spent["cpu_s"] / spent_plain["cpu_s"], 3),
        "threads": threads,
        "versions": own_versions("cpu"),
        "machine": machine(),
        "commit": commit(),
    }


def _timed(signal: Signal, options: EncodeOptions) -> tuple[EncodeResult, dict]:
    """encode_s: wall seconds. cpu_s: of the process, which other jobs on the machine disturb less."""
    began, began_cpu = time.perf_counter(), time.process_time()
    result = encode(signal.path if signal.picture is None else signal.picture, options)
    spent = {"encode_s": time.perf_counter() - began, "cpu_s": time.process_time() - began_cpu}
    return result, {name: round(value, 3) for name, value in spent.items()}


def _reached(result: EncodeResult) -> dict:
    return {
        "family": result.family,
        "rate_lambda": float(f"{result.rate_lambda:.4g}"),
        "iterations": result.iterations,
        "bytes": result.bytes,
        "bpp": result.bpp,
        "psnr_db": result.psnr_db if math.isfinite(result.psnr_db) else None,
    }


def target_table(lines: list[dict]) -> str:
    """Markdown, a row a line."""
    titles = "| file | effort | asked | reached | miss | met | iterations | CPU s | CPU s without target | ratio |"
    rows = [titles, "|---|---:|---:|---:|---:|---|---:|---:|---:|---:|"]
    for line in lines:
        plain = line["without_target"]
        if "bpp" in line["asked"]:
            said = f"{line['asked']['bpp']:g} bpp | {line['bpp']:.4f} bpp | {line['miss_percent']:+.2f} %"
        else:
            miss = "–" if line["miss_db"] is None else f"{line['miss_db']:+.3f} dB"
            said = f"{line['asked']['psnr_db']:g} dB | {decibels(line['psnr_db'])} | {miss}"
        rows.append(
            f"| {line['file']} | {line['effort']} | {said} | {'yes' if line['met'] else 'no'} | {line['iterations']} "
            f"| {line['cpu_s']:.1f} | {plain['cpu_s']:.1f} | {line['cpu_ratio']:.2f} |"
        )
    met = sum(line["met"] for line in lines)
    return "\n".join(
        [*rows, "", f"{met} of {len(lines)} met: from 2 % below to the asked size, up to 0.1 dB above the quality."]
    )
