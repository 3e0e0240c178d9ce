#!/usr/bin/env python3
"""Compares the training step of Convoy on a CPU with every peer that is installed, in one run, taking turns.

    compare.py --convoy build/release/convoy --python python3 --python ~/peers/bin/python --assert best-fp32=1.5

First every setting of every peer is tried briefly. Then the best settings of each and Convoy take turns for --rounds
rounds. README.md says what is timed and why.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path

import catalog
import scan
from catalog import PRECISIONS
from processes import CompareError, last_json, output_of

ROOT = Path(__file__).resolve().parent.parent.parent
BUILT_CONVOY = ROOT / "build" / "release" / "convoy"
TURN_SECONDS, SCAN_SECONDS = 5.0, 2.0  # end the steps of slow peers early
GROUPS = ("classic", *(f"{name}-{precision}" for precision in PRECISIONS
                       for name in ("best", *(peer.key for peer in catalog.PEERS))))


@dataclass
class Convoy:
    """One precision of Convoy, or one instruction set, and what its turns gave: milliseconds a step."""

    path: str
    precision: str
    isa: str = ""
    medians: list[float] = field(default_factory=list)  # of each turn
    minima: list[float] = field(default_factory=list)
    convolutions: list[float] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"Convoy {self.precision}" + (f", {self.isa}" if self.isa else "")

    def run(self, steps: int, batch_size: int) -> dict[str, float]:
        """The `bench` event."""
        command = [self.path, "bench", "--device", "cpu", "--model", "convnet", "--batch-size", str(batch_size)]
        if self.precision != "fp32":  # which is what a CPU does without the flag
            command += ["--precision", self.precision]
        extra = {"ONEDNN_MAX_CPU_ISA": self.isa} if self.isa else {}  # the own loops follow oneDNN's limit
        event = last_json(output_of([*command, "--steps", str(steps), "--json"], extra), self.path)
        missing = {"ms_per_step_median", "ms_per_step_min"} - event.keys()
        if event.get("event") != "bench" or missing:
            raise CompareError(f"{self.path} bench --json ended without a complete 'bench' event")
        return event

    def take_turn(self, steps: int, batch_size: int) -> float:
        """One turn; returns its median."""
        event = self.run(steps, batch_size)
        self.medians.append(event["ms_per_step_median"])
        self.minima.append(event["ms_per_step_min"])
        if "convolutions_ms" in event:
            self.convolutions.append(event["convolutions_ms"])
        return self.medians[-1]


@dataclass
class Contestant:
    """One setting of a peer and what its turns gave: milliseconds a step."""

    name: str
    groups: frozenset[str]
    setting: scan.Setting
    medians: list[float] = field(default_factory=list)  # of each turn
    minima: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)  # to Convoy's next turn: both saw the same noise

    def take_turn(self, effort: scan.Effort) -> None:
        setting = self.setting
        _, trials = scan.run(setting.runner, setting.threads, dict(setting.environment), (setting.variant,), effort)
        if not trials:
            raise CompareError(f"{self.name}: {setting} ran before and does not run now")
        self.medians.append(trials[0].median)
        self.minima.append(trials[0].minimum)

    def ratio(self) -> float:
        return statistics.median(self.ratios)


def find_convoy(asked: str | None) -> str | None:
    """The program to measure: as asked, else the release build's, else the one on PATH."""
    if asked is not None:
        found = shutil.which(asked)
        if found is None:
            raise CompareError(f"no program at {asked}: build it first, or correct --convoy")
        return found
    return shutil.which(str(BUILT_CONVOY)) or shutil.which("convoy")


def convoys(arguments: argparse.Namespace) -> list[Convoy]:
    """Convoy in each precision that it has on a CPU, and limited to --isa; empty where there is no program."""
    path = find_convoy(arguments.convoy)
    if path is None:
        if arguments.assertions:
            raise CompareError("--assert needs Convoy: build it first, or pass --convoy PATH")
        print(f"Convoy: not measured, no program at {BUILT_CONVOY} nor on PATH (build it, or pass --convoy PATH)")
        return []
    found = [Convoy(path, "fp32")]
    try:
        narrow = Convoy(path, "bf16")
        narrow.run(steps=1, batch_size=arguments.batch_size)
        found.append(narrow)
    except CompareError as error:
        print(f"Convoy bf16: not measured: {error}")
    return found + ([Convoy(path, "fp32", arguments.isa.upper())] if arguments.isa else [])


