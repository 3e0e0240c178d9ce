"""Fails if a file includes a header of a room that is not below its own."""

import re
import sys
from pathlib import Path

# From the lowest floor up. A room is a folder, or a single header that stands above its folder.
FLOORS = [
    ["engine/core"],
    ["engine/parallel"],
    ["engine/model", "engine/data"],
    ["kernels"],
    ["engine/backend"],
    ["engine/backend/cuda/dnn"],
    ["engine/backend/reference", "engine/backend/cpu", "engine/backend/cuda"],
    ["engine/backend/registry"],
    ["engine/train", "engine/io"],
    ["include/convoy/convoy"],
    ["apps"],
]
# The headers of include/convoy/ belong to rooms, too.
PUBLIC = {
    "engine/core": ["dtype", "error", "host_tensor", "metrics", "muon", "optimizer_options", "preparation", "schedule", "shape",
        "snapshot", "version"],
    "engine/model": ["builtin", "fold", "layers", "model", "model_file", "state"],
    "engine/data": ["augmentation", "catalog", "dataset", "fetch"],
    "engine/parallel": ["process_group"],
    "engine/backend": ["device"],
    "engine/train": ["batch_trainer", "evaluation", "inference", "profile", "trainer"],
    "engine/io": ["checkpoint", "onnx", "safetensors"],
    "include/convoy/convoy": ["convoy"],
}
INCLUDE = re.compile(r'^\s*#include ["<]([^">]+)[">]', re.MULTILINE)


def place_of(path: str) -> tuple[str, int] | None:
    """The room and floor of a file, given its path from the root; None outside the house."""
    stem = path.rsplit(".", 1)[0]
    if stem.removeprefix("include/").startswith("convoy/"):
        name = stem.rsplit("/", 1)[1]
        stem = path = next((room for room, names in PUBLIC.items() if name in names), "")
    matches = [
        (room, floor)
        for floor, rooms in enumerate(FLOORS)
        for room in rooms
        if stem == room or path.startswith(room + "/")
    ]
    return max(matches, key=lambda match: len(match[0]), default=None)


def violations(root: Path) -> list[str]:
    found = []
    for folder in ("include", "engine", "kernels", "apps"):
        for file in sorted((root / folder).rglob("*")):
            path = file.relative_to(root).as_posix()
            if file.suffix not in {".h", ".cpp", ".cu"}:
                continue
            here = place_of(path)
            if here is None:
                found.append(f"{path} is in no room")
                continue
            for header in INCLUDE.findall(file.read_text()):
                there = place_of(header)
                if there and there[0] != here[0] and there[1] >= here[1]:
                    found.append(f"{path} includes {header}, which is not below it")
    return found


if __name__ == "__main__":
    broken = violations(Path(sys.argv[1]))
    print("\n".join(broken) or "every include points down")
    sys.exit(bool(broken))
