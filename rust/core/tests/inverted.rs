//! Searches of rows that stand list by list, against the rows in the lists of each query by the sums of all rows.
#![allow(missing_docs)]

mod common;

use std::ops::Range;

use common::Random;
use fastcodes_core::adc::{self, Blocks, PackedCodes, Tables};
use fastcodes_core::asymmetric::{self, RealQueries};
use fastcodes_core::jaccard::{self, Tversky};
use fastcodes_core::rabitq::{self, Database, Grid, Metric, Queries};
use fastcodes_core::{Codes, Csr, Error, Level, Mask, Neighbors, Probes, Run, hamming};

const N_QUERIES: usize = 9;
const N_PROBES: usize = 5;

/// Rows in lists, and the lists that queries probe.
struct Lists {
    starts: Vec<i64>,
    stops: Vec<i64>,
    offsets: Vec<f32>,
    ids: Vec<u32>,
}

impl Lists {
    /// Lists of all lengths, empty ones and one of most rows among them; each query probes different ones.
    fn new(n_rows: usize, largest_offset: f32, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut ends: Vec<usize> = (0..10).map(|_| random.below(n_rows + 1)).collect();
        ends.extend([0, 0, n_rows, n_rows / 3, n_rows / 3]);
        ends.sort_unstable();
        let lists: Vec<Range<usize>> = ends.windows(2).map(|ends| ends[0]..ends[1]).collect();
        let (mut starts, mut stops) = (Vec::new(), Vec::new());
        for _ in 0..N_QUERIES {
            let mut order: Vec<usize> = (0..lists.len()).collect();
            for left in 0..N_PROBES {
                let chosen = left + random.below(lists.len() - left);
                order.swap(left, chosen);
                starts.push(lists[order[left]].start as i64);
                stops.push(lists[order[left]].end as i64);
            }
        }
        let offsets = random.floats(starts.len(), -largest_offset..largest_offset);
        let mut ids: Vec<u32> = (0..n_rows as u32).collect();
        (1..n_rows).for_each(|row| ids.swap(row, random.below(row + 1)));
        Lists { starts, stops, offsets, ids }
    }

    fn probes(&self, with_offsets: bool) -> Probes<'_> {
        let probes = Probes::new(&self.starts, &self.stops, &self.ids, N_QUERIES).unwrap();
        if with_offsets { probes.with_offsets(&self.offsets).unwrap() } else { probes }
    }

    /// The distances and ids of the selected rows in the lists of a query, sorted.
    fn expected<D: Copy>(
        &self,
        query: usize,
        is_selected: &[bool],
        distance: impl Fn(usize, f32) -> D,
        order: impl Fn(&D, &D) -> std::cmp::Ordering,
    ) -> Vec<(D, i64)> {
        let mut found = Vec::new();
        for probe in query * N_PROBES..(query + 1) * N_PROBES {
            let rows = self.starts[probe] as usize..self.stops[probe] as usize;
            for (row, is_selected) in rows.clone().zip(&is_selected[rows]) {
                if *is_selected {
                    found.push((distance(row, self.offsets[probe]), i64::from(self.ids[row])));
                }
            }
        }
        found.sort_by(|a, b| order(&a.0, &b.0).then(a.1.cmp(&b.1)));
        found
    }
}

type Knn<'a, D> = dyn Fn(Probes<'_>, Mask<'_>, Neighbors<'_, D>, &Run<'_>) -> Result<(), Error> + 'a;
type Radius<'a, D> = dyn Fn(Probes<'_>, D, Mask<'_>, &Run<'_>) -> Result<Csr<D>, Error> + 'a;