def scan_runner(runner: catalog.Runner, arguments: argparse.Namespace) -> list[Contestant]:
    """Tries the settings of one peer and prints the fastest of each precision."""
    effort = scan.Effort(arguments.scan_steps, SCAN_SECONDS, arguments.batch_size)
    version, trials = scan.scan(runner, effort)
    name = f"{runner.peer.name} {version}"
    print(f"{name} ({runner.origin}), {len(trials)} settings tried, ms a step:")
    for precision in PRECISIONS:
        for trial in scan.fastest(trials, precision)[:None if arguments.verbose else 3]:
            print(f"  {trial.median:8.2f}  {trial.setting}", flush=True)
    return [Contestant(name + (", classic" if "classic" in groups else ""), groups, setting)
            for groups, setting in scan.finalists(trials)]


def contestants(arguments: argparse.Namespace) -> list[Contestant]:
    """Of every peer; one that cannot be measured is a line that says why."""
    modules = {python: catalog.modules_of(python) for python in arguments.python}
    note = catalog.blas_note()
    if note:
        print(note)
    found: list[Contestant] = []
    for peer in catalog.PEERS:
        if arguments.only and peer.key not in arguments.only:
            continue
        try:
            runners = catalog.find(peer, modules, arguments.build_folder)
        except CompareError as error:
            print(f"{peer.name}: not measured: {error}")
            continue
        for runner in runners:
            try:
                found += scan_runner(runner, arguments)
            except CompareError as error:
                print(f"{peer.name} ({runner.origin}): not measured: {error}")
    return found


def play(peers: list[Contestant], ours: list[Convoy], arguments: argparse.Namespace) -> None:
    """The rounds. Convoy has its turn directly behind each peer's, in the same precision."""
    effort = scan.Effort(arguments.steps, TURN_SECONDS, arguments.batch_size)
    opponents = {convoy.precision: convoy for convoy in ours if not convoy.isa}
    for _ in range(arguments.rounds):
        for peer in peers:
            peer.take_turn(effort)
            opponent = opponents.get(peer.setting.precision)
            if opponent:
                peer.ratios.append(peer.medians[-1] / opponent.take_turn(arguments.steps, arguments.batch_size))
        for convoy in ours:
            if convoy.isa or not peers:
                convoy.take_turn(arguments.steps, arguments.batch_size)


def print_row(row: Convoy | Contestant, width: int, opponent: Convoy | None) -> None:
    ratio = by_fastest = setting = ""
    if isinstance(row, Contestant):
        setting = str(row.setting)
        if row.ratios and opponent:
            ratio, by_fastest = f"{row.ratio():.2f}", f"{min(row.minima) / min(opponent.minima):.2f}"
    spread = f"{min(row.medians):.2f} .. {max(row.medians):.2f}"
    print(f"{row.name:{width}} {statistics.median(row.medians):8.2f} {spread:>18} {min(row.minima):8.2f} {ratio:>6} "
          f"{by_fastest:>10}  {setting}".rstrip())


def print_table(peers: list[Contestant], ours: list[Convoy]) -> None:
    """Milliseconds a step: median over the turns, the turns' spread, the fastest step; ratios to Convoy."""
    rows: list[Convoy | Contestant] = [*ours, *peers]
    width = max(len(row.name) for row in rows)
    print(f"\n{'ms a step':{width}} {'median':>8} {'spread of turns':>18} {'fastest':>8} {'ratio':>6} "
          f"{'of fastest':>10}  setting")
    for precision in PRECISIONS:
        measured = [convoy for convoy in ours if convoy.precision == precision and convoy.medians]
        for convoy in measured:
            print_row(convoy, width, None)
        rivals = [peer for peer in peers if peer.setting.precision == precision]
        for peer in sorted(rivals, key=lambda peer: statistics.median(peer.medians)):
            print_row(peer, width, measured[0] if measured else None)
    print()
    for convoy in ours:
        if convoy.convolutions:
            convolutions, step = statistics.median(convoy.convolutions), statistics.median(convoy.medians)
            times = step / convolutions if convolutions > 0 else float("nan")
            print(f"{convoy.name}: its convolutions alone take {convolutions:.2f} ms; the whole step takes "
                  f"{times:.2f} times that")


