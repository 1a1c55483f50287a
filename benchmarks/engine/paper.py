"""On paper: what a sweep of ten million fits would take on machines that nobody here has.

Cores divide the measured time of a fit. For GPUs the operations of a fit, as XLA counts them, are divided
by published peaks times an assumed efficiency; what NumPy does of a fit stays with the host's cores.
"""

from __future__ import annotations

from collections.abc import Iterator

from limit import Operation
from report import Context, duration, figure, table

FITS = 10_000_000
CORES = 1000

# NVIDIA, H100 Tensor Core GPU datasheet, SXM: 67 TFLOPS FP32, 34 TFLOPS FP64, 3.35 TB/s.
PEAK = {32: 67e12, 64: 34e12}
# NVIDIA, DGX H100 datasheet: 8 GPUs beside two processors with 112 cores in all.
HOST_CORES = 14

# Assumptions, nobody's measurements.
TRANSCENDENTAL = {32: 20, 64: 60}  # operations of a logarithm, an exponential or the like
EFFICIENCIES = (0.01, 0.1)  # share of the peak that programs of many small steps reach


def equivalents(operation: Operation) -> float:
    """Operations of one kind in a fit, transcendental ones as several."""
    transcendental = TRANSCENDENTAL[operation.bits] * operation.transcendentals_per_row
    row = operation.flops_per_row + transcendental
    return operation.per_fit * operation.rows * row


def device_seconds(found: list[Operation], efficiency: float) -> float:
    """Seconds of one GPU for a fit."""
    return sum(equivalents(o) / (PEAK[o.bits] * efficiency) for o in found)


def rows(context: Context) -> Iterator[list[str]]:
    measured, found = context.found["laplace-is"], context.found["operations"]
    each = measured.processor_seconds / measured.count
    host = max(0.0, each - sum(o.seconds_per_fit for o in found))
    assumption = "cores as fast as these, nothing shared"
    yield [f"{CORES:,} cores", assumption, "", "", duration(FITS * each / CORES)]
    for gpus in (8, 64):
        on_host = FITS * host / (gpus * HOST_CORES)
        for efficiency in EFFICIENCIES:
            on_device = FITS * device_seconds(found, efficiency) / gpus
            assumption = f"{efficiency:.0%} of peak; {HOST_CORES} host cores to a GPU"
            parts = duration(on_device), duration(on_host), duration(on_device + on_host)
            yield [f"{gpus} H100 GPUs", assumption, *parts]


def lines(context: Context) -> Iterator[str]:
    yield f"### On paper: {FITS:,} `laplace-is` fits of {len(context.runs)} runs\n"
    columns = ["", "hangs on", "densities and Hessians", "NumPy on the host", "in all"]
    yield from table(columns, rows(context))
    yield ""
    found = context.found["operations"]
    for operation in found:
        work, heavy = equivalents(operation), TRANSCENDENTAL[operation.bits]
        here = work / operation.seconds_per_fit
        faster = [figure(PEAK[operation.bits] * e / here, 2) for e in EFFICIENCIES]
        yield (
            f"- {operation.name}: {figure(work / 1e6)} million operations a fit, a "
            f"transcendental counted as {heavy}; a core here does {figure(here / 1e9)} "
            f"billion a second, so the assumptions say that a GPU is as fast as {faster[0]} to "
            f"{faster[1]} of them."
        )
