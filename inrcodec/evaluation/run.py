"""Many points: every curve on every file, what fails apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from inrcodec.errors import InrError
from inrcodec.evaluation.codec import Codec
from inrcodec.evaluation.measure import Conditions, facts, measure
from inrcodec.evaluation.signals import Signal, open_signal
from inrcodec.evaluation.store import Store

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Task:
    """A point that is to be measured."""

    codec: Codec
    value: float
    signal: Signal

    def __str__(self) -> str:
        return f"{self.codec.curve} {self.codec.setting(self.value)} {self.signal.name}"


def open_signals(paths: Iterable[Path], frames: int | None, fault: Tell) -> list[Signal]:
    """The files that can be opened; a fault for each other one."""
    signals = []
    for path in paths:
        try:
            signals.append(open_signal(path, frames))
        except InrError as error:
            fault(str(error))
    return signals


def plan(codecs: list[Codec], signals: list[Signal], store: Store, fault: Tell) -> list[Task]:
    """The points that the store does not have, file by file. Codecs of pictures pass videos by, and the other way round; a
    fault for a codec that passes everything by, and for each signal of its kind that a codec refuses."""
    for codec in codecs:
        if signals and all(codec.passes_by(signal.info) for signal in signals):
            fault(f"{codec.curve}: codes {codec.KINDS[0]}s, and none is given")
    tasks = []
    for signal in signals:
        for codec in (codec for codec in codecs if not codec.passes_by(signal.info)):
            reason = codec.refuses(signal.info)
            if reason:
                fault(f"{codec.curve} {signal.name}: {reason}")
                continue
            names = [{"codec": codec.curve, "setting": setting, **facts(signal)} for setting in codec.settings]
            tasks += [Task(codec, value, signal) for value, name in zip(codec.values, names) if name not in store]
    return tasks


def run(tasks: list[Task], store: Store, conditions: Conditions, fault: Tell, report: Report) -> None:
    """Measures every task and adds its line to the store; a fault for each one that fails, whatever a library raises."""
    clock = TimeLeft(tasks)
    for done, task in enumerate(tasks):
        report(done, task, clock.left_s)
        try:
            line = measure(task.codec, task.value, task.signal, conditions)
        except Exception as error:  # a codec's failure is one point's, and the other results stand
            fault(f"{task}: {type(error).__name__ if not isinstance(error, InrError) else 'failed'}: {error}")
            clock.failed(task)
        else:
            store.add(line)
            clock.done(task, line["encode_s"] + 2 * line["decode_s"])


Report = Callable[[int, Task, float | None], None]
"""Called before each task: how many are done, the task, and the seconds that are left, None if that is not known yet."""


class TimeLeft:
    """Seconds that are left, from the time that each codec has taken for a pixel so far."""

    def __init__(self, tasks: list[Task]) -> None:
        self._waiting = defaultdict(list)
        for task in tasks:
            self._waiting[task.codec.curve].append(task.signal.info.pixels)
        self._rates: dict[str, list[float]] = defaultdict(list)

    def done(self, task: Task, seconds: float) -> None:
        self._rates[task.codec.curve].append(seconds / task.signal.info.pixels)
        self.failed(task)

    def failed(self, task: Task) -> None:
        self._waiting[task.codec.curve].remove(task.signal.info.pixels)

    @property
    def left_s(self) -> float | None:
        """None as long as a codec that is waiting has not been run."""
        waiting = {curve: sum(pixels) for curve, pixels in self._waiting.items() if pixels}
        if not waiting.keys() <= self._rates.keys():
            return None
        return sum(fmean(self._rates[curve]) * pixels for curve, pixels in waiting.items())
