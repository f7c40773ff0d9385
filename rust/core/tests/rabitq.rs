//! RaBitQ searches against sums of products, one row after the other, at every level.
#![allow(missing_docs)]

mod common;

use common::Random;
use fastcodes_core::adc::PackedCodes;
use fastcodes_core::rabitq::{self, Database, Grid, Metric, Queries, Weights};
use fastcodes_core::{Codes, Error, Level, Mask, Neighbors, Run};

/// Rows of numbers between -1 and 1.
fn rows(seed: u64, len: usize) -> Vec<f32> {
    Random::new(seed).floats(len, -1.0..1.0)
}

struct Case {
    grid: Grid,
    n_dims: usize,
    n_rows: usize,
    codes: Vec<u8>,
    factors: Vec<f32>,
    x: Vec<f32>,
}

impl Case {
    fn new(n_bits: usize, n_dims: usize, n_rows: usize) -> Self {
        let grid = Grid::new(n_bits).unwrap();
        let x = rows((n_bits * 1000 + n_dims) as u64, n_rows * n_dims);
        let mut expected = None;
        for level in Level::available() {
            let mut codes = vec![0; n_rows * grid.n_bytes(n_dims)];
            let mut factors = vec![f32::NAN; n_rows * 2];
            rabitq::encode(&x, n_dims, grid, None, &mut codes, &mut factors, &Run::serial(level)).unwrap();
            let found = (codes, factors);
            assert_eq!(
                *expected.get_or_insert(found.clone()),
                found,
                "{level:?}, {n_bits} bits, {n_dims} dimensions"
            );
        }
        let (codes, factors) = expected.unwrap();
        Case { grid, n_dims, n_rows, codes, factors, x }
    }

    fn codes(&self) -> Codes<'_> {
        Codes::new(&self.codes, self.n_rows, self.grid.n_bytes(self.n_dims)).unwrap()
    }

    fn decoded(&self) -> Vec<f32> {
        let mut decoded = vec![0.0; self.n_rows * self.n_dims];
        rabitq::decode(self.codes(), &self.factors, self.grid, &mut decoded, &Run::serial(Level::PORTABLE))
            .unwrap();
        decoded
    }
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

/// Numbers of bits, dimensions and rows about the ends of blocks, tiles and registers.
const SHAPES: [(usize, usize, usize); 16] = [
    (1, 8, 1),
    (1, 64, 255),
    (1, 104, 513),
    (1, 2056, 40),
    (1, 4096, 300),
    (2, 8, 17),
    (2, 136, 300),
    (2, 1000, 20),
    (3, 72, 257),
    (4, 8, 15),
    (4, 64, 256),
    (4, 1536, 33),
    (5, 40, 300),
    (6, 104, 31),
    (7, 264, 16),
    (8, 200, 270),
];

#[test]
fn what_a_row_stands_for_has_its_product_with_the_row() {
    for (n_bits, n_dims, n_rows) in SHAPES {
        let case = Case::new(n_bits, n_dims, n_rows);
        for (row, decoded) in case.x.chunks(n_dims).zip(case.decoded().chunks(n_dims)) {
            let square = dot(row, row);
            assert!((dot(row, decoded) / square - 1.0).abs() < 1e-5, "{n_bits} {n_dims}");
            // The angle is that of signs at most.
            assert!(dot(decoded, decoded) / square < 1.8, "{n_bits} {n_dims}");
        }
    }
}

