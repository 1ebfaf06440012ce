//! Student's t distribution: the factor of a confidence interval of a mean of few runs.

/// `ln Γ(x)` for x > 0 (Lanczos' approximation, 15 digits).
fn ln_gamma(x: f64) -> f64 {
    const G: f64 = 7.0;
    const C: [f64; 9] = [
        0.999_999_999_999_809_9,
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    if x < 0.5 {
        let pi = std::f64::consts::PI;
        return (pi / (pi * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let t = x + G + 0.5;
    let series = C[1..].iter().zip(1u8..).fold(C[0], |sum, (c, i)| sum + c / (x + f64::from(i)));
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + series.ln()
}

/// Regularised incomplete beta function I_x(a, b), by its continued fraction (Lentz).
pub(crate) fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(b, a, 1.0 - x);
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p()).exp() / a;
    let tiny = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
    let (mut c, mut d) = (1.0, 1.0 / tiny(1.0 - (a + b) * x / (a + 1.0)));
    let mut fraction = d;
    for m in 1..300u16 {
        let m = f64::from(m);
        for numerator in [
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)),
        ] {
            d = 1.0 / tiny(1.0 + numerator * d);
            c = tiny(1.0 + numerator / c);
            fraction *= c * d;
        }
        if (c * d - 1.0).abs() < 1e-15 {
            break;
        }
    }
    (front * fraction).clamp(0.0, 1.0)
}

/// Probability that a t-distributed value with `df` degrees of freedom is at most `t`.
fn cdf(t: f64, df: f64) -> f64 {
    let tail = 0.5 * incomplete_beta(df / 2.0, 0.5, df / (df + t * t));
    if t > 0.0 { 1.0 - tail } else { tail }
}

/// The factor of the standard error in a two-sided confidence interval: `t` such that a value lies within
/// ±t with probability `confidence`. 0.95 and one degree of freedom give 12.706. `None` for a confidence
/// outside (0, 1) or no degree of freedom.
pub fn t_critical(confidence: f64, df: u64) -> Option<f64> {
    if !(confidence > 0.0 && confidence < 1.0) || df == 0 {
        return None;
    }
    let target = 0.5 + confidence / 2.0;
    let df = df as f64;
    let mut high = 1.0;
    while cdf(high, df) < target {
        high *= 2.0;
        if high > 1e15 {
            return None;
        }
    }
    let mut low = 0.0;
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if cdf(middle, df) < target { low = middle } else { high = middle }
    }
    Some(0.5 * (low + high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_published_tables() {
        // Two-sided critical values of Student's t (any statistics table).
        for (confidence, df, t) in [
            (0.95, 1, 12.706_204_736),
            (0.95, 2, 4.302_652_730),
            (0.95, 4, 2.776_445_105),
            (0.95, 9, 2.262_157_163),
            (0.95, 30, 2.042_272_456),
            (0.99, 5, 4.032_142_984),
            (0.90, 10, 1.812_461_123),
            (0.95, 1_000, 1.962_339_081),
        ] {
            let got = t_critical(confidence, df).unwrap();
            assert!((got - t).abs() < 1e-7 * t, "{confidence} {df}: {got} {t}");
        }
        assert_eq!(t_critical(1.0, 3), None);
        assert_eq!(t_critical(0.95, 0), None);
    }
}
