//! Hamming and Jaccard search against a few lines of naive code: every level, awkward shapes, every thread count.
#![allow(missing_docs)]

mod common;

use std::fmt::Debug;

use common::Random;
use fastcodes_core::{Codes, Error, Level, Mask, Parallel, hamming, jaccard};

/// Repeatable codes with `eighths` ones in eight bits on average.
fn random_codes(n_rows: usize, n_bytes: usize, eighths: usize, seed: u64) -> Vec<u8> {
    Random::new(seed).bytes_of_density(n_rows * n_bytes, eighths)
}

fn count(a: &[u8], b: &[u8], combine: fn(u8, u8) -> u8) -> u32 {
    a.iter().zip(b).map(|(a, b)| combine(*a, *b).count_ones()).sum()
}

fn naive_hamming(a: &[u8], b: &[u8]) -> i32 {
    count(a, b, |a, b| a ^ b) as i32
}

fn naive_jaccard(a: &[u8], b: &[u8]) -> f32 {
    match count(a, b, |a, b| a | b) {
        0 => 0.0,
        union => (f64::from(count(a, b, |a, b| a ^ b)) / f64::from(union)) as f32,
    }
}

/// Both metrics behind one face.
#[allow(clippy::type_complexity)]
struct Metric<D: 'static> {
    naive: fn(&[u8], &[u8]) -> D,
    knn: fn(
        Level,
        Codes<'_>,
        Codes<'_>,
        usize,
        Mask<'_>,
        &Parallel<'_>,
        &mut [D],
        &mut [i64],
    ) -> Result<(), Error>,
    radius: fn(Level, Codes<'_>, Codes<'_>, D, Mask<'_>, &Parallel<'_>) -> (Vec<i64>, Vec<D>, Vec<i64>),
    pairs: fn(Level, Codes<'_>, D, &Parallel<'_>) -> (Vec<i64>, Vec<i64>, Vec<D>),
    cdist: fn(Level, Codes<'_>, Codes<'_>, &Parallel<'_>, &mut [D]) -> Result<(), Error>,
    padding: D,
    zero: D,
}

const HAMMING: Metric<i32> = Metric {
    naive: naive_hamming,
    knn: hamming::knn,
    radius: |level, queries, codes, radius, mask, parallel| {
        let csr = hamming::radius(level, queries, codes, radius as u32, mask, parallel).unwrap();
        (csr.offsets, csr.distances, csr.indices)
    },
    pairs: |level, codes, radius, parallel| {
        let pairs = hamming::pairs(level, codes, radius as u32, parallel).unwrap();
        (pairs.i, pairs.j, pairs.distances)
    },
    cdist: hamming::cdist,
    padding: i32::MAX,
    zero: 0,
};

const JACCARD: Metric<f32> = Metric {
    naive: naive_jaccard,
    knn: jaccard::knn,
    radius: |level, queries, codes, radius, mask, parallel| {
        let csr = jaccard::radius(level, queries, codes, radius, mask, parallel).unwrap();
        (csr.offsets, csr.distances, csr.indices)
    },
    pairs: |level, codes, radius, parallel| {
        let pairs = jaccard::pairs(level, codes, radius, parallel).unwrap();
        (pairs.i, pairs.j, pairs.distances)
    },
    cdist: jaccard::cdist,
    padding: f32::INFINITY,
    zero: 0.0,
};

