//! Multi-index hashing against full searches: the same results to the bit.
#![allow(missing_docs)]

mod common;

use common::Random;
use fastcodes_core::lists::multi_index::{self, MAX_WIDTH, Tables, fill, shape};
use fastcodes_core::{Codes, Csr, Error, Level, Mask, Neighbors, Run, hamming};

/// The starts and entries of tables.
struct Owned {
    n_bits: usize,
    n_tables: usize,
    starts: Vec<u32>,
    entries: Vec<u64>,
}

impl Owned {
    fn new(codes: Codes<'_>, n_bits: usize, n_tables: Option<usize>, run: &Run<'_>) -> Self {
        let (n_tables, width) = shape(codes.n_rows(), n_bits, n_tables).unwrap();
        let mut starts = vec![7; n_tables * ((1 << width) + 1)];
        let mut entries = vec![7; n_tables * codes.n_rows()];
        fill(codes, n_bits, n_tables, &mut starts, &mut entries, run).unwrap();
        Owned { n_bits, n_tables, starts, entries }
    }

    fn view(&self) -> Tables<'_> {
        Tables::new(self.n_bits, self.n_tables, &self.starts, &self.entries).unwrap()
    }
}

/// Rows near few centres, so that there are near and equal ones, and queries a few bits from rows.
fn clustered(n_bits: usize, n_rows: usize, n_queries: usize, seed: u64) -> (Vec<u8>, Vec<u8>) {
    let (n_bytes, mut random) = (n_bits.div_ceil(8), Random::new(seed));
    let mut centres = random.bytes(n_bytes * (n_rows / 9 + 1));
    for row in centres.chunks_mut(n_bytes) {
        row[n_bytes - 1] &= 0xFF << (n_bytes * 8 - n_bits);
    }
    let mut near = |n: usize, from: &[u8]| -> Vec<u8> {
        let mut rows = Vec::new();
        for _ in 0..n {
            let first = random.below(from.len() / n_bytes) * n_bytes;
            let start = rows.len();
            rows.extend_from_slice(&from[first..first + n_bytes]);
            for _ in 0..random.below(7) {
                let bit = random.below(n_bits);
                rows[start + bit / 8] ^= 0x80 >> (bit % 8);
            }
        }
        rows
    };
    let rows = near(n_rows, &centres);
    let queries = near(n_queries, &rows);
    (rows, queries)
}

fn full_knn(queries: Codes<'_>, codes: Codes<'_>, mask: Mask<'_>, k: usize) -> (Vec<i32>, Vec<i64>) {
    let (mut distances, mut indices) = (vec![0; queries.n_rows() * k], vec![0; queries.n_rows() * k]);
    let out = Neighbors::new(&mut distances, &mut indices, k);
    hamming::knn(queries, codes, mask, out, &Run::serial(Level::best())).unwrap();
    (distances, indices)
}

fn check(rows: &[u8], queries: &[u8], n_bits: usize, n_tables: Option<usize>, parts: &[usize]) {
    let n_bytes = n_bits.div_ceil(8);
    let (n_rows, n_queries) = (rows.len() / n_bytes, queries.len() / n_bytes);
    let codes = Codes::new(rows, n_rows, n_bytes).unwrap();
    let queries = Codes::new(queries, n_queries, n_bytes).unwrap();
    let booleans: Vec<u8> = (0..n_rows).map(|row| u8::from(row % 3 > 0)).collect();
    let chosen: Vec<i64> = (0..n_rows as i64).rev().filter(|id| id % 5 == 2).collect();
    let mut first = 0;
    let tables: Vec<Owned> = parts
        .iter()
        .map(|n| {
            first += n;
            Owned::new(codes.slice(first - n, first), n_bits, n_tables, &Run::serial(Level::best()))
        })
        .collect();
    let tables: Vec<Tables<'_>> = tables.iter().map(Owned::view).collect();
    let runs = || Level::available().into_iter().flat_map(|level| [(level, 1), (level, 2)]);
    let best = &Run::serial(Level::best());
    for mask in [Mask::All, Mask::Booleans(&booleans), Mask::Ids(&chosen)] {
        for k in [1, 9, 60, n_rows + 3] {
            let expected = full_knn(queries, codes, mask, k);
            for (level, threads) in runs() {
                let mut found = (vec![7; n_queries * k], vec![7; n_queries * k]);
                let out = Neighbors::new(&mut found.0, &mut found.1, k);
                let run = &Run::new(level, threads, &|| false);
                multi_index::knn(queries, codes, &tables, mask, out, run).unwrap();
                let case =
                    format!("{n_bits} bits, {n_tables:?} tables, k = {k}, {level:?}, {threads} threads");
                assert!(found == expected, "{case}");
            }
        }
        for radius in [0, 1, 3, 5, 8, n_bits as u32 / 2, u32::MAX] {
            let expected = hamming::radius(queries, codes, radius, mask, best).unwrap();
            for (level, threads) in runs() {
                let run = &Run::new(level, threads, &|| false);
                let found = multi_index::radius(queries, codes, &tables, radius, mask, run).unwrap();
                let case = format!("{n_bits} bits, {n_tables:?} tables, radius {radius}, {level:?}");
                assert!(found == expected, "{case}");
            }
        }
    }
}

