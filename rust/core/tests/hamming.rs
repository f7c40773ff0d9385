//! The Hamming family against its definition, and what only it has.
#![allow(missing_docs)]

#[path = "common/binary.rs"]
mod binary;
mod common;

use binary::{Family, OfPairs, count, first_ones, random_codes};
use fastcodes_core::{Codes, Error, Level, Mask, Neighbors, Run, hamming};

const FAMILY: Family<i32> = Family {
    naive: |a, b| count(a, b, |a, b| a ^ b) as i32,
    knn: hamming::knn,
    radius: |queries, codes, radius, mask, run| hamming::radius(queries, codes, radius as u32, mask, run),
    of_pairs: Some(OfPairs {
        groups: |codes, radius, run| hamming::groups(codes, radius as u32, run),
        pairs: |codes, radius, run| hamming::pairs(codes, radius as u32, run),
    }),
    cdist: hamming::cdist,
    padding: i32::MAX,
    zero: 0,
};

#[test]
fn every_width_equals_the_definition() {
    binary::every_width_equals_the_definition(&FAMILY);
}

#[test]
fn every_number_of_rows_and_queries_equals_the_definition() {
    binary::every_number_of_rows_and_queries_equals_the_definition(&FAMILY);
}

#[test]
fn more_rows_than_a_tile_and_more_queries_than_a_block() {
    binary::more_rows_than_a_tile_and_more_queries_than_a_block(&FAMILY);
}

#[test]
fn rows_too_long_for_a_tile() {
    binary::rows_too_long_for_a_tile(&FAMILY);
}

#[test]
fn extreme_codes_equal_the_definition() {
    binary::extreme_codes_equal_the_definition(&FAMILY);
}

#[test]
fn hard_orders_equal_the_definition() {
    binary::hard_orders_equal_the_definition(&FAMILY);
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
            let run = &Run::serial(level);
            for radius in n_ones.iter().flat_map(|n_ones| [(n_ones - 1).max(0), *n_ones]) {
                let found = hamming::radius(queries, codes, radius as u32, Mask::All, run);
                let within: Vec<i32> =
                    n_ones.iter().copied().filter(|distance| *distance <= radius).collect();
                assert_eq!(
                    found.unwrap().distances,
                    within.repeat(5),
                    "{level:?}, {n_bytes} bytes, {radius}"
                );
            }
            let mut all = vec![0; 5 * n_ones.len()];
            hamming::cdist(queries, codes, &mut all, run).unwrap();
            assert_eq!(all, n_ones.repeat(5), "{level:?}, {n_bytes} bytes");
        }
    }
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
                let out = Neighbors::new(distances, indices, 7);
                hamming::knn(queries, codes, Mask::All, out, &Run::serial(level)).unwrap();
            }
            assert_eq!(found[0], found[1], "{level:?}");
        }
    }
}

#[test]
fn broken_preconditions_are_errors() {
    let (a, b) = ([0u8; 24], [0u8; 30]);
    let (a, b) = (Codes::new(&a, 3, 8).unwrap(), Codes::new(&b, 3, 10).unwrap());
    let run = &Run::serial(Level::best());
    let knn = |codes: Codes<'_>, mask: Mask<'_>, len: usize| {
        let (mut distances, mut indices) = (vec![0; len], vec![0; len]);
        hamming::knn(a, codes, mask, Neighbors::new(&mut distances, &mut indices, 2), run)
    };
    assert!(matches!(knn(b, Mask::All, 6), Err(Error::Mismatch { .. })));
    assert!(matches!(knn(a, Mask::All, 5), Err(Error::Length { given: 5, expected: 6, .. })));
    let short = knn(a, Mask::Booleans(&[1, 1]), 6);
    assert!(matches!(short, Err(Error::Mismatch { first: ("mask", 2), second: ("codes", 3), .. })));
    for id in [-1, 3, i64::MIN, i64::MAX] {
        assert_eq!(knn(a, Mask::Ids(&[0, id]), 6), Err(Error::Row { name: "mask", row: id, n_rows: 3 }));
    }
    assert!(hamming::cdist(a, b, &mut [0; 9], run).is_err());
    assert!(hamming::cdist(a, a, &mut [0; 8], run).is_err());
}

#[test]
fn an_interrupted_call_ends_with_an_error() {
    let codes = random_codes(20_000, 64, 4, 1);
    let codes = Codes::new(&codes, 20_000, 64).unwrap();
    let asked = std::cell::Cell::new(0);
    let stop = || asked.replace(asked.get() + 1) >= 1;
    let result = hamming::pairs(codes, 3, &Run::new(Level::PORTABLE, 2, &stop));
    assert_eq!(result, Err(Error::Interrupted));
}
