import hashlib

import torch

from selfdistill.data.randomness import generator, seed_of


def test_a_streams_seed_is_the_first_63_bits_of_its_names_sha256():
    digest = hashlib.sha256(b"7/order/3").hexdigest()
    assert seed_of(7, "order", 3) == int(digest[:16], 16) >> 1


def test_a_generator_always_starts_anew_and_leaves_the_global_random_state():
    before = torch.random.get_rng_state()
    first, second = (torch.rand(3, generator=generator(0, "flip", 2)) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(before, torch.random.get_rng_state())
