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


def test_total_is_the_sum_of_weight_times_value():
    assert WITH_FEATURES.total.item() == pytest.approx(0.5 * 2 + 8 * 0.25 + 0.1 * 3)


def test_total_of_cross_entropy_alone_is_its_value():
    assert LossTerms((term(1.0, 2.5),)).total.item() == 2.5


def test_logged_values_are_unweighted():
    assert KD.logged() == {"train_cross_entropy": 2.0, "train_distillation": 0.25}


def test_logged_cross_entropy_is_the_final_classifiers():
    assert SELF_DISTILLATION.logged()["train_cross_entropy"].item() == 1.0


def test_logged_distillation_is_the_sum_over_classifiers():
    assert SELF_DISTILLATION.logged()["train_distillation"].item() == 0.875


def test_logged_heads_run_from_shallow_to_deep():
    logged = SELF_DISTILLATION.logged()
    assert [logged[f"train_ce_head{k}"].item() for k in (1, 2, 3, 4)] == [2.0, 1.5, 1.25, 1.0]
    assert [logged[f"train_kl_head{k}"].item() for k in (1, 2, 3)] == [0.5, 0.25, 0.125]


def test_terms_that_a_method_lacks_are_not_logged():
    assert list(LossTerms((term(1.0, 2.5),)).logged()) == ["train_cross_entropy"]


@pytest.mark.parametrize(
    "terms", [KD, WITH_FEATURES, SELF_DISTILLATION, ONE_HEAD, TWO_FEATURES, LossTerms((term(1.0, 2.5),))]
)
def test_total_is_the_sum_of_coefficient_times_logged_column(terms):
    logged = terms.logged()
    total = sum(weight * logged[column] for column, weight in terms.coefficients().items())
    assert total.item() == pytest.approx(terms.total.item())


def test_coefficients_of_knowledge_distillation_in_words():
    assert describe_coefficients(KD.coefficients()) == "CE 0.5, KL 8"


def test_coefficients_of_self_distillation_in_words():
    assert describe_coefficients(SELF_DISTILLATION.coefficients()) == (
        "CE head1 0.3, CE head2 0.3, CE head3 0.3, CE head4 1, KL head1 11.2, KL head2 11.2, KL head3 11.2"
    )
