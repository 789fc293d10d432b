import pytest
import torch

from selfdistill.losses.terms import LossTerms, Term, describe_coefficients


def term(weight, value):
    return Term(weight, torch.tensor(value))


KD = LossTerms((term(0.5, 2.0),), (term(8.0, 0.25),))
WITH_FEATURES = LossTerms((term(0.5, 2.0),), (term(8.0, 0.25),), (term(0.1, 3.0),))
SELF_DISTILLATION = LossTerms(
    (term(0.3, 2.0), term(0.3, 1.5), term(0.3, 1.25), term(1.0, 1.0)),
    (term(11.2, 0.5), term(11.2, 0.25), term(11.2, 0.125)),
)
ONE_HEAD = LossTerms((term(0.3, 2.0), term(1.0, 1.0)), (term(11.2, 0.5),))
TWO_FEATURES = LossTerms((term(0.5, 2.0),), feature=(term(0.1, 3.0), term(0.2, 5.0)))


def test_logged_values_are_unweighted_and_of_terms_that_there_are():
    assert KD.logged() == {"train_cross_entropy": 2.0, "train_distillation": 0.25}
    assert list(LossTerms((term(1.0, 2.5),)).logged()) == ["train_cross_entropy"]


def test_logged_heads_run_from_shallow_to_deep_and_the_sums_are_those_of_all_methods():
    heads = {"train_ce_head1": 2.0, "train_ce_head2": 1.5, "train_ce_head3": 1.25, "train_ce_head4": 1.0}
    heads |= {"train_kl_head1": 0.5, "train_kl_head2": 0.25, "train_kl_head3": 0.125}
    assert SELF_DISTILLATION.logged() == {"train_cross_entropy": 1.0, "train_distillation": 0.875} | heads


@pytest.mark.parametrize(
    "terms", [KD, WITH_FEATURES, SELF_DISTILLATION, ONE_HEAD, TWO_FEATURES, LossTerms((term(1.0, 2.5),))]
)
def test_total_is_the_sum_of_coefficient_times_logged_column(terms):
    logged = terms.logged()
    total = sum(weight * logged[column] for column, weight in terms.coefficients().items())
    assert total.item() == pytest.approx(terms.total.item())


def test_coefficients_in_words():
    assert describe_coefficients(KD.coefficients()) == "CE 0.5, KL 8"
    assert describe_coefficients(ONE_HEAD.coefficients()) == "CE head1 0.3, CE head2 1, KL 11.2"
