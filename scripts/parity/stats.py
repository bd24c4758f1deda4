"""Records what SciPy and statsmodels make of the inputs that the tests of `crates/stats` use.

    pip install scipy statsmodels
    python scripts/parity/stats.py > crates/stats/tests/parity/stats.json

What no package has (the effective number of images, the mixture over a chi-squared variable) is built
here from SciPy's distributions, by other means than in Rust: quadrature and root finding.
"""

import itertools
import json
import random
import sys

import numpy as np
import pandas as pd
import scipy
import statsmodels
import statsmodels.formula.api as formula
from scipy import integrate, optimize, stats
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint
from statsmodels.stats.weightstats import ttost_paired


def runs(rng, seeds, images, accuracy):
    """Right (1) or wrong (0) by seed and image; images differ in difficulty, seeds in luck."""
    difficulty = [rng.gauss(accuracy, 0.3) for _ in range(images)]
    luck = [rng.gauss(0, 0.05) for _ in range(seeds)]
    return [
        [int(rng.random() < min(max(d + s, 0.02), 0.98)) for d in difficulty] for s in luck
    ]


def mean_squares(table):
    rows = [(s, i, y) for s, row in enumerate(table) for i, y in enumerate(row)]
    frame = pd.DataFrame(rows, columns=["seed", "image", "y"])
    fit = anova_lm(formula.ols("y ~ C(seed) + C(image)", frame).fit())
    return [float(value) for value in fit["mean_sq"]]


def half_width(squares, seeds, images, reach, tail):
    """The half-width that the generalised distribution of the error gives."""
    by_seed, by_image, residual = squares
    cells = seeds * images
    if reach:
        by_image = (by_image * (images - 1) + 2 * seeds * reach**2) / (images + 1)
    by_image = max(by_image, residual)

    def above(distance):
        def at(w):
            variance = max(by_seed * (seeds - 1) / w - residual, 0) + by_image
            share = stats.t.sf(distance / np.sqrt(variance / cells), images - 1)
            return share * stats.chi2.pdf(w, seeds - 1)

        points = [by_seed * (seeds - 1) / residual] if residual else []
        inner = sorted({1e-6, 0.01, 0.1, 1.0, *points, seeds - 1.0, 5.0 * seeds + 50})
        edges = [0.0, *[edge for edge in inner if edge > 0], np.inf]
        return sum(
            integrate.quad(at, low, high, epsabs=1e-13, epsrel=1e-10, limit=200)[0]
            for low, high in itertools.pairwise(edges)
        )

    return optimize.brentq(lambda distance: above(distance) - tail, 1e-9, 5, xtol=1e-12)


def korn_graubard(mean, width, images, cells):
    effective = mean * (1 - mean) * (stats.norm.ppf(0.975) / width) ** 2
    effective = min(effective, images if images < 30 else cells)
    right = mean * effective
    return [
        float(stats.beta.ppf(0.025, right, effective - right + 1)),
        float(stats.beta.ppf(0.975, right + 1, effective - right)),
    ]


def crossed(rng):
    for seeds, images, accuracy in [(3, 20, 0.6), (5, 40, 0.7), (8, 60, 0.85)]:
        level, baseline = (runs(rng, seeds, images, accuracy) for _ in range(2))
        difference = (np.array(level) - np.array(baseline)).tolist()
        squares, paired = mean_squares(level), mean_squares(difference)
        width = half_width(squares, seeds, images, 0, 0.025)
        yield {
            "level": level,
            "baseline": baseline,
            "mean_squares": squares,
            "score_interval": korn_graubard(np.mean(level), width, images, seeds * images),
            "difference_half_width": half_width(paired, seeds, images, 0.5, 0.025),
        }


def proportions():
    for right, images, base in [(441, 744, 446), (482, 744, 471), (26, 744, 441), (8, 8, 5), (0, 40, 3)]:
        yield {
            "right": right,
            "images": images,
            "baseline_right": base,
            "clopper_pearson": [float(x) for x in proportion_confint(right, images, method="beta")],
            "newcombe": [
                float(x)
                for x in confint_proportions_2indep(
                    right, images, base, images, method="newcomb", compare="diff"
                )
            ],
            "fisher": float(
                stats.fisher_exact([[right, images - right], [base, images - base]]).pvalue
            ),
        }


def paired(rng):
    for seeds in [3, 5, 8, 11]:
        level = [round(rng.gauss(0.72, 0.02), 4) for _ in range(seeds)]
        baseline = [round(rng.gauss(0.70, 0.02), 4) for _ in range(seeds)]
        differences = np.array(level) - np.array(baseline)
        flips = stats.permutation_test(
            (differences,), np.sum, permutation_type="samples", n_resamples=np.inf
        )
        test = stats.ttest_rel(level, baseline)
        interval = test.confidence_interval()
        sd = differences.std(ddof=1)
        # From above SciPy's noncentral t is not a number: its root finder must not go there.
        high = 1e-3
        while TTestPower().power(high, seeds, 0.05) < 0.8:
            high *= 1.2
        detectable = optimize.brentq(
            lambda effect: TTestPower().power(effect, seeds, 0.05) - 0.8, high / 1.2, high
        )
        yield {
            "level": level,
            "baseline": baseline,
            "sign_flip": float(flips.pvalue),
            "t_p": float(test.pvalue),
            "interval": [float(interval.low), float(interval.high)],
            "equivalence_p": float(ttost_paired(np.array(level), np.array(baseline), -0.05, 0.05)[0]),
            "detectable": float(detectable * sd),
        }


