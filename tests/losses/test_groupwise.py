import math
from itertools import permutations

import pytest
import torch

from rmx.losses import BradleyTerry, KWise, PlackettLuce, plackett_luce

NO_RANK = [-1, -1, -1]
each_groupwise = pytest.mark.parametrize("loss_class", [PlackettLuce, KWise])


def one_group(rewards: list[float], ranks: list[int]) -> float:
    group_C = torch.zeros(len(rewards), dtype=torch.int64)
    reward_C = torch.tensor(rewards, dtype=torch.float64)
    return plackett_luce(reward_C, torch.tensor(ranks), group_C, 1).item()


def test_ranking_is_drawn_from_the_best_down():
    # rewards log 3, log 2, log 1 in that order: 3/6 * 2/3 * 1/1 = 1/3
    assert one_group([math.log(3), math.log(2), 0.0], [0, 1, 2]) == pytest.approx(math.log(3))
    # the worst first: 1/6 * 3/5 * 2/2 = 1/10
    assert one_group([math.log(3), math.log(2), 0.0], [1, 2, 0]) == pytest.approx(math.log(10))


def test_all_rankings_of_a_group_sum_to_1():
    rewards = torch.randn(4).tolist()
    total = sum(math.exp(-one_group(rewards, list(ranks))) for ranks in permutations(range(4)))
    assert total == pytest.approx(1)


def test_tied_level_has_breslows_denominator():
    # 4 wins of 4+2+1+1 = 8; then 2 and 1 tie over 2+1+1 = 4; then 1 of 1: ½ * ½ * ¼ = 1/16
    rewards = [math.log(4), math.log(2), 0.0, 0.0]
    assert one_group(rewards, [0, 1, 1, 2]) == pytest.approx(math.log(16))


def test_ranking_of_two_is_bradley_terry(make_pairs):
    batch, reward_C = make_pairs([1.0, 0.0, 1.0]), 4 * torch.randn(6)
    torch.testing.assert_close(PlackettLuce()(reward_C, batch), BradleyTerry()(reward_C, batch))


def test_tie_of_two_is_twice_bradley_terrys_soft_label(make_pairs):
    batch, reward_C = make_pairs([0.5]), torch.tensor([1.3, -0.4])
    torch.testing.assert_close(PlackettLuce()(reward_C, batch), 2 * BradleyTerry()(reward_C, batch))


def test_groups_do_not_see_one_another(make_groups):
    three = (3, [(0, 1, 1.0), (1, 2, 1.0)], [0, 1, 2])
    two = (2, [(0, 1, 0.0)], [1, 0])
    reward_C = torch.randn(5)
    both = PlackettLuce()(reward_C, make_groups([three, two]))
    torch.testing.assert_close(both[:1], PlackettLuce()(reward_C[:3], make_groups([three])))
    torch.testing.assert_close(both[1:], PlackettLuce()(reward_C[3:], make_groups([two])))


def test_group_without_a_full_ranking_or_without_weight_does_not_count(make_groups):
    pair = [(0, 1, 1.0)]
    batch = make_groups(
        [(3, pair, [0, 1, 2]), (3, pair, NO_RANK), (2, pair, [0, 1])], weights=[2.0, 1.0, 0.0]
    )
    assert PlackettLuce().weights(batch).tolist() == [2, 0, 0]
    assert PlackettLuce()(torch.randn(8), batch).isfinite().all()


def test_dropping_ties_leaves_out_rankings_with_a_tied_rank(make_groups):
    pair = [(0, 1, 1.0)]
    batch = make_groups([(3, pair, [0, 1, 1]), (3, pair, [0, 1, 2])])
    assert PlackettLuce(ties="drop").weights(batch).tolist() == [0, 1]
    assert PlackettLuce(ties="soft").weights(batch).tolist() == [1, 1]


def test_kwise_is_the_weighted_mean_of_a_groups_comparisons(make_groups):
    groups = [(3, [(0, 1, 1.0), (0, 2, 1.0), (1, 2, 0.5)], [0, 1, 1]), (2, [(0, 1, 1.0)], [0, 1])]
    batch = make_groups(groups, weights=[1.0, 3.0, 2.0, 5.0])
    # margins log 3, log 7, log 7/3; losses log 4/3, log 8/7, and for the tie
    # ½ log(10/7) + ½ log(10/3); the other group's margin is 0
    reward_C = torch.tensor([math.log(21), math.log(7), math.log(3), 1.0, 1.0])
    tie = 0.5 * math.log(10 / 7) + 0.5 * math.log(10 / 3)
    mean = (1 * math.log(4 / 3) + 3 * math.log(8 / 7) + 2 * tie) / 6
    torch.testing.assert_close(KWise()(reward_C, batch), torch.tensor([mean, math.log(2)]))


@each_groupwise
def test_group_weighs_the_mean_of_its_comparisons_without_fillers(make_groups, loss_class):
    three = (3, [(0, 1, 1.0), (0, 2, 1.0), (1, 2, 1.0)], [0, 1, 2])
    pair = (2, [(0, 1, 1.0)], [0, 1])
    batch = make_groups([three, pair, pair], weights=[0.5, 1.5, 0.0, 0.25, 0.0])
    # (0.5 + 1.5) / 2, as a third comparison of weight 0 would have no say; 0.25; nothing
    assert loss_class().weights(batch).tolist() == [1, 0.25, 0]


@each_groupwise
def test_groups_of_two_weigh_what_their_comparisons_do(make_pairs, loss_class):
    batch, reward_C = make_pairs([1.0, 0.0, 1.0], weights=[0.5, 2.0, 0.0]), torch.randn(6)
    loss, pairwise = loss_class(), BradleyTerry()
    assert loss.weights(batch).tolist() == pairwise.weights(batch).tolist()
    torch.testing.assert_close(
        loss.weights(batch) * loss(reward_C, batch),
        pairwise.weights(batch) * pairwise(reward_C, batch),
    )


def test_dropped_ties_have_no_say_in_a_groups_weight(make_groups):
    three = (3, [(0, 1, 1.0), (0, 2, 1.0), (1, 2, 0.5)], [0, 1, 1])
    batch = make_groups([three], weights=[1.0, 2.0, 6.0])
    assert KWise(ties="drop").weights(batch).tolist() == [1.5]
    assert KWise(ties="soft").weights(batch).tolist() == [3]


def test_kwise_drops_ties_from_the_mean_and_groups_of_ties_from_the_batch(make_groups):
    groups = [(3, [(0, 1, 1.0), (1, 2, 0.5)], NO_RANK), (2, [(0, 1, 0.5)], [0, 0])]
    loss, batch = KWise(ties="drop"), make_groups(groups)
    loss_G = loss(torch.tensor([math.log(3), 0.0, 9.0, 0.0, 4.0]), batch)
    torch.testing.assert_close(loss_G, torch.tensor([math.log(4 / 3), 0.0]))
    assert loss.weights(batch).tolist() == [1, 0]


@each_groupwise
def test_centring_is_the_mean_over_a_groups_comparisons(make_groups, loss_class):
    batch = make_groups([(3, [(0, 1, 1.0), (0, 2, 1.0)], [0, 1, 2])], weights=[1.0, 3.0])
    reward_C = torch.tensor([1.0, 2.0, 3.0])
    penalty_G = loss_class(centering=0.1)(reward_C, batch) - loss_class()(reward_C, batch)
    # 0.1 * (1 * (1+2)² + 3 * (1+3)²) / 4 = 0.1 * 57/4
    torch.testing.assert_close(penalty_G, torch.tensor([1.425]))
