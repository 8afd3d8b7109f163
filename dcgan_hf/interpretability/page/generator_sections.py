# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""Sections of an explanation page on the generator."""

from typing import Any

import numpy as np
import PIL.Image
import torch
from torch import nn

from ...evaluation.images import features_of
from ...evaluation.metrics import frechet_distance
from ...evaluation.neighbors import nearest_neighbors
from ...pictures import comparison_grid, image_grid, to_pil
from ..attributes import describe_attributes
from ..inversion import SearchArguments, invert
from ..latent_space import (
    Directions,
    factorized_directions,
    interpolate,
    mean_difference,
    principal_directions,
    set_coordinate,
)
from ..samples import Subject
from ..units import ablation_effect, label_log_odds, most_effective_units, remaining_difference, switched_off
from .html import Picture, Section


_COLUMNS = 8
_FRAMES = 12  # of an animation, from one sample to the next
_NUM_DIRECTIONS = 5
_DISTANCES = [-6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0]
_NUM_UNITS = 20
# 1 leads to the mean of the samples with a label, which is too little for many samples.
_STRENGTH = 2
_NUM_CHANGED = 500
_RECOVERED = 30.0  # PSNR in dB from which an image counts as recovered
_NEAR_ENOUGH = 35.0  # PSNR in dB at which a search stops


def samples_section(subject: Subject) -> Section:
    """Shows samples, and the effect of truncation."""
    rows = {}
    for truncation in (None, 1.0, 0.5):
        latents = subject.pipe.prepare_latents(_COLUMNS, torch.Generator().manual_seed(1), truncation=truncation).cpu()
        rows["not truncated" if truncation is None else f"to {truncation:g}"] = to_pil(subject.draw(latents))
    spreads = {
        name: float(np.stack([np.asarray(image, np.float64) for image in images]).std(0).mean() / 255)
        for name, images in rows.items()
    }
    return Section(
        "Random samples, not cherry-picked. Below, the latents are truncated: a smaller bound gives more typical and"
        " less varied images.",
        [
            Picture.of_image(
                image_grid(to_pil(subject.images[:32]), _COLUMNS), "32 generated images", "The first 32 samples."
            ),
            Picture.of_image(
                comparison_grid(rows),
                "The same latents, increasingly truncated",
                "The same latents, increasingly truncated.",
            ),
        ],
        numbers={"spread of a pixel over the images, by truncation": spreads},
    )


def walk_frames(subject: Subject, num_images: int) -> list[PIL.Image.Image]:
    """Returns a loop through the first samples. A class-conditional model keeps the class of the first sample."""
    stops = [*subject.latents[:num_images], subject.latents[0]]
    path = torch.cat([interpolate(start, end, _FRAMES + 1)[:-1] for start, end in zip(stops, stops[1:])])
    return to_pil(subject.draw(path, subject.labels_of(0, 1)))


