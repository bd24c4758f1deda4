"""Draws what runs by the thousand take, as an SVG, from the table in docs/performance.md.

    PYTHONPATH=scripts python3 -m benchmarks.plot docs/performance.md docs/growth.svg
"""

from __future__ import annotations

import argparse
import math
import re
from pathlib import Path

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 70, 30, 30, 50
COUNT = re.compile(r"(\d+) runs")
RATE = re.compile(r"([\d.,]+) runs/s")


def seconds(table: str) -> dict[int, float]:
    """Seconds from nothing to the scores of so many runs, by the first row that measures so many."""
    found: dict[int, float] = {}
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if " runs beside " not in line or len(cells) < 4:
            continue
        for name, rate in ((cells[0], cells[1]), (cells[2], cells[3])):
            count, per_second = COUNT.search(name), RATE.match(rate)
            if count and per_second:
                runs = int(count[1])
                found.setdefault(runs, runs / float(per_second[1].replace(",", "")))
    return dict(sorted(found.items()))


def svg(points: dict[int, float]) -> str:
    """Both axes logarithmic, so that a straight line of slope 1 would be the price of each run alone."""
    first = min(points)
    alone = {runs: points[first] * runs / first for runs in points}
    most_x, most_y = math.log10(max(points)), math.ceil(math.log10(max(alone.values())))

    def at(runs: float, time: float) -> tuple[float, float]:
        x = LEFT + math.log10(runs) / most_x * (WIDTH - LEFT - RIGHT)
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
    for runs, time in points.items():
        x, y = at(runs, time)
        parts.append(f'<circle cx="{x}" cy="{y}" r="4" fill="#1f6feb"/>')
        parts.append(f'<text x="{x}" y="{y - 10}" text-anchor="middle">{time:.1f} s</text>')
        parts.append(f'<text x="{x}" y="{HEIGHT - 28}" text-anchor="middle">{runs:,}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">runs</text>')
    x, y = at(10, alone[first] * 10 / first)
    parts.append(f'<text x="{x + 10}" y="{y + 4}" fill="#777">each run by itself</text>')
    return "\n".join([*parts, "</svg>", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("to", type=Path)
    arguments = parser.parse_args()
    points = seconds(arguments.table.read_text())
    if len(points) < 2:
        parser.exit(1, f"plot: {arguments.table} has no rows of so many runs beside others\n")
    arguments.to.write_text(svg(points))


if __name__ == "__main__":
    main()
