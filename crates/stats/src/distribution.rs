//! Distribution functions in the shape that the rest of the crate needs.
//!
//! The functions are `statrs`'s; quantiles are found by bisection of them, which is slower than a
//! series and cannot miss.

use statrs::function::beta::beta_reg;
use statrs::function::erf::erfc;
use statrs::function::gamma::ln_gamma;

/// P(Z > `x`) of the standard normal distribution.
pub(crate) fn normal_tail(x: f64) -> f64 {
    0.5 * erfc(x / std::f64::consts::SQRT_2)
}

/// P(T > `x`) of Student's t distribution; with infinite `df` of the standard normal one.
pub(crate) fn t_tail(x: f64, df: f64) -> f64 {
    if df.is_infinite() {
        return normal_tail(x);
    }
    let tail = if df < MANY_DF {
        0.5 * beta_reg(df / 2.0, 0.5, df / (df + x * x))
    } else {
        t_tail_of_many(x, df)
    };
    if x < 0.0 { 1.0 - tail } else { tail }
}

/// From that many degrees of freedom on [`t_tail_of_many`] is exact to seven digits.
const MANY_DF: f64 = 30.0;

/// P(T > |`x`|) by the normal distribution (Hill, Communications of the ACM 13, algorithm 395, 1970): thirty
/// times as fast, and intervals are mostly made of this.
fn t_tail_of_many(x: f64, df: f64) -> f64 {
    let a = df - 0.5;
    let b = 48.0 * a * a;
    let y = a * (x * x / df).ln_1p();
    let correction =
        ((((-0.4 * y - 3.3) * y - 24.0) * y - 85.5) / (0.8 * y * y + 100.0 + b) + y + 3.0) / b;
    normal_tail((correction + 1.0) * y.sqrt())
}

/// P(X <= `x`) of the beta distribution with positive parameters.
fn beta_cdf(x: f64, a: f64, b: f64) -> f64 {
    beta_reg(a, b, x.clamp(0.0, 1.0))
}

/// The value that a beta variable stays below with probability `p`.
pub(crate) fn beta_quantile(p: f64, a: f64, b: f64) -> f64 {
    bisect(0.0, 1.0, |x| beta_cdf(x, a, b) < p)
}

/// The value that a t variable exceeds with probability `tail`, at most one half.
pub(crate) fn t_upper(tail: f64, df: f64) -> f64 {
    if tail >= 0.5 {
        return 0.0;
    }
    falls_to(tail, 2.0, |x| t_tail(x, df))
}

/// Where a function that falls from above `level` at 0 comes down to it; `scale` is about how far away that
/// is. The Illinois method (Dowell, Jarratt, BIT 11, 1971) on the logarithm.
pub(crate) fn falls_to(level: f64, scale: f64, of: impl Fn(f64) -> f64) -> f64 {
    let gap = |x: f64| (of(x).max(1e-300) / level).ln();
    let (mut low, mut high) = (0.0, scale);
    let (mut at_low, mut at_high) = (gap(low), gap(high));
    while at_high > 0.0 {
        (low, at_low) = (high, at_high);
        high *= 2.0;
        at_high = gap(high);
    }
    for _ in 0..60 {
        let next = (low * at_high - high * at_low) / (at_high - at_low);
        let at_next = gap(next);
        if at_next.abs() < 1e-12 {
            return next;
        }
        if (at_next > 0.0) == (at_low > 0.0) {
            (low, at_low) = (next, at_next);
            at_high *= 0.5;
        } else {
            (high, at_high) = (next, at_next);
            at_low *= 0.5;
        }
    }
    0.5 * (low + high)
}

