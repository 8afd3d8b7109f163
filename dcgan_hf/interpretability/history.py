# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
History of a run, from its log: logged values, diagnosed problems, and a figure of both that shows early signs of a
collapse. Includes gradients, weights and activations if the run used `--diagnostics_steps`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..model_folder import ARGUMENTS_FILE, LOG_FILE, RESULTS_FILE, read_json
from ..training.diagnostics import QUANTILES
from ..training.failures import diagnose
from ..training.losses import LOSSES
from ..training.trackers import read_log


if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Series(NamedTuple):
    """
    Logged values of one statistic.

    Args:
        steps (`np.ndarray` of shape `(length,)`):
            Number of updates completed at each value.
        values (`np.ndarray` of shape `(length,)`):
            The values.
    """

    steps: np.ndarray
    values: np.ndarray


class Trouble(NamedTuple):
    """
    Interval of a run with a diagnosed problem.

    Args:
        start (`int`):
            Step of the first log entry with the problem.
        end (`int`):
            Step of the first log entry without it, or of the last entry.
        diagnosis (`str`):
            Diagnosis from [`diagnose`].
    """

    start: int
    end: int
    diagnosis: str


@dataclass
class TrainingHistory:
    r"""
    Logged values and diagnosed problems of a run.

    Args:
        series (`dict[str, Series]`):
            All logged values by name: "generator_loss", "diagnostics/generator/gradient_norm", ...
        troubles (`list[Trouble]`):
            Diagnosed problems, in chronological order.
    """

    series: dict[str, Series]
    troubles: list[Trouble]

    def layers(self, name: str) -> dict[str, Series]:
        """Returns the values under `name`, such as "diagnostics/generator/spectral_norm", by layer."""
        start = f"{name}/"
        return {key.removeprefix(start): series for key, series in self.series.items() if key.startswith(start)}


def load_history(folder: str | Path) -> TrainingHistory:
    r"""
    Reads the log of a run, which may still be in progress.

    Args:
        folder (`str` or `Path`):
            `output_dir` of the run.

    Raises:
        ValueError: if the folder has no log, or an empty one.
    """
    log = Path(folder) / LOG_FILE
    entries = read_log(log)
    if not entries:
        raise ValueError(f"`folder={folder}` must be the `output_dir` of a run, with a non-empty `{LOG_FILE}`.")
    points: dict[str, list[tuple[int, float]]] = {}
    for entry in entries:
        for name in entry.keys() - {"step"}:
            points.setdefault(name, []).append((entry["step"], entry[name]))
    # In log order, which is the order of the layers.
    names = dict.fromkeys(name for entry in entries for name in entry if name != "step")
    series = {name: Series(*(np.array(column) for column in zip(*points[name]))) for name in names}

    # Of a custom loss it is not known where it ends.
    is_custom = "loss" in read_json(Path(folder) / RESULTS_FILE).get("own_parts", ())
    loss: Any = read_json(Path(folder) / ARGUMENTS_FILE).get("loss")
    if not is_custom and loss not in list(LOSSES):
        raise ValueError(f"{Path(folder) / ARGUMENTS_FILE} must name the `loss` of the run, got {loss!r}.")
    is_saturating = not is_custom and LOSSES[loss].is_saturating
    updates = [entry for entry in entries if "discriminator_loss" in entry]
    said = [diagnose(entry, entry["step"], is_saturating) for entry in updates]
    troubles = []
    for diagnosis, group in groupby(range(len(updates)), lambda i: said[i]):
        indices = list(group)
        after = min(indices[-1] + 1, len(updates) - 1)
        if diagnosis is not None:
            troubles.append(Trouble(updates[indices[0]]["step"], updates[after]["step"], diagnosis))
    return TrainingHistory(series, troubles)


# Okabe and Ito's palette, which colour-blind readers can distinguish.
_COLORS = {
    "generator": "#D55E00",
    "discriminator": "#0072B2",
    "generated": "#D55E00",
    "real": "#0072B2",
    "Fréchet distance": "#009E73",
}
_TROUBLE_COLORS = ("#CC79A7", "#E69F00", "#999999")
_MOST_POINTS = 200  # per line; each is the mean of the values it stands for
_OF_LAYERS = {
    "gradient_norm": "gradient norm",
    "spectral_norm": "largest singular value",
    "stable_rank": "stable rank",
    "activation_std": "standard deviation of activations",
    "dead_units": "fraction of dead units",
}


class _Panel(NamedTuple):
    title: str
    lines: dict[str, Series]
    colors: dict[str, Any] = _COLORS
    bands: Sequence[tuple[str, Series, Series]] = ()
    starts_at_zero: bool = False


