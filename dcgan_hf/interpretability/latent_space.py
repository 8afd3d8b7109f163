# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
"""
What lies between latents, and which directions mean something. All functions take and return latents as a pipeline does
(`pipe(output_type="latent")`, `pipe(latents=...)`).
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

from ..model_folder import DIRECTIONS_FILE
from ..modeling_dcgan import DCGANGenerator


# Latents that go through the stem at once.
_CHUNK = 1024


def interpolate(
    start: torch.Tensor, end: torch.Tensor, num_steps: int, method: Literal["spherical", "linear"] = "spherical"
) -> torch.Tensor:
    r"""
    Latents on the way from one to another, both included.

    Args:
        start (`torch.Tensor` of shape `(latent_dim,)`):
            Where to begin.
        end (`torch.Tensor` of shape `(latent_dim,)`):
            Where to end.
        num_steps (`int`):
            Number of latents, at least 2.
        method (`str`, *optional*, defaults to `"spherical"`):
            `"spherical"` keeps to lengths between the two, as latents from N(0, 1) have much the same length (White, 2016,
            https://huggingface.co/papers/1609.04468, section 2.1); `"linear"` cuts through the middle, where images are more
            typical.

    Returns:
        `torch.Tensor` of shape `(num_steps, latent_dim)`.

    Raises:
        ValueError: if an argument is out of range.
    """
    if start.ndim != 1 or start.shape != end.shape:
        raise ValueError(
            f"`start` and `end` must be a latent each, of shape (latent_dim,), got {tuple(start.shape)} and"
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
    if angle.sin() < 1e-4:  # the same direction or the opposite one: there is no arc, or no single one
        return straight
    return (
        lengths * (((1 - shares) * angle).sin() * directions[0] + (shares * angle).sin() * directions[1]) / angle.sin()
    )


def add_difference(latents: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
    r"""
    Vector arithmetic: "with glasses" - "without glasses" + others (paper, section 6.3.2, which averages three latents each).

    Args:
        latents (`torch.Tensor` of shape `(batch_size, latent_dim)`):
            The others.
        positive (`torch.Tensor` of shape `(number, latent_dim)`):
            Latents whose images have something.
        negative (`torch.Tensor` of shape `(number, latent_dim)`):
            Latents whose images do not.

    Returns:
        `torch.Tensor` of shape `(batch_size, latent_dim)`.
    """
    return latents + positive.mean(0) - negative.mean(0)


def mean_difference(latents: torch.Tensor, labels: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    r"""
    Mean latent of images that have something minus that of images that have not, where other labels are held equal: what
    happens to go along with it in the samples (faces with glasses that more often have dark hair) does not count. It is the
    coefficient of a linear regression of the latents on all labels, found by least squares.

    Args:
        latents (`torch.Tensor` of shape `(num_images, latent_dim)`):
            Latents.
        labels (`torch.BoolTensor` of shape `(num_images,)`):
            Which of their images have it.
        others (`torch.BoolTensor` of shape `(num_images, num_others)`):
            Which have what else. Without others it is the difference of the means.

    Returns:
        `torch.Tensor` of shape `(latent_dim,)`.

    Raises:
        ValueError: if all have it, or none.
    """
    _check_both_kinds(labels)
    known = torch.column_stack([torch.ones(len(labels)), labels, others]).double()
    # Values of one attribute add up to 1, so there are several solutions, which agree about `labels`: the smallest one.
    return torch.linalg.lstsq(known, latents.double().cpu(), driver="gelsd").solution[1].to(latents)


def set_coordinate(latents: torch.Tensor, direction: torch.Tensor, coordinate: float) -> torch.Tensor:
    r"""
    Gives latents the same coordinate along a direction: what each has of it is taken away, and `coordinate` added. One vector
    added to all moves those as far that are nearly there, and changes more of what they should keep (of drawn faces that got
    glasses, 75 % instead of 83 % kept their skin).

    Args:
        latents (`torch.Tensor` of shape `(batch_size, latent_dim)`):
            Where to begin.
        direction (`torch.Tensor` of shape `(latent_dim,)`):
            The direction, such as a difference of means. Its length does not matter.
        coordinate (`float`):
            Where along the direction to end. Latents from N(0, 1) are about 0 on average, and 1 away from it.

    Returns:
        `torch.Tensor` of shape `(batch_size, latent_dim)`.
    """
    direction = nn.functional.normalize(direction, dim=0)
    return latents + (coordinate - latents @ direction)[:, None] * direction


@dataclass
class Directions:
    r"""
    Directions of length 1 in latent space, that [`~Directions.move`] goes along.

    Args:
        vectors (`torch.Tensor` of shape `(num_directions, latent_dim)`):
            The directions.
        names (`list[str]`):
            What they are called, each otherwise.

    Raises:
        ValueError: if there are not as many names as directions, or a name twice.
    """

    vectors: torch.Tensor
    names: list[str]

    def __post_init__(self) -> None:
        if len(self.names) != len(self.vectors) or len(set(self.names)) != len(self.names):
            raise ValueError(
                f"`names` must be a name of its own for each of the {len(self.vectors)} directions, got {self.names}."
            )

    def move(self, latents: torch.Tensor, name: str, distances: list[float]) -> torch.Tensor:
        r"""
        Moves latents along a direction.

        Args:
            latents (`torch.Tensor` of shape `(batch_size, latent_dim)`):
                Where to begin.
            name (`str`):
                The direction.
            distances (`list[float]`):
                How far, also backwards. Latents are about `sqrt(latent_dim)` long.

        Returns:
            `torch.Tensor` of shape `(batch_size, len(distances), latent_dim)`.

        Raises:
            ValueError: if there is no such direction.
        """
        if name not in self.names:
            raise ValueError(f"`name` must be one of {self.names}, got {name!r}.")
        vector = self.vectors[self.names.index(name)].to(latents)
        return latents[:, None] + torch.tensor(distances).to(latents)[None, :, None] * vector

    def save_pretrained(self, save_directory: str | Path) -> None:
        """Writes `directions.safetensors`, into the folder of a model for example."""
        Path(save_directory).mkdir(parents=True, exist_ok=True)
        metadata = {"format": "pt", "names": json.dumps(self.names)}
        save_file({"vectors": self.vectors.contiguous()}, Path(save_directory) / DIRECTIONS_FILE, metadata=metadata)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, revision: str | None = None) -> "Directions":
        r"""
        Loads directions that were saved beside a model.

        Args:
            pretrained_model_name_or_path (`str` or `Path`):
                A folder, or a repository on the Hub.
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
    The directions in which the generator's first layer changes most: eigenvectors of `A^T A` with the largest eigenvalues, for
    its weight `A` (SeFa; Shen & Zhou, 2021, https://huggingface.co/papers/2007.06600, section 3.2). No images, no labels.

    Args:
        generator ([`DCGANGenerator`]):
            The generator.
        num_directions (`int`):
            How many, at most `latent_dim`.

    Raises:
        ValueError: if there are not so many.
    """
    latent_dim = _check_number(generator, num_directions)
    layers = [*generator.stem.hidden_layers, generator.stem.projection]
    weight = layers[0].weight.detach().float()[:, :latent_dim]  # what follows it is for the class
    _, _, directions = torch.linalg.svd(weight, full_matrices=False)
    return Directions(directions[:num_directions].contiguous(), [f"factor {i}" for i in range(num_directions)])


@torch.no_grad()
def principal_directions(
    generator: DCGANGenerator,
    num_directions: int,
    num_latents: int = 2048,
    class_label: int | None = None,
    seed: int = 0,
) -> Directions:
    r"""
    The directions that lead along the principal components of the first feature map (GANSpace; Härkönen et al., 2020,
    https://huggingface.co/papers/2004.02546, section 2.2: components of activations, brought back to latents by least squares).

    Args:
        generator ([`DCGANGenerator`]):
            The generator.
        num_directions (`int`):
            How many, at most `latent_dim`.
        num_latents (`int`, *optional*, defaults to 2048):
            Number of latents whose feature maps are looked at.
        class_label (`int`, *optional*):
            Class of the images, which a class-conditional generator needs.
        seed (`int`, *optional*, defaults to 0):
            Seed of the latents.

    Raises:
        ValueError: if there are not so many directions, or fewer latents than these.
    """
    latent_dim = _check_number(generator, num_directions)
    if num_latents <= num_directions:
        raise ValueError(f"`num_latents` must be more than `num_directions={num_directions}`, got {num_latents}.")
    latents = torch.randn(num_latents, latent_dim, generator=torch.Generator().manual_seed(seed))
    was_training = generator.training
    generator.eval()
    maps = []
    for chunk in latents.to(generator.device, generator.dtype).split(_CHUNK):
        labels = None if class_label is None else torch.full((len(chunk),), class_label, device=chunk.device)
        maps.append(generator.stem(chunk, labels).flatten(1).float().cpu())
    generator.train(was_training)
    features = torch.cat(maps)
    features -= features.mean(0)
    # Components of the samples' inner products, as there are fewer samples than features. Their coordinates are the same.
    variances, left = torch.linalg.eigh(features @ features.T)
    coordinates = (left * variances.clamp_min(0).sqrt()).flip(1)[:, :num_directions]
    vectors = torch.linalg.lstsq(coordinates, latents - latents.mean(0)).solution
    return Directions(nn.functional.normalize(vectors, dim=1), [f"component {i}" for i in range(num_directions)])


def boundary_direction(latents: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    r"""
    The direction across the linear boundary between latents whose images have something and those whose have not, as a
    classifier or a person says (InterFaceGAN; Shen et al., 2020, https://huggingface.co/papers/1907.10786, section 2.1: the
    normal of a linear SVM).

    Args:
        latents (`torch.Tensor` of shape `(batch_size, latent_dim)`):
            Latents.
        labels (`torch.BoolTensor` of shape `(batch_size,)`):
            Which of their images have it.

    Returns:
        `torch.Tensor` of shape `(latent_dim,)`: length 1, towards those that have it.

    Raises:
        ValueError: if all have it, or none.
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
