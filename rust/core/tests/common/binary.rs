//! Searches over packed bits against a few lines of naive code: every level, awkward shapes, every thread count.

use std::fmt::Debug;

use fastcodes_core::{Codes, Csr, Error, Level, Mask, Neighbors, Pairs, Run, components};

use crate::common::Random;

/// Repeatable codes with `eighths` ones in eight bits on average.
pub fn random_codes(n_rows: usize, n_bytes: usize, eighths: usize, seed: u64) -> Vec<u8> {
    Random::new(seed).bytes_of_density(n_rows * n_bytes, eighths)
}

/// How many bits of a combination of two codes are ones.
pub fn count(a: &[u8], b: &[u8], combine: fn(u8, u8) -> u8) -> u32 {
    a.iter().zip(b).map(|(a, b)| combine(*a, *b).count_ones()).sum()
}

type Knn<D> = fn(Codes<'_>, Codes<'_>, Mask<'_>, Neighbors<'_, D>, &Run<'_>) -> Result<(), Error>;
type Radius<D> = fn(Codes<'_>, Codes<'_>, D, Mask<'_>, &Run<'_>) -> Result<Csr<D>, Error>;

/// The pairs of rows within a radius, and the groups that they make.
pub struct OfPairs<D> {
    pub groups: fn(Codes<'_>, D, &Run<'_>) -> Result<Vec<i64>, Error>,
    pub pairs: fn(Codes<'_>, D, &Run<'_>) -> Result<Pairs<D>, Error>,
}

/// The functions of a family, and its distance of two rows.
pub struct Family<D: 'static> {
    pub naive: fn(&[u8], &[u8]) -> D,
    pub knn: Knn<D>,
    pub radius: Radius<D>,
    pub of_pairs: Option<OfPairs<D>>,
    pub cdist: fn(Codes<'_>, Codes<'_>, &mut [D], &Run<'_>) -> Result<(), Error>,
    pub padding: D,
    pub zero: D,
}

/// All functions equal their definition, at every level and for several thread counts.
pub fn check<D: Copy + PartialOrd + Debug>(
    family: &Family<D>,
    queries: &[u8],
    codes: &[u8],
    n_bytes: usize,
    name: &str,
) {
    let queries = Codes::new(queries, queries.len() / n_bytes, n_bytes).unwrap();
    let codes = Codes::new(codes, codes.len() / n_bytes, n_bytes).unwrap();
    let (n_queries, n_rows) = (queries.n_rows(), codes.n_rows());
    let distance = |i: usize, j: usize| (family.naive)(queries.row(i), codes.row(j));

    let booleans: Vec<u8> = (0..n_rows).map(|row| u8::from(row % 3 != 1) * 255).collect();
    let ids: Vec<i64> = (0..n_rows as i64).rev().filter(|id| id % 5 < 2).flat_map(|id| [id, id]).collect();
    // Few enough ids to be kept as a list, some of them consecutive.
    let few: Vec<i64> = [3, 1, 2].into_iter().filter(|_| n_rows > 256).collect();
    let masks = [Mask::All, Mask::Booleans(&booleans), Mask::Ids(&ids), Mask::Ids(&few), Mask::Ids(&[])];
    let selected = |mask: &Mask<'_>, row: usize| match mask {
        Mask::All => true,
        Mask::Booleans(booleans) => booleans[row] != 0,
        Mask::Ids(ids) => ids.contains(&(row as i64)),
    };

    for level in Level::available() {
        for threads in [1, 2] {
            let run = &Run::new(level, threads, &|| false);
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
                    let mut found = (vec![family.zero; n_queries * k], vec![7; n_queries * k]);
                    let out = Neighbors::new(&mut found.0, &mut found.1, k);
                    (family.knn)(queries, codes, mask, out, run).unwrap();
                    let padded = neighbors.iter().flat_map(|row| {
                        row.iter().copied().chain(std::iter::repeat((family.padding, -1))).take(k)
                    });
                    assert_eq!(found, padded.unzip(), "knn, k = {k}, {mask:?}, {place}");
                }
                // A radius that is met exactly, so that the bound is seen to be inclusive.
                let middle = neighbors.iter().flatten().nth(n_rows / 3).map_or(family.zero, |found| found.0);
                for radius in [family.zero, middle] {
                    let within =
                        |row: &Vec<(D, i64)>| row.iter().filter(|found| found.0 <= radius).copied().collect();
                    let rows: Vec<Vec<(D, i64)>> = neighbors.iter().map(within).collect();
                    let ends = rows.iter().scan(0, |end, row| {
                        *end += row.len() as i64;
                        Some(*end)
                    });
                    let offsets: Vec<i64> = std::iter::once(0).chain(ends).collect();
                    let (distances, indices) = rows.concat().into_iter().unzip();
                    let found = (family.radius)(queries, codes, radius, mask, run).unwrap();
                    let expected = Csr { offsets, distances, indices };
                    assert_eq!(found, expected, "radius {radius:?}, {mask:?}, {place}");
                }
            }

            let mut all = vec![family.padding; n_queries * n_rows];
            (family.cdist)(queries, codes, &mut all, run).unwrap();
            let expected = (0..n_queries).flat_map(|i| (0..n_rows).map(move |j| distance(i, j)));
            assert_eq!(all, expected.collect::<Vec<_>>(), "cdist, {place}");

            let Some(of_pairs) = &family.of_pairs else { continue };
            let radius = all.get(all.len() / 3).copied().unwrap_or(family.zero);
            let mut pairs = Pairs { i: Vec::new(), j: Vec::new(), distances: Vec::new() };
            for i in 0..n_rows {
                for j in i + 1..n_rows {
                    let distance = (family.naive)(codes.row(i), codes.row(j));
                    if distance <= radius {
                        pairs.i.push(i as i64);
                        pairs.j.push(j as i64);
                        pairs.distances.push(distance);
                    }
                }
            }
            let mut groups = vec![0; codes.n_rows()];
            components(&pairs.i, &pairs.j, &mut groups, run).unwrap();
            assert_eq!((of_pairs.groups)(codes, radius, run).unwrap(), groups, "groups, {place}");
            assert_eq!((of_pairs.pairs)(codes, radius, run).unwrap(), pairs, "pairs, {place}");
        }
    }
}

