# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""The parts of a report that tell what a generator knows."""

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
_FRAMES = 12  # of a walk, from one image to the next
_NUM_DIRECTIONS = 5
_DISTANCES = [-6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0]
_NUM_UNITS = 20
_NUM_LAYERS = 2  # later ones draw everything, so that nothing is left alone
# Once leads to the mean of those with it, so not far enough for many.
_STRENGTH = 2
_NUM_CHANGED = 500
_NUM_LATENTS_FOR_UNITS = 100
_RECOVERED = 30.0  # dB of PSNR, from which on an image is taken for the same
_NEAR_ENOUGH = 35.0  # dB, from which on the search does not go on


def samples_section(subject: Subject) -> Section:
    """Samples, and how truncation of the latents changes them."""
    rows = {}
    for truncation in (None, 1.0, 0.5):
        latents = subject.pipe.prepare_latents(_COLUMNS, torch.Generator().manual_seed(1), truncation=truncation).cpu()
        rows["not truncated" if truncation is None else f"to {truncation:g}"] = to_pil(subject.draw(latents))
    spreads = {
        name: float(np.stack([np.asarray(image, np.float64) for image in images]).std(0).mean() / 255)
        for name, images in rows.items()
    }
    return Section(
        "Samples",
        "Images of random latents, not chosen. Below, latents are truncated: smaller bounds give more typical and less"
        " varied images.",
        [
            Picture.of_image(
                image_grid(to_pil(subject.images[:32]), _COLUMNS), "32 generated images", "The first 32 samples."
            ),
            Picture.of_image(
                comparison_grid(rows), "The same latents, truncated more and more", "The same latents, truncated."
            ),
        ],
        numbers={"spread of a pixel over the images, by truncation": spreads},
    )


def walk_frames(subject: Subject, num_images: int) -> list[PIL.Image.Image]:
    """A round trip through the first samples, for a film. A class-conditional model stays in the first one's class."""
    stops = [*subject.latents[:num_images], subject.latents[0]]
    path = torch.cat([interpolate(start, end, _FRAMES + 1)[:-1] for start, end in zip(stops, stops[1:])])
    return to_pil(subject.draw(path, subject.labels_of(0, 1)))


def walks_section(subject: Subject) -> Section:
    """Ways between samples, and the training images that are nearest to what lies on them."""
    start, end = subject.latents[:2]
    labels = subject.labels_of(0, 1)
    paths = {method: interpolate(start, end, _COLUMNS, method) for method in ("spherical", "linear")}
    images = {method: subject.draw(path, labels) for method, path in paths.items()}
    rows = {method: to_pil(drawn) for method, drawn in images.items()}
    numbers = {}
    text = (
        "What lies between two samples. On the spherical way latents keep their usual length; the straight one cuts through"
        " the middle, where images are more typical. If the images changed abruptly or were the training images, the"
        " generator would have learned these by heart."
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
            f" Under the spherical way stands for each image the nearest one of {len(real):,} training images, in"
            f" {'pixels' if subject.network is None else 'features of the classifier'}: on average it is"
            f" {distances.mean() / usual:.1f} times as far away as the nearest neighbour of a training image usually is."
        )
        rows = {name: rows[name] for name in ("spherical", "nearest real", "linear")}
    frames = walk_frames(subject, 5)
    return Section(
        "Walks between samples",
        text,
        [
            Picture.of_image(
                comparison_grid(rows), "Images between two samples", "From the first sample to the second."
            ),
            Picture.of_frames(frames, "A film that walks from sample to sample", "Through five samples and back."),
        ],
        numbers=numbers,
    )


def directions_section(subject: Subject) -> tuple[Section, Directions]:
    """Directions in latent space, and what they change; and the directions, to be saved beside the model."""
    generator = subject.pipe.generator
    class_label = None if subject.class_labels is None else subject.class_labels[0]
    number = min(_NUM_DIRECTIONS, generator.config.latent_dim)
    factors = factorized_directions(generator, number)
    components = principal_directions(generator, number, class_label=class_label)
    vectors, names = [factors.vectors, components.vectors], [*factors.names, *components.names]
    explained = subject.labels
    if explained:
        vectors += [subject.boundary(name)[None] for name in explained]
        names += explained
    directions = Directions(torch.cat(vectors), names)
    columns, rows, numbers = [], [], {}
    if subject.attributes is not None and explained:
        columns = ["direction", "label that it orders best", "rank correlation"]
        for name, vector in zip(names, directions.vectors):
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
            strips(found), f"One image moved along directions: {', '.join(found)}", f"{caption} {distances}."
        )
        for found, caption in (
            (factors.names, "Closed-form factors (SeFa), distances"),
            (components.names, "Components of the first feature map (GANSpace), distances"),
            (explained, "Across the boundaries between samples with and without a label (as InterFaceGAN), distances"),
        )
        if found
    ]
    text = (
        "The first sample, moved along directions in latent space. Factors and components were found without labels: they"
        " are what changes the first layer most."
    )
    if explained:
        text += (
            " The others lead from samples without to samples with what the classifier sees, found with half of the"
            f" {len(subject.latents):,} samples; the rank correlation says how well a direction orders the other half."
        )
    section = Section("Directions in latent space", text, pictures, columns, rows, {"rank correlations": numbers})
    return section, directions


