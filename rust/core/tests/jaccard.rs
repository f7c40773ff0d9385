//! The Jaccard family against its definition.
#![allow(missing_docs)]

#[path = "common/binary.rs"]
mod binary;
mod common;

use binary::{Family, OfPairs, count, random_codes};
use fastcodes_core::jaccard::{self, SortedRows, Tversky};
use fastcodes_core::{Codes, Error, Level, Mask, Run};

fn naive(a: &[u8], b: &[u8]) -> f32 {
    match count(a, b, |a, b| a | b) {
        0 => 0.0,
        union => (f64::from(count(a, b, |a, b| a ^ b)) / f64::from(union)) as f32,
    }
}

const FAMILY: Family<f32> = Family {
    naive,
    knn: |queries, codes, mask, out, run| {
        jaccard::knn(queries, codes, None, Tversky::JACCARD, mask, out, run)
    },
    radius: |queries, codes, radius, mask, run| {
        jaccard::radius(queries, codes, radius, None, Tversky::JACCARD, mask, run)
    },
    cdist: |a, b, out, run| jaccard::cdist(a, b, Tversky::JACCARD, out, run),
    of_pairs: Some(OfPairs { groups: jaccard::groups, pairs: jaccard::pairs }),
    padding: f32::INFINITY,
    zero: 0.0,
};

/// The Tversky distance with these weights, as literals, since functions of a family capture nothing.
macro_rules! tversky {
    ($alpha:literal, $beta:literal) => {
        Family {
            naive: |a, b| {
                let common = f64::from(count(a, b, |a, b| a & b));
                let apart = $alpha * f64::from(count(a, b, |a, b| a & !b))
                    + $beta * f64::from(count(a, b, |a, b| !a & b));
                if apart == 0.0 { 0.0 } else { (apart / (common + apart)) as f32 }
            },
            knn: |queries, codes, mask, out, run| {
                jaccard::knn(queries, codes, None, Tversky::new($alpha, $beta).unwrap(), mask, out, run)
            },
            radius: |queries, codes, radius, mask, run| {
                jaccard::radius(queries, codes, radius, None, Tversky::new($alpha, $beta).unwrap(), mask, run)
            },
            cdist: |a, b, out, run| jaccard::cdist(a, b, Tversky::new($alpha, $beta).unwrap(), out, run),
            of_pairs: None,
            padding: f32::INFINITY,
            zero: 0.0,
        }
    };
}

const FAMILIES: [Family<f32>; 6] = [
    tversky!(1.0, 0.0),
    tversky!(0.0, 1.0),
    tversky!(0.5, 0.5),
    tversky!(0.0, 0.0),
    tversky!(3.7, 0.1),
    tversky!(1e-30, 1e30),
];

/// The order of all rows but the last third.
fn sorted(codes: Codes<'_>, run: &Run<'_>) -> SortedRows {
    SortedRows::new(codes.slice(0, codes.n_rows() - codes.n_rows() / 3), run).unwrap()
}

const SORTED: Family<f32> = Family {
    naive,
    knn: |queries, codes, mask, out, run| {
        jaccard::knn(queries, codes, Some(&sorted(codes, run)), Tversky::JACCARD, mask, out, run)
    },
    radius: |queries, codes, radius, mask, run| {
        jaccard::radius(queries, codes, radius, Some(&sorted(codes, run)), Tversky::JACCARD, mask, run)
    },
    of_pairs: None,
    ..FAMILY
};

#[test]
fn searches_of_sorted_rows_equal_the_definition() {
    binary::every_width_equals_the_definition(&SORTED);
    binary::every_number_of_rows_and_queries_equals_the_definition(&SORTED);
    binary::more_rows_than_a_tile_and_more_queries_than_a_block(&SORTED);
    binary::rows_too_long_for_a_tile(&SORTED);
    binary::extreme_codes_equal_the_definition(&SORTED);
    binary::hard_orders_equal_the_definition(&SORTED);
}

#[test]
fn many_sorted_rows_with_and_without_relatives_equal_the_definition() {
    const N_BYTES: usize = 72;
    let mut codes = random_codes(13_000, N_BYTES, 1, 1);
    // Every other row has most bits of one of 100 others, and numbers of ones differ.
    for row in (0..13_000).step_by(2) {
        let (of, own) = (row / 2 % 100 * N_BYTES, row * N_BYTES);
        let relative = codes[of..of + N_BYTES].to_vec();
        for (byte, of) in codes[own + row % 7..own + N_BYTES].iter_mut().zip(&relative[row % 7..]) {
            *byte = of | (*byte & (row >> 5) as u8);
        }
    }
    for n_queries in [1, 2, 9] {
        let queries = &codes[600 * N_BYTES..(600 + 5 * n_queries) * N_BYTES];
        let queries: Vec<u8> = queries.chunks(5 * N_BYTES).flat_map(|row| &row[..N_BYTES]).copied().collect();
        binary::check(&SORTED, &queries, &codes, N_BYTES, "many rows");
    }
}

#[test]
fn the_order_of_other_rows_is_an_error() {
    let bytes = random_codes(20, 9, 3, 1);
    let run = &Run::serial(Level::PORTABLE);
    let codes = Codes::new(&bytes, 20, 9).unwrap();
    let sorted = SortedRows::new(codes, run).unwrap();
    assert_eq!((sorted.n_rows(), sorted.n_bytes()), (20, 20 * (8 + 4 + 16)));
    for (codes, unit) in [(codes.slice(0, 19), "rows"), (Codes::new(&bytes, 22, 8).unwrap(), "bytes per row")]
    {
        let found = jaccard::radius(codes, codes, 0.5, Some(&sorted), Tversky::JACCARD, Mask::All, run);
        let error = found.unwrap_err();
        assert!(matches!(error, Error::Mismatch { unit: wrong, first: ("sorted", _), .. } if wrong == unit));
    }
}

#[test]
fn weights_of_either_side_equal_the_definition() {
    for family in &FAMILIES {
        binary::more_rows_than_a_tile_and_more_queries_than_a_block(family);
        binary::extreme_codes_equal_the_definition(family);
        binary::hard_orders_equal_the_definition(family);
    }
}

#[test]
fn weights_are_finite_and_not_negative() {
    for wrong in [-0.1, f64::NAN, f64::INFINITY] {
        for (alpha, beta) in [(wrong, 1.0), (1.0, wrong)] {
            let error = Tversky::new(alpha, beta).unwrap_err();
            assert!(matches!(error, Error::Incompatible { problem } if problem.contains("finite number")));
        }
    }
}

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