/// Compares both searches with the distances `all[query][row]`, at every level, with one thread and several.
fn check<D: Copy + PartialEq + std::fmt::Debug>(
    what: &str,
    lists: &Lists,
    with_offsets: bool,
    (all, padding): (&[D], D),
    (plus, order): (impl Fn(D, f32) -> D, impl Fn(&D, &D) -> std::cmp::Ordering),
    (knn, radius): (&Knn<'_, D>, Option<&Radius<'_, D>>),
) {
    let n_rows = lists.ids.len();
    let few: Vec<i64> = (0..n_rows as i64).rev().filter(|row| row % 97 == 5).collect();
    let booleans: Vec<u8> = (0..n_rows).map(|row| u8::from(row % 5 < 2)).collect();
    for mask in [Mask::All, Mask::Booleans(&booleans), Mask::Ids(&few)] {
        let is_selected: Vec<bool> = match mask {
            Mask::All => vec![true; n_rows],
            Mask::Booleans(flags) => flags.iter().map(|flag| *flag != 0).collect(),
            Mask::Ids(ids) => (0..n_rows as i64).map(|row| ids.contains(&row)).collect(),
        };
        let sorted: Vec<Vec<(D, i64)>> = (0..N_QUERIES)
            .map(|query| {
                let distance = |row: usize, offset: f32| {
                    let distance = all[query * n_rows + row];
                    if with_offsets { plus(distance, offset) } else { distance }
                };
                lists.expected(query, &is_selected, distance, &order)
            })
            .collect();
        for level in Level::available() {
            for threads in [1, 2] {
                let run = Run::new(level, threads, &|| false);
                for k in [0, 1, 10, 90, n_rows + 1] {
                    let (mut distances, mut indices) = (vec![padding; N_QUERIES * k], vec![7; N_QUERIES * k]);
                    let out = Neighbors::new(&mut distances, &mut indices, k);
                    knn(lists.probes(with_offsets), mask, out, &run).unwrap();
                    for (query, sorted) in sorted.iter().enumerate() {
                        let found =
                            distances[query * k..].iter().copied().zip(indices[query * k..].iter().copied());
                        let expected = sorted.iter().copied().chain(std::iter::repeat((padding, -1)));
                        for (found, expected) in found.zip(expected).take(k) {
                            assert_eq!(
                                found, expected,
                                "{what}, {level:?}, {threads} threads, k = {k}, {query}"
                            );
                        }
                    }
                }
                let Some(radius) = radius else { continue };
                let some = sorted.iter().filter(|sorted| !sorted.is_empty());
                for limit in some.map(|sorted| sorted[sorted.len() / 3].0).take(3) {
                    let found = radius(lists.probes(with_offsets), limit, mask, &run).unwrap();
                    for (query, sorted) in sorted.iter().enumerate() {
                        let own = found.offsets[query] as usize..found.offsets[query + 1] as usize;
                        let within = sorted.iter().filter(|(distance, _)| order(distance, &limit).is_le());
                        let (distances, indices): (Vec<D>, Vec<i64>) = within.copied().unzip();
                        assert_eq!(found.distances[own.clone()], distances, "{what}, {level:?}");
                        assert_eq!(found.indices[own], indices, "{what}, {level:?}");
                    }
                }
            }
        }
    }
}

fn plus(a: f32, b: f32) -> f32 {
    a + b
}

#[test]
fn sums_of_tables_in_lists_are_those_of_all_rows() {
    let serial = Run::serial(Level::best());
    for (n_rows, n_subspaces, n_codewords) in
        [(0, 4, 16), (1, 3, 16), (700, 8, 16), (3000, 34, 16), (1500, 70, 5), (2100, 8, 256), (1800, 3, 100)]
    {
        let mut random = Random::new((n_rows + n_subspaces) as u64);
        let codes: Vec<u8> = (0..n_rows * n_subspaces).map(|_| random.below(n_codewords) as u8).collect();
        let codes = Codes::new(&codes, n_rows, n_subspaces).unwrap();
        let tables = random.floats(N_QUERIES * n_subspaces * n_codewords, -1.0..3.0);
        let tables = Tables::new(&tables, N_QUERIES, n_subspaces, n_codewords).unwrap();
        let mut packed = PackedCodes::new(n_subspaces, if n_codewords <= 16 { 16 } else { 256 }).unwrap();
        packed.append(codes, &serial).unwrap();
        let mut sums = vec![0.0; N_QUERIES * n_rows];
        adc::scan(tables, packed.blocks(), &mut sums, &serial).unwrap();
        // Where offsets are huge, most distances tie.
        for offset in [1.0, 1e7] {
            let lists = Lists::new(n_rows, offset, 5);
            for blocks in [packed.blocks(), Blocks::from_rows(codes, n_codewords)] {
                let knn = |probes: Probes<'_>, mask: Mask<'_>, out: Neighbors<'_, f32>, run: &Run<'_>| {
                    adc::lists_knn(tables, blocks, probes, mask, out, run)
                };
                let radius = |probes: Probes<'_>, radius: f32, mask: Mask<'_>, run: &Run<'_>| {
                    adc::lists_radius(tables, blocks, probes, radius, mask, run)
                };
                for with_offsets in [true, false] {
                    let all = (&sums[..], f32::INFINITY);
                    let what = format!("{n_rows} rows, {n_subspaces} x {n_codewords}");
                    check(&what, &lists, with_offsets, all, (plus, f32::total_cmp), (&knn, Some(&radius)));
                }
            }
        }
    }
}

#[test]
fn estimates_in_lists_are_those_of_all_rows() {
    let serial = Run::serial(Level::best());
    for (n_bits, n_dims, n_rows) in [(1, 64, 2500), (1, 72, 30), (4, 24, 1200), (7, 16, 700)] {
        let grid = Grid::new(n_bits).unwrap();
        let mut random = Random::new(n_dims as u64);
        let x = random.floats(n_rows * n_dims, -1.0..1.0);
        let (mut codes, mut factors) = (vec![0; n_rows * grid.n_bytes(n_dims)], vec![0.0; 2 * n_rows]);
        rabitq::encode(&x, n_dims, grid, None, &mut codes, &mut factors, &serial).unwrap();
        let values = random.floats(N_QUERIES * n_dims, -1.0..1.0);
        let queries = Queries::new(&values, n_dims, &[0.5; N_QUERIES], grid, Metric::L2).unwrap();
        let codes = Codes::new(&codes, n_rows, grid.n_bytes(n_dims)).unwrap();
        let database = Database::from_rows(codes, &factors, grid).unwrap();
        let mut all = vec![0.0; N_QUERIES * n_rows];
        rabitq::scan(&queries, database, &mut all, &serial).unwrap();
        let lists = Lists::new(n_rows, if n_bits == 7 { 1e7 } else { 5.0 }, 6);
        let knn = |probes: Probes<'_>, mask: Mask<'_>, out: Neighbors<'_, f32>, run: &Run<'_>| {
            rabitq::lists_knn(&queries, database, probes, mask, out, run)
        };
        let radius = |probes: Probes<'_>, radius: f32, mask: Mask<'_>, run: &Run<'_>| {
            rabitq::lists_radius(&queries, database, probes, radius, mask, run)
        };
        for with_offsets in [true, false] {
            let what = format!("{n_bits} bits, {n_dims} dimensions");
            let all = (&all[..], f32::INFINITY);
            check(&what, &lists, with_offsets, all, (plus, f32::total_cmp), (&knn, Some(&radius)));
        }
    }
}

