//! The adc family against a few lines of naive code: every level, awkward shapes, every thread count.
#![allow(missing_docs)]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::Random;
use fastcodes_core::adc::{self, Blocks, Codebooks, PackedCodes, TableMetric, Tables, Vectors};
use fastcodes_core::{At, Codes, Error, Level, Mask, Neighbors, Run};

fn random_codes(len: usize, n_codewords: usize, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    (0..len).map(|_| random.below(n_codewords) as u8).collect()
}

fn random_floats(len: usize, seed: u64) -> Vec<f32> {
    Random::new(seed).floats(len, -1.0..3.0)
}

/// A call that is never interrupted.
fn run(level: Level, threads: usize) -> Run<'static> {
    Run::new(level, threads, &|| false)
}

fn packed(codes: Codes<'_>, n_codewords: usize, run: &Run<'_>) -> PackedCodes {
    let mut packed = PackedCodes::new(codes.n_bytes(), n_codewords).unwrap();
    packed.append(codes, run).unwrap();
    packed
}

/// Distances and indices, which were something else before.
fn knn(
    tables: Tables<'_>,
    blocks: Blocks<'_>,
    k: usize,
    mask: Mask<'_>,
    run: &Run<'_>,
) -> Result<(Vec<f32>, Vec<i64>), Error> {
    let n_found = tables.n_queries() * k;
    let (mut distances, mut indices) = (vec![f32::NAN; n_found], vec![7; n_found]);
    adc::knn(tables, blocks, mask, Neighbors::new(&mut distances, &mut indices, k), run)?;
    Ok((distances, indices))
}

/// One search: tables, and row-major codes for them.
#[derive(Clone)]
struct Case {
    tables: Vec<f32>,
    codes: Vec<u8>,
    n_subspaces: usize,
    n_codewords: usize,
}

impl Case {
    fn random(n_queries: usize, n_rows: usize, n_subspaces: usize, n_codewords: usize) -> Case {
        Case {
            tables: random_floats(n_queries * n_subspaces * n_codewords, 1),
            codes: random_codes(n_rows * n_subspaces, n_codewords, 2),
            n_subspaces,
            n_codewords,
        }
    }

    fn n_queries(&self) -> usize {
        self.tables.len() / (self.n_subspaces * self.n_codewords)
    }

    fn n_rows(&self) -> usize {
        self.codes.len() / self.n_subspaces
    }

    /// The definition.
    fn sums(&self) -> Vec<Vec<f32>> {
        let sum = |tables: &[f32], codes: &[u8]| {
            let tables = tables.chunks(self.n_codewords);
            tables.zip(codes).fold(0.0_f32, |sum, (table, code)| sum + table[*code as usize])
        };
        let queries = self.tables.chunks(self.n_subspaces * self.n_codewords);
        queries
            .map(|tables| self.codes.chunks(self.n_subspaces).map(|codes| sum(tables, codes)).collect())
            .collect()
    }

