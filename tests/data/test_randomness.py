import hashlib

import torch

from selfdistill.data.randomness import generator, seed_of


def test_a_streams_seed_is_the_first_63_bits_of_its_names_sha256():
    digest = hashlib.sha256(b"7/order/3").hexdigest()
    assert seed_of(7, "order", 3) == int(digest[:16], 16) >> 1


def test_seed_stream_and_index_all_matter_and_fit_torch():
    names = [
        (seed, stream, index) for seed in (0, 1, 2**63 - 1) for stream in ("order", "crop") for index in (0, 1, 11)
    ]
    seeds = {seed_of(*name) for name in names}
    assert len(seeds) == len(names)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_generator_always_starts_anew():
    first, second = (torch.rand(3, generator=generator(0, "flip", 2)) for _ in range(2))
    assert torch.equal(first, second)


def test_drawing_leaves_the_global_random_state():
    before = torch.random.get_rng_state()
    torch.rand(3, generator=generator(0, "flip"))
    assert torch.equal(before, torch.random.get_rng_state())
