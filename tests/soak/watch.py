"""Samples the process: memory, descriptors, threads, bytes on disk; and judges whether they stay flat.

The rule, for each life of 4 minutes or more in a run of 10 or more: after a warm-up of 90 s the Theil-Sen slope (the
median of the slopes of all pairs of samples, which no single peak moves) of each series must be at most its limit a
minute, or what it adds up to over the life must be below its slack. Shorter runs only report."""

import dataclasses
import pathlib
import statistics
import time

from harness import Gateway
from world import World

INTERVAL_S = 1.0
WARM_UP_S = 90.0
JUDGED_LIFE_S = 240.0
JUDGED_RUN_S = 600.0
MAX_PAIRS_SAMPLES = 150  # of a life, evenly taken: their pairs are enough for a median
# What may grow: share of the median a minute, and the slack below which a growth over a whole life is noise.
RULES = {"rss": (0.01, 16 << 20), "fds": (0.01, 12), "threads": (0.005, 3), "disk": (0.02, 8 << 20)}
# Across lives, each a new process on the same data: the end of a late one against the end of the second.
ACROSS_LIVES = 1.25


@dataclasses.dataclass(frozen=True)
class Sample:
    life: int
    age_s: float
    rss: int
    fds: int
    threads: int
    disk: int


class Watch:
    def __init__(self, world: World, gateway: Gateway) -> None:
        self._world = world
        self._gateway = gateway
        self.samples: list[Sample] = []

    def run(self) -> None:
        life, born = 0, 0.0
        with open(self._world.folder / "samples.csv", "w", encoding="ascii") as file:
            file.write("life,age_s,rss_bytes,fds,threads,disk_bytes\n")
            while not self._world.over.wait(INTERVAL_S):
                if self._world.life != life:
                    life, born = self._world.life, time.monotonic()
                try:
                    sample = self._take(life, time.monotonic() - born)
                except (OSError, AttributeError):
                    continue  # between two lives
                self.samples.append(sample)
                file.write(",".join(map(str, dataclasses.astuple(sample))) + "\n")

    def _take(self, life: int, age_s: float) -> Sample:
        process = pathlib.Path(f"/proc/{self._gateway.process.pid}")
        disk = 0
        for path in self._gateway.data.rglob("*"):
            try:
                disk += path.stat().st_blocks * 512
            except OSError:
                continue  # removed meanwhile
        return Sample(
            life,
            age_s,
            self._gateway.rss_bytes(),
            sum(1 for _ in (process / "fd").iterdir()),
            sum(1 for _ in (process / "task").iterdir()),
            disk,
        )

    def judge(self, length_s: float) -> list[str]:
        """Lines of the report; what is not flat in a long run is a finding."""
        lines = []
        judged = length_s >= JUDGED_RUN_S
        for life in sorted({sample.life for sample in self.samples}):
            of_life = [sample for sample in self.samples if sample.life == life]
            warm = [sample for sample in of_life if sample.age_s >= WARM_UP_S]
            lines.append(
                f"life {life:2}  {of_life[-1].age_s:5.0f} s  "
                f"rss {of_life[0].rss >> 20} -> {of_life[-1].rss >> 20} MiB, "
                f"fds {of_life[-1].fds}, threads {of_life[-1].threads}, disk {of_life[-1].disk >> 20} MiB"
                + self._slopes(life, warm, judged and of_life[-1].age_s >= JUDGED_LIFE_S)
            )
        if judged:
            self._across()
        return lines

    def _slopes(self, life: int, warm: list[Sample], judged: bool) -> str:
        if len(warm) < 20:
            return ""
        told = []
        minutes = (warm[-1].age_s - warm[0].age_s) / 60
        for name, (limit, slack) in RULES.items():
            slope = theil_sen([(sample.age_s / 60, getattr(sample, name)) for sample in warm])
            middle = statistics.median(getattr(sample, name) for sample in warm)
            told.append(f"{name} {slope / max(middle, 1):+.2%}/min")
            if judged and slope > limit * middle and slope * minutes > slack:
                self._world.fail(
                    "watch",
                    f"life {life}: {name} grows by {slope:.0f} a minute for {minutes:.1f} minutes "
                    f"(median {middle:.0f}); allowed is {limit:.1%} a minute",
                )
        return f"  slopes: {', '.join(told)}"

    def _across(self) -> None:
        ends: dict[int, list[Sample]] = {}
        for sample in self.samples:
            if sample.age_s >= WARM_UP_S:
                ends.setdefault(sample.life, []).append(sample)
        lives = sorted(ends)
        if len(lives) < 4:
            return
        for name in ("rss", "disk"):
            early, late = (
                statistics.median(getattr(sample, name) for sample in ends[life][-60:])
                for life in (lives[1], lives[-1])
            )
            if late > early * ACROSS_LIVES + RULES[name][1]:
                self._world.fail(
                    "watch", f"{name} of life {lives[-1]} is {late:.0f}, of life {lives[1]} it was {early:.0f}"
                )


def theil_sen(points: list[tuple[float, float]]) -> float:
    step = max(1, len(points) // MAX_PAIRS_SAMPLES)
    some = points[::step]
    slopes = [
        (b[1] - a[1]) / (b[0] - a[0]) for index, a in enumerate(some) for b in some[index + 1 :] if b[0] > a[0]
    ]
    return statistics.median(slopes) if slopes else 0.0
