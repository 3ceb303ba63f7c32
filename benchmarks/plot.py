"""The times of a step as an SVG, microseconds on a log scale, legible on light and on dark pages."""

import math
import statistics

from backprop.cli.bench import CASES

COLOURS = {  # of Okabe and Ito's palette, which the colour-blind can tell apart
    "backprop": "#d55e00",
    "JAX": "#0072b2",
    "NumPy": "#009e73",
    "PyTorch": "#cc79a7",
    "scikit-learn": "#56b4e9",
}
WIDTH, LEFT, RIGHT, TOP, ROW = 860, 250, 24, 72, 40
STYLE = """\
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .small { font-size: 11px; fill: #57606a }
  .grid { stroke: #d0d7de } .span { stroke: #8c959f; stroke-width: 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small { fill: #9198a1 }
    .grid { stroke: #30363d } .span { stroke: #6e7681 }
  }"""


def render(training):
    """The SVG's text; `training` is {network: {"seconds": {library: times}}}."""
    rows = [
        (case, {name: statistics.median(training[case.name]["seconds"][name]) for name in COLOURS})
        for case in CASES
        if case.name in training
    ]
    every = [1e6 * time for _, times in rows for time in times.values()]
    low, high = math.floor(math.log10(min(every))), math.ceil(math.log10(max(every)))

    def place(microseconds):
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(microseconds) - low) / (high - low)

    bottom = TOP + ROW * len(rows)
    parts = []
    for power in range(low, high + 1):
        x = place(10.0**power)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 8}" y2="{bottom}"/>')
        parts.append(_text(x, bottom + 16, _label(power), "middle", "small"))
    x = LEFT
    for name, colour in COLOURS.items():
        parts.append(f'<circle cx="{x}" cy="{TOP - 28}" r="6" fill="{colour}"/>')
        parts.append(_text(x + 11, TOP - 24, name, "start"))
        x += 36 + 8 * len(name)
    for i, (case, times) in enumerate(rows):
        y = TOP + ROW * i + ROW / 2
        at = {name: place(1e6 * time) for name, time in times.items()}
        parts.append(_text(LEFT - 14, y - 1, case.name, "end"))
        parts.append(_text(LEFT - 14, y + 13, f"batch {case.batch}", "end", "small"))
        span = f'x1="{min(at.values()):.1f}" x2="{max(at.values()):.1f}"'
        parts.append(f'<line class="span" {span} y1="{y}" y2="{y}"/>')
        for name in reversed(COLOURS):  # ours last, on top
            parts.append(f'<circle cx="{at[name]:.1f}" cy="{y}" r="6" fill="{COLOURS[name]}"/>')
    height = bottom + 30
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img">\n<title>Time of a training step, by network and library</title>\n'
        f"<style>\n{STYLE}\n</style>\n"
        + _text(14, 22, "Time of a training step, one thread, float32 (log scale; left is faster)", "start")
        + "\n"
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _label(power):
    if power < 0:
        return f"{10 ** (power + 3):g} ns"
    return f"{10**power:g} µs" if power < 3 else f"{10 ** (power - 3):g} ms"


def _text(x, y, text, anchor, style=""):
    kind = f' class="{style}"' if style else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{kind}>{text}</text>'