#[test]
fn distances_of_bits_in_lists_are_those_of_all_rows() {
    let serial = Run::serial(Level::best());
    for (n_bytes, n_rows) in [(1, 300), (8, 2000), (13, 900), (64, 700), (300, 120)] {
        let mut random = Random::new(n_bytes as u64);
        let (rows, few) = (random.bytes(n_rows * n_bytes), random.bytes(N_QUERIES * n_bytes));
        let codes = Codes::new(&rows, n_rows, n_bytes).unwrap();
        let queries = Codes::new(&few, N_QUERIES, n_bytes).unwrap();
        let lists = Lists::new(n_rows, 5.0, 7);
        let mut all = vec![0; N_QUERIES * n_rows];
        hamming::cdist(queries, codes, &mut all, &serial).unwrap();
        let what = format!("{n_bytes} bytes");
        check(
            &what,
            &lists,
            false,
            (&all, i32::MAX),
            (|distance, _| distance, i32::cmp),
            (
                &|probes, mask, out, run| hamming::lists_knn(queries, codes, probes, mask, out, run),
                Some(&|probes, radius, mask, run| {
                    hamming::lists_radius(queries, codes, probes, radius as u32, mask, run)
                }),
            ),
        );
        let mut all = vec![0.0; N_QUERIES * n_rows];
        jaccard::cdist(queries, codes, Tversky::JACCARD, &mut all, &serial).unwrap();
        check(
            &what,
            &lists,
            false,
            (&all, f32::INFINITY),
            (plus, f32::total_cmp),
            (
                &|probes, mask, out, run| {
                    jaccard::lists_knn(queries, codes, probes, Tversky::JACCARD, mask, out, run)
                },
                Some(&|probes, radius, mask, run| {
                    jaccard::lists_radius(queries, codes, probes, Tversky::JACCARD, radius, mask, run)
                }),
            ),
        );
        let values = random.floats(N_QUERIES * n_bytes * 8, -1.0..1.0);
        let real = RealQueries::new(&values, N_QUERIES, n_bytes * 8).unwrap();
        let (mut distances, mut indices) = (vec![0.0; N_QUERIES * n_rows], vec![0; N_QUERIES * n_rows]);
        let out = Neighbors::new(&mut distances, &mut indices, n_rows);
        asymmetric::knn(real, codes, Mask::All, out, &serial).unwrap();
        for (position, row) in indices.iter().enumerate() {
            all[position / n_rows * n_rows + *row as usize] = distances[position];
        }
        let knn = |probes: Probes<'_>, mask: Mask<'_>, out: Neighbors<'_, f32>, run: &Run<'_>| {
            asymmetric::lists_knn(real, codes, probes, mask, out, run)
        };
        check(&what, &lists, false, (&all, f32::INFINITY), (plus, f32::total_cmp), (&knn, None));
    }
}

#[test]
fn lists_that_do_not_fit_are_errors() {
    let bytes = Random::new(1).bytes(40);
    let codes = Codes::new(&bytes, 10, 4).unwrap();
    let ids: Vec<u32> = (0..10).collect();
    let search = |probes: Result<Probes<'_>, Error>, n_queries: usize| {
        let (mut distances, mut indices) = (vec![0; n_queries * 2], vec![0; n_queries * 2]);
        let out = Neighbors::new(&mut distances, &mut indices, 2);
        let queries = codes.slice(0, n_queries);
        hamming::lists_knn(queries, codes, probes?, Mask::All, out, &Run::serial(Level::best()))
    };
    assert_eq!(search(Probes::new(&[0, 3], &[3, 10], &ids, 2), 2), Ok(()));
    for (probes, n_queries) in
        [(Probes::new(&[0, 3], &[3, 10], &ids, 2), 1), (Probes::new(&[0, 3], &[3, 9], &ids[1..], 2), 2)]
    {
        assert!(matches!(search(probes, n_queries), Err(Error::Mismatch { .. })));
    }
    let probes = Probes::new(&[0, 3], &[3, 10], &ids, 2).unwrap();
    assert!(matches!(probes.with_offsets(&[0.0]), Err(Error::Length { .. })));
    assert!(matches!(probes.with_offsets(&[0.0, f32::NAN]), Err(Error::NotFinite { .. })));
}