/// All four functions equal their definition, at every level and for several thread counts.
fn check<D: Copy + PartialOrd + Debug>(
    metric: &Metric<D>,
    queries: &[u8],
    codes: &[u8],
    n_bytes: usize,
    name: &str,
) {
    let queries = Codes::new(queries, queries.len() / n_bytes, n_bytes).unwrap();
    let codes = Codes::new(codes, codes.len() / n_bytes, n_bytes).unwrap();
    let (n_queries, n_rows) = (queries.n_rows(), codes.n_rows());
    let distance = |i: usize, j: usize| (metric.naive)(queries.row(i), codes.row(j));

    let booleans: Vec<u8> = (0..n_rows).map(|row| u8::from(row % 3 != 1) * 255).collect();
    let ids: Vec<i64> = (0..n_rows as i64).rev().filter(|id| id % 5 < 2).flat_map(|id| [id, id]).collect();
    let masks = [Mask::All, Mask::Booleans(&booleans), Mask::Ids(&ids), Mask::Ids(&[])];
    let selected = |mask: &Mask<'_>, row: usize| match mask {
        Mask::All => true,
        Mask::Booleans(booleans) => booleans[row] != 0,
        Mask::Ids(ids) => ids.contains(&(row as i64)),
    };

    for level in Level::available() {
        for threads in [1, 2] {
            let parallel = &Parallel::new(threads, &|| false);
            let place = format!("{name}, {level:?}, {threads} threads");
            for mask in masks {
                let neighbors: Vec<Vec<(D, i64)>> = (0..n_queries)
                    .map(|i| {
                        let rows = (0..n_rows).filter(|row| selected(&mask, *row));
                        let mut found: Vec<_> = rows.map(|j| (distance(i, j), j as i64)).collect();
                        found.sort_by(|a, b| a.partial_cmp(b).unwrap());
                        found
                    })
                    .collect();
                for k in [0, 1, 3, 40, n_rows + 2] {
                    let mut found = (vec![metric.zero; n_queries * k], vec![7; n_queries * k]);
                    (metric.knn)(level, queries, codes, k, mask, parallel, &mut found.0, &mut found.1)
                        .unwrap();
                    let padded = neighbors.iter().flat_map(|row| {
                        row.iter().copied().chain(std::iter::repeat((metric.padding, -1))).take(k)
                    });
                    assert_eq!(found, padded.unzip(), "knn, k = {k}, {mask:?}, {place}");
                }
                // A radius that is met exactly, so that the bound is seen to be inclusive.
                let middle = neighbors.iter().flatten().nth(n_rows / 3).map_or(metric.zero, |found| found.0);
                for radius in [metric.zero, middle] {
                    let within =
                        |row: &Vec<(D, i64)>| row.iter().filter(|found| found.0 <= radius).copied().collect();
                    let rows: Vec<Vec<(D, i64)>> = neighbors.iter().map(within).collect();
                    let ends = rows.iter().scan(0, |end, row| {
                        *end += row.len() as i64;
                        Some(*end)
                    });
                    let offsets: Vec<i64> = std::iter::once(0).chain(ends).collect();
                    let (distances, indices) = rows.concat().into_iter().unzip();
                    let found = (metric.radius)(level, queries, codes, radius, mask, parallel);
                    assert_eq!(found, (offsets, distances, indices), "radius {radius:?}, {mask:?}, {place}");
                }
            }

            let mut all = vec![metric.padding; n_queries * n_rows];
            (metric.cdist)(level, queries, codes, parallel, &mut all).unwrap();
            let expected = (0..n_queries).flat_map(|i| (0..n_rows).map(move |j| distance(i, j)));
            assert_eq!(all, expected.collect::<Vec<_>>(), "cdist, {place}");

            let radius = all.get(all.len() / 3).copied().unwrap_or(metric.zero);
            let mut pairs = (Vec::new(), Vec::new(), Vec::new());
            for i in 0..n_rows {
                for j in i + 1..n_rows {
                    let distance = (metric.naive)(codes.row(i), codes.row(j));
                    if distance <= radius {
                        pairs.0.push(i as i64);
                        pairs.1.push(j as i64);
                        pairs.2.push(distance);
                    }
                }
            }
            assert_eq!((metric.pairs)(level, codes, radius, parallel), pairs, "pairs, {place}");
        }
    }
}

fn check_both(queries: &[u8], codes: &[u8], n_bytes: usize, name: &str) {
    check(&HAMMING, queries, codes, n_bytes, name);
    check(&JACCARD, queries, codes, n_bytes, name);
}

/// Bytes around words, registers and the widths that have a kernel of their own.
const N_BYTES: [usize; 20] = [1, 2, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 40, 63, 64, 65, 96, 128, 129, 250];