def rank(rng):
    for levels, ties in [(4, False), (6, False), (7, True)]:
        left = [round(rng.uniform(0.5, 0.7), 1 if ties else 4) for _ in range(levels)]
        right = [round(x + rng.gauss(0, 0.05), 4) for x in left]

        def exact(statistic):
            return stats.permutation_test(
                (left,), statistic, permutation_type="pairings", n_resamples=np.inf
            ).pvalue

        rho, tau = (lambda x: stats.spearmanr(x, right)[0]), (lambda x: stats.kendalltau(x, right)[0])
        yield {
            "left": left,
            "right": right,
            "spearman": float(rho(left)),
            "spearman_p": float(exact(rho)),
            "kendall": float(tau(left)),
            "kendall_p": float(exact(tau)),
            "kendalltau_exact_p": None
            if ties
            else float(stats.kendalltau(left, right, method="exact").pvalue),
        }


def importance(rng):
    for levels, seeds, effect in [(3, 5, 0.03), (2, 10, 0.0), (4, 4, 0.1)]:
        luck = [rng.gauss(0, 0.03) for _ in range(seeds)]
        scores = [
            [round(0.7 + effect * level + s + rng.gauss(0, 0.02), 4) for s in luck]
            for level in range(levels)
        ]
        rows = [(l, s, y) for l, row in enumerate(scores) for s, y in enumerate(row)]
        frame = pd.DataFrame(rows, columns=["level", "seed", "y"])
        fit = anova_lm(formula.ols("y ~ C(level) + C(seed)", frame).fit())
        f = float(fit["F"].iloc[0])
        df1, df2 = levels - 1, (levels - 1) * (seeds - 1)

        def noncentrality(below):
            cdf = lambda nc: stats.ncf.cdf(f, df1, df2, nc) if nc > 0 else stats.f.cdf(f, df1, df2)
            return 0.0 if cdf(0) <= below else optimize.brentq(lambda nc: cdf(nc) - below, 0, 5000)

        share = [x / (x + levels * seeds) for x in (noncentrality(0.975), noncentrality(0.025))]
        yield {"scores": scores, "p": float(fit["PR(>F)"].iloc[0]), "share_interval": share}


def interactions(rng):
    """Four cells of two factors: known by image, and by their scores alone."""
    for seeds, images in [(4, 30), (8, 60)]:
        cells = [[runs(rng, seeds, images, 0.6 + 0.1 * (row + column)) for column in range(2)] for row in range(2)]
        contrast = np.array(cells[1][1]) - cells[1][0] - np.array(cells[0][1]) + cells[0][0]
        # Four cells of 0 or 1 reach twice as far as two.
        width = half_width(mean_squares(contrast.tolist()), seeds, images, 1.0, 0.025)
        of_seeds = contrast.mean(axis=1)
        interval = stats.ttest_1samp(of_seeds, 0).confidence_interval()
        flips = stats.permutation_test(
            (of_seeds,), np.sum, permutation_type="samples", n_resamples=np.inf
        )
        yield {
            "cells": cells,
            "estimate": float(contrast.mean()),
            "half_width": width,
            "sign_flip": float(flips.pvalue),
            "interval_of_scores": [float(interval.low), float(interval.high)],
        }


def sequential(rng):
    """Bets on the signs of differences, after all of which the largest mean capital counts."""
    for seeds, effect in [(3, 0.05), (10, 0.02), (30, 0.0)]:
        differences = np.array([round(rng.gauss(effect, 0.02), 4) for _ in range(seeds)])
        scale = np.sqrt(np.cumsum(differences**2) / np.arange(1, seeds + 1))
        games = [
            np.cumprod(1 + np.tanh(stake * sign * differences / scale))
            for stake in (1, 4)
            for sign in (1, -1)
        ]
        capital = np.mean(games, axis=0)
        yield {"differences": differences.tolist(), "p": float(1 / max(1, capital.max()))}


def main():
    rng = random.Random(6)
    p_values = [0.001, 0.04, 0.03, 0.2, 0.012]
    record = {
        "scipy": scipy.__version__,
        "statsmodels": statsmodels.__version__,
        "crossed": list(crossed(rng)),
        "proportions": list(proportions()),
        "mcnemar": [
            {"gained": b, "lost": c, "p": float(mcnemar([[0, b], [c, 0]], exact=True).pvalue)}
            for b, c in [(10, 3), (0, 5), (7, 7), (120, 90)]
        ],
        "holm": {"p": p_values, "adjusted": multipletests(p_values, method="holm")[1].tolist()},
        "paired": list(paired(rng)),
        "rank": list(rank(rng)),
        "importance": list(importance(rng)),
        "interactions": list(interactions(random.Random(7))),
        "sequential": list(sequential(random.Random(8))),
    }
    json.dump(record, sys.stdout, indent=None, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
