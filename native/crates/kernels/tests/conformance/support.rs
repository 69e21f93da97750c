//! Numbers, comparisons and finite differences.

/// Reproducible numbers in [-1, 1).
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Numbers {
        Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn one(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // f32 precision, so that a backend in f32 gets the same numbers.
        f64::from(((self.0 >> 40) as f64 / (1u64 << 23) as f64 - 1.0) as f32)
    }

    pub fn many(&mut self, n: usize) -> Vec<f64> {
        (0..n).map(|_| self.one()).collect()
    }
}

pub fn single(x: &[f64]) -> Vec<f32> {
    x.iter().map(|&v| v as f32).collect()
}

/// Fails unless every number is within `tolerance` of the reference, relative to the reference's largest.
#[track_caller]
pub fn close(ours: &[f32], reference: &[f64], tolerance: f64) {
    assert_eq!(ours.len(), reference.len());
    let largest = reference.iter().fold(1e-30f64, |m, v| m.max(v.abs()));
    for (i, (a, b)) in ours.iter().zip(reference).enumerate() {
        let d = (f64::from(*a) - b).abs();
        assert!(d <= tolerance * largest, "at {i}: {a} instead of {b}, off by {d:e} of {largest:e}");
    }
}

/// Fails unless `gradient` is the derivative of `f` at `x`, by central differences.
#[track_caller]
pub fn derivative(f: impl Fn(&[f64]) -> f64, x: &[f64], gradient: &[f64]) {
    assert_eq!(x.len(), gradient.len());
    let h = 1e-6;
    let mut at = x.to_vec();
    for i in 0..x.len() {
        at[i] = x[i] + h;
        let up = f(&at);
        at[i] = x[i] - h;
        let down = f(&at);
        at[i] = x[i];
        let numeric = (up - down) / (2.0 * h);
        assert!(
            (numeric - gradient[i]).abs() <= 1e-7 * (1.0 + numeric.abs()),
            "at {i}: {} instead of {numeric}",
            gradient[i]
        );
    }
}

/// As [`derivative`], for a gradient in f32: each number within 1e-5 of the largest.
#[track_caller]
pub fn slopes(f: impl Fn(&[f64]) -> f64, x: &[f64], gradient: &[f32]) {
    assert_eq!(x.len(), gradient.len());
    let h = 1e-5;
    let mut at = x.to_vec();
    // A few hundred numbers say enough about thousands.
    let every = (x.len() / 300).max(1);
    let numeric: Vec<(usize, f64)> = (0..x.len())
        .step_by(every)
        .map(|i| {
            at[i] = x[i] + h;
            let up = f(&at);
            at[i] = x[i] - h;
            let down = f(&at);
            at[i] = x[i];
            (i, (up - down) / (2.0 * h))
        })
        .collect();
    let largest = numeric.iter().fold(1e-30f64, |m, (_, v)| m.max(v.abs()));
    for (i, numeric) in numeric {
        let d = (f64::from(gradient[i]) - numeric).abs();
        assert!(d <= 1e-5 * largest, "at {i}: {} instead of {numeric}", gradient[i]);
    }
}

/// Σ a b: a scalar function of an operation's output whose gradient is `b`.
pub fn weigh(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