#[test]
fn every_width_equals_the_definition() {
    for n_bytes in N_BYTES {
        let codes = random_codes(67, n_bytes, 3, n_bytes as u64);
        let queries = [&random_codes(5, n_bytes, 3, 99)[..], &codes[..n_bytes]].concat();
        check_both(&queries, &codes, n_bytes, &format!("{n_bytes} bytes"));
    }
}

#[test]
fn every_number_of_rows_and_queries_equals_the_definition() {
    for n_rows in [0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 129] {
        for n_queries in [0, 1, 2, 3, 4, 5, 8, 9] {
            let (queries, codes) = (random_codes(n_queries, 12, 4, 5), random_codes(n_rows, 12, 4, 6));
            check_both(&queries, &codes, 12, &format!("{n_queries} queries, {n_rows} rows"));
        }
    }
}

#[test]
fn more_rows_than_a_tile_and_more_queries_than_a_block() {
    // 4096 rows of one word fill a tile; rows of 300 words leave room for one step in one.
    for (n_queries, n_rows, n_bytes) in [(1, 4500, 8), (3, 4500, 8), (140, 1100, 3), (6, 50, 2400)] {
        let (queries, codes) = (random_codes(n_queries, n_bytes, 3, 1), random_codes(n_rows, n_bytes, 3, 2));
        check_both(
            &queries,
            &codes,
            n_bytes,
            &format!("{n_queries} queries, {n_rows} rows of {n_bytes} bytes"),
        );
    }
}

#[test]
fn rows_too_long_for_a_tile() {
    let n_bytes = 4096 * 8 + 5;
    let (queries, codes) = (random_codes(3, n_bytes, 4, 1), random_codes(9, n_bytes, 4, 2));
    check_both(&queries, &codes, n_bytes, "long rows");
}

#[test]
fn extreme_codes_equal_the_definition() {
    for n_bytes in [1, 8, 16, 32, 64, 72, 4096] {
        let zeros = vec![0; 40 * n_bytes];
        let ones = vec![255; 40 * n_bytes];
        let mixed = [&zeros[..20 * n_bytes], &ones[..20 * n_bytes]].concat();
        for (name, codes) in [("zeros", &zeros), ("ones", &ones), ("mixed", &mixed)] {
            check_both(
                &mixed[18 * n_bytes..22 * n_bytes],
                codes,
                n_bytes,
                &format!("{name}, {n_bytes} bytes"),
            );
        }
    }
}

/// A row of `n_bytes` of which the first bits are ones.
fn first_ones(n_ones: usize, n_bytes: usize) -> impl Iterator<Item = u8> {
    (0..n_bytes).map(move |byte| {
        let ones = n_ones.saturating_sub(byte * 8).min(8);
        (0xff00u16 >> ones) as u8
    })
}

#[test]
fn radii_around_the_largest_counts_of_a_register() {
    for n_bytes in [31, 32, 33, 64, 128, 300, 8184, 8185, 8192, 8200] {
        let edges =
            [0, 1, 254, 255, 256, 257, 511, 512, 65471, 65472, 65534, 65535, 65536, 65537, usize::MAX];
        let n_ones: Vec<i32> = edges.iter().map(|n_ones| (*n_ones).min(8 * n_bytes) as i32).collect();
        let codes: Vec<u8> = n_ones.iter().flat_map(|n_ones| first_ones(*n_ones as usize, n_bytes)).collect();
        let codes = Codes::new(&codes, n_ones.len(), n_bytes).unwrap();
        let zeros = vec![0; 5 * n_bytes];
        let queries = Codes::new(&zeros, 5, n_bytes).unwrap();
        for level in Level::available() {
            for radius in n_ones.iter().flat_map(|n_ones| [(n_ones - 1).max(0), *n_ones]) {
                let found =
                    hamming::radius(level, queries, codes, radius as u32, Mask::All, &Parallel::serial());
                let within: Vec<i32> =
                    n_ones.iter().copied().filter(|distance| *distance <= radius).collect();
                assert_eq!(
                    found.unwrap().distances,
                    within.repeat(5),
                    "{level:?}, {n_bytes} bytes, {radius}"
                );
            }
            let mut all = vec![0; 5 * n_ones.len()];
            hamming::cdist(level, queries, codes, &Parallel::serial(), &mut all).unwrap();
            assert_eq!(all, n_ones.repeat(5), "{level:?}, {n_bytes} bytes");
        }
    }
}