def arithmetic_section(subject: Subject) -> Section:
    """Latents with something minus latents without it plus other latents (the paper's section 6.3.2)."""
    assert subject.attributes is not None and subject.network is not None
    attributes = subject.attributes
    present = torch.from_numpy(np.stack([attributes.has(label) for label in attributes.names], axis=1))
    columns = ["added", "have it now", "keep"] if attributes.is_multi_label else ["added", "have it now"]
    rows, pictures, numbers = [], [], {}
    for name in subject.labels:
        group = attributes.group_of(name)
        has = present[:, attributes.names.index(name)]
        held_equal = [attributes.group_of(label) != group for label in attributes.names]
        others = torch.nonzero(~has).flatten()[:_NUM_CHANGED]
        difference = mean_difference(subject.latents, has, present[:, torch.tensor(held_equal)])
        coordinate = float((subject.latents[has] @ nn.functional.normalize(difference, dim=0)).mean())
        images = subject.draw(set_coordinate(subject.latents[others], difference, _STRENGTH * coordinate))
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
        "Arithmetic with latents",
        "The mean latent of samples with something minus that of samples without it, other attributes held equal, is a"
        f" direction. Along it, up to {_NUM_CHANGED} samples that have it not are brought {_STRENGTH} times as far as the mean of"
        " those that have it. The table says how many have it then, and how many keep what else they had (of those on which the"
        " classifier saw something of that kind).",
        pictures,
        columns,
        rows,
        numbers,
    )


def inversion_section(subject: Subject, num_images: int = 64) -> Section:
    """Latents found for given images: for generated ones, which have some, and for real ones."""
    labels: Any = subject.labels_of(0, num_images)
    own = invert(
        subject.pipe,
        subject.images[:num_images].float() / 255,
        class_labels=labels,
        search=SearchArguments(target_psnr=_NEAR_ENOUGH),
    )
    recovered = float((own.psnr >= _RECOVERED).float().mean())
    numbers = {
        "PSNR of generated images (dB)": own.psnr.tolist(),
        "share of generated images recovered": recovered,
    }
    given = {"given": to_pil(subject.images[:_COLUMNS]), "found": to_pil(subject.draw(own.latents[:_COLUMNS]))}
    pictures = [
        Picture.of_image(
            comparison_grid(given), "Generated images and what was found", "Images that the generator made itself."
        )
    ]
    text = (
        f"Which latent gives this image? Of {num_images} images that the generator made itself, {recovered:.0%} were found"
        f" again (at least {_RECOVERED:g} dB; the search of an image ends at {_NEAR_ENOUGH:g} dB)."
    )
    if subject.real_images is not None and subject.class_labels is None:
        real = subject.real_images[:_COLUMNS]
        found = invert(subject.pipe, real.float() / 255)
        numbers["PSNR of real images (dB)"] = found.psnr.tolist()
        text += (
            f" Real images have no latent: the nearest that the generator can draw is {found.psnr.quantile(0.5):.0f} dB away"
            " (median)."
        )
        pictures.append(
            Picture.of_image(
                comparison_grid({"given": to_pil(real), "found": to_pil(subject.draw(found.latents))}),
                "Real images and the nearest generated ones",
                "Real images.",
            )
        )
    return Section("Inversion", text, pictures, numbers=numbers)


def units_section(subject: Subject) -> Section:
    """Shows the generator's images without the units that matter most for a label."""
    assert subject.attributes is not None and subject.network is not None
    attributes = subject.attributes
    before = np.stack([attributes.has(name) for name in attributes.names], axis=1)
    features = features_of(subject.network, subject.images).features
    rows, pictures = [], []
    numbers: dict[str, Any] = {name: {} for name in subject.labels}
    for name in subject.labels:
        column = attributes.names.index(name)
        chosen = torch.from_numpy(np.flatnonzero(before[:, column])[:_NUM_LATENTS_FOR_UNITS])
        shown = {"with": to_pil(subject.images[chosen[:_COLUMNS]])}
        for layer, width in enumerate(subject.pipe.generator.config.hidden_sizes[:_NUM_LAYERS]):
            number = min(_NUM_UNITS, width // 2)
            units = most_effective_units(
                subject.pipe, subject.latents[chosen], layer, label_log_odds(subject.network, name), number
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
                f"Images with {name} before and after units were switched off",
                f"{name}: with all units, and without those of a feature map that matter most for it.",
            )
        )
    return Section(
        "Units of the generator",
        f"Up to {_NUM_UNITS} units of a feature map are switched off without which the classifier would be least sure of a"
        " label, or as many random ones. How often does the label still occur? How much of the difference between the mean"
        " images with and without it is left, which no classifier is asked about? And how many images keep their other labels?",
        pictures,
        [
            "label",
            "units",
            "with all",
            "without these",
            "without random ones",
            "difference left",
            "keep others",
            "distance",
        ],
        rows,
        numbers,
    )


def _without(subject: Subject, layer: int, units: torch.Tensor) -> torch.Tensor:
    with switched_off(subject.pipe.generator, layer, units):
        return subject.draw(subject.latents)
