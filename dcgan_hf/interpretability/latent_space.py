# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
Interpolation, vector arithmetic and meaningful directions in latent space. All functions take and return latents in
the format of a pipeline (`pipe(output_type="latent")`, `pipe(latents=...)`).
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from huggingface_hub import hf_hub_download
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from ..files import replacing
from ..model_folder import DIRECTIONS_FILE
from ..modeling_dcgan import DCGANGenerator


# Latents per forward pass of the stem.
_CHUNK = 1024


def interpolate(
    start: torch.Tensor, end: torch.Tensor, num_steps: int, method: Literal["spherical", "linear"] = "spherical"
) -> torch.Tensor:
    r"""
    Returns latents on the path from one to another, both included.

    Args:
        start (`torch.Tensor` of shape `(latent_dim,)`):
            First latent.
        end (`torch.Tensor` of shape `(latent_dim,)`):
            Last latent.
        num_steps (`int`):
            Number of latents, at least 2.
        method (`str`, *optional*, defaults to `"spherical"`):
            `"spherical"` keeps lengths between those of the two, as latents from N(0, 1) have nearly the same length
            (White, 2016, https://huggingface.co/papers/1609.04468, section 2.1). `"linear"` cuts through the middle,
            where images are more typical.

    Returns:
        `torch.Tensor` of shape `(num_steps, latent_dim)`.

    Raises:
        ValueError: if an argument is out of range.
    """
    if start.ndim != 1 or start.shape != end.shape:
        raise ValueError(
            f"`start` and `end` must have the same shape (latent_dim,), got {tuple(start.shape)} and"
            f" {tuple(end.shape)}."
        )
    if num_steps < 2:
        raise ValueError(f"`num_steps` must be at least 2, got {num_steps}.")
    if method not in ("spherical", "linear"):
        raise ValueError(f'`method` must be "spherical" or "linear", got {method!r}.')
    shares = torch.linspace(0, 1, num_steps, dtype=start.dtype, device=start.device)[:, None]
    straight = start + shares * (end - start)
    if method == "linear":
        return straight
    lengths = start.norm() + shares * (end.norm() - start.norm())
    directions = nn.functional.normalize(torch.stack([start, end]), dim=1)
    angle = (directions[0] @ directions[1]).clamp(-1, 1).arccos()
    if angle.sin() < 1e-4:  # the same or opposite directions: there is no arc, or no unique one
        return straight
    return (
        lengths * (((1 - shares) * angle).sin() * directions[0] + (shares * angle).sin() * directions[1]) / angle.sin()
    )