/// Bytes around words, registers and the widths that have a kernel of their own.
const N_BYTES: [usize; 20] = [1, 2, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 40, 63, 64, 65, 96, 128, 129, 250];

pub fn every_width_equals_the_definition<D: Copy + PartialOrd + Debug>(family: &Family<D>) {
    for n_bytes in N_BYTES {
        let codes = random_codes(67, n_bytes, 3, n_bytes as u64);
        let queries = [&random_codes(5, n_bytes, 3, 99)[..], &codes[..n_bytes]].concat();
        check(family, &queries, &codes, n_bytes, &format!("{n_bytes} bytes"));
    }
}

pub fn every_number_of_rows_and_queries_equals_the_definition<D: Copy + PartialOrd + Debug>(
    family: &Family<D>,
) {
    for n_rows in [0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 129] {
        for n_queries in [0, 1, 2, 3, 4, 5, 8, 9] {
            let (queries, codes) = (random_codes(n_queries, 12, 4, 5), random_codes(n_rows, 12, 4, 6));
            check(family, &queries, &codes, 12, &format!("{n_queries} queries, {n_rows} rows"));
        }
    }
}

pub fn more_rows_than_a_tile_and_more_queries_than_a_block<D: Copy + PartialOrd + Debug>(family: &Family<D>) {
    // 4096 rows of one word fill a tile; rows of 300 words leave room for one step in one.
    for (n_queries, n_rows, n_bytes) in [(1, 4500, 8), (3, 4500, 8), (140, 1100, 3), (6, 50, 2400)] {
        let (queries, codes) = (random_codes(n_queries, n_bytes, 3, 1), random_codes(n_rows, n_bytes, 3, 2));
        check(
            family,
            &queries,
            &codes,
            n_bytes,
            &format!("{n_queries} queries, {n_rows} rows of {n_bytes} bytes"),
        );
    }
}

pub fn rows_too_long_for_a_tile<D: Copy + PartialOrd + Debug>(family: &Family<D>) {
    let n_bytes = 4096 * 8 + 5;
    let (queries, codes) = (random_codes(3, n_bytes, 4, 1), random_codes(9, n_bytes, 4, 2));
    check(family, &queries, &codes, n_bytes, "long rows");
}

pub fn extreme_codes_equal_the_definition<D: Copy + PartialOrd + Debug>(family: &Family<D>) {
    for n_bytes in [1, 8, 16, 32, 64, 72, 4096] {
        let zeros = vec![0; 40 * n_bytes];
        let ones = vec![255; 40 * n_bytes];
        let mixed = [&zeros[..20 * n_bytes], &ones[..20 * n_bytes]].concat();
        for (name, codes) in [("zeros", &zeros), ("ones", &ones), ("mixed", &mixed)] {
            check(
                family,
                &mixed[18 * n_bytes..22 * n_bytes],
                codes,
                n_bytes,
                &format!("{name}, {n_bytes} bytes"),
            );
        }
    }
}

/// A row of `n_bytes` of which the first bits are ones.
pub fn first_ones(n_ones: usize, n_bytes: usize) -> impl Iterator<Item = u8> {
    (0..n_bytes).map(move |byte| {
        let ones = n_ones.saturating_sub(byte * 8).min(8);
        (0xff00u16 >> ones) as u8
    })
}

pub fn hard_orders_equal_the_definition<D: Copy + PartialOrd + Debug>(family: &Family<D>) {
    // Row i has i ones: sorted by distance from the empty code, upwards and downwards.
    let n_bytes = 32;
    let row = |n_ones| first_ones(n_ones, n_bytes);
    let ascending: Vec<u8> = (0..257).flat_map(row).collect();
    let descending: Vec<u8> = (0..257).rev().flat_map(row).collect();
    let queries = [row(0).collect::<Vec<_>>(), row(128).collect(), row(256).collect()].concat();
    check(family, &queries, &ascending, n_bytes, "ascending");
    check(family, &queries, &descending, n_bytes, "descending");
}