#[test]
fn distances_are_those_of_rounded_queries_at_every_level() {
    for (n_bits, n_dims, n_rows) in SHAPES {
        let case = Case::new(n_bits, n_dims, n_rows);
        let decoded = case.decoded();
        for n_queries in [1, 4, 7] {
            let values = rows(7, n_queries * n_dims);
            let offsets: Vec<f32> = values.chunks(n_dims).map(|query| dot(query, query) as f32).collect();
            for metric in [Metric::L2, Metric::Ip] {
                let queries = Queries::new(&values, n_dims, &offsets, case.grid, metric).unwrap();
                let database = Database::from_rows(case.codes(), &case.factors, case.grid).unwrap();
                let mut expected = None;
                for level in Level::available() {
                    let mut found = vec![f32::NAN; n_queries * n_rows];
                    rabitq::scan(&queries, database, &mut found, &Run::serial(level)).unwrap();
                    assert_eq!(*expected.get_or_insert(found.clone()), found, "{level:?} {n_bits} {n_dims}");
                }
                let found = expected.unwrap();
                for (query, found) in values.chunks(n_dims).zip(found.chunks(n_rows)) {
                    let step = query.iter().fold(0.0_f32, |most, value| most.max(value.abs()))
                        / if n_bits == 1 {
                            31.0
                        } else if n_bits < 5 {
                            127.0
                        } else {
                            8128.0
                        };
                    for (row, (distance, decoded)) in found.iter().zip(decoded.chunks(n_dims)).enumerate() {
                        let rounded: Vec<f32> =
                            query.iter().map(|q| (q / step).round_ties_even() * step).collect();
                        let inner = dot(&rounded, decoded);
                        let offset = dot(query, query);
                        let exact = match metric {
                            Metric::L2 => offset + f64::from(case.factors[2 * row]) - 2.0 * inner,
                            Metric::Ip => offset + f64::from(case.factors[2 * row]) - inner,
                        };
                        let size = offset + f64::from(case.factors[2 * row]);
                        assert!(
                            (f64::from(*distance) - exact).abs() < 2e-3 * size,
                            "{n_bits} {n_dims} {distance} {exact}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn searches_equal_a_sort_of_all_distances() {
    for (n_bits, n_dims, n_rows) in SHAPES {
        let case = Case::new(n_bits, n_dims, n_rows);
        let n_queries = 5;
        let (values, offsets) = (rows(9, n_queries * n_dims), vec![0.5; n_queries]);
        let queries = Queries::new(&values, n_dims, &offsets, case.grid, Metric::L2).unwrap();
        let packed = (n_bits == 1).then(|| {
            let mut packed = PackedCodes::new(n_dims / 8, 256).unwrap();
            packed.append(case.codes(), &Run::serial(Level::best())).unwrap();
            packed
        });
        let rows = Database::from_rows(case.codes(), &case.factors, case.grid).unwrap();
        let packed =
            packed.as_ref().map(|packed| Database::from_packed(packed, &case.factors, case.grid).unwrap());
        let mut all = vec![f32::NAN; n_queries * n_rows];
        rabitq::scan(&queries, rows, &mut all, &Run::serial(Level::PORTABLE)).unwrap();
        let booleans: Vec<u8> = (0..n_rows).map(|row| u8::from(row % 3 != 1)).collect();
        let ids: Vec<i64> = (0..n_rows as i64).rev().step_by(7).collect();
        for mask in [Mask::All, Mask::Booleans(&booleans), Mask::Ids(&ids)] {
            let is_selected = |row: usize| match mask {
                Mask::All => true,
                Mask::Booleans(booleans) => booleans[row] == 1,
                Mask::Ids(ids) => ids.contains(&(row as i64)),
            };
            for k in [1, 10, n_rows + 1] {
                let mut expected = (Vec::new(), Vec::new());
                for all in all.chunks(n_rows) {
                    let mut order: Vec<usize> = (0..n_rows).filter(|row| is_selected(*row)).collect();
                    order.sort_by(|a, b| all[*a].total_cmp(&all[*b]).then(a.cmp(b)));
                    for rank in 0..k {
                        expected.0.push(order.get(rank).map_or(f32::INFINITY, |row| all[*row]));
                        expected.1.push(order.get(rank).map_or(-1, |row| *row as i64));
                    }
                }
                for level in Level::available() {
                    for database in [Some(rows), packed].into_iter().flatten() {
                        for threads in [1, 3] {
                            let mut found = (vec![f32::NAN; n_queries * k], vec![0; n_queries * k]);
                            let out = Neighbors::new(&mut found.0, &mut found.1, k);
                            let run = Run::new(level, threads, &|| false);
                            rabitq::knn(&queries, database, mask, out, &run).unwrap();
                            assert_eq!(found, expected, "{level:?} {n_bits} {n_dims} {k}");
                        }
                    }
                }
            }
            let radius = all[n_rows / 2];
            let found = rabitq::radius(&queries, rows, radius, mask, &Run::serial(Level::best())).unwrap();
            for (query, all) in all.chunks(n_rows).enumerate() {
                let near = (0..n_rows).filter(|row| is_selected(*row) && all[*row] <= radius).count();
                assert_eq!(found.offsets[query + 1] - found.offsets[query], near as i64);
            }
        }
    }
}

#[test]
fn sums_are_exact_for_as_many_dimensions_as_there_may_be() {
    // All of the largest levels and queries: sums of 16 bits would overflow long before.
    for n_bits in 1..=8 {
        let (grid, n_dims) = (Grid::new(n_bits).unwrap(), rabitq::MAX_DIMS);
        let codes = vec![u8::MAX; grid.n_bytes(n_dims)];
        let codes = Codes::new(&codes, 1, grid.n_bytes(n_dims)).unwrap();
        let largest = if n_bits == 1 {
            31.0
        } else if n_bits < 5 {
            127.0
        } else {
            8128.0
        };
        let values = vec![largest; n_dims];
        let queries = Queries::new(&values, n_dims, &[0.0], grid, Metric::Ip).unwrap();
        let database = Database::from_rows(codes, &[0.0, 1.0], grid).unwrap();
        let last = if n_bits == 1 {
            1.0
        } else if n_bits < 5 {
            63.0
        } else {
            f64::from((1 << n_bits) - 1)
        };
        let exact = -last * f64::from(largest) * n_dims as f64;
        for level in Level::available() {
            let mut found = [0.0];
            rabitq::scan(&queries, database, &mut found, &Run::serial(level)).unwrap();
            assert!(
                (f64::from(found[0]) / exact - 1.0).abs() < 1e-6,
                "{level:?} {n_bits} {} {exact}",
                found[0]
            );
        }
    }
}

#[test]
fn codes_as_queries_give_the_distances_of_what_they_stand_for() {
    for (n_bits, n_dims, n_rows) in SHAPES {
        let case = Case::new(n_bits, n_dims, n_rows);
        let decoded = case.decoded();
        let (side, run) = ((case.codes(), &case.factors[..]), Run::serial(Level::best()));
        let mut found = vec![f32::NAN; n_rows * n_rows];
        rabitq::cdist(side, side, case.grid, Metric::L2, &mut found, &run).unwrap();
        for (index, distance) in found.iter().enumerate() {
            let (a, b) = (index / n_rows, index % n_rows);
            let pair = [a, b].map(|row| &decoded[row * n_dims..][..n_dims]);
            let exact: f64 = pair[0].iter().zip(pair[1]).map(|(a, b)| f64::from(a - b).powi(2)).sum();
            let size = dot(pair[0], pair[0]) + dot(pair[1], pair[1]);
            assert!((f64::from(*distance) - exact).abs() < 1e-6 * size, "{n_bits} {distance} {exact}");
        }
    }
}

#[test]
fn zeros_stand_for_zeros_and_bad_numbers_are_errors() {
    let run = Run::serial(Level::best());
    for n_bits in 1..=8 {
        let grid = Grid::new(n_bits).unwrap();
        let (mut codes, mut factors) = (vec![0; grid.n_bytes(16)], [1.0; 2]);
        rabitq::encode(&[0.0; 16], 16, grid, None, &mut codes, &mut factors, &run).unwrap();
        assert_eq!(factors, [0.0, 0.0]);
        let mut x = [1.0; 16];
        x[5] = f32::NAN;
        let error = rabitq::encode(&x, 16, grid, None, &mut codes, &mut factors, &run).unwrap_err();
        assert!(matches!(error, Error::NotFinite { index: 5, .. }), "{error}");
        let error = rabitq::encode(&[1e30; 16], 16, grid, None, &mut codes, &mut factors, &run).unwrap_err();
        assert!(matches!(error, Error::Value { .. }), "{error}");
        let queries = Queries::new(&[1.0; 16], 16, &[0.0], grid, Metric::L2).unwrap();
        let view = Codes::new(&codes, 1, grid.n_bytes(16)).unwrap();
        let database = Database::from_rows(view, &[f32::NAN, 1.0], grid).unwrap();
        let mut found = ([0.0], [0]);
        let out = Neighbors::new(&mut found.0, &mut found.1, 1);
        let error = rabitq::knn(&queries, database, Mask::All, out, &run).unwrap_err();
        assert!(matches!(error, Error::Value { name: "factors", .. }), "{error}");
        // A row that is not selected does not matter.
        let out = Neighbors::new(&mut found.0, &mut found.1, 1);
        rabitq::knn(&queries, database, Mask::Booleans(&[0]), out, &run).unwrap();
        assert_eq!(found, ([f32::INFINITY], [-1]));
    }
}

#[test]
fn weighted_codes_err_less_where_the_weights_are_and_are_the_same_at_every_level() {
    for (n_bits, n_dims, n_rows) in SHAPES.into_iter().filter(|shape| shape.1 < 300) {
        let case = Case::new(n_bits, n_dims, n_rows);
        // Second moments of queries that lie near a few directions.
        let directions = rows(5, 3 * n_dims);
        let weights: Vec<f32> = (0..n_dims * n_dims)
            .map(|index| {
                let (i, j) = (index / n_dims, index % n_dims);
                let sum: f32 = directions.chunks(n_dims).map(|direction| direction[i] * direction[j]).sum();
                sum + if i == j { 0.01 } else { 0.0 }
            })
            .collect();
        let mut expected = None;
        for level in Level::available() {
            let (mut codes, mut factors) = (vec![0; case.codes.len()], vec![f32::NAN; n_rows * 2]);
            let weights = Weights::new(&weights, n_dims).unwrap();
            let run = Run::new(level, 3, &|| false);
            rabitq::encode(&case.x, n_dims, case.grid, Some(weights), &mut codes, &mut factors, &run)
                .unwrap();
            let found = (codes, factors);
            assert_eq!(*expected.get_or_insert(found.clone()), found, "{level:?} {n_bits} {n_dims}");
        }
        let (codes, factors) = expected.unwrap();
        let plain = case.decoded();
        let weighted = Case { codes, factors, ..case };
        let error = |decoded: &[f32]| -> f64 {
            let rows = decoded.chunks(n_dims).zip(weighted.x.chunks(n_dims));
            rows.map(|(decoded, x)| {
                let error: Vec<f32> = decoded.iter().zip(x).map(|(a, b)| a - b).collect();
                weights
                    .chunks(n_dims)
                    .zip(&error)
                    .map(|(row, e)| f64::from(*e) * dot(row, &error))
                    .sum::<f64>()
            })
            .sum()
        };
        let (before, after) = (error(&plain), error(&weighted.decoded()));
        assert!(after < 0.8 * before || n_rows == 1, "{n_bits} {n_dims}: {before} {after}");
        for (row, decoded) in weighted.x.chunks(n_dims).zip(weighted.decoded().chunks(n_dims)) {
            assert!((dot(row, decoded) / dot(row, row) - 1.0).abs() < 1e-5, "{n_bits} {n_dims}");
        }
    }
}