    /// Calls `check` with the codes as they are and packed, for every level and some numbers of threads.
    fn for_each_form(&self, check: impl Fn(&Run<'_>, Tables<'_>, Blocks<'_>, &str)) {
        let tables = Tables::new(&self.tables, self.n_queries(), self.n_subspaces, self.n_codewords).unwrap();
        let rows = Codes::new(&self.codes, self.n_rows(), self.n_subspaces).unwrap();
        // Rows that lie apart.
        let apart: Vec<u8> =
            self.codes.chunks(self.n_subspaces).flat_map(|row| row.iter().copied().chain([255; 3])).collect();
        let apart = Codes::strided(&apart, self.n_rows(), self.n_subspaces, self.n_subspaces + 3).unwrap();
        let widths = if self.n_codewords <= 16 { &[16, 256][..] } else { &[256] };
        for level in Level::available() {
            // Threads share out the work alike at every level.
            for threads in 1..=if level == Level::best() { 2 } else { 1 } {
                let run = &run(level, threads);
                let place = |form: &str| {
                    format!(
                        "{form}, {} rows, M = {}, K = {}, {level:?}, {threads} threads",
                        self.n_rows(),
                        self.n_subspaces,
                        self.n_codewords
                    )
                };
                for (form, rows) in [("rows", rows), ("rows apart", apart)] {
                    check(run, tables, Blocks::from_rows(rows, self.n_codewords), &place(form));
                }
                for &n_codewords in widths {
                    let packed = packed(rows, n_codewords, run);
                    check(run, tables, packed.blocks(), &place(&format!("packed in {n_codewords}")));
                }
            }
        }
    }

    /// All searches equal their definition.
    fn check(&self, ks: &[usize], masks: &[Mask<'_>]) {
        let sums = self.sums();
        let (n_queries, n_rows) = (self.n_queries(), self.n_rows());
        let sorted: Vec<Vec<Vec<(f32, i64)>>> = masks
            .iter()
            .map(|mask| {
                let is_selected = selected(mask, n_rows);
                let rows = |sums: &Vec<f32>| {
                    let mut rows: Vec<_> = sums.iter().copied().zip(0..).collect();
                    rows.retain(|(_, row): &(f32, i64)| is_selected[*row as usize]);
                    rows.sort_by(|a, b| a.partial_cmp(b).unwrap());
                    rows
                };
                sums.iter().map(rows).collect()
            })
            .collect();
        self.for_each_form(|run, tables, blocks, place| {
            let mut found = vec![f32::NAN; n_queries * n_rows];
            adc::scan(tables, blocks, &mut found, run).unwrap();
            assert!(same_bits(&found, &sums.concat()), "scan, {place}");
            for (mask, sorted) in masks.iter().zip(&sorted) {
                for &k in ks {
                    let found = knn(tables, blocks, k, *mask, run).unwrap();
                    let padding = std::iter::repeat((f32::INFINITY, -1));
                    let padded =
                        sorted.iter().flat_map(|row| row.iter().copied().chain(padding.clone()).take(k));
                    let (distances, indices): (Vec<f32>, Vec<i64>) = padded.unzip();
                    assert!(same_bits(&found.0, &distances), "knn, distances, k = {k}, {place}");
                    assert_eq!(found.1, indices, "knn, k = {k}, {place}");
                }
                // Radii that are met exactly, by one row of the first query and by some.
                let met = |rank: usize| sorted.first().and_then(|row| row.get(rank)).map(|found| found.0);
                let met = [0, 1, 30, n_rows / 3].into_iter().filter_map(met);
                for radius in met.chain([-0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN]) {
                    let within: Vec<Vec<(f32, i64)>> = sorted
                        .iter()
                        .map(|row| row.iter().copied().filter(|found| found.0 <= radius).collect())
                        .collect();
                    let mut offsets = vec![0];
                    offsets.extend(within.iter().scan(0, |end, row| {
                        *end += row.len() as i64;
                        Some(*end)
                    }));
                    let (distances, indices): (Vec<f32>, Vec<i64>) = within.concat().into_iter().unzip();
                    let found = adc::radius(tables, blocks, radius, *mask, run).unwrap();
                    assert_eq!(found.offsets, offsets, "radius {radius}, {place}");
                    assert!(same_bits(&found.distances, &distances), "radius {radius}, distances, {place}");
                    assert_eq!(found.indices, indices, "radius {radius}, {place}");
                }
            }
        });
    }
}

fn selected(mask: &Mask<'_>, n_rows: usize) -> Vec<bool> {
    match mask {
        Mask::All => vec![true; n_rows],
        Mask::Booleans(booleans) => booleans.iter().map(|selected| *selected != 0).collect(),
        Mask::Ids(ids) => {
            let mut selected = vec![false; n_rows];
            ids.iter().for_each(|id| selected[*id as usize] = true);
            selected
        }
    }
}

fn same_bits(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// Subspaces around words, registers, and where sums of bytes are split.
const N_SUBSPACES: [usize; 16] = [1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 34, 64, 65, 255, 256];

/// Rows of which a search for few neighbours looks at some first, and bounds the sums of the others.
const BOUNDED: usize = 8_500;

#[test]
fn every_number_of_subspaces_equals_the_definition() {
    for n_subspaces in N_SUBSPACES {
        for n_codewords in [16, 256] {
            Case::random(3, BOUNDED, n_subspaces, n_codewords).check(&[1, 10], &[Mask::All]);
        }
    }
}

#[test]
fn every_number_of_rows_equals_the_definition() {
    for n_rows in [0, 1, 63, 64, 65, 255, 256, 257, 4096, 8191, 8192, 8193, 9000] {
        for (n_subspaces, n_codewords) in [(1, 16), (5, 16), (8, 256), (33, 200)] {
            let ks = [0, 1, 10, 300, n_rows + 2];
            Case::random(2, n_rows, n_subspaces, n_codewords)
                .check(&ks[..if n_rows < 300 { 5 } else { 4 }], &[Mask::All]);
        }
    }
}

#[test]
fn every_number_of_codewords_equals_the_definition() {
    for n_codewords in [1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 129, 191, 192, 193, 255, 256] {
        let mut case = Case::random(2, BOUNDED, 4, n_codewords);
        case.codes.iter_mut().step_by(7).for_each(|code| *code = (n_codewords - 1) as u8);
        case.check(&[10], &[Mask::All]);
    }
}

#[test]
fn every_mask_equals_the_definition() {
    for (n_subspaces, n_codewords) in [(4, 16), (7, 256), (40, 16)] {
        for n_rows in [700, BOUNDED, 20_000] {
            let rows = || 0..n_rows;
            let booleans = |select: fn(usize) -> bool| -> Vec<u8> {
                rows().map(|row| if select(row) { 128 } else { 0 }).collect()
            };
            // Blocks with at most 16 selected rows are not bounded.
            let masks = [
                booleans(|row| row % 3 > 0),
                booleans(|row| row % 256 < 16),
                booleans(|row| row % 256 >= 239),
                booleans(|row| row / 256 % 2 == 0 || row % 50 == 3),
                booleans(|row| row % 5000 == 699),
                booleans(|_| false),
            ];
            let ids: Vec<i64> =
                rows().rev().filter(|row| row % 5 < 2).flat_map(|row| [row as i64; 2]).collect();
            let mut every: Vec<Mask<'_>> = masks.iter().map(|mask| Mask::Booleans(mask)).collect();
            every.extend([Mask::Ids(&ids), Mask::Ids(&ids[3..4]), Mask::Ids(&[])]);
            Case::random(3, n_rows, n_subspaces, n_codewords).check(&[1, 30], &every);
        }
    }
}

#[test]
fn more_queries_than_a_group_and_more_rows_than_a_task() {
    Case::random(700, 300, 8, 256).check(&[3], &[Mask::All]);
    Case::random(40, BOUNDED, 3, 16).check(&[3], &[Mask::All]);
    Case::random(2, 140_000, 1, 16).check(&[1, 100], &[Mask::All]);
    Case::random(3, 40_000, 17, 256).check(&[1, 1000], &[Mask::All]);
}

#[test]
fn hard_tables_equal_the_definition() {
    type Entry = fn(&mut dyn FnMut() -> f32, usize) -> f32;
    let kinds: [Entry; 14] = [
        |_, _| 0.1,
        |_, _| -0.0,
        |number, _| (number() * 4.0).floor() - 1.0,
        |number, _| number() * 1e-43,
        |number, _| (number() - 0.5) * 1e-43,
        |number, _| (number() - 0.5) * 1e30,
        |number, place| if place == 77 { 1e30 } else { number() },
        |number, place| if place == 77 { f32::MAX } else { number() - 0.5 },
        |number, place| if place == 77 { -f32::MAX } else { number() },
        |number, _| 1e8 + number() * 64.0,
        |number, place| (number() * 9.0).floor() + if place / 256 % 2 == 0 { 1.7e7 } else { -1.7e7 },
        |number, _| f32::MAX * (number() - 0.5),
        |number, _| if number() < 0.5 { f32::MAX } else { number() },
        |number, _| if number() < 0.5 { -f32::MAX } else { number() },
    ];
    for entry in kinds {
        for (n_subspaces, n_codewords) in [(1, 256), (2, 16), (16, 256), (33, 16), (65, 256)] {
            let mut case = Case::random(3, BOUNDED, n_subspaces, n_codewords);
            let mut random = Random::new(5);
            let mut number = || random.unit();
            for (place, value) in case.tables.iter_mut().enumerate() {
                *value = entry(&mut number, place);
            }
            case.check(&[1, 20], &[Mask::All]);
        }
    }
}

#[test]
fn ties_and_hard_orders_equal_the_definition() {
    for (n_subspaces, n_codewords) in [(3, 16), (6, 256), (40, 256)] {
        let case = Case::random(3, 20_000, n_subspaces, n_codewords);
        let sums = &case.sums()[0];
        let mut rows: Vec<&[u8]> = case.codes.chunks(n_subspaces).collect();
        let mut ranks: Vec<usize> = (0..rows.len()).collect();
        ranks.sort_by(|a, b| sums[*a].total_cmp(&sums[*b]));
        let ascending: Vec<u8> = ranks.iter().flat_map(|row| rows[*row]).copied().collect();
        let descending: Vec<u8> = ranks.iter().rev().flat_map(|row| rows[*row]).copied().collect();
        let equal = rows[5].repeat(20_000);
        rows.truncate(30);
        let few: Vec<u8> = (0..20_000).flat_map(|row| rows[row * 7919 % 30]).copied().collect();
        for codes in [ascending, descending, equal, few] {
            Case { codes, ..case.clone() }.check(&[1, 10, 300], &[Mask::All]);
        }
    }
}

// --- codewords -------------------------------------------------------------------------------------------------------

#[test]
fn codes_are_right_where_codewords_are_nearly_as_near() {
    let nearest = |part: &[f32], codebook: &[f32]| {
        let distances = codebook
            .chunks(part.len())
            .map(|codeword| part.iter().zip(codeword).fold(0.0_f32, |sum, (a, b)| sum + (a - b) * (a - b)));
        let least =
            |best: (u8, f32), (code, d): (usize, f32)| if d < best.1 { (code as u8, d) } else { best };
        distances.enumerate().fold((0, f32::INFINITY), least)
    };
    for n_dims in [1, 3, 4, 8, 16, 33] {
        // An offset that is large beside the differences, few distinct values, the ends of what floats can be.
        for (offset, scale) in
            [(0.0, 1.0), (1000.0, 1e-3), (-3e7, 1.0), (0.0, 1e-22), (0.0, 1e-40), (0.0, 1e18), (0.0, 1e37)]
        {
            for steps in [1.0, 3.0, 1e3, 1e6] {
                let values = |n: usize, seed| -> Vec<f32> {
                    let random = random_floats(n, seed);
                    random.iter().map(|x| offset + (x * steps).round() / steps * scale).collect()
                };
                for n_codewords in [1, 2, 7, 8, 9, 256] {
                    let mut codebook = values(n_codewords * n_dims, 3);
                    let middle = n_codewords / 2 * n_dims;
                    codebook.copy_within(..n_dims, middle); // two are the same
                    let mut x = values(50 * n_dims, 4);
                    x[..n_dims].copy_from_slice(&codebook[middle..middle + n_dims]);
                    let (codes, errors): (Vec<u8>, Vec<f32>) =
                        x.chunks(n_dims).map(|part| nearest(part, &codebook)).unzip();
                    let vectors = Vectors::new("x", &x, 50, n_dims).unwrap();
                    let books = Codebooks::new(&codebook, 1, n_codewords, n_dims).unwrap();
                    for level in Level::available() {
                        let mut found = (vec![99; 50], vec![f32::NAN; 50]);
                        let errors_out = Some(found.1.as_mut_slice());
                        let serial = &Run::serial(level);
                        adc::encode(vectors, books, &mut found.0, errors_out, serial).unwrap();
                        let place = format!("{offset} + {scale}, {steps} steps, {n_codewords} x {n_dims}");
                        assert_eq!(found.0, codes, "{place}, {level:?}");
                        assert!(same_bits(&found.1, &errors), "errors, {place}, {level:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn tables_and_codes_equal_the_definition() {
    for n_codewords in [1, 2, 3, 4, 5, 8, 15, 16, 17, 255, 256] {
        for (n_subspaces, n_dims) in [(1, 1), (3, 2), (2, 4), (2, 7), (3, 8), (5, 16)] {
            let codebooks = random_floats(n_subspaces * n_codewords * n_dims, 3);
            let books = Codebooks::new(&codebooks, n_subspaces, n_codewords, n_dims).unwrap();
            for n_rows in [0, 1, 2, 3, 15, 16, 17, 255, 256, 257] {
                let x = random_floats(n_rows * n_subspaces * n_dims, 4);
                let vectors = Vectors::new("x", &x, n_rows, n_subspaces * n_dims).unwrap();
                let parts = || x.chunks(n_dims).zip((0..n_subspaces).cycle());
                let distance = |part: &[f32], codeword: &[f32]| {
                    part.iter().zip(codeword).fold(0.0_f32, |sum, (a, b)| sum + (a - b) * (a - b))
                };
                let product = |part: &[f32], codeword: &[f32]| {
                    part.iter().zip(codeword).fold(0.0_f32, |sum, (a, b)| sum - a * b)
                };
                let book = |subspace: usize| {
                    codebooks[subspace * n_codewords * n_dims..].chunks(n_dims).take(n_codewords)
                };
                let squares: Vec<f32> =
                    parts().flat_map(|(part, m)| book(m).map(move |c| distance(part, c))).collect();
                let products: Vec<f32> =
                    parts().flat_map(|(part, m)| book(m).map(move |c| product(part, c))).collect();
                let nearest = squares.chunks(n_codewords).map(|table| {
                    let least = |best: (u8, f32), (code, d): (usize, &f32)| {
                        if *d < best.1 { (code as u8, *d) } else { best }
                    };
                    table.iter().enumerate().fold((0, f32::INFINITY), least)
                });
                let (codes, errors): (Vec<u8>, Vec<f32>) = nearest.unzip();
                for level in Level::available() {
                    for threads in [1, 2] {
                        let run = &run(level, threads);
                        let place =
                            format!("{n_rows} rows, K = {n_codewords}, {n_subspaces} x {n_dims}, {level:?}");
                        for (metric, expected) in [(TableMetric::L2, &squares), (TableMetric::Ip, &products)]
                        {
                            let mut found = vec![f32::NAN; expected.len()];
                            adc::tables(vectors, books, metric, &mut found, run).unwrap();
                            assert!(same_bits(&found, expected), "tables, {metric:?}, {place}");
                        }
                        let mut found = (vec![99; codes.len()], vec![f32::NAN; codes.len()]);
                        adc::encode(vectors, books, &mut found.0, Some(&mut found.1), run).unwrap();
                        assert_eq!(found.0, codes, "encode, {place}");
                        assert!(same_bits(&found.1, &errors), "errors, {place}");
                        found.0.fill(99);
                        adc::encode(vectors, books, &mut found.0, None, run).unwrap();
                        assert_eq!(found.0, codes, "encode without errors, {place}");
                    }
                }
            }
        }
    }
}

#[test]
fn equally_near_codewords_give_the_lowest() {
    for n_codewords in [2, 5, 16, 256] {
        // Only two different codewords, again and again.
        let codebooks: Vec<f32> = (0..2 * n_codewords).map(|i| f32::from(u8::from(i % 3 == 1))).collect();
        let books = Codebooks::new(&codebooks, 2, n_codewords, 1).unwrap();
        let x: Vec<f32> = (0..600).map(|i| [0.0, 1.0, 0.5, -1.0][i % 4]).collect();
        let vectors = Vectors::new("x", &x, 300, 2).unwrap();
        for level in Level::available() {
            let mut codes = vec![99; 600];
            adc::encode(vectors, books, &mut codes, None, &Run::serial(level)).unwrap();
            for (index, code) in codes.iter().enumerate() {
                let book = &codebooks[index % 2 * n_codewords..][..n_codewords];
                let distance = |codeword: &f32| (x[index] - codeword).abs();
                let least = book.iter().map(distance).fold(f32::INFINITY, f32::min);
                let lowest = book.iter().position(|codeword| distance(codeword) == least);
                assert_eq!(Some(*code as usize), lowest, "{level:?}");
            }
        }
    }
}

#[test]
fn parts_are_added_up_by_their_codes() {
    for (n_subspaces, n_codewords, n_dims) in [(1, 1, 1), (3, 16, 2), (20, 5, 1), (2, 256, 40)] {
        for n_rows in [0, 1, 1000] {
            let x = random_floats(n_rows * n_subspaces * n_dims, 1);
            let codes = random_codes(n_rows * n_subspaces, n_codewords, 2);
            let mut sums = vec![0.0; n_subspaces * n_codewords * n_dims];
            let mut counts = vec![0; n_subspaces * n_codewords];
            for (index, code) in codes.iter().enumerate() {
                let cell = index % n_subspaces * n_codewords + *code as usize;
                counts[cell] += 1;
                for dim in 0..n_dims {
                    sums[cell * n_dims + dim] += f64::from(x[index * n_dims + dim]);
                }
            }
            let vectors = Vectors::new("x", &x, n_rows, n_subspaces * n_dims).unwrap();
            let codes = Codes::new(&codes, n_rows, n_subspaces).unwrap();
            for threads in [1, 2] {
                let run = &run(Level::best(), threads);
                let mut found = (vec![f64::NAN; sums.len()], vec![-1; counts.len()]);
                adc::add_up(vectors, codes, &mut found.0, &mut found.1, run).unwrap();
                assert_eq!(found, (sums.clone(), counts.clone()), "{n_rows} rows, {threads} threads");
            }
        }
    }
}

// --- packed codes ----------------------------------------------------------------------------------------------------

/// The bytes of packed codes, by their picture.
fn naive_blocks(codes: &[u8], n_subspaces: usize, n_codewords: usize) -> Vec<u8> {
    let in_byte = if n_codewords == 16 { 2 } else { 1 };
    let n_planes = n_subspaces.div_ceil(in_byte);
    let mut bytes = vec![0; (codes.len() / n_subspaces).div_ceil(256) * n_planes * 256];
    for (row, codes) in codes.chunks(n_subspaces).enumerate() {
        for (subspace, code) in codes.iter().enumerate() {
            let plane = row / 256 * n_planes + subspace / in_byte;
            bytes[plane * 256 + row % 256] |= code << (subspace % in_byte * 4);
        }
    }
    bytes
}

#[test]
fn packed_codes_are_what_the_picture_says_at_every_level() {
    for n_codewords in [16, 256] {
        for n_subspaces in N_SUBSPACES {
            for n_rows in [0, 1, 63, 64, 65, 192, 255, 256, 257, 5000] {
                let codes = random_codes(n_rows * n_subspaces, n_codewords, 1);
                let expected = naive_blocks(&codes, n_subspaces, n_codewords);
                for stride in [n_subspaces, n_subspaces + 5] {
                    let mut bytes = vec![255; n_rows * stride];
                    for (row, codes) in bytes.chunks_mut(stride).zip(codes.chunks(n_subspaces)) {
                        row[..n_subspaces].copy_from_slice(codes);
                    }
                    let rows = Codes::strided(&bytes, n_rows, n_subspaces, stride).unwrap();
                    for level in Level::available() {
                        for threads in [1, 2] {
                            let run = &run(level, threads);
                            let packed = packed(rows, n_codewords, run);
                            let place = format!("{n_rows} x {n_subspaces}, {n_codewords}, {level:?}");
                            assert!(packed.as_bytes() == expected, "{place}");
                            assert_eq!(packed.largest(), codes.iter().copied().max().unwrap_or(0), "{place}");
                            for first in [0, n_rows / 3, n_rows] {
                                let mut unpacked = vec![99; (n_rows - first) * n_subspaces];
                                packed.unpack(first..n_rows, &mut unpacked, run).unwrap();
                                assert!(unpacked == codes[first * n_subspaces..], "{place}");
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn appending_in_parts_gives_the_same_blocks() {
    for n_codewords in [16, 256] {
        let (n_rows, n_subspaces) = (1000, 5);
        let codes = random_codes(n_rows * n_subspaces, n_codewords, 3);
        let rows = Codes::new(&codes, n_rows, n_subspaces).unwrap();
        let expected = naive_blocks(&codes, n_subspaces, n_codewords);
        for level in Level::available() {
            for cut in [0, 1, 255, 256, 257, 999, 1000] {
                let mut packed = packed(rows.slice(0, cut), n_codewords, &Run::serial(level));
                packed.append(rows.slice(cut, n_rows), &Run::serial(level)).unwrap();
                assert!(packed.as_bytes() == expected, "{n_codewords} {cut} {level:?}");
            }
        }
    }
}

#[test]
fn rows_are_written_over_whatever_a_begun_block_has() {
    for n_codewords in [16, 256] {
        for (n_rows, n_subspaces, cut) in [(300, 5, 100), (300, 4, 299), (255, 1, 1), (600, 9, 257)] {
            let codes = random_codes(n_rows * n_subspaces, n_codewords, 1);
            let rows = Codes::new(&codes, n_rows, n_subspaces).unwrap();
            let mut begun = naive_blocks(&codes[..cut * n_subspaces], n_subspaces, n_codewords);
            let n_planes = begun.len() / cut.div_ceil(256) / 256;
            for (index, byte) in begun.iter_mut().enumerate() {
                if index / (256 * n_planes) * 256 + index % 256 >= cut {
                    *byte = 0xA5;
                }
            }
            for level in Level::available() {
                let begun = Arc::new(begun.clone());
                let mut packed = PackedCodes::from_blocks(begun, cut, n_subspaces, n_codewords, 15).unwrap();
                packed.append(rows.slice(cut, n_rows), &Run::serial(level)).unwrap();
                let mut unpacked = vec![99; codes.len()];
                packed.unpack(0..n_rows, &mut unpacked, &Run::serial(level)).unwrap();
                assert!(unpacked == codes, "{n_rows} x {n_subspaces}, {n_codewords}, {level:?}");
            }
        }
    }
}

#[test]
fn rows_are_taken_in_any_order_and_removed() {
    for n_codewords in [16, 256] {
        for (n_rows, n_subspaces) in [(0, 3), (1, 1), (300, 5), (9000, 4)] {
            let codes = random_codes(n_rows * n_subspaces, n_codewords, 6);
            let rows = Codes::new(&codes, n_rows, n_subspaces).unwrap();
            let row = |row: usize| &codes[row * n_subspaces..][..n_subspaces];
            for threads in [1, 2] {
                let run = &run(Level::best(), threads);
                let whole = Arc::new(packed(rows, n_codewords, run));
                let ids: Vec<i64> = (0..2 * n_rows).map(|i| (i * 7919 % n_rows) as i64).collect();
                let mut taken = vec![99; ids.len() * n_subspaces];
                whole.take(&ids, &mut taken, run).unwrap();
                assert!(taken == ids.iter().flat_map(|id| row(*id as usize)).copied().collect::<Vec<u8>>());
                for every in [1, 2, 300, 10_000] {
                    let booleans: Vec<u8> = (0..n_rows).map(|row| u8::from(row % every == 0)).collect();
                    let ids: Vec<i64> =
                        (0..n_rows as i64).rev().filter(|row| *row % every as i64 == 0).collect();
                    let kept: Vec<u8> =
                        (0..n_rows).filter(|row| row % every > 0).flat_map(row).copied().collect();
                    for mask in [Mask::Booleans(&booleans), Mask::Ids(&ids)] {
                        let mut part = PackedCodes::shared(&whole);
                        assert_eq!(part.remove(mask, run), Ok(ids.len()));
                        assert_eq!(part.n_rows(), n_rows - ids.len());
                        assert!(part.as_bytes() == naive_blocks(&kept, n_subspaces, n_codewords));
                        assert_eq!(part.largest(), kept.iter().copied().max().unwrap_or(0));
                        part.append(rows, run).unwrap();
                        let all: Vec<u8> = kept.iter().chain(&codes).copied().collect();
                        assert!(part.as_bytes() == naive_blocks(&all, n_subspaces, n_codewords));
                        assert!(whole.as_bytes() == naive_blocks(&codes, n_subspaces, n_codewords));
                    }
                }
            }
        }
    }
}

#[test]
fn a_change_that_fails_changes_nothing() {
    const M: usize = 5;
    let serial = &Run::serial(Level::best());
    let stop = || true;
    for n_rows in [0, 1, 255, 256, 300, 40_000] {
        let codes = random_codes(n_rows * M, 16, 1);
        let rows = Codes::new(&codes, n_rows, M).unwrap();
        let blocks = naive_blocks(&codes, M, 16);
        // Appending a small part makes room for more rows.
        for cut in [0, n_rows * 3 / 4] {
            for n_more in [1, 100, 700, 300_000] {
                let mut packed = packed(rows.slice(0, cut), 16, serial);
                packed.append(rows.slice(cut, n_rows), serial).unwrap();
                let largest = packed.largest();
                let is_unchanged = |packed: &PackedCodes| {
                    (packed.n_rows(), packed.largest()) == (n_rows, largest) && packed.as_bytes() == blocks
                };
                let mut more = random_codes(n_more * M, 16, 2);
                if n_more == 300_000 {
                    let stopped = &Run::new(Level::best(), 1, &stop);
                    std::thread::sleep(Duration::from_millis(60)); // longer than between two checks
                    let appended = packed.append(Codes::new(&more, n_more, M).unwrap(), stopped);
                    assert_eq!(appended, Err(Error::Interrupted));
                    assert!(is_unchanged(&packed));
                }
                more[n_more * M - 1] = 16;
                let appended = packed.append(Codes::new(&more, n_more, M).unwrap(), serial);
                assert!(matches!(appended, Err(Error::Value { at: At::Row(row), .. }) if row == n_more - 1));
                let other = Codes::new(&more, n_more, M - 1).unwrap();
                assert!(matches!(packed.append(other, serial), Err(Error::Mismatch { .. })));
                let ids = [n_rows as i64];
                assert!(matches!(packed.remove(Mask::Ids(&ids), serial), Err(Error::Row { .. })));
                assert!(is_unchanged(&packed), "{n_rows} rows, {n_more} more");
            }
        }
    }
}

#[test]
fn bytes_that_stand_for_no_code_do_not_matter() {
    // As a file may have them: the high half of an odd last plane, and rows beyond the last one.
    for (n_rows, n_subspaces, n_codewords) in [(9000, 5, 16), (8500, 33, 16), (9000, 4, 256)] {
        let case = Case::random(3, n_rows, n_subspaces, n_codewords);
        let mut dirty = naive_blocks(&case.codes, n_subspaces, n_codewords);
        let n_planes = if n_codewords == 16 { n_subspaces.div_ceil(2) } else { n_subspaces };
        for (index, plane) in dirty.chunks_mut(256).enumerate() {
            for (row, byte) in plane.iter_mut().enumerate() {
                if index / n_planes * 256 + row >= n_rows {
                    *byte = 0x5A;
                } else if n_codewords == 16 && index % n_planes == n_planes - 1 {
                    *byte |= (row as u8) << 4;
                }
            }
        }
        let clean = Codes::new(&case.codes, n_rows, n_subspaces).unwrap();
        let tables = Tables::new(&case.tables, 3, n_subspaces, n_codewords).unwrap();
        for level in Level::available() {
            let (bytes, largest) = (Arc::new(dirty.clone()), n_codewords - 1);
            let packed = PackedCodes::from_blocks(bytes, n_rows, n_subspaces, n_codewords, largest).unwrap();
            let found = [Blocks::from_rows(clean, n_codewords), packed.blocks()].map(|blocks| {
                let run = &Run::serial(level);
                let nearest = knn(tables, blocks, 10, Mask::All, run).unwrap();
                let mut sums = vec![0.0; 3 * n_rows];
                adc::scan(tables, blocks, &mut sums, run).unwrap();
                (nearest, sums, adc::radius(tables, blocks, 2.0, Mask::All, run).unwrap())
            });
            assert!(found[0] == found[1], "{n_rows} x {n_subspaces}, {level:?}");
        }
    }
}

// --- errors ----------------------------------------------------------------------------------------------------------

#[test]
fn broken_preconditions_are_errors() {
    let run = &Run::serial(Level::best());
    let (floats, codes) = ([0.0_f32; 64], [0_u8; 24]);
    let length = |name, given, expected| Error::Length { name, unit: "elements", given, expected };
    assert_eq!(Tables::new(&floats, 2, 4, 9).err(), Some(length("tables", 64, 72)));
    assert!(matches!(Tables::new(&floats, usize::MAX, 4, 9), Err(Error::Length { .. })));
    assert!(matches!(Tables::new(&[], 3, 0, 9), Err(Error::Range { unit: "subspaces", .. })));
    for n_codewords in [0, 257] {
        assert!(matches!(Tables::new(&[], 0, 1, n_codewords), Err(Error::Range { high: 256, .. })));
        assert!(matches!(Codebooks::new(&[], 1, n_codewords, 1), Err(Error::Range { high: 256, .. })));
    }
    assert!(matches!(Codebooks::new(&[], 0, 4, 1), Err(Error::Range { unit: "subspaces", .. })));
    assert!(matches!(Codebooks::new(&[], 1, 4, 0), Err(Error::Range { unit: "dimensions", .. })));
    assert_eq!(Codebooks::new(&floats, 4, 4, 5).err(), Some(length("codebooks", 64, 80)));
    assert_eq!(Vectors::new("x", &floats, 4, 15).err(), Some(length("x", 64, 60)));
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        for index in [0, 4095, 4096, 9999] {
            let mut floats = vec![0.0; 10_000];
            floats[index] = bad;
            let value = bad.to_string();
            let expected =
                |name: &'static str| Some(Error::NotFinite { name, index, value: bad.to_string() });
            assert_eq!(Tables::new(&floats, 5, 20, 100).err(), expected("tables"));
            assert_eq!(Codebooks::new(&floats, 5, 20, 100).err(), expected("codebooks"));
            // Rows and columns of vectors.
            let vectors = Vectors::new("x", &floats, 1000, 10).unwrap();
            let books = Codebooks::new(&[0.0; 20], 5, 2, 2).unwrap();
            let (at, expected) = (At::Cell(index / 10, index % 10), "finite numbers".to_owned());
            let expected = Err(Error::Value { name: "x", value, at, expected });
            assert_eq!(adc::encode(vectors, books, &mut [0; 5000], None, run), expected);
            assert_eq!(adc::tables(vectors, books, TableMetric::L2, &mut [0.0; 10_000], run), expected);
        }
    }

    let tables = Tables::new(&floats, 2, 4, 8).unwrap();
    let blocks = Blocks::from_rows(Codes::new(&codes, 6, 4).unwrap(), 8);
    let other = Blocks::from_rows(Codes::new(&codes, 8, 3).unwrap(), 8);
    let subspaces = |result: Result<(), Error>| {
        matches!(
            result,
            Err(Error::Mismatch { unit: "subspaces", first: ("tables", 4), second: ("codes", 3), .. })
        )
    };
    assert_eq!(knn(tables, blocks, 2, Mask::All, run).map(|_| ()), Ok(()));
    for (n_distances, n_indices) in [(5, 4), (4, 5), (3, 3)] {
        let (mut distances, mut indices) = (vec![0.0; n_distances], vec![0; n_indices]);
        let out = Neighbors::new(&mut distances, &mut indices, 2);
        assert!(matches!(
            adc::knn(tables, blocks, Mask::All, out, run),
            Err(Error::Length { expected: 4, .. })
        ));
    }
    assert!(subspaces(knn(tables, other, 2, Mask::All, run).map(|_| ())));
    let found = knn(tables, blocks, 2, Mask::Booleans(&[1, 1]), run);
    assert!(matches!(found, Err(Error::Mismatch { first: ("mask", 2), second: ("codes", 6), .. })));
    for row in [-1, 6, i64::MIN, i64::MAX] {
        let found = knn(tables, blocks, 2, Mask::Ids(&[0, row]), run);
        assert_eq!(found, Err(Error::Row { name: "mask", row, n_rows: 6 }));
    }
    assert_eq!(adc::scan(tables, blocks, &mut [0.0; 11], run), Err(length("out", 11, 12)));
    assert!(subspaces(adc::scan(tables, other, &mut [0.0; 12], run)));
    assert!(subspaces(adc::radius(tables, other, 1.0, Mask::All, run).map(|_| ())));
    // Tables with more codewords than nibbles can name, and with fewer than packed codes have.
    let nibbles = PackedCodes::new(2, 16).unwrap();
    let many = Tables::new(&floats, 1, 2, 32).unwrap();
    let found = adc::scan(many, nibbles.blocks(), &mut [], run);
    assert!(matches!(found, Err(Error::Mismatch { unit: "codewords", .. })));
    let four = packed(Codes::new(&[4; 8], 2, 4).unwrap(), 256, run);
    let few = Tables::new(&floats, 4, 4, 4).unwrap();
    assert!(matches!(adc::scan(few, four.blocks(), &mut [0.0; 8], run), Err(Error::Incompatible { .. })));

    let from_blocks = |len: usize, n_rows, n_subspaces, n_codewords, largest| {
        let bytes = Arc::new(vec![0; len]);
        PackedCodes::from_blocks(bytes, n_rows, n_subspaces, n_codewords, largest).err()
    };
    assert_eq!(from_blocks(512, 6, 4, 16, 15), None);
    assert!(matches!(from_blocks(512, 6, 4, 17, 15), Some(Error::Incompatible { .. })));
    assert!(matches!(from_blocks(24, 6, 4, 16, 15), Some(Error::Length { given: 24, expected: 512, .. })));
    assert!(matches!(from_blocks(512, usize::MAX, usize::MAX, 256, 0), Some(Error::Length { .. })));
    assert!(matches!(from_blocks(0, 0, 0, 256, 0), Some(Error::Range { .. })));
    assert!(matches!(from_blocks(512, 6, 4, 16, 16), Some(Error::Range { given: 16, high: 15, .. })));
    assert!(PackedCodes::new(4, 15).is_err());
    assert!(matches!(four.unpack(1..3, &mut [0; 8], run), Err(Error::Row { n_rows: 2, .. })));
    assert_eq!(four.unpack(0..2, &mut [0; 7], run), Err(length("out", 7, 8)));
    for row in [-1, 2, i64::MAX] {
        let taken = four.take(&[0, row], &mut [0; 8], run);
        assert_eq!(taken, Err(Error::Row { name: "ids", row, n_rows: 2 }));
    }
    assert_eq!(four.take(&[0, 1], &mut [0; 4], run), Err(length("out", 4, 8)));

    let books = Codebooks::new(&floats, 4, 4, 4).unwrap();
    let vectors = Vectors::new("x", &floats, 4, 16).unwrap();
    let long = Vectors::new("x", &floats, 2, 32).unwrap();
    assert!(matches!(
        adc::encode(long, books, &mut [0; 8], None, run),
        Err(Error::Mismatch { unit: "dimensions", first: ("x", 32), second: ("codebooks", 16), .. })
    ));
    assert_eq!(adc::encode(vectors, books, &mut [0; 15], None, run), Err(length("codes", 15, 16)));
    let encoded = adc::encode(vectors, books, &mut [0; 16], Some(&mut [0.0; 17]), run);
    assert_eq!(encoded, Err(length("errors", 17, 16)));
    assert!(adc::tables(long, books, TableMetric::L2, &mut [0.0; 32], run).is_err());
    assert!(adc::tables(vectors, books, TableMetric::L2, &mut [0.0; 63], run).is_err());
    let sums = adc::add_up(vectors, Codes::new(&codes, 4, 4).unwrap(), &mut [0.0; 31], &mut [0; 8], run);
    assert_eq!(sums, Err(length("sums", 31, 32)));
    let sums = adc::add_up(vectors, Codes::new(&codes, 4, 5).unwrap(), &mut [0.0; 32], &mut [0; 10], run);
    assert!(matches!(sums, Err(Error::Mismatch { unit: "dimensions", .. })));
    let sums = adc::add_up(vectors, Codes::new(&codes, 3, 4).unwrap(), &mut [0.0; 32], &mut [0; 8], run);
    assert!(matches!(sums, Err(Error::Mismatch { unit: "rows", .. })));
    let sums = adc::add_up(vectors, Codes::new(&[2; 16], 4, 4).unwrap(), &mut [0.0; 32], &mut [0; 8], run);
    assert!(matches!(sums, Err(Error::Value { name: "codes", at: At::Row(0), .. })));
}

#[test]
fn codes_that_name_no_codeword_are_errors_at_every_level() {
    for n_codewords in [1, 15, 16, 17, 255] {
        for (n_rows, row) in [(1, 0), (300, 63), (300, 299), (9000, 70), (9000, 8999)] {
            let mut case = Case::random(2, n_rows, 9, n_codewords);
            let code = n_codewords as u8;
            case.codes[row * 9 + row % 9] = code;
            let tables = Tables::new(&case.tables, 2, 9, n_codewords).unwrap();
            let rows = Codes::new(&case.codes, n_rows, 9).unwrap();
            let blocks = Blocks::from_rows(rows, n_codewords);
            let is_refused = |result: Result<(), Error>| {
                let Err(Error::Value { name: "codes", value, at, .. }) = result else { return false };
                (value, at) == (code.to_string(), At::Row(row))
            };
            for level in Level::available() {
                let run = &run(level, 2);
                assert!(is_refused(adc::scan(tables, blocks, &mut vec![0.0; 2 * n_rows], run)));
                let only = [row as i64];
                for mask in [Mask::All, Mask::Ids(&only)] {
                    assert!(is_refused(knn(tables, blocks, 2, mask, run).map(|_| ())));
                    assert!(is_refused(adc::radius(tables, blocks, f32::MIN, mask, run).map(|_| ())));
                }
                if n_codewords == 16 {
                    assert!(is_refused(PackedCodes::new(9, 16).unwrap().append(rows, run)));
                }
            }
        }
    }
}

#[test]
fn a_call_that_is_told_to_stop_ends_with_an_error() {
    let case = Case::random(200, 200_000, 16, 256);
    let tables = Tables::new(&case.tables, 200, 16, 256).unwrap();
    let blocks = Blocks::from_rows(Codes::new(&case.codes, 200_000, 16).unwrap(), 256);
    let mut sums = vec![0.0; 200 * 200_000];
    let stop = || true;
    for threads in [1, 2] {
        let run = &Run::new(Level::PORTABLE, threads, &stop);
        assert_eq!(knn(tables, blocks, 10, Mask::All, run), Err(Error::Interrupted));
        let found = adc::radius(tables, blocks, 0.0, Mask::All, run);
        assert_eq!(found.map(|_| ()), Err(Error::Interrupted));
        assert_eq!(adc::scan(tables, blocks, &mut sums, run), Err(Error::Interrupted));
    }
}
