"""Draws what runs, or images, by the thousand take, as an SVG, from the table in docs/performance.md.

    PYTHONPATH=scripts python3 -m benchmarks.plot runs docs/performance.md docs/growth.svg
    PYTHONPATH=scripts python3 -m benchmarks.plot images docs/performance.md docs/growth-images.svg
"""

from __future__ import annotations

import argparse
import math
import re
from pathlib import Path

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 70, 30, 30, 50
EACH = {"runs": "each run by itself", "images": "each image at the price of the first"}


def seconds(table: str, unit: str) -> dict[int, float]:
    """Seconds from nothing to the scores of so many runs or images, by the first row that measures so many."""
    count_of, rate_of = re.compile(rf"(\d+) {unit}"), re.compile(rf"([\d.,]+) {unit}/s")
    found: dict[int, float] = {}
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if f" {unit} beside " not in line or len(cells) < 4:
            continue
        for name, rate in ((cells[0], cells[1]), (cells[2], cells[3])):
            count, per_second = count_of.search(name), rate_of.match(rate)
            if count and per_second:
                many = int(count[1])
                found.setdefault(many, many / float(per_second[1].replace(",", "")))
    return dict(sorted(found.items()))


def svg(points: dict[int, float], unit: str) -> str:
    """Both axes logarithmic, so that a straight line of slope 1 would be the price of each run alone."""
    first = min(points)
    alone = {many: points[first] * many / first for many in points}
    least_x, most_x = math.log10(first), math.log10(max(points))
    most_y = math.ceil(math.log10(max(alone.values())))

    def at(many: float, time: float) -> tuple[float, float]:
        x = LEFT + (math.log10(many) - least_x) / (most_x - least_x) * (WIDTH - LEFT - RIGHT)
        y = HEIGHT - BOTTOM - math.log10(time) / most_y * (HEIGHT - TOP - BOTTOM)
        return round(x, 1), round(y, 1)

    def line(of: dict[int, float], style: str) -> str:
        places = " ".join("{},{}".format(*at(*point)) for point in of.items())
        return f'<polyline points="{places}" fill="none" {style}/>'

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="13" fill="#333">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
    ]
    for power in range(most_y + 1):
        _, y = at(1, 10**power)
        parts.append(f'<path d="M{LEFT},{y}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{10**power:,} s</text>')
    parts.append(line(alone, 'stroke="#999" stroke-dasharray="5 4"'))
    parts.append(line(points, 'stroke="#1f6feb" stroke-width="2"'))
    for many, time in points.items():
        x, y = at(many, time)
        parts.append(f'<circle cx="{x}" cy="{y}" r="4" fill="#1f6feb"/>')
        # Below: above it is the dashed line.
        parts.append(f'<text x="{x}" y="{y + 20}" text-anchor="middle">{time:.1f} s</text>')
        parts.append(f'<text x="{x}" y="{HEIGHT - 28}" text-anchor="middle">{many:,}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{unit}</text>')
    # Half way up the dashed line.
    half = math.sqrt(first * max(points))
    x, y = at(half, points[first] * half / first)
    parts.append(f'<text x="{x - 10}" y="{y - 12}" text-anchor="end" fill="#777">{EACH[unit]}</text>')
    return "\n".join([*parts, "</svg>", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("unit", choices=EACH)
    parser.add_argument("table", type=Path)
    parser.add_argument("to", type=Path)
    arguments = parser.parse_args()
    points = seconds(arguments.table.read_text(), arguments.unit)
    if len(points) < 2:
        parser.exit(1, f"plot: {arguments.table} has no rows of so many {arguments.unit} beside others\n")
    arguments.to.write_text(svg(points, arguments.unit))


if __name__ == "__main__":
    main()
