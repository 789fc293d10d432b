import pytest

from selfdistill.training.schedule import cosine


def test_cosine_of_four_epochs():
    rates = [cosine(0.1, epoch, 4) for epoch in range(4)]
    assert rates == pytest.approx([0.1, 0.085355, 0.05, 0.014645], abs=1e-6)


def test_cosine_would_reach_zero_after_the_last_epoch():
    assert cosine(0.1, 200, 200) == pytest.approx(0, abs=1e-17)


def test_cosine_never_rises():
    rates = [cosine(0.1, epoch, 300) for epoch in range(300)]
    assert rates == sorted(rates, reverse=True)
