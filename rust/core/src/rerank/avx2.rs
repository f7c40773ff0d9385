//! AVX2: the lanes of a sum are four registers. Bottleneck: the memory that vectors are in; for those in a cache the two loads of each
//! eight dimensions.

use std::arch::x86_64::*;

use super::{FloatRows, LANES, Metric, Query, portable};

/// Registers of a sum, and numbers of a register.
const REGISTERS: usize = LANES / WIDTH;
const WIDTH: usize = 8;

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn distance(query: &Query<'_>, row: &[f32]) -> f32 {
    match query.metric {
        Metric::L2 => {
            let [square] = sums(query.values, row, |q, x| {
                let difference = _mm256_sub_ps(x, q);
                [_mm256_mul_ps(difference, difference)]
            });
            square
        }
        Metric::Ip => {
            let [product] = sums(query.values, row, |q, x| [_mm256_mul_ps(x, q)]);
            -product
        }
        Metric::Cosine => {
            let [product, square] =
                sums(query.values, row, |q, x| [_mm256_mul_ps(x, q), _mm256_mul_ps(x, x)]);
            portable::cosine_distance(product, square, query.length)
        }
    }
}

#[target_feature(enable = "avx2")]
pub(super) fn distances(query: &Query<'_>, rows: FloatRows<'_>, out: &mut [f32]) {
    for (row, out) in (0..).zip(out) {
        *out = distance(query, rows.row(row).unwrap_or_default());
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(values: &[f32; WIDTH]) -> __m256 {
    // SAFETY: `values` are 8 floats.
    unsafe { _mm256_loadu_ps(values.as_ptr()) }
}

/// Sums of terms, in the order of the portable body. Terms of two zeros are 0, and adding 0 changes no sum: none is minus zero.
#[inline]
#[target_feature(enable = "avx2")]
fn sums<const N: usize>(
    query: &[f32],
    row: &[f32],
    terms: impl Fn(__m256, __m256) -> [__m256; N],
) -> [f32; N] {
    let mut sums = [[_mm256_setzero_ps(); REGISTERS]; N];
    let ((queries, query), (rows, row)) = (query.as_chunks::<LANES>(), row.as_chunks::<LANES>());
    for (q, x) in queries.iter().zip(rows) {
        let (q, x) = (q.as_chunks().0, x.as_chunks().0);
        for register in 0..REGISTERS {
            let terms = terms(load(&q[register]), load(&x[register]));
            for index in 0..N {
                sums[index][register] = _mm256_add_ps(sums[index][register], terms[index]);
            }
        }
    }
    if !row.is_empty() {
        let (mut q, mut x) = ([0.0; LANES], [0.0; LANES]);
        q[..query.len()].copy_from_slice(query);
        x[..row.len()].copy_from_slice(row);
        let (q, x) = (q.as_chunks().0, x.as_chunks().0);
        for register in 0..REGISTERS {
            let terms = terms(load(&q[register]), load(&x[register]));
            for index in 0..N {
                sums[index][register] = _mm256_add_ps(sums[index][register], terms[index]);
            }
        }
    }
    sums.map(|sums| total(sums))
}

/// The sum of the lanes, the upper half added to the lower one until one is left.
#[inline]
#[target_feature(enable = "avx2")]
fn total([a, b, c, d]: [__m256; REGISTERS]) -> f32 {
    let eight = _mm256_add_ps(_mm256_add_ps(a, c), _mm256_add_ps(b, d));
    let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}
