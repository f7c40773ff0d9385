//! The specification in plain Rust.

use super::{FloatRows, LANES, Metric, Query};

pub(super) fn distance(query: &Query<'_>, row: &[f32]) -> f32 {
    match query.metric {
        Metric::L2 => sum(query.values, row, |q, x| (x - q) * (x - q)),
        Metric::Ip => -sum(query.values, row, |q, x| x * q),
        Metric::Cosine => {
            let (product, square) = (sum(query.values, row, |q, x| x * q), sum(row, row, |_, x| x * x));
            cosine_distance(product, square, query.length)
        }
    }
}

pub(super) fn distances(query: &Query<'_>, rows: FloatRows<'_>, out: &mut [f32]) {
    for (row, out) in (0..).zip(out) {
        *out = distance(query, rows.row(row).unwrap_or_default());
    }
}

/// One minus the cosine of a row with this product with a query, and this square; NaN if a length does not fit float32, though the
/// quotient may.
#[inline(always)]
pub(super) fn cosine_distance(product: f32, square: f32, length: f32) -> f32 {
    let lengths = square.sqrt() * length;
    if lengths == 0.0 {
        1.0
    } else if lengths.is_finite() {
        1.0 - product / lengths
    } else {
        f32::NAN
    }
}

/// The Euclidean length of a query.
pub(super) fn length(values: &[f32]) -> f32 {
    sum(values, values, |_, x| x * x).sqrt()
}

/// The sum of the terms of all dimensions, in the order that `mod.rs` defines.
#[inline(always)]
fn sum(query: &[f32], row: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    for (q, x) in query.chunks(LANES).zip(row.chunks(LANES)) {
        for ((lane, q), x) in lanes.iter_mut().zip(q).zip(x) {
            *lane += term(*q, *x);
        }
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}