def draw_history(history: TrainingHistory) -> "Figure":
    r"""
    Draws a run over its updates: losses, logits, diversity and quality of the images and, per layer, gradients,
    weights, activations and dead units. Panels without logged values are omitted. Intervals with a problem are shaded
    in all panels, and a legend names the problem.

    Args:
        history ([`TrainingHistory`]):
            History from [`load_history`].

    Returns:
        `matplotlib.figure.Figure`: 9 inches wide. Save it with `figure.savefig(path)`.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    panels = _panels_of_the_run(history)
    panels += [None] * (len(panels) % 2)
    panels += _panels_of_layers(history)
    num_rows = len(panels) // 2
    figure = Figure(figsize=(9, 0.5 + 2.2 * num_rows), layout="constrained")
    axes = figure.subplots(num_rows, 2, squeeze=False).flatten()
    diagnoses = list(dict.fromkeys(trouble.diagnosis for trouble in history.troubles))
    for panel, axis in zip(panels, axes):
        if panel is None:
            axis.set_axis_off()
            continue
        _draw_panel(panel, axis)
        axis.set_xlim(0, max(series.steps[-1] for series in history.series.values()))
        for diagnosis, color in zip(diagnoses, _TROUBLE_COLORS):
            spans = [(start, end - start) for start, end, said in history.troubles if said == diagnosis]
            # The outline keeps a problem of a single log entry visible.
            options = {"color": color, "alpha": 0.25, "linewidth": 0.5, "zorder": 0}
            axis.broken_barh(spans, (0, 1), transform=axis.get_xaxis_transform(), **options)
    for axis in axes[-2:]:
        axis.set_xlabel("updates", fontsize=9)
    starts = [next(start for start, _, said in history.troubles if said == diagnosis) for diagnosis in diagnoses]
    figure.legend(
        [Patch(color=color, alpha=0.4) for color in _TROUBLE_COLORS[: len(diagnoses)]],
        [f"from update {start:,}: {said.split(':')[0]}" for start, said in zip(starts, diagnoses)],
        loc="outside upper left",
        frameon=False,
        fontsize=9,
    )
    return figure


def _panels_of_the_run(history: TrainingHistory) -> list[_Panel | None]:
    series = history.series

    def find(**names: str) -> dict[str, Series]:
        return {label: series[name] for label, name in names.items() if name in series}

    logits = _Panel("Logits: mean", find(real="real_logits", generated="fake_logits"))
    if "diagnostics/real_logits/q50" in series:
        quantiles = {
            label: [series[f"diagnostics/{name}_logits/q{percent:02d}"] for percent in QUANTILES]
            for label, name in (("real", "real"), ("generated", "fake"))
        }
        logits = _Panel(
            "Logits: median, middle 50 % and 90 % of the images",
            {label: values[2] for label, values in quantiles.items()},
            bands=[(label, values[i], values[4 - i]) for label, values in quantiles.items() for i in (0, 1)],
        )
    panels = [
        _Panel("Losses", find(generator="generator_loss", discriminator="discriminator_loss")),
        logits,
        _Panel("Diversity, relative to real images", find(generated="diversity"), starts_at_zero=True),
        _Panel("Distance to real images", find(**{"Fréchet distance": "eval_frechet_distance"}), starts_at_zero=True),
    ]
    return [panel for panel in panels if panel.lines]


def _panels_of_layers(history: TrainingHistory) -> list[_Panel]:
    from matplotlib import colormaps

    panels = []
    for statistic, title in _OF_LAYERS.items():
        for network in ("generator", "discriminator"):
            name = f"diagnostics/{network}/{statistic}"
            lines = history.layers(name)
            if not lines:
                continue
            # The other statistics omit layers without an activation function.
            layers = list(history.layers(f"diagnostics/{network}/spectral_norm"))
            colors = dict(zip(layers, colormaps["viridis"](np.linspace(0, 0.9, len(layers)))))
            if name in history.series:
                lines["all"], colors["all"] = history.series[name], "black"
            panels.append(_Panel(f"{network.capitalize()}: {title}", lines, colors, (), statistic == "dead_units"))
    return panels


def _draw_panel(panel: _Panel, axis: "Axes") -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    for label, lower, upper in panel.bands:
        steps, low = _thin(lower)
        axis.fill_between(steps, low, _thin(upper)[1], color=panel.colors[label], alpha=0.2, linewidth=0)
    for label, line in panel.lines.items():
        axis.plot(*_thin(line), color=panel.colors[label], linewidth=1.2, label=label.removesuffix(".convolution"))
    low, high = axis.dataLim.intervaly
    if panel.starts_at_zero:
        axis.set_ylim(-0.02 * max(high, 0.1), 1.05 * max(high, 0.1))
    elif 0 < 10 * low < high:
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_locator(NullLocator())
    # Between title and plot, where it hides no lines.
    num_columns = 6
    axis.legend(
        fontsize=7.5,
        frameon=False,
        ncols=num_columns,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        borderpad=0,
        borderaxespad=0.2,
        handlelength=1,
        handletextpad=0.4,
        columnspacing=1,
    )
    axis.set_title(panel.title, fontsize=9, loc="left", pad=5 + 11 * math.ceil(len(panel.lines) / num_columns))
    axis.tick_params(labelsize=8)
    axis.grid(alpha=0.3, linewidth=0.5)
    axis.spines[["top", "right"]].set_visible(False)


def _thin(series: Series) -> tuple[np.ndarray, np.ndarray]:
    finite = np.isfinite(series.values)
    parts = min(_MOST_POINTS, finite.sum())
    steps, values = (
        np.array([part.mean() for part in np.array_split(column[finite], parts)]) if parts else column[:0]
        for column in series
    )
    return steps, values
