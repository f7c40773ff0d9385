//! Searches of bits by real queries and by the buckets of hash tables, against a few lines of naive code.
#![allow(missing_docs)]

use fastcodes_core::asymmetric::{self, RealQueries};
use fastcodes_core::{At, Codes, Error, Level, Mask, Neighbors, Run};

/// Repeatable numbers from 0 up to 1.
fn numbers(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 24) as f32
    }
}

fn random_codes(len: usize, seed: u64) -> Vec<u8> {
    let mut number = numbers(seed);
    (0..len).map(|_| (number() * 256.0) as u8).collect()
}

/// The definition: terms of four dimensions in their order, these sums by bytes, the last four of a byte first.
fn distance(query: &[f32], code: &[u8]) -> f32 {
    let mut total = 0.0_f32;
    for (byte, bits) in code.iter().enumerate() {
        for half in [1, 0] {
            let mut sum = 0.0_f32;
            for bit in 4 * half..4 * half + 4 {
                if let Some(value) = query.get(8 * byte + bit) {
                    sum += if bits >> (7 - bit) & 1 == 1 { -value } else { *value };
                }
            }
            total += sum;
        }
    }
    total
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

fn check(queries: &[f32], n_bits: usize, rows: &[u8], gap: usize, ks: &[usize], masks: &[Mask<'_>]) {
    let n_bytes = n_bits.div_ceil(8);
    let (n_queries, stride) = (queries.len() / n_bits, n_bytes + gap);
    let n_rows = rows.len() / stride;
    let codes = Codes::strided(rows, n_rows, n_bytes, stride).unwrap();
    let real = RealQueries::new(queries, n_queries, n_bits).unwrap();
    for mask in masks {
        let is_selected = selected(mask, n_rows);
        let sorted: Vec<Vec<(f32, i64)>> = queries
            .chunks(n_bits)
            .map(|query| {
                let all = (0..n_rows).filter(|row| is_selected[*row]);
                let mut all: Vec<_> = all.map(|row| (distance(query, codes.row(row)), row as i64)).collect();
                all.sort_by(|a, b| a.partial_cmp(b).unwrap());
                all
            })
            .collect();
        for level in Level::available() {
            for threads in [1, 2] {
                for &k in ks {
                    let run = &Run::new(level, threads, &|| false);
                    let (mut distances, mut indices) =
                        (vec![f32::NAN; n_queries * k], vec![7; n_queries * k]);
                    let out = Neighbors::new(&mut distances, &mut indices, k);
                    asymmetric::knn(real, codes, *mask, out, run).unwrap();
                    let padding = std::iter::repeat((f32::INFINITY, -1));
                    let expected =
                        sorted.iter().flat_map(|row| row.iter().copied().chain(padding.clone()).take(k));
                    let (expected, rows): (Vec<f32>, Vec<i64>) = expected.unzip();
                    let place =
                        format!("{n_rows} rows, {n_bits} bits, k = {k}, {level:?}, {threads} threads");
                    let bits = |floats: &[f32]| -> Vec<u32> { floats.iter().map(|x| x.to_bits()).collect() };
                    assert_eq!(bits(&distances), bits(&expected), "{place}");
                    assert_eq!(indices, rows, "{place}");
                }
            }
        }
    }
}

fn random_queries(n: usize, n_bits: usize) -> Vec<f32> {
    let mut number = numbers(n_bits as u64);
    (0..n * n_bits).map(|_| number() * 4.0 - 2.0).collect()
}

#[test]
fn every_number_of_bits_equals_the_definition() {
    for n_bits in [
        1_usize, 3, 4, 5, 7, 8, 9, 15, 16, 17, 63, 64, 65, 120, 127, 128, 129, 136, 250, 256, 257, 511, 512,
        513,
    ] {
        let rows = random_codes(300 * (n_bits.div_ceil(8) + 3), 1);
        check(&random_queries(3, n_bits), n_bits, &rows, 3, &[1, 10], &[Mask::All]);
    }
}

#[test]
fn enough_rows_to_be_bounded_equal_the_definition() {
    for n_bits in [5_usize, 64, 100, 256, 300] {
        let rows = random_codes(9000 * n_bits.div_ceil(8), 2);
        check(&random_queries(3, n_bits), n_bits, &rows, 0, &[1, 10, 100], &[Mask::All]);
    }
}

#[test]
fn every_number_of_rows_and_every_mask_equals_the_definition() {
    for n_rows in [0, 1, 31, 32, 33, 63, 64, 65, 255, 256, 257, 8193] {
        let rows = random_codes(n_rows * 9, 3);
        let booleans: Vec<u8> = (0..n_rows).map(|row| u8::from(row % 3 == 0)).collect();
        let ids: Vec<i64> = (0..n_rows as i64).rev().filter(|id| id % 500 < 3).collect();
        let masks = [Mask::All, Mask::Booleans(&booleans), Mask::Ids(&ids), Mask::Ids(&[])];
        check(&random_queries(2, 70), 70, &rows, 0, &[0, 5, n_rows + 2], &masks);
    }
}

#[test]
fn ties_go_to_the_lower_row_and_padding_bits_do_not_count() {
    let rows: Vec<u8> =
        random_codes(9000, 4).iter().flat_map(|byte| [byte & 3, 0xA0 | byte & 0x1F]).collect();
    check(&[0.0; 11], 11, &rows, 0, &[20], &[Mask::All]);
    check(&[1.0; 11], 11, &rows, 0, &[20, 3000], &[Mask::All]);
    check(
        &[-0.0, 2.0, 2.0, 2.0, -2.0, 0.0, 1e-40, -1e-40, 3.0, 3.0, -3.0],
        11,
        &rows,
        0,
        &[20],
        &[Mask::All],
    );
}

#[test]
fn more_queries_than_tables_are_made_for_at_once() {
    // A query of 4096 bits takes 64 kilobytes of tables.
    check(&random_queries(300, 4096), 4096, &random_codes(20 * 512, 5), 0, &[2], &[Mask::All]);
}

#[test]
fn broken_preconditions_are_errors() {
    let bytes = random_codes(40, 6);
    let codes = Codes::new(&bytes, 10, 4).unwrap();
    let knn = |values: &[f32], n_bits: usize, mask: Mask<'_>, n_out: usize| {
        let queries = RealQueries::new(values, values.len() / n_bits, n_bits)?;
        let (mut distances, mut indices) = (vec![0.0; n_out], vec![0; n_out]);
        let out = Neighbors::new(&mut distances, &mut indices, 2);
        asymmetric::knn(queries, codes, mask, out, &Run::serial(Level::best()))
    };
    assert_eq!(knn(&[1.0; 30], 30, Mask::All, 2), Ok(()));
    for n_bits in [24, 33] {
        let found = knn(&[1.0; 33][..n_bits], n_bits, Mask::All, 2);
        assert!(matches!(found, Err(Error::Incompatible { problem }) if problem.contains("4 bytes")));
    }
    assert!(matches!(knn(&[1.0; 30], 30, Mask::All, 3), Err(Error::Length { given: 3, expected: 2, .. })));
    assert!(matches!(knn(&[1.0; 30], 30, Mask::Ids(&[10]), 2), Err(Error::Row { row: 10, .. })));
    assert!(matches!(knn(&[], 30, Mask::Ids(&[10]), 0), Err(Error::Row { row: 10, .. })));
    assert!(RealQueries::new(&[1.0; 5], 2, 3).is_err() && RealQueries::new(&[], 2, 0).is_err());
    for (value, is_large) in [(f32::NAN, false), (f32::INFINITY, false), (1e38, true), (f32::MIN, true)] {
        let mut values = [1.0; 30];
        values[17] = value;
        match knn(&values, 30, Mask::All, 2).unwrap_err() {
            Error::NotFinite { index: 17, .. } => assert!(!is_large),
            Error::Value { at: At::Element(17), .. } => assert!(is_large),
            other => panic!("{other}"),
        }
    }
    // The largest that there may be: sums that overflow sort last or first.
    check(&[8.5e37; 30], 30, &bytes, 0, &[10], &[Mask::All]);
}
