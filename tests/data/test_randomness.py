import hashlib

from selfdistill.data.randomness import seed_of


def test_a_streams_seed_is_the_first_63_bits_of_its_names_sha256():
    digest = hashlib.sha256(b"7/order/3").hexdigest()
    assert seed_of(7, "order", 3) == int(digest[:16], 16) >> 1