/// P(F <= `x`) of the F distribution with noncentrality `lambda`: a Poisson mixture of beta
/// distributions (Johnson, Kotz, Balakrishnan, Continuous Univariate Distributions 2, chapter 30).
pub(crate) fn noncentral_f_cdf(x: f64, df1: f64, df2: f64, lambda: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    let at = df1 * x / (df1 * x + df2);
    let half = lambda / 2.0;
    // Beyond ten standard deviations around its mean nothing is left of a Poisson variable.
    let reach = 10.0 * half.sqrt() + 30.0;
    let (first, last) = ((half - reach).max(0.0).floor() as u64, (half + reach).ceil() as u64);
    // The weights of many are smooth: every so many of them stand for those between.
    let stride = ((last - first) / 2000).max(1);
    let sum: f64 = (first..=last)
        .step_by(stride as usize)
        .map(|j| {
            let j = j as f64;
            let log_weight = if half == 0.0 && j == 0.0 {
                0.0
            } else {
                j * half.ln() - half - ln_gamma(j + 1.0)
            };
            log_weight.exp() * beta_cdf(at, df1 / 2.0 + j, df2 / 2.0)
        })
        .sum();
    sum * stride as f64
}

/// Nodes and weights that average a function over a chi-squared variable: `(value, weight)`.
///
/// The trapezoidal rule in the variable's logarithm, where the density is smooth and dies away on both
/// sides, converges exponentially (Trefethen, Weideman, SIAM Review 56, 2014).
pub(crate) fn chi_squared_nodes(df: f64) -> Vec<(f64, f64)> {
    let step = 0.2 * (2.0 / df).sqrt().min(1.0);
    let low = df.ln() - 1.0 - 56.0 / df;
    let high = (df + 10.0 * (2.0 * df).sqrt() + 30.0).ln();
    let log_density = |x: f64| df / 2.0 * x - x.exp() / 2.0;
    let peak = log_density(df.ln());
    let nodes: Vec<(f64, f64)> = (0..)
        .map(|i| low + step * f64::from(i))
        .take_while(|x| *x <= high)
        .map(|x| (x.exp(), (log_density(x) - peak).exp()))
        .filter(|(_, weight)| *weight > 1e-14)
        .collect();
    let total: f64 = nodes.iter().map(|(_, weight)| weight).sum();
    nodes.into_iter().map(|(value, weight)| (value, weight / total)).collect()
}

/// The point between `low` and `high` where `below` turns from true to false.
pub(crate) fn bisect(low: f64, high: f64, below: impl Fn(f64) -> bool) -> f64 {
    let (low, high) = halved(60, low, high, below);
    0.5 * (low + high)
}

/// What is left of `low` to `high` around that point after so many halvings.
pub(crate) fn halved(
    halvings: usize,
    mut low: f64,
    mut high: f64,
    below: impl Fn(f64) -> bool,
) -> (f64, f64) {
    for _ in 0..halvings {
        let middle = 0.5 * (low + high);
        if below(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_are_those_of_the_tables() {
        assert!((normal_tail(1.959_963_984_540_054) - 0.025).abs() < 1e-10);
        assert!((t_upper(0.025, 2.0) - 4.302_652_729_911).abs() < 1e-9);
        assert!((t_upper(0.025, f64::INFINITY) - 1.959_963_984_540).abs() < 1e-9);
        assert!((beta_quantile(0.5, 2.0, 2.0) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn many_degrees_of_freedom_take_the_short_way_to_the_same_place() {
        for df in [MANY_DF, 100.0, 743.0] {
            for x in [0.0, 0.01, 0.5, 2.0, 4.0, 6.0] {
                let (short, long) =
                    (t_tail_of_many(x, df), 0.5 * beta_reg(df / 2.0, 0.5, df / (df + x * x)));
                assert!((short / long - 1.0).abs() < 1e-7, "{df}, {x}: {short} for {long}");
            }
        }
    }

    #[test]
    fn the_normal_over_a_chi_squared_is_students_t() {
        for df in [1.0, 2.0, 9.0, 250.0] {
            for x in [0.3, 2.0, 5.0] {
                let mixed: f64 = chi_squared_nodes(df)
                    .iter()
                    .map(|(w, weight)| weight * normal_tail(x * (w / df).sqrt()))
                    .sum();
                assert!((mixed - t_tail(x, df)).abs() < 1e-9, "{df} {x}: {mixed}");
            }
        }
    }
}