#[test]
fn hard_orders_equal_the_definition() {
    // Row i has i ones: sorted by distance from the empty code, upwards and downwards.
    let n_bytes = 32;
    let row = |n_ones| first_ones(n_ones, n_bytes);
    let ascending: Vec<u8> = (0..257).flat_map(row).collect();
    let descending: Vec<u8> = (0..257).rev().flat_map(row).collect();
    let queries = [row(0).collect::<Vec<_>>(), row(128).collect(), row(256).collect()].concat();
    check_both(&queries, &ascending, n_bytes, "ascending");
    check_both(&queries, &descending, n_bytes, "descending");
}

#[test]
fn rows_of_a_strided_array_are_found_where_they_are() {
    let bytes = random_codes(50, 40, 4, 3);
    let packed: Vec<u8> = bytes.chunks(40).flat_map(|row| &row[..12]).copied().collect();
    let strided = Codes::strided(&bytes[..49 * 40 + 12], 50, 12, 40).unwrap();
    let contiguous = Codes::new(&packed, 50, 12).unwrap();
    for level in Level::available() {
        for n_queries in [1, 6] {
            let mut found = [
                (vec![0; n_queries * 7], vec![0; n_queries * 7]),
                (vec![0; n_queries * 7], vec![0; n_queries * 7]),
            ];
            for (codes, (distances, indices)) in [strided, contiguous].into_iter().zip(&mut found) {
                let queries = codes.slice(20, 20 + n_queries);
                hamming::knn(level, queries, codes, 7, Mask::All, &Parallel::serial(), distances, indices)
                    .unwrap();
            }
            assert_eq!(found[0], found[1], "{level:?}");
        }
    }
}

#[test]
fn broken_preconditions_are_errors() {
    let (a, b) = ([0u8; 24], [0u8; 30]);
    let (a, b) = (Codes::new(&a, 3, 8).unwrap(), Codes::new(&b, 3, 10).unwrap());
    let level = Level::best();
    fn try_knn(a: Codes<'_>, codes: Codes<'_>, mask: Mask<'_>, len: usize) -> Result<(), Error> {
        let (mut distances, mut indices) = (vec![0; len], vec![0; len]);
        hamming::knn(Level::best(), a, codes, 2, mask, &Parallel::serial(), &mut distances, &mut indices)
    }
    let knn = |codes, mask: Mask<'_>, len| try_knn(a, codes, mask, len);
    assert!(matches!(knn(b, Mask::All, 6), Err(Error::Mismatch { .. })));
    assert!(matches!(knn(a, Mask::All, 5), Err(Error::Length { given: 5, expected: 6, .. })));
    assert!(matches!(knn(a, Mask::Booleans(&[1, 1]), 6), Err(Error::MaskLength { given: 2, expected: 3 })));
    for id in [-1, 3, i64::MIN, i64::MAX] {
        assert_eq!(knn(a, Mask::Ids(&[0, id]), 6), Err(Error::MaskId { id, n_rows: 3 }));
    }
    assert!(hamming::cdist(level, a, b, &Parallel::serial(), &mut [0; 9]).is_err());
    assert!(hamming::cdist(level, a, a, &Parallel::serial(), &mut [0; 8]).is_err());
}

#[test]
fn a_call_that_is_told_to_stop_ends_with_an_error() {
    let codes = random_codes(20_000, 64, 4, 1);
    let codes = Codes::new(&codes, 20_000, 64).unwrap();
    let asked = std::cell::Cell::new(0);
    let stop = || asked.replace(asked.get() + 1) >= 1;
    let result = hamming::pairs(Level::PORTABLE, codes, 3, &Parallel::new(2, &stop));
    assert_eq!(result, Err(Error::Interrupted));
}
