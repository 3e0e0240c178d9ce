"""How many threads of a kernel fit on a multiprocessor, by registers, shared memory and block size."""

import dataclasses

# By compute capability: "Technical Specifications per Compute Capability" in NVIDIA's CUDA C++ Programming Guide 13.


@dataclasses.dataclass(frozen=True)
class Limits:
    """Of a multiprocessor."""

    threads: int
    blocks: int
    shared: int  # bytes
    reserved: int  # bytes of shared memory that CUDA takes for each block
    shared_unit: int = 128  # bytes in which it is given


KIB = 1024
LIMITS = {
    75: Limits(threads=1024, blocks=16, shared=64 * KIB, reserved=0, shared_unit=256),
    80: Limits(threads=2048, blocks=32, shared=164 * KIB, reserved=KIB),
    86: Limits(threads=1536, blocks=16, shared=100 * KIB, reserved=KIB),
    89: Limits(threads=1536, blocks=24, shared=100 * KIB, reserved=KIB),
    90: Limits(threads=2048, blocks=32, shared=228 * KIB, reserved=KIB),
    100: Limits(threads=2048, blocks=32, shared=228 * KIB, reserved=KIB),
    103: Limits(threads=2048, blocks=32, shared=228 * KIB, reserved=KIB),
    110: Limits(threads=1536, blocks=24, shared=228 * KIB, reserved=KIB),
    120: Limits(threads=1536, blocks=24, shared=100 * KIB, reserved=KIB),
    121: Limits(threads=1536, blocks=24, shared=100 * KIB, reserved=KIB),
}
WARP = 32
REGISTERS = 64 * KIB  # of a multiprocessor, on all of them
REGISTER_UNIT = 256  # in which a warp is given them
SCHEDULERS = 4  # which share the registers


def round_up(value, unit):
    return -(-value // unit) * unit


def own_shared(shared, architecture):
    """What ptxas reports, less the reserved part: from sm_100 on it is in the report of kernels that have any."""
    reserved = LIMITS[architecture].reserved
    return shared - reserved if architecture >= 100 and shared >= reserved else shared


def occupancy(registers, shared, block, architecture):
    """Resident threads in percent of what a multiprocessor can hold. `shared` is without the reserved part."""
    limits = LIMITS[architecture]
    warps = round_up(block, WARP) // WARP
    per_warp = round_up(registers * WARP, REGISTER_UNIT)
    by_registers = REGISTERS // SCHEDULERS // per_warp * SCHEDULERS // warps
    by_shared = limits.shared // max(round_up(shared + limits.reserved, limits.shared_unit), 1)
    blocks = min(limits.blocks, limits.threads // (warps * WARP), by_registers, by_shared)
    return 100 * blocks * warps * WARP // limits.threads