def walks_section(subject: Subject) -> Section:
    """Shows interpolations between two samples, and the training images nearest to them."""
    start, end = subject.latents[:2]
    labels = subject.labels_of(0, 1)
    paths = {method: interpolate(start, end, _COLUMNS, method) for method in ("spherical", "linear")}
    images = {method: subject.draw(path, labels) for method, path in paths.items()}
    rows = {method: to_pil(drawn) for method, drawn in images.items()}
    numbers = {}
    text = (
        "Interpolations between two samples. Spherical interpolation keeps the usual norm of the latents; linear"
        " interpolation passes near the origin, where images are more typical. Abrupt changes or copies of training"
        " images would indicate that the generator has memorised them."
    )
    if subject.real_images is not None:
        if subject.network is None:
            real, fake = (values.flatten(1).numpy() / 255 for values in (subject.real_images, images["spherical"]))
        else:
            real, fake = (
                features_of(subject.network, values).features for values in (subject.real_images, images["spherical"])
            )
        indices, distances = nearest_neighbors(fake, real)
        usual = np.median(nearest_neighbors(real[:1000], real, 2)[1][:, 1])
        rows["nearest real"] = to_pil(subject.real_images[indices[:, 0]])
        numbers = {
            "distance to the nearest real image along the way": distances[:, 0].tolist(),
            "median distance between a real image and the nearest other one": float(usual),
        }
        text += (
            f" The row below the spherical interpolation shows the nearest of {len(real):,} training images, by"
            f" distance in {'pixel space' if subject.network is None else 'the feature space of the classifier'}. The"
            f" mean distance is {distances.mean() / usual:.1f} times the median distance between a training image and"
            " the nearest other one."
        )
        rows = {name: rows[name] for name in ("spherical", "nearest real", "linear")}
    frames = walk_frames(subject, 5)
    return Section(
        text,
        [
            Picture.of_image(
                comparison_grid(rows), "Interpolations between two samples", "From the first sample to the second."
            ),
            Picture.of_frames(frames, "Animated walk through five samples", "Through five samples and back."),
        ],
        numbers=numbers,
    )


def find_directions(subject: Subject) -> Directions:
    """Finds directions in latent space: some without labels, and one for each label to explain."""
    generator = subject.pipe.generator
    class_label = None if subject.class_labels is None else subject.class_labels[0]
    number = min(_NUM_DIRECTIONS, generator.config.latent_dim)
    factors = factorized_directions(generator, number)
    components = principal_directions(generator, number, class_label=class_label)
    vectors = [factors.vectors, components.vectors, *(subject.boundary(name)[None] for name in subject.labels)]
    return Directions(torch.cat(vectors), [*factors.names, *components.names, *subject.labels])


