//! The Jaccard family against its definition.
#![allow(missing_docs)]

#[path = "common/binary.rs"]
mod binary;
mod common;

use binary::{Family, count};
use fastcodes_core::jaccard;

fn naive(a: &[u8], b: &[u8]) -> f32 {
    match count(a, b, |a, b| a | b) {
        0 => 0.0,
        union => (f64::from(count(a, b, |a, b| a ^ b)) / f64::from(union)) as f32,
    }
}

const FAMILY: Family<f32> = Family {
    naive,
    knn: jaccard::knn,
    radius: jaccard::radius,
    groups: jaccard::groups,
    pairs: jaccard::pairs,
    cdist: jaccard::cdist,
    padding: f32::INFINITY,
    zero: 0.0,
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
