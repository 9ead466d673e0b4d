"""How far a process's last sample is from its own habit. Run as a script, this file is one process of the pool.

The pool runs the file and does not import the package: what scores holds models, and no app, no Faust and no
connection. For the same reason `river` is imported with the first model: a worker imports every module of the
package to find its agents, and would carry the library for nothing.

A request is a line of JSON on stdin. `{"partition": 3, "key": "box:7:1", "cpu": 1.5, "mem": 20.0}` is answered
by `{"score": 0.1, "samples": 57}` on stdout, `{"keep": [3, 5]}` by nothing. When stdin ends, whatever ended the
worker, so does the process.
"""

import json
import math
import os
import signal
import sys
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

__all__ = ["Model", "Models", "main"]

TREES = 10
HEIGHT = 6
SEED = 20_110_716
FADING = 0.1
USUAL = 0.98
LEAST_ROOM = 0.1
LIMITS = {"cpu": (-3.0, 3.0), "mem": (-1.5, 1.5)}
"""How far a sample may be from the habit, in natural logarithms; what is farther counts as that far."""


class Model:
    """The habit of one process, learnt from its samples one by one.

    What is scored is the distance of `log(1 + x)` from its own moving mean, for CPU and memory: 2 % after 1 % is
    next to nothing, 90 % after 1 % is much, for small processes and for large ones.

    Half-space trees (Tan, Ting and Liu, "Fast Anomaly Detection for Streaming Data", IJCAI 2011) say how empty the
    place of a sample was in the window before. A restless process is always in rather empty places, so the score
    is how far the trees' answer is above what is usual for this process (the 98th percentile of two windows), as
    a share of what is left up to 1.

    Example: if the trees usually say up to 0.2 and now say 0.8, the score is (0.8 - 0.2) / (1 - 0.2) = 0.75.

    Args:
        window: samples of one window; there is a score after two of them.
    """

    def __init__(self, window: int) -> None:
        from river import anomaly, stats  # noqa: PLC0415 - in the pool's processes only, see above

        self.window = window
        self.samples = 0
        self._trees: Any = anomaly.HalfSpaceTrees(
            n_trees=TREES, height=HEIGHT, window_size=window, limits=dict(LIMITS.items()), seed=SEED
        )
        self._habit = {name: stats.EWMean(FADING) for name in LIMITS}
        self._usual = stats.RollingQuantile(USUAL, 2 * window)

    def score(self, cpu: float, mem: float) -> float | None:
        """Score a sample, and learn it.

        Args:
            cpu: percent of one core.
            mem: MiB.

        Returns:
            0 (as usual) to 1; None as long as too little is known.
        """
        sizes = {"cpu": math.log1p(cpu), "mem": math.log1p(mem)}
        sample = {name: self._distance(name, size) for name, size in sizes.items()}
        answer = self._trees.score_one(sample)
        self._trees.learn_one(sample)
        for name, size in sizes.items():
            self._habit[name].update(size)
        self.samples += 1
        if self.samples <= self.window:
            return None  # the trees compare with the window before, and there is none
        usual = self._usual.get()
        self._usual.update(answer)
        if self.samples <= 2 * self.window or usual is None:
            return None
        return float(min(1.0, max(0.0, (answer - usual) / max(LEAST_ROOM, 1 - usual))))

    def _distance(self, name: str, size: float) -> float:
        least, most = LIMITS[name]
        return min(most, max(least, size - self._habit[name].get())) if self.samples else 0.0


class Models:
    """The models of some partitions' processes; of each partition those used last are kept.

    Args:
        window: see `Model`.
        limit: models per partition.
    """

    def __init__(self, window: int, limit: int) -> None:
        self._window = window
        self._limit = limit
        self._models: dict[int, OrderedDict[str, Model]] = {}

    def score(self, partition: int, key: str, cpu: float, mem: float) -> dict[str, Any]:
        """Score a sample with its process's model, and say how many samples that has seen."""
        models = self._models.setdefault(partition, OrderedDict())
        model = models.pop(key, None) or Model(self._window)
        models[key] = model
        if len(models) > self._limit:
            models.popitem(last=False)
        return {"score": model.score(cpu, mem), "samples": model.samples}

    def keep(self, partitions: Iterable[int]) -> None:
        """Drop the models of all other partitions: another worker has them now."""
        kept = set(partitions)
        self._models = {number: models for number, models in self._models.items() if number in kept}

    def __len__(self) -> int:
        return sum(map(len, self._models.values()))


def main() -> None:
    """Answer requests until there are no more.

    The worker decides when this ends. A signal for it may reach the whole process group or all of a service's
    processes, while the worker still has records to score.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.nice(5)  # a score can wait, the worker's event loop cannot
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints is no answer
    models = Models(*map(int, sys.argv[1:]))
    for line in sys.stdin:
        request = json.loads(line)
        if "keep" in request:
            models.keep(request["keep"])
        else:
            answers.write(json.dumps(models.score(**request)) + "\n")


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:  # the worker is gone
        os._exit(0)
