# Copyright 2026 The dcgan_hf authors.
# Licensed under the Apache License, Version 2.0.
import io
import logging
import threading
from itertools import islice

import numpy as np
import PIL.Image
import pytest
import torch
from datasets import Dataset, Features, Image, IterableDataset, Value

from dcgan_hf.data.datasets import ImageDataset, find_images
from dcgan_hf.data.decoding import Decoder, choose_channels
from dcgan_hf.data.loaders import (
    DecodingLoader,
    ResidentLoader,
    Shard,
    endless_batches,
    images_per_second,
    in_background,
    make_loader,
)


CPU = torch.device("cpu")
KINDS = ["resident", "decoding", "streaming"]


def png(value: int, mode: str = "L", size: int = 4) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.new(mode, (size, size), value).save(buffer, "PNG")
    return buffer.getvalue()


TRUNCATED = png(200, size=64)[:-30]
NOT_AN_IMAGE = b"this is no image"


def bomb() -> bytes:
    """Returns a file that claims 4,000,000,000 pixels, which Pillow rejects with a specific error."""
    buffer = io.BytesIO()
    PIL.Image.new("1", (1, 1)).save(buffer, "BMP")
    data = bytearray(buffer.getvalue())
    data[18:26] = (100_000).to_bytes(4, "little") + (40_000).to_bytes(4, "little")
    return bytes(data)


BAD_IMAGES = {"truncated": TRUNCATED, "no_image": NOT_AN_IMAGE, "no_bytes": b"", "bomb": bomb(), "none": None}


def images_of(data: list[bytes | None], paths: list[str | None] | None = None, labels: bool = True) -> ImageDataset:
    """Image number `i` has label `i`."""
    paths = paths or [None] * len(data)
    rows = [None if bytes_ is None else {"bytes": bytes_, "path": path} for bytes_, path in zip(data, paths)]
    columns = {"image": rows}
    features = {"image": Image(decode=False)}
    if labels:
        columns["label"] = list(range(len(data)))
        features["label"] = Value("int64")
    dataset = Dataset.from_dict(columns, features=Features(features))
    return ImageDataset(dataset, [str(i) for i in range(len(data))] if labels else None)


def numbered(num_images: int, labels: bool = True) -> ImageDataset:
    """Image number `i` has grey value `i` and label `i`."""
    return images_of([png(i) for i in range(num_images)], labels=labels)


def streamed(image_dataset: ImageDataset) -> ImageDataset:
    num_shards = min(3, len(image_dataset.dataset))
    return ImageDataset(image_dataset.dataset.to_iterable_dataset(num_shards=num_shards), image_dataset.class_names)


def decoder(num_workers: int = 2, skip_bad_images: bool = False, num_channels: int = 1) -> Decoder:
    return Decoder(num_channels, 4, "crop", num_workers, skip_bad_images)


def loader_of(kind: str, image_dataset: ImageDataset, shard: Shard, decoder: Decoder):
    if kind == "resident":
        return ResidentLoader.decode(image_dataset, decoder, shard, CPU)
    return DecodingLoader(streamed(image_dataset) if kind == "streaming" else image_dataset, decoder, shard, CPU)


def greys(batches) -> list[list[int]]:
    """Returns the numbers of the images in each batch."""
    return [batch["pixel_values"][:, 0, 0, 0].tolist() for batch in batches]


def same_batches(first: list[dict], second: list[dict]) -> bool:
    return len(first) == len(second) and all(
        a.keys() == b.keys() and all(a[key].dtype == b[key].dtype and torch.equal(a[key], b[key]) for key in a)
        for a, b in zip(first, second)
    )


def reading_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "read"]


def indices(shard: Shard, num_images: int, epoch: int, start: int = 0) -> list[list[int]]:
    return [batch.tolist() for batch in shard.batch_indices(num_images, epoch, start)]


def test_shard_uses_every_image_at_most_once_in_an_epoch():
    batches = indices(Shard(batch_size=8, seed=0), 45, epoch=0)
    assert [len(batch) for batch in batches] == [8] * 5
    used = sum(batches, [])
    assert len(set(used)) == 40 and set(used) <= set(range(45))
    assert len(batches) == Shard(batch_size=8, seed=0).batches_per_epoch(45)


