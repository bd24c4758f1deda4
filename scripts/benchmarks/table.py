"""The samples as markdown. A ratio above 1 means that ours is faster, or takes less memory."""

from __future__ import annotations

from benchmarks.rows import Row
from benchmarks.samples import Record, Sample, Spread

HEAD = (
    "| what | ours | peer | theirs | ratio | by processor time | to reach |",
    "| --- | ---: | --- | ---: | ---: | ---: | --- |",
)


def table(rows: list[Row], record: Record) -> str:
    """Every row with what was measured of it; those without a sample are left out."""
    lines = list(HEAD)
    for row in rows:
        ours = record.of(row.name, row.ours.name)
        if not ours:
            continue
        theirs = [(peer.name, record.of(row.name, peer.name)) for peer in row.peers]
        theirs = [(name, samples) for name, samples in theirs if samples]
        for name, samples in theirs or [("", [])]:
            lines.append(line(row, ours, name, samples))
    return "\n".join(lines)


def line(row: Row, ours: list[Sample], name: str, theirs: list[Sample]) -> str:
    cells = [row.name, rates(ours, row.unit), name, rates(theirs, row.unit)]
    cells.append(ratio([s.rate for s in ours], [s.rate for s in theirs]))
    cells.append(ratio(processor_rates(ours), processor_rates(theirs)))
    cells.append(row.to_reach)
    return f"| {' | '.join(cells)} |"


def rates(samples: list[Sample], unit: str) -> str:
    """The median and the range of the rates, and the most memory that was taken."""
    if not samples:
        return ""
    spread = Spread.of([sample.rate for sample in samples])
    peaks = [sample.peak_bytes for sample in samples if sample.peak_bytes]
    peak = f", {max(peaks) / 2**30:.2f} GiB" if peaks else ""
    low, high = number(spread.least), number(spread.most)
    return f"{number(spread.median)} {unit}/s ({low} - {high}){peak}"


def ratio(ours: list[float], theirs: list[float]) -> str:
    if not ours or not theirs:
        return ""
    return f"{Spread.of(ours).median / Spread.of(theirs).median:.2f}"


def processor_rates(samples: list[Sample]) -> list[float]:
    return [rate for sample in samples if (rate := sample.processor_rate) is not None]


def number(value: float) -> str:
    """Three digits, and no more than are there."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