#[test]
fn results_are_those_of_full_searches() {
    for n_bits in [1, 5, 8, 13, 31, 32, 64, 65, 100, 256, 300] {
        let (rows, queries) = clustered(n_bits, 3000, 19, n_bits as u64);
        for n_tables in [None, Some(1), Some(2), Some(3), Some(7), Some(n_bits)] {
            if n_tables.is_none_or(|n_tables| n_tables <= n_bits) {
                check(&rows, &queries, n_bits, n_tables, &[3000]);
            }
        }
    }
}

#[test]
fn many_rows_are_searched_in_many_steps() {
    for (n_bits, n_tables) in [(64, None), (64, Some(2)), (64, Some(9)), (200, None)] {
        let (rows, queries) = clustered(n_bits, 100_000, 20, 1);
        check(&rows, &queries, n_bits, n_tables, &[90_000, 9_000]);
    }
}

#[test]
fn tables_may_hold_parts_of_the_rows() {
    let (rows, queries) = clustered(64, 5000, 40, 5);
    for parts in [&[5000][..], &[100, 4000], &[2500, 2000, 499, 1], &[1, 1, 4998], &[4000], &[0, 300], &[]] {
        check(&rows, &queries, 64, None, parts);
    }
}

#[test]
fn equal_rows_and_far_queries_are_found_too() {
    for n_bits in [64, 96] {
        let n_bytes = n_bits / 8;
        let zeros = vec![0; 4000 * n_bytes];
        let (far, near) = (Random::new(3).bytes(33 * n_bytes), vec![0; 3 * n_bytes]);
        check(&zeros, &far, n_bits, None, &[4000]);
        check(&zeros, &near, n_bits, Some(3), &[3000]);
        check(&Random::new(4).bytes(4000 * n_bytes), &far, n_bits, None, &[4000]);
    }
}

#[test]
fn tables_hold_each_row_once_in_ascending_buckets() {
    let (rows, _) = clustered(43, 2000, 0, 9);
    let codes = Codes::new(&rows, 2000, 6).unwrap();
    for n_tables in [None, Some(1), Some(4), Some(43)] {
        let of = |threads| Owned::new(codes, 43, n_tables, &Run::new(Level::best(), threads, &|| false));
        let tables = of(1);
        assert!((&tables.starts, &tables.entries) == (&of(2).starts, &of(2).entries));
        let n_starts = tables.starts.len() / tables.n_tables;
        let width = n_starts.ilog2() as usize;
        for (table, starts) in tables.starts.chunks(n_starts).enumerate() {
            let entries = &tables.entries[table * 2000..(table + 1) * 2000];
            let mut all: Vec<u32> = entries.iter().map(|entry| *entry as u32).collect();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..2000));
            assert_eq!(starts[n_starts - 1], 2000);
            for (key, ends) in starts.windows(2).enumerate() {
                let bucket = &entries[ends[0] as usize..ends[1] as usize];
                assert!(bucket.is_sorted_by_key(|entry| *entry as u32));
                for &entry in bucket {
                    let row = codes.row(entry as u32 as usize);
                    let bits = |first: usize, n: usize| {
                        let bits = (first..first + n).map(|bit| bit % 43);
                        bits.fold(0, |key, bit| 2 * key + usize::from(row[bit / 8] >> (7 - bit % 8) & 1))
                    };
                    let first = table * (43 / tables.n_tables);
                    assert_eq!(bits(first, width), key);
                    assert_eq!(bits(first + width, (43 - width).min(32)), (entry >> 32) as usize);
                }
            }
        }
    }
}