def add_difference(latents: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
    r"""
    Adds the difference of two mean latents: "with glasses" - "without glasses" + others (paper, section 6.3.2, which
    averages three latents each).

    Args:
        latents (`torch.Tensor` of shape `(batch_size, latent_dim)`):
            The latents to change.
        positive (`torch.Tensor` of shape `(number, latent_dim)`):
            Latents of images with the attribute.
        negative (`torch.Tensor` of shape `(number, latent_dim)`):
            Latents of images without it.

    Returns:
        `torch.Tensor` of shape `(batch_size, latent_dim)`.
    """
    return latents + positive.mean(0) - negative.mean(0)


def mean_difference(latents: torch.Tensor, labels: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    r"""
    Returns the mean latent of images with an attribute minus that of images without it, other labels held constant.
    Coincidental correlations in the samples (faces with glasses that more often have dark hair) do not count. The
    result is the coefficient of a linear least-squares regression of the latents on all labels.

    Args:
        latents (`torch.Tensor` of shape `(num_images, latent_dim)`):
            Latents of the images.
        labels (`torch.BoolTensor` of shape `(num_images,)`):
            Whether each image has the attribute.
        others (`torch.BoolTensor` of shape `(num_images, num_others)`):
            Other labels of the images. Without others, the result is the difference of the means.

    Returns:
        `torch.Tensor` of shape `(latent_dim,)`.

    Raises:
        ValueError: if all images have the attribute, or none has.
    """
    _check_both_kinds(labels)
    known = torch.column_stack([torch.ones(len(labels)), labels, others]).double()
    # The values of one attribute sum to 1: several solutions exist, which agree on `labels`. This is the smallest.
    return torch.linalg.lstsq(known, latents.double().cpu(), driver="gelsd").solution[1].to(latents)


def set_coordinate(latents: torch.Tensor, direction: torch.Tensor, coordinate: float) -> torch.Tensor:
    r"""
    Sets the coordinate of latents along a direction: removes each latent's component along it and adds `coordinate`.
    Adding one vector to all latents moves those already close just as far, and preserves less of the images (of drawn
    faces that were given glasses, 75 % instead of 83 % kept their skin).

    Args:
        latents (`torch.Tensor` of shape `(batch_size, latent_dim)`):
            The latents to move.
        direction (`torch.Tensor` of shape `(latent_dim,)`):
            The direction, such as a difference of means. Its length has no effect.
        coordinate (`float`):
            Target coordinate. For latents from N(0, 1), coordinates have mean 0 and standard deviation 1.

    Returns:
        `torch.Tensor` of shape `(batch_size, latent_dim)`.
    """
    direction = nn.functional.normalize(direction, dim=0)
    return latents + (coordinate - latents @ direction)[:, None] * direction


@dataclass
class Directions:
    r"""
    Directions of length 1 in latent space, for [`~Directions.move`].

    Args:
        vectors (`torch.Tensor` of shape `(num_directions, latent_dim)`):
            The directions.
        names (`list[str]`):
            A unique name for each direction.

    Raises:
        ValueError: if the number of names differs from that of directions, or a name occurs twice.
    """

    vectors: torch.Tensor
    names: list[str]

    def __post_init__(self) -> None:
        if len(self.names) != len(self.vectors) or len(set(self.names)) != len(self.names):
            raise ValueError(
                f"`names` must contain a unique name for each of the {len(self.vectors)} directions, got {self.names}."
            )

    def move(self, latents: torch.Tensor, name: str, distances: list[float]) -> torch.Tensor:
        r"""
        Moves latents along a direction.

        Args:
            latents (`torch.Tensor` of shape `(batch_size, latent_dim)`):
                The latents to move.
            name (`str`):
                Name of the direction.
            distances (`list[float]`):
                Distances to move, negative for backwards. Latents have a length of about `sqrt(latent_dim)`.

        Returns:
            `torch.Tensor` of shape `(batch_size, len(distances), latent_dim)`.

        Raises:
            ValueError: if the direction is unknown.
        """
        if name not in self.names:
            raise ValueError(f"`name` must be one of {self.names}, got {name!r}.")
        vector = self.vectors[self.names.index(name)].to(latents)
        return latents[:, None] + torch.tensor(distances).to(latents)[None, :, None] * vector

    def save_pretrained(self, save_directory: str | Path) -> None:
        """Writes `directions.safetensors` to a folder, such as that of a model."""
        metadata = {"format": "pt", "names": json.dumps(self.names)}
        with replacing(Path(save_directory) / DIRECTIONS_FILE) as temporary:
            save_file({"vectors": self.vectors.contiguous()}, temporary, metadata=metadata)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, revision: str | None = None) -> "Directions":
        r"""
        Loads directions saved beside a model.

        Args:
            pretrained_model_name_or_path (`str` or `Path`):
                A local folder, or a repository on the Hub.
            revision (`str`, *optional*):
                Branch, tag or commit of the repository.
        """
        folder = Path(pretrained_model_name_or_path)
        path = (
            folder / DIRECTIONS_FILE
            if folder.is_dir()
            else hf_hub_download(str(pretrained_model_name_or_path), DIRECTIONS_FILE, revision=revision)
        )
        with safe_open(path, framework="pt") as file:
            return cls(file.get_tensor("vectors"), json.loads(file.metadata()["names"]))


def factorized_directions(generator: DCGANGenerator, num_directions: int) -> Directions:
    r"""
    Returns the directions that change the output of the generator's first layer most: the eigenvectors of `A^T A` with
    the largest eigenvalues, for its weight `A` (SeFa; Shen & Zhou, 2021, https://huggingface.co/papers/2007.06600,
    section 3.2). Requires no images or labels.

    Args:
        generator ([`DCGANGenerator`]):
            The generator.
        num_directions (`int`):
            Number of directions, at most `latent_dim`.

    Raises:
        ValueError: if `num_directions` is out of range.
    """
    latent_dim = _check_number(generator, num_directions)
    layers = [*generator.stem.hidden_layers, generator.stem.projection]
    weight = layers[0].weight.detach().float()[:, :latent_dim]  # the remaining columns are for the class
    _, _, directions = torch.linalg.svd(weight, full_matrices=False)
    return Directions(directions[:num_directions].contiguous(), [f"factor {i}" for i in range(num_directions)])


@torch.no_grad()
def principal_directions(
    generator: DCGANGenerator,
    num_directions: int,
    num_latents: int = 2048,
    class_label: int | list[int] | None = None,
    seed: int = 0,
) -> Directions:
    r"""
    Returns the directions along the principal components of the first feature map (GANSpace; Härkönen et al., 2020,
    https://huggingface.co/papers/2004.02546, section 2.2: components of activations, mapped back to latents by least
    squares).

    Args:
        generator ([`DCGANGenerator`]):
            The generator.
        num_directions (`int`):
            Number of directions, at most `latent_dim`.
        num_latents (`int`, *optional*, defaults to 2048):
            Number of latents to compute the components from.
        class_label (`int` or `list[int]`, *optional*):
            Class of the images, or value of each attribute. Required if the generator is class-conditional.
        seed (`int`, *optional*, defaults to 0):
            Seed of the latents.

    Raises:
        ValueError: if `num_directions` is out of range, or not less than `num_latents`.
    """
    latent_dim = _check_number(generator, num_directions)
    if num_latents <= num_directions:
        raise ValueError(f"`num_latents` must be more than `num_directions={num_directions}`, got {num_latents}.")
    latents = torch.randn(num_latents, latent_dim, generator=torch.Generator().manual_seed(seed))
    was_training = generator.training
    generator.eval()
    maps = []
    for chunk in latents.to(generator.device, generator.dtype).split(_CHUNK):
        labels = None
        if class_label is not None:
            labels = torch.tensor(class_label, device=chunk.device).expand(len(chunk), *generator.config.label_shape)
        maps.append(generator.stem(chunk, labels).flatten(1).float().cpu())
    generator.train(was_training)
    features = torch.cat(maps)
    features -= features.mean(0)
    # From the samples' inner products, as there are fewer samples than features. The coordinates are the same.
    variances, left = torch.linalg.eigh(features @ features.T)
    coordinates = (left * variances.clamp_min(0).sqrt()).flip(1)[:, :num_directions]
    vectors = torch.linalg.lstsq(coordinates, latents - latents.mean(0)).solution
    return Directions(nn.functional.normalize(vectors, dim=1), [f"component {i}" for i in range(num_directions)])


def boundary_direction(latents: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    r"""
    Returns the normal of the linear boundary between latents of images with an attribute and of images without it,
    labelled by a classifier or a person (InterFaceGAN; Shen et al., 2020, https://huggingface.co/papers/1907.10786,
    section 2.1: the normal of a linear SVM).

    Args:
        latents (`torch.Tensor` of shape `(batch_size, latent_dim)`):
            Latents of the images.
        labels (`torch.BoolTensor` of shape `(batch_size,)`):
            Whether each image has the attribute.

    Returns:
        `torch.Tensor` of shape `(latent_dim,)`: length 1, pointing towards latents with the attribute.

    Raises:
        ValueError: if all images have the attribute, or none has.
    """
    from sklearn.svm import LinearSVC

    _check_both_kinds(labels)
    classifier = LinearSVC(dual=False).fit(latents.float().cpu().numpy(), labels.cpu().numpy())
    return nn.functional.normalize(torch.from_numpy(classifier.coef_[0].astype(np.float32)), dim=0)


def _check_number(generator: DCGANGenerator, num_directions: int) -> int:
    latent_dim = generator.config.latent_dim
    if not 1 <= num_directions <= latent_dim:
        raise ValueError(f"`num_directions` must be from 1 to `latent_dim={latent_dim}`, got {num_directions}.")
    return latent_dim


def _check_both_kinds(labels: torch.Tensor) -> None:
    if labels.all() or not labels.any():
        raise ValueError(
            f"`labels` must be true for some and false for others, got {int(labels.sum())} of {len(labels)}."
        )