def verdict(peers: list[Contestant], assertions: dict[str, float]) -> int:
    """Says how fast Convoy is against the fastest of each group; returns the exit code."""
    failed, unknown = False, []
    for group in dict.fromkeys(["classic", "best-fp32", "best-bf16", *assertions]):
        rivals = [peer for peer in peers if group in peer.groups and peer.ratios]
        if not rivals:
            unknown += [group] if group in assertions else []
            continue
        rival = min(rivals, key=Contestant.ratio)
        told = f"{group}: Convoy is {rival.ratio():.2f} times as fast as {rival.name}"
        if group in assertions:
            missed = rival.ratio() < assertions[group]
            failed = failed or missed
            told += f", {assertions[group]:.2f} wanted: {'MISSED' if missed else 'reached'}"
        print(told)
    if unknown:
        raise CompareError(f"--assert {', '.join(unknown)}: not measured, the lines above say why")
    return 1 if failed else 0


def compare(arguments: argparse.Namespace) -> int:
    """The whole comparison; returns the exit code."""
    ours = convoys(arguments)
    peers = contestants(arguments)
    if not peers and not ours:
        raise CompareError("nothing to measure, the lines above say why")
    play(peers, ours, arguments)
    print_table(peers, ours)
    return verdict(peers, arguments.assertions)


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def assertion(text: str) -> tuple[str, float]:
    """NAME=RATIO."""
    group, _, ratio = text.partition("=")
    if group not in GROUPS:
        raise argparse.ArgumentTypeError(f"'{group}' is none of {', '.join(GROUPS)}")
    try:
        if float(ratio) > 0:
            return group, float(ratio)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"'{text}': behind '=' there must be a ratio above 0")


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--convoy", metavar="PATH", help="the program (default: the release build's, then PATH)")
    parser.add_argument("--python", action="append", metavar="PATH", help="interpreter with peers; repeatable")
    parser.add_argument("--only", action="append", metavar="PEER", choices=[peer.key for peer in catalog.PEERS],
                        help="a peer to measure; repeatable (default: all): %(choices)s")
    parser.add_argument("--assert", dest="assertions", action="append", type=assertion, default=[],
                        metavar="NAME=RATIO", help="exit 1 unless Convoy is that many times as fast as the fastest "
                        "of NAME: classic, best-fp32, best-bf16, or a peer's, as dlib-fp32; repeatable")
    parser.add_argument("--isa", choices=["avx2"], help="also measure Convoy limited to this instruction set")
    parser.add_argument("--rounds", type=positive, default=5, help="turns of each contestant (%(default)s)")
    parser.add_argument("--steps", type=positive, default=100, help="steps in a turn (%(default)s)")
    parser.add_argument("--scan-steps", type=positive, default=20, help="steps to try a setting (%(default)s)")
    parser.add_argument("--batch-size", type=positive, default=100, help="images in a batch (%(default)s)")
    parser.add_argument("--build-folder", type=Path, default=ROOT / "build" / "peers", metavar="FOLDER",
                        help="where the peers in C++ are built and kept (%(default)s)")
    parser.add_argument("--verbose", action="store_true", help="print every setting that was tried")
    arguments = parser.parse_args(argv)
    arguments.python = list(dict.fromkeys(arguments.python or [sys.executable]))
    arguments.assertions = dict(arguments.assertions)
    return arguments


def main(argv: list[str] | None = None) -> int:
    try:
        return compare(parse(argv))
    except CompareError as error:
        print(f"compare: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
