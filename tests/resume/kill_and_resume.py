#!/usr/bin/env python3
"""Kills a training at random moments, goes on each time, and compares its end with that of an undisturbed one.

usage: kill_and_resume.py CONVOY [--kills 200] [--each 10] [--device cpu] [--seed 1]

A moment is a random part of the time that an undisturbed training takes. The signal is SIGKILL in three of four cases, else SIGINT or SIGTERM. A training that
is killed before it wrote run.json is begun again. Exits with 1 if any file of the end differs.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from made_up_data import write_made_up_data

SIGNALS = [signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGKILL,
           signal.SIGINT, signal.SIGTERM]
# Trainings that differ in what they keep and when they save it; one is taken after the other.
TRAININGS = [
    ["--save-every", "3", "--swa", "--shift", "1", "--rotate", "10", "--cutout", "2", "--flip", "alternating",
     "--validation", "50", "--keep-best"],
    ["--swa", "--optimizer", "sgd", "--lr", "0.01", "--momentum", "0.9", "--keep", "1", "--flip"],
    ["--optimizer", "adamw", "--save-every", "2epochs", "--swa", "--bn-batches", "3"],
    ["--save-every", "7", "--model", "lenet5"],
]
# What has to be the same, byte by byte.
COMPARED = ["model.ckpt", "best.ckpt", "model.json"]


def losses(folder):
    """Every reported loss in order: a log must tell of one training, whatever happened to it."""
    events = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [(e["epoch"], e["step"], e["loss"]) for e in events if e["event"] in ("step", "epoch", "validation")]


class Harness:
    def __init__(self, options, folder, training):
        self.convoy = options.convoy
        self.random = random.Random(f"{options.seed} {training}")
        self.folder = folder / f"training-{training}"
        self.folder.mkdir()
        write_made_up_data(self.folder / "data", count=options.images, extent=28 if "lenet5" in TRAININGS[training] else 8)
        self.flags = ["--device", options.device, "--dataset", "idx", "--data", str(self.folder / "data"),
                      "--epochs", "6", "--batch-size", "64", "--log-every", "2", *TRAININGS[training]]
        self.resumed = 0
        self.runs = 0
        self.whole = self.undisturbed()

    def command(self, run):
        if (run / "run.json").exists():
            return [self.convoy, "train", "--resume", str(run)]
        # What was killed before is begun again; without run.json there is nothing to lose.
        return [self.convoy, "train", "--out", str(run), *self.flags]

    def undisturbed(self):
        run = self.folder / "undisturbed"
        begin = time.monotonic()
        done = subprocess.run(self.command(run), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            sys.exit(f"the undisturbed training failed:\n{done.stdout}")
        self.seconds = time.monotonic() - begin
        return run

    def disturbed(self, kills):
        run = self.folder / f"run-{self.runs}"
        self.runs += 1
        return self.kill(run, kills), self.compare(run, self.whole)

    def kill(self, run, kills):
        """Runs `run` to its end with at most that many kills; returns how many there were."""
        killed = 0
        while True:
            process = subprocess.Popen(self.command(run), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            try:
                # Mostly early, so that many kills fit into one training; the start has its part, too.
                wait = self.seconds * self.random.random() ** 2 if killed < kills else None
                output, _ = process.communicate(timeout=wait)
                if process.returncode != 0:
                    sys.exit(f"{run}: exit code {process.returncode} after {killed} kills:\n{output}")
                self.resumed += "resume  /" in output
                return killed
            except subprocess.TimeoutExpired:
                process.send_signal(self.random.choice(SIGNALS))
                output, _ = process.communicate()
                self.resumed += "resume  /" in output
                if process.returncode not in (0, -signal.SIGKILL, -signal.SIGINT, -signal.SIGTERM, 130, 143):
                    sys.exit(f"{run}: exit code {process.returncode} when it was killed:\n{output}")
                killed += 1

    def compare(self, run, whole):
        found = []
        for name in COMPARED:
            if (whole / name).exists() and (run / name).read_bytes() != (whole / name).read_bytes():
                found.append(f"{run.name}/{name} differs")
        if losses(run) != losses(whole):
            found.append(f"{run.name}/log.jsonl tells of other losses")
        # A lock that was killed with its process is free, whether or not its file is there.
        left = [path.name for path in run.rglob(".*") if path.name != ".lock"]
        if left:
            found.append(f"{run.name} holds {', '.join(left)}")
        return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("convoy")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--each", type=int, default=10, help="at most so many of one training")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--trainings", type=int, default=len(TRAININGS), help="how many kinds of training take turns")
    parser.add_argument("--images", type=int, default=1000)
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        harnesses, kills, trainings, differences = {}, 0, 0, []
        while kills < options.kills:
            which = trainings % options.trainings
            if which not in harnesses:
                harnesses[which] = Harness(options, Path(folder), which)
            killed, found = harnesses[which].disturbed(min(options.each, options.kills - kills))
            kills += killed
            trainings += 1
            differences += found
            print(f"{kills} kills in {trainings} trainings, {len(differences)} differences", flush=True)
        resumed = sum(harness.resumed for harness in harnesses.values())
        print(f"{resumed} times a saved state was gone on from")
        for difference in differences:
            print(difference)
        sys.exit(1 if differences or resumed == 0 else 0)


if __name__ == "__main__":
    main()