#[test]
fn tables_of_nonsense_are_searched_safely() {
    let (rows, queries) = clustered(64, 4000, 20, 2);
    let codes = Codes::new(&rows, 4000, 8).unwrap();
    let queries = Codes::new(&queries, 20, 8).unwrap();
    let run = &Run::serial(Level::best());
    let mut tables = Owned::new(codes, 64, None, run);
    let mut random = Random::new(1);
    tables.entries.iter_mut().for_each(|entry| *entry = random.word() >> random.below(64));
    let whole = tables.starts.clone();
    for limit in [1, 4000, u32::MAX as usize] {
        tables.starts.iter_mut().for_each(|start| *start = random.below(limit) as u32);
        let mut found = (vec![7; 200], vec![7; 200]);
        let out = Neighbors::new(&mut found.0, &mut found.1, 10);
        multi_index::knn(queries, codes, &[tables.view()], Mask::All, out, run).unwrap();
        assert!(found.1.iter().all(|row| (-1..4000).contains(row)));
        let found: Csr<i32> =
            multi_index::radius(queries, codes, &[tables.view()], 3, Mask::All, run).unwrap();
        assert!(found.indices.iter().all(|row| (0..4000).contains(row)));
    }
    tables.starts = whole;
    multi_index::radius(queries, codes, &[tables.view()], 3, Mask::All, run).unwrap();
}

#[test]
fn what_does_not_fit_is_an_error() {
    let bytes = Random::new(6).bytes(80);
    let codes = Codes::new(&bytes, 10, 8).unwrap();
    let run = &Run::serial(Level::best());
    assert!(matches!(shape(10, 64, Some(0)), Err(Error::Range { .. })));
    assert!(matches!(shape(10, 64, Some(65)), Err(Error::Range { .. })));
    assert_eq!(shape(10_000_000, 64, None), Ok((3, 21)));
    assert_eq!(shape(10, 1 << 24, None).unwrap().0, 32);
    assert_eq!(shape(usize::MAX >> 1, 1 << 24, Some(1)), Ok((1, MAX_WIDTH)));
    assert_eq!(shape(0, 1, None), Ok((1, 1)));
    let tables = Owned::new(codes, 64, Some(2), run);
    let bad = [(64, 2, 5, 20), (64, 2, 0, 20), (64, 0, 34, 20), (3, 2, 34, 20), (64, 2, 34, 19)];
    for (n_bits, n_tables, n_starts, n_entries) in bad {
        let (starts, entries) = (vec![0; n_starts], vec![0; n_entries]);
        assert!(Tables::new(n_bits, n_tables, &starts, &entries).is_err(), "{n_bits} {n_tables} {n_starts}");
    }
    let knn = |queries, codes, tables: &[Tables<'_>], mask| {
        let (mut distances, mut indices) = ([0; 10], [0; 10]);
        multi_index::knn(queries, codes, tables, mask, Neighbors::new(&mut distances, &mut indices, 1), run)
    };
    let view = tables.view();
    assert_eq!(knn(codes, codes, &[view], Mask::All), Ok(()));
    assert!(matches!(knn(codes, codes, &[view, view], Mask::All), Err(Error::Mismatch { .. })));
    assert!(matches!(knn(codes, codes, &[view], Mask::Ids(&[10])), Err(Error::Row { .. })));
    let narrow = Codes::strided(&bytes, 10, 7, 8).unwrap();
    assert!(matches!(knn(narrow, codes, &[view], Mask::All), Err(Error::Mismatch { .. })));
    assert!(matches!(knn(narrow, narrow, &[view], Mask::All), Err(Error::Length { .. })));
    let mut starts = vec![0; 34];
    assert!(matches!(fill(codes, 64, 2, &mut starts, &mut [0; 19], run), Err(Error::Length { .. })));
    assert!(matches!(fill(codes, 57, 2, &mut starts, &mut [0; 20], run), Ok(())));
    assert!(matches!(fill(codes, 56, 2, &mut starts, &mut [0; 20], run), Err(Error::Length { .. })));
}