def directions_section(subject: Subject, directions: Directions) -> Section:
    """Shows samples moved along the directions of [`find_directions`]."""
    explained = subject.labels
    unlabelled = [name for name in directions.names if name not in explained]
    factors, components = unlabelled[: len(unlabelled) // 2], unlabelled[len(unlabelled) // 2 :]
    columns, rows, numbers = [], [], {}
    if subject.attributes is not None and explained:
        columns = ["direction", "label", "rank correlation"]
        for name, vector in zip(directions.names, directions.vectors):
            correlations = {label: subject.rank_correlation(vector, label) for label in subject.attributes.names}
            best = name if name in explained else max(correlations, key=lambda label: abs(correlations[label]))
            rows.append([name, best, f"{correlations[best]:+.2f}"])
            numbers[name] = correlations

    def strips(chosen: list[str]) -> PIL.Image.Image:
        start = subject.latents[:1]
        return comparison_grid(
            {
                name: to_pil(subject.draw(directions.move(start, name, _DISTANCES)[0], subject.labels_of(0, 1)))
                for name in chosen
            }
        )

    distances = ", ".join(f"{distance:g}" for distance in _DISTANCES)
    pictures = [
        Picture.of_image(
            strips(found), f"One sample moved along the directions {', '.join(found)}", f"{caption} {distances}."
        )
        for found, caption in (
            (factors, "Closed-form factors (SeFa), moved by"),
            (components, "Principal components of the first feature map (GANSpace), moved by"),
            (explained, "Across the boundary between samples without and with a label (InterFaceGAN), moved by"),
        )
        if found
    ]
    text = (
        "The first sample, moved along directions in latent space. Factors and components are found without labels:"
        " they are the directions that change the first layer most."
    )
    if explained:
        text += (
            " The others lead from samples without a label of the classifier to samples with it. They are fitted to"
            f" half of the {len(subject.latents):,} samples; the rank correlation with the label's probability is"
            " measured on the other half. Factors and components are listed with the label that they correlate with"
            " most."
        )
    return Section(text, pictures, columns, rows, {"rank correlations": numbers})


def arithmetic_section(subject: Subject) -> Section:
    """Shows samples to which vector arithmetic in latent space adds a label (section 6.3.2 of the paper)."""
    assert subject.attributes is not None and subject.network is not None
    attributes = subject.attributes
    present = torch.from_numpy(np.stack([attributes.has(label) for label in attributes.names], axis=1))
    columns = ["added label", "success rate", "kept"] if attributes.is_multi_label else ["added label", "success rate"]
    rows, pictures, numbers = [], [], {}
    for name in subject.labels:
        group = attributes.group_of(name)
        has = present[:, attributes.names.index(name)]
        held_equal = [attributes.group_of(label) != group for label in attributes.names]
        others = torch.nonzero(~has).flatten()[:_NUM_CHANGED]
        difference = mean_difference(subject.latents, has, present[:, torch.tensor(held_equal)])
        coordinate = float((subject.latents[has] @ nn.functional.normalize(difference, dim=0)).mean())
        moved = set_coordinate(subject.latents[others], difference, _STRENGTH * coordinate)
        images = subject.draw(moved, subject.classes_of(others))
        after = describe_attributes(subject.network, images)
        kept = {}
        for other in attributes.groups:
            seen = attributes.is_seen(other)[others]
            if other != group and seen.any():
                same = after.value(other) == attributes.value(other)[others]
                kept[other] = float(same[seen].mean())
        added = float(after.has(name).mean())
        numbers[name] = {"added": added, "kept": kept}
        row = [name, f"{added:.0%}", ", ".join(f"{other} {share:.0%}" for other, share in kept.items())]
        rows.append(row[: len(columns)])
        pictures.append(
            Picture.of_image(
                comparison_grid(
                    {"before": to_pil(subject.images[others[:_COLUMNS]]), "after": to_pil(images[:_COLUMNS])}
                ),
                f"Images before and after adding {name}",
                f"Added: {name}.",
            )
        )
    return Section(
        "The mean latent of samples with a label minus that of samples without it, with other attributes held equal,"
        f" is a direction. Up to {_NUM_CHANGED} samples without the label are moved along it, {_STRENGTH} times as far"
        " as the mean of samples with it. The table lists the share that then has the label, and the shares that keep"
        " their other attributes (of the samples on which the classifier detects an attribute of that kind).",
        pictures,
        columns,
        rows,
        numbers,
    )


def inversion_section(subject: Subject, num_images: int = 64, num_steps: int = 1000) -> Section:
    """Shows reconstructions of generated images, which have an exact latent, and of real images."""
    labels: Any = subject.labels_of(0, num_images)
    own = invert(
        subject.pipe,
        subject.images[:num_images].float() / 255,
        class_labels=labels,
        search=SearchArguments(num_steps=num_steps, target_psnr=_NEAR_ENOUGH),
        generator=torch.Generator().manual_seed(0),
    )
    recovered = float((own.psnr >= _RECOVERED).float().mean())
    numbers = {
        "PSNR of generated images (dB)": own.psnr.tolist(),
        "share of generated images recovered": recovered,
    }
    given = {"target": to_pil(subject.images[:_COLUMNS]), "found": to_pil(subject.draw(own.latents[:_COLUMNS]))}
    pictures = [
        Picture.of_image(comparison_grid(given), "Generated images and their reconstructions", "Generated images.")
    ]
    text = (
        f"Latents found for given images by gradient descent. Of {num_images} generated images, {recovered:.0%} are"
        f" recovered (PSNR of at least {_RECOVERED:g} dB; a search stops at {_NEAR_ENOUGH:g} dB)."
    )
    if subject.real_images is not None and subject.class_labels is None:
        real = subject.real_images[:_COLUMNS]
        search = SearchArguments(num_steps=num_steps)
        start = torch.Generator().manual_seed(0)
        found = invert(subject.pipe, real.float() / 255, search=search, generator=start)
        numbers["PSNR of real images (dB)"] = found.psnr.tolist()
        text += (
            " Real images have no exact latent: the closest images found have a PSNR of"
            f" {found.psnr.quantile(0.5):.0f} dB (median)."
        )
        pictures.append(
            Picture.of_image(
                comparison_grid({"target": to_pil(real), "found": to_pil(subject.draw(found.latents))}),
                "Real images and the closest generated images found",
                "Real images.",
            )
        )
    return Section(text, pictures, numbers=numbers)


def units_section(subject: Subject, num_layers: int = 2, num_latents: int = 100) -> Section:
    """Shows samples with the units that matter most for a label switched off, in the layers where they are local."""
    assert subject.attributes is not None and subject.network is not None
    attributes = subject.attributes
    before = np.stack([attributes.has(name) for name in attributes.names], axis=1)
    features = features_of(subject.network, subject.images).features
    rows, pictures = [], []
    numbers: dict[str, Any] = {name: {} for name in subject.labels}
    for name in subject.labels:
        column = attributes.names.index(name)
        chosen = torch.from_numpy(np.flatnonzero(before[:, column])[:num_latents])
        shown = {"all units": to_pil(subject.images[chosen[:_COLUMNS]])}
        for layer, width in enumerate(subject.pipe.generator.config.hidden_sizes[:num_layers]):
            number = min(_NUM_UNITS, width // 2)
            score = label_log_odds(subject.network, name)
            units = most_effective_units(
                subject.pipe, subject.latents[chosen], layer, score, number, subject.classes_of(chosen)
            )
            random_units = torch.randperm(width, generator=torch.Generator().manual_seed(0))[:number]
            images = _without(subject, layer, units)
            effect, of_random = (
                ablation_effect(before, np.stack([described.has(label) for label in attributes.names], axis=1))
                for described in (
                    describe_attributes(subject.network, drawn)
                    for drawn in (images, _without(subject, layer, random_units))
                )
            )
            shown[f"without, map {layer + 1}"] = to_pil(images[chosen[:_COLUMNS]])
            left = remaining_difference(subject.images, images, before[:, column])
            distance = frechet_distance(features, features_of(subject.network, images).features)
            numbers[name][f"map {layer + 1}"] = {
                "units": units.tolist(),
                "before": float(effect.before[column]),
                "after": float(effect.after[column]),
                "after switching off random units": float(of_random.after[column]),
                "difference left, in pixels": left,
                "others kept": {
                    label: float(kept) for label, kept in zip(attributes.names, effect.kept) if label != name
                },
                "Frechet distance from the samples": float(distance),
            }
            rows.append(
                [
                    name,
                    f"{number} of {width} in map {layer + 1}",
                    f"{effect.before[column]:.1%}",
                    f"{effect.after[column]:.1%}",
                    f"{of_random.after[column]:.1%}",
                    f"{left:.0%}",
                    f"{np.nanmedian(np.delete(effect.kept, column)):.0%}",
                    f"{distance:.1f}",
                ]
            )
        pictures.append(
            Picture.of_image(
                comparison_grid(shown),
                f"Images with {name} before and after switching off units",
                f"{name}: with all units, and without the units of a feature map that matter most for this label.",
            )
        )
    return Section(
        f"Up to {_NUM_UNITS} units of a feature map are switched off: those on which the classifier's confidence in a"
        " label depends most or, for comparison, as many random ones. The table lists the share of samples with the"
        " label, the pixel difference left between the mean images with and without it (independent of the"
        " classifier), the share that keep their other labels, and the Frechet distance from the unchanged samples.",
        pictures,
        [
            "label",
            "units",
            "all units",
            "without these",
            "without random ones",
            "difference left",
            "keep other labels",
            "Frechet distance",
        ],
        rows,
        numbers,
    )


def _without(subject: Subject, layer: int, units: torch.Tensor) -> torch.Tensor:
    with switched_off(subject.pipe.generator, layer, units):
        return subject.draw(subject.latents)