def test_shard_uses_every_image_if_they_fill_the_batches():
    assert sorted(sum(indices(Shard(8, seed=0), 40, epoch=3), [])) == list(range(40))


def test_shard_order_depends_on_epoch_and_seed_alone():
    orders = [indices(Shard(8, seed), 40, epoch) for seed in (0, 1) for epoch in (0, 1, 2)]
    assert len({str(order) for order in orders}) == 6
    torch.manual_seed(123)
    torch.rand(10)
    assert indices(Shard(8, 0), 40, 0) == orders[0]


def test_shard_leaves_out_other_images_in_each_epoch():
    left_out = [set(range(41)) - set(sum(indices(Shard(8, 0), 41, epoch), [])) for epoch in range(20)]
    assert all(len(images) == 1 for images in left_out) and len(set.union(*left_out)) > 5


@pytest.mark.parametrize("num_processes", [2, 4])
def test_shards_of_all_processes_make_the_batch_of_one(num_processes):
    whole = indices(Shard(batch_size=16, seed=5), 100, epoch=2)
    shards = [Shard(16 // num_processes, 5, index, num_processes) for index in range(num_processes)]
    parts = [indices(shard, 100, epoch=2) for shard in shards]
    assert [sum(step, []) for step in zip(*parts)] == whole
    assert {shard.batches_per_epoch(100) for shard in shards} == {6}


@pytest.mark.parametrize("start", [0, 1, 4, 5, 6])
def test_shard_starts_anywhere(start):
    shard = Shard(4, seed=0, process_index=1, num_processes=2)
    assert indices(shard, 41, 0, start) == indices(shard, 41, 0)[start:]


def test_shard_of_too_few_images():
    message = r"has 15 images.*a batch of 16 \(`train_batch_size=8` times 2 process\(es\)\)"
    with pytest.raises(ValueError, match=message):
        Shard(8, 0, 0, 2).batches_per_epoch(15)
    assert Shard(8, 0, 0, 2).batches_per_epoch(16) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_too_few_images(kind):
    with pytest.raises(ValueError, match="7 images, which do not fill a batch of 8"):
        next(loader_of(kind, numbered(7), Shard(8, 0), decoder()).batches(0))


@pytest.mark.parametrize("kind", KINDS)
def test_batches_are_uint8_of_the_given_shape(kind):
    loader = loader_of(kind, numbered(10), Shard(4, 0), decoder(num_channels=3))
    for batch in loader.batches(0):
        assert batch["pixel_values"].shape == (4, 3, 4, 4) and batch["pixel_values"].dtype == torch.uint8
        assert batch["class_labels"].shape == (4,) and batch["class_labels"].dtype == torch.int64
    if kind == "streaming":
        with pytest.raises(TypeError):
            len(loader)
    else:
        assert len(loader) == 2
    assert str(loader)


@pytest.mark.parametrize("kind", KINDS)
def test_batches_without_labels(kind):
    loader = loader_of(kind, numbered(8, labels=False), Shard(4, 0), decoder())
    assert all(batch.keys() == {"pixel_values"} for batch in loader.batches(0))


@pytest.mark.parametrize("kind", KINDS)
def test_labels_stay_with_their_images(kind):
    batches = list(loader_of(kind, numbered(50), Shard(8, 0), decoder(num_workers=3)).batches(1))
    assert len(batches) == 6
    for batch in batches:
        assert (batch["pixel_values"] == batch["class_labels"][:, None, None, None]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_every_image_at_most_once_in_an_epoch_and_epochs_differ(kind):
    loader = loader_of(kind, numbered(50), Shard(8, 0), decoder())
    epochs = [greys(loader.batches(epoch)) for epoch in range(3)]
    for epoch in epochs:
        assert len(set(sum(epoch, []))) == 48
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    assert greys(loader.batches(1)) == epochs[1]


def test_stream_that_is_larger_than_the_shuffle_buffer(monkeypatch):
    monkeypatch.setattr("dcgan_hf.data.loaders.SHUFFLE_BUFFER_SIZE", 10)
    loader = loader_of("streaming", numbered(200), Shard(8, 0), decoder())
    epochs = [greys(loader.batches(epoch)) for epoch in range(2)]
    assert epochs[0] != epochs[1]
    assert all(sorted(sum(epoch, [])) == list(range(200)) for epoch in epochs)
    assert greys(loader.batches(1, start=20)) == epochs[1][20:]


@pytest.mark.parametrize("kind", KINDS)
def test_seeds_differ(kind):
    sequences = [greys(loader_of(kind, numbered(50), Shard(8, seed), decoder()).batches(0)) for seed in (0, 1)]
    assert sequences[0] != sequences[1]


@pytest.mark.parametrize("num_workers", [1, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_resumed_batches_are_identical(kind, num_workers):
    image_dataset, shard = numbered(50), Shard(8, seed=1)
    whole = list(loader_of(kind, image_dataset, shard, decoder(num_workers=1)).batches(2))
    loader = loader_of(kind, image_dataset, shard, decoder(num_workers=num_workers))
    for start in (0, 1, 5, 6):
        assert same_batches(list(loader.batches(2, start=start)), whole[start:])


@pytest.mark.parametrize("kind", ["resident", "decoding"])
@pytest.mark.parametrize("num_processes", [2, 4])
def test_processes_share_the_batches_of_one(kind, num_processes):
    image_dataset = numbered(50)
    whole = greys(loader_of(kind, image_dataset, Shard(8, seed=1), decoder()).batches(1))
    shards = [Shard(8 // num_processes, 1, index, num_processes) for index in range(num_processes)]
    parts = [greys(loader_of(kind, image_dataset, shard, decoder()).batches(1)) for shard in shards]
    assert [sum(step, []) for step in zip(*parts)] == whole
    used = [set(sum(part, [])) for part in parts]
    assert all(first.isdisjoint(second) for i, first in enumerate(used) for second in used[:i])


@pytest.mark.parametrize("num_files", [4, 3, 1])  # divisible between two processes, or not
def test_streaming_processes_and_their_workers_use_every_image_exactly_once(num_files):
    stream = ImageDataset(numbered(96).dataset.to_iterable_dataset(num_shards=num_files), None)
    shards = [Shard(8, 1, index, num_processes=2) for index in range(2)]
    for epoch in range(2):
        parts = [greys(DecodingLoader(stream, decoder(num_workers=2), shard, CPU).batches(epoch)) for shard in shards]
        assert all(len(part) == 6 for part in parts)
        assert sorted(sum(parts[0] + parts[1], [])) == list(range(96))
        assert parts[0][4:] == greys(DecodingLoader(stream, decoder(), shards[0], CPU).batches(epoch, start=4))


def test_streaming_processes_read_their_own_files_only():
    read = []

    def examples(files):
        for file in files:
            read.append(file)
            yield from ({"image": {"path": None, "bytes": png(10 * file + i)}} for i in range(10))

    features = Features({"image": Image(decode=False)})
    stream = IterableDataset.from_generator(examples, features, gen_kwargs={"files": list(range(4))})
    parts = []
    for index in range(2):
        loader = DecodingLoader(ImageDataset(stream, None), decoder(), Shard(4, 0, index, num_processes=2), CPU)
        parts.append({grey // 10 for grey in sum(greys(loader.batches(0)), [])})
        assert set(read) == parts[-1]
        read.clear()
    assert sorted([*parts[0], *parts[1]]) == [0, 1, 2, 3]


def test_resident_and_decoding_loader_are_the_same():
    image_dataset, shard = numbered(50), Shard(8, seed=1)
    loaders = [loader_of(kind, image_dataset, shard, decoder()) for kind in ("resident", "decoding")]
    for epoch in (0, 1):
        first, second = (list(loader.batches(epoch)) for loader in loaders)
        assert same_batches(first, second)


def test_resident_loader_of_more_images_than_are_decoded_at_once():
    data = [png(i % 256) for i in range(1100)]
    loader = loader_of("resident", images_of(data), Shard(1100, 0), decoder())
    (batch,) = loader.batches(0)
    assert torch.equal(batch["pixel_values"][:, 0, 0, 0], batch["class_labels"] % 256)
    assert sorted(batch["class_labels"].tolist()) == list(range(1100))


def data_with(bad: bytes | None, num_images: int = 16, number: int = 5) -> list[bytes | None]:
    return [bad if i == number else png(i) for i in range(num_images)]


@pytest.mark.parametrize("bad", BAD_IMAGES.values(), ids=BAD_IMAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_bad_image_stops_and_is_named(kind, bad):
    with pytest.raises(ValueError, match=r"Image number \d+ cannot be read: .+`--skip_bad_images`"):
        list(loader_of(kind, images_of(data_with(bad)), Shard(8, 0), decoder()).batches(0))
    assert not reading_threads()


@pytest.mark.parametrize("kind", ["resident", "decoding"])
def test_bad_image_is_named_by_its_number(kind):
    with pytest.raises(ValueError, match="Image number 5 cannot be read"):
        list(loader_of(kind, images_of(data_with(TRUNCATED)), Shard(8, 0), decoder()).batches(0))


@pytest.mark.parametrize("kind", KINDS)
def test_bad_image_is_named_by_its_path(kind):
    image_dataset = images_of(data_with(TRUNCATED), [f"photos/{i}.png" for i in range(16)])
    with pytest.raises(ValueError, match=r"Image number \d+ \(photos/5.png\) cannot be read.*`--skip_bad_images`"):
        list(loader_of(kind, image_dataset, Shard(8, 0), decoder()).batches(0))


@pytest.mark.parametrize("kind", KINDS)
def test_missing_image_file_is_named(kind, tmp_path):
    path = str(tmp_path / "gone.png")
    rows = [{"bytes": None, "path": path}] + [{"bytes": png(i), "path": None} for i in range(7)]
    dataset = Dataset.from_dict({"image": rows}, features=Features({"image": Image(decode=False)}))
    with pytest.raises(ValueError, match=r"Image .*gone.png\) cannot be read"):
        list(loader_of(kind, ImageDataset(dataset, None), Shard(8, 0), decoder()).batches(0))


@pytest.mark.parametrize("bad", BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_resident_loader_drops_bad_images(bad, caplog):
    threads = decoder(skip_bad_images=True)
    with caplog.at_level(logging.WARNING):
        loader = loader_of("resident", images_of(data_with(bad, 17)), Shard(8, 0), threads)
    assert "Skipping image number 5" in caplog.text
    assert len(threads.bad_images) == 1
    batches = list(loader.batches(0))
    assert sorted(sum(greys(batches), [])) == [i for i in range(17) if i != 5]
    for batch in batches:
        assert torch.equal(batch["pixel_values"][:, 0, 0, 0].long(), batch["class_labels"])


@pytest.mark.parametrize("kind", ["decoding", "streaming"])
@pytest.mark.parametrize("bad", BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_decoding_loader_replaces_bad_images_within_their_batch(kind, bad):
    shard = Shard(8, 0)
    good = list(loader_of(kind, images_of(data_with(png(5))), shard, decoder()).batches(0))
    threads = decoder(skip_bad_images=True)
    batches = list(loader_of(kind, images_of(data_with(bad)), shard, threads).batches(0))
    assert len(threads.bad_images) == 1
    assert len(batches) == len(good) == 2
    for batch, good_batch in zip(greys(batches), greys(good)):
        assert len(batch) == 8 and set(batch) == set(good_batch) - {5}
        assert all(a == b for a, b in zip(batch, good_batch) if b != 5)
    for batch in batches:
        assert torch.equal(batch["pixel_values"][:, 0, 0, 0].long(), batch["class_labels"])


@pytest.mark.parametrize("kind", ["decoding", "streaming"])
def test_only_the_process_of_a_bad_image_replaces_it(kind):
    """Processes must stay in step: a bad image must not change the number of batches or the images of others."""
    shards = [Shard(4, 0, index, 2) for index in range(2)]
    decoders = [decoder(skip_bad_images=True) for _ in shards]
    image_dataset = images_of(data_with(NOT_AN_IMAGE))
    parts = [greys(loader_of(kind, image_dataset, *pair).batches(0)) for pair in zip(shards, decoders)]
    assert [len(part) for part in parts] == [2, 2]
    assert sorted(len(threads.bad_images) for threads in decoders) == [0, 1]
    assert sorted(set(sum(parts[0] + parts[1], []))) == [i for i in range(16) if i != 5]


@pytest.mark.parametrize("kind", ["decoding", "streaming"])
def test_batch_of_bad_images_only(kind):
    image_dataset = images_of([NOT_AN_IMAGE] * 8)
    with pytest.raises(ValueError, match="None of the 4 images of a batch can be read"):
        next(loader_of(kind, image_dataset, Shard(4, 0), decoder(skip_bad_images=True)).batches(0))
    assert not reading_threads()


def test_resident_loader_of_too_few_good_images():
    with pytest.raises(ValueError, match="has 15 images, which do not fill a batch of 16"):
        loader_of("resident", images_of(data_with(TRUNCATED)), Shard(16, 0), decoder(skip_bad_images=True))


def test_channels_are_chosen_from_a_sample(caplog):
    caplog.set_level(logging.INFO)
    assert choose_channels(numbered(2)) == 1
    assert choose_channels(streamed(numbered(2))) == 1
    colour, grey = png((1, 2, 3), "RGB"), png(0)
    for data in ([colour, grey], [grey, colour], [grey] * 100 + [colour], [colour] + [grey] * 100):
        assert choose_channels(images_of(data)) == 3
    assert choose_channels(streamed(images_of([grey] * 63 + [colour]))) == 3
    assert choose_channels(images_of([grey] * 100)) == 1
    assert "Channels: 1, because 0 of 64 images looked at are stored in colour" in caplog.text
    assert "Channels: 3, because 1 of 64 images looked at are stored in colour; grey ones are trained" in caplog.text
    assert choose_channels(images_of([png((7, 7, 7), "RGB")] * 3)) == 3
    assert "3 of 3 images looked at are stored in colour, although they show none: `--num_channels 1`" in caplog.text


def test_a_set_of_black_images_is_told(caplog):
    arrays = np.random.default_rng(0).integers(0, 256, (3, 8, 8), dtype=np.uint16)  # bytes, stored in 16 bits
    features = Features({"image": Image()})
    dataset = Dataset.from_dict({"image": list(arrays)}, features=features)
    choose_channels(find_images(dataset))
    assert "All 3 images looked at are black. Do 16-bit images hold bytes?" in caplog.text
    caplog.clear()
    choose_channels(find_images(Dataset.from_dict({"image": list(arrays * 257)}, features=features)))
    assert "black" not in caplog.text


@pytest.mark.parametrize("bad", BAD_IMAGES.values(), ids=BAD_IMAGES)
def test_choose_channels_skips_bad_images(bad):
    assert choose_channels(images_of([bad, png(0, "RGB")])) == 3
    with pytest.raises(ValueError, match="contains no readable image"):
        choose_channels(images_of([bad, bad]))


def test_make_loader_keeps_in_memory_what_fits():
    image_dataset, shard = numbered(20), Shard(8, 0)
    num_bytes = 20 * 1 * 4 * 4
    assert isinstance(make_loader(image_dataset, decoder(), shard, CPU, num_bytes / 1e9), ResidentLoader)
    assert isinstance(make_loader(image_dataset, decoder(), shard, CPU, (num_bytes - 1) / 1e9), DecodingLoader)
    assert isinstance(make_loader(image_dataset, decoder(num_channels=3), shard, CPU, num_bytes / 1e9), DecodingLoader)
    assert isinstance(make_loader(image_dataset, decoder(), shard, CPU, 0), DecodingLoader)
    assert isinstance(make_loader(streamed(image_dataset), decoder(), shard, CPU, 100), DecodingLoader)


@pytest.mark.parametrize("in_memory_gb", [0, 1])
def test_make_loader_of_too_few_images(in_memory_gb):
    with pytest.raises(ValueError, match="7 images, which do not fill a batch of 8"):
        make_loader(numbered(7), decoder(), Shard(8, 0), CPU, in_memory_gb)


@pytest.mark.parametrize("kind", KINDS)
def test_endless_batches_count_their_position(kind):
    loader = loader_of(kind, numbered(25), Shard(8, 0), decoder())
    batches = endless_batches(loader)
    positions, raw_batches = [], []
    for epoch, batch, raw_batch in islice(batches, 8):
        positions.append((epoch, batch))
        raw_batches.append(raw_batch)
    batches.close()
    assert positions == [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3), (2, 1), (2, 2)]
    expected = [batch for epoch in range(3) for batch in loader.batches(epoch)][:8]
    assert same_batches(raw_batches, expected)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", [0, 1, 2, 3, 4, 7])
def test_endless_batches_go_on_from_any_position(kind, step):
    loader = loader_of(kind, numbered(25), Shard(8, 0), decoder())
    whole = list(islice(endless_batches(loader), 9))
    epoch, batch = whole[step - 1][:2] if step else (0, 0)
    resumed = list(islice(endless_batches(loader, epoch, batch), 9 - step))
    assert [item[:2] for item in resumed] == [item[:2] for item in whole[step:]]
    assert same_batches([item[2] for item in resumed], [item[2] for item in whole[step:]])


@pytest.mark.parametrize("kind", ["decoding", "streaming"])
def test_closed_iterator_leaves_no_thread(kind):
    batches = loader_of(kind, numbered(200), Shard(4, 0), decoder()).batches(0)
    next(batches)
    assert len(reading_threads()) == 1
    batches.close()
    assert not reading_threads()


@pytest.mark.parametrize("kind", ["decoding", "streaming"])
def test_finished_iterator_leaves_no_thread(kind):
    list(loader_of(kind, numbered(20), Shard(4, 0), decoder()).batches(0))
    assert not reading_threads()


def test_closed_endless_batches_leave_no_thread():
    batches = endless_batches(loader_of("decoding", numbered(200), Shard(4, 0), decoder()))
    next(batches)
    batches.close()
    assert not reading_threads()


def test_reading_goes_only_a_few_batches_ahead():
    num_read = 0

    def rows():
        nonlocal num_read
        for i in range(1000):
            num_read += 1
            yield i

    ahead = in_background(rows(), lambda item: item)
    assert list(islice(ahead, 10)) == list(range(10))
    ahead.close()
    assert num_read <= 10 + 6  # the queue, one item waiting to enter it, and one read during closing
    assert not reading_threads()


@pytest.mark.parametrize("num_good", [0, 30])
def test_error_of_the_reading_thread_reaches_the_consumer(num_good):
    class BrokenDisk(Exception):
        pass

    class BrokenDataset:
        """Simulates a disk that fails after some images."""

        def __init__(self, dataset: Dataset):
            self.dataset, self.num_reads = dataset, 0

        def __len__(self) -> int:
            return len(self.dataset)

        def __getitem__(self, key):
            self.num_reads += 1
            if self.num_reads > num_good // 10:
                raise BrokenDisk("input/output error")
            return self.dataset[key]

    loader = DecodingLoader(ImageDataset(BrokenDataset(numbered(100).dataset), None), decoder(), Shard(10, 0), CPU)
    batches = loader.batches(0)
    assert len(list(islice(batches, num_good // 10))) == num_good // 10
    with pytest.raises(BrokenDisk, match="input/output error"):
        next(batches)
    assert not reading_threads()


@pytest.mark.parametrize("kind", KINDS)
def test_images_per_second(kind):
    loader = loader_of(kind, numbered(20), Shard(4, 0), decoder())
    assert images_per_second(loader, seconds=0.05) > 0
    assert not reading_threads()


def test_decoding_uses_the_given_resolution_and_resize_mode():
    image_dataset = images_of([png(255, size=2)] * 4, labels=False)
    loader = DecodingLoader(image_dataset, Decoder(1, 4, "pad", 2, False), Shard(4, 0), CPU)
    (batch,) = loader.batches(0)
    expected = np.zeros((4, 1, 4, 4), np.uint8)
    expected[:, :, 1:3, 1:3] = 255
    assert np.array_equal(batch["pixel_values"].numpy(), expected)
