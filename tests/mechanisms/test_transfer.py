import math

import numpy as np
import pytest

from selfdistill.mechanisms.transfer import (
    agreement,
    cka,
    divergence,
    entropy,
    fidelity,
    shared_errors,
    soft_targets,
    spread_over_inputs,
)


def one_hot(*classes):
    return 4 * np.eye(3)[list(classes)]


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def test_agreement_counts_equal_predictions():
    assert agreement(one_hot(0, 1, 2, 0), one_hot(0, 1, 1, 2)) == 0.5
    assert agreement(one_hot(0, 1), 9 * one_hot(0, 1) + 5) == 1


def test_divergence_worked_example():
    teacher, student = np.array([[math.log(3), 0.0]]), np.zeros((1, 2))  # (3/4, 1/4) and (1/2, 1/2)
    assert divergence(teacher, student) == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))
    assert divergence(student, teacher) == pytest.approx(0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25))


def test_divergence_is_zero_for_logits_that_differ_by_a_shift_and_a_mean_over_images():
    teacher, student = normal(20, 5), normal(20, 5, seed=1)
    assert divergence(teacher, teacher + normal(20, 1)) == pytest.approx(0, abs=1e-12)
    each = [divergence(teacher[i : i + 1], student[i : i + 1]) for i in range(20)]
    assert divergence(teacher, student) == pytest.approx(np.mean(each))
    assert min(each) > 0


def test_divergence_stays_finite_where_the_student_s_probability_underflows():
    assert divergence(np.array([[0.0, 900.0]]), np.array([[900.0, 0.0]])) == pytest.approx(900)


def test_cka_worked_example():
    # Centred: (-1, 0, 1) and (-2, 1, 1) / 3, so (x . y)^2 = 1, x . x = 2 and y . y = 2/3.
    x, y = np.array([[0.0], [1.0], [2.0]]), np.array([[0.0], [1.0], [1.0]])
    assert cka(x, y) == pytest.approx(1**2 / (2 * (2 / 3)))


def test_cka_of_a_rotation_is_one_whatever_scale_and_offset():
    x = normal(100, 8)
    rotation, _ = np.linalg.qr(normal(8, 8, seed=1))
    assert cka(x, x @ rotation) == pytest.approx(1)
    assert cka(x, -3e4 * (x @ rotation) + 7) == pytest.approx(1)
    assert cka(x, x * np.linspace(0.1, 3, 8)) < 0.99  # but not of every linear map


def test_cka_is_symmetric_and_small_for_what_is_independent():
    x, y = normal(4000, 5), normal(4000, 7, seed=1)
    assert cka(x, y) == pytest.approx(cka(y, x))
    assert 0 < cka(x, y) < 0.01
    assert cka(x, np.hstack([x, y])) > 0.3


def test_cka_with_features_that_never_change_is_zero():
    assert cka(normal(10, 3), np.full((10, 2), 0.1)) == 0


def test_shared_errors_by_hand():
    labels = np.array([0, 1, 2, 0, 1])
    teacher = one_hot(0, 2, 0, 1, 1)  # wrong on the images 1, 2 and 3
    student = one_hot(1, 2, 2, 1, 1)  # the teacher's error on 1 and 3, right on 2
    assert shared_errors(student, teacher, labels) == pytest.approx(2 / 3)
    another = one_hot(0, 0, 1, 2, 1)  # wrong on all three, each time in its own way
    assert shared_errors(another, teacher, labels) == 0


def test_without_errors_of_the_teacher_there_are_none_to_share():
    assert shared_errors(one_hot(1, 1), one_hot(0, 1), np.array([0, 1])) is None


def test_entropy_by_hand():
    logits = np.array([[math.log(3), 0.0], [0.0, 0.0]])
    first = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert entropy(logits, 1) == pytest.approx((first + math.log(2)) / 2)
    assert entropy(logits * 4, 4) == pytest.approx(entropy(logits, 1))


def test_entropy_lies_between_certain_and_uniform():
    logits = normal(50, 10)
    assert entropy(logits * 1e4, 1) == pytest.approx(0, abs=1e-3)
    assert entropy(logits, 1) < entropy(logits, 4) < entropy(logits, 1e4) == pytest.approx(math.log(10))


def test_soft_targets_by_hand():
    logits = 2 * np.array([[math.log(3), 0.0], [0.0, math.log(3)], [0.0, 0.0], [0.0, 800.0]])
    found = soft_targets(logits, np.array([0, 0, 1, 1]), 2)
    assert found.rows == [[pytest.approx(0.5), pytest.approx(0.5)], [pytest.approx(0.25), pytest.approx(0.75)]]
    between = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert found.entropy == pytest.approx((2 * between + math.log(2)) / 4)
    filled = {index: count for index, count in enumerate(found.entropy_counts) if count}
    assert filled == {0: 1, int(20 * between / math.log(2)): 2, 19: 1}  # certain, twice 3 to 1, even
    assert found.logit_spread == spread_over_inputs(logits)


def test_the_rows_of_a_teacher_that_ignores_its_input_are_all_alike():
    found = soft_targets(np.repeat(normal(1, 3), 30, 0), np.arange(30) % 3, 4.0)
    np.testing.assert_allclose(found.rows, [found.rows[0]] * 3, rtol=1e-12)
    assert (sum(found.entropy_counts), max(found.entropy_counts), found.logit_spread) == (30, 30, 0)


def test_spread_over_inputs_by_hand():
    logits = np.array([[0.0, 1.0], [2.0, 1.0], [4.0, 4.0], [2.0, 2.0]])
    assert spread_over_inputs(logits) == pytest.approx((math.sqrt(2) + math.sqrt(1.5)) / 2)


def test_a_network_that_ignores_its_input_has_no_spread():
    row = normal(1, 10)
    assert spread_over_inputs(np.repeat(row, 1000, 0)) == 0
    assert spread_over_inputs(np.repeat(row, 1000, 0) + 1e-3 * normal(1000, 10)) == pytest.approx(1e-3, rel=0.05)


def test_fidelity_has_each_measure_the_right_way_round():
    student, teacher, labels = normal(60, 5), normal(60, 5, seed=1), np.arange(60) % 5
    features = normal(60, 4), normal(60, 6, seed=3)
    shallow = [(normal(60, 3, seed=2 * k), normal(60, 5, seed=2 * k + 1)) for k in (3, 4, 5)]
    stages = zip(*shallow, features, strict=True)
    found = fidelity(student, teacher, labels, *stages)
    names = ["agreement", "divergence", "cka_stage1", "cka_stage2", "cka_stage3", "cka", "shared_errors"]
    assert list(found) == names
    assert [found[f"cka_stage{k}"] for k in (1, 2, 3)] == [cka(*pair) for pair in shallow]
    assert found["divergence"] == divergence(teacher, student) != divergence(student, teacher)
    assert found["shared_errors"] == shared_errors(student, teacher, labels) != shared_errors(teacher, student, labels)
    assert found["cka"] == cka(*features)
    assert found["agreement"] == agreement(student, teacher)
    assert all(type(value) is float for value in found.values())
