//! Re-ranking against its definition: distances to the bit in float32, and near those in float64.
#![allow(missing_docs)]

mod common;

use common::Random;
use fastcodes_core::rerank::{Candidates, FloatRows, Metric, nearest, nearest_of_all};
use fastcodes_core::{Error, Level, Neighbors, Run};

const METRICS: [Metric; 3] = [Metric::L2, Metric::Ip, Metric::Cosine];

/// The sum of float32 terms as `rerank` defines it.
fn sum(terms: impl Iterator<Item = f32>) -> f32 {
    let mut lanes = [0.0; 32];
    terms.enumerate().for_each(|(index, term)| lanes[index % 32] += term);
    for width in [16, 8, 4, 2, 1] {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
    }
    lanes[0]
}

fn distance(metric: Metric, q: &[f32], x: &[f32]) -> f32 {
    let inner = |a: &[f32], b: &[f32]| sum(a.iter().zip(b).map(|(a, b)| a * b));
    match metric {
        Metric::L2 => sum(q.iter().zip(x).map(|(q, x)| (x - q) * (x - q))),
        Metric::Ip => 0.0 - inner(q, x),
        Metric::Cosine => match inner(x, x).sqrt() * inner(q, q).sqrt() {
            0.0 => 1.0,
            lengths => 1.0 - inner(q, x) / lengths,
        },
    }
}

/// The distance in float64, and by how much float32 may differ from it.
fn precise(metric: Metric, q: &[f32], x: &[f32]) -> (f64, f64) {
    let terms = |a: &[f32], b: &[f32], f: fn(f64, f64) -> f64| -> Vec<f64> {
        a.iter().zip(b).map(|(a, b)| f(f64::from(*a), f64::from(*b))).collect()
    };
    let inner = |a: &[f32], b: &[f32]| terms(a, b, |a, b| a * b).iter().sum::<f64>();
    let magnitude = terms(q, x, |q, x| (q * x).abs()).iter().sum::<f64>();
    match metric {
        Metric::L2 => {
            let square = terms(q, x, |q, x| (q - x) * (q - x)).iter().sum();
            (square, 1e-6 * square)
        }
        Metric::Ip => (-inner(q, x), 1e-6 * magnitude),
        Metric::Cosine => match (inner(x, x) * inner(q, q)).sqrt() {
            0.0 => (1.0, 0.0),
            lengths => (1.0 - inner(q, x) / lengths, 1e-6),
        },
    }
}

/// One query after the other: the candidates in the order of their bounds, one by one.
fn expected(
    (queries, vectors): (&[&[f32]], &[&[f32]]),
    ids: &[i64],
    bounds: Option<&[f32]>,
    metric: Metric,
    k: usize,
) -> (Vec<u32>, Vec<i64>, Vec<i64>) {
    let (mut distances, mut indices, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    let n = ids.len() / queries.len().max(1);
    for (index, query) in queries.iter().enumerate() {
        let own = |position: usize| index * n + position;
        let mut order: Vec<usize> = (0..n).filter(|position| ids[own(*position)] >= 0).collect();
        if let Some(bounds) = bounds {
            order.sort_by(|a, b| bounds[own(*a)].partial_cmp(&bounds[own(*b)]).unwrap());
        }
        let (mut found, mut n_read) = (Vec::<(f32, i64)>::new(), 0);
        for position in order {
            if k == 0 || bounds.is_some_and(|b| found.len() >= k && b[own(position)] > found[k - 1].0) {
                break;
            }
            let id = ids[own(position)];
            found.push((distance(metric, query, vectors[id as usize]), id));
            found.sort_by(|a, b| a.partial_cmp(b).unwrap());
            n_read += 1;
        }
        found.resize(found.len().max(k), (f32::INFINITY, -1));
        distances.extend(found[..k].iter().map(|(distance, _)| distance.to_bits()));
        indices.extend(found[..k].iter().map(|(_, id)| id));
        counts.push(n_read);
    }
    (distances, indices, counts)
}

/// Rows that are some values apart.
fn rows(values: &[f32], n_dims: usize, stride: usize) -> Vec<&[f32]> {
    values.chunks(stride).filter(|row| row.len() >= n_dims).map(|row| &row[..n_dims]).collect()
}

#[test]
fn the_nearest_candidates_are_found_at_every_level() {
    let mut random = Random::new(1);
    for n_dims in (1..=70).chain([128, 768, 1000]) {
        let (n_vectors, n_queries, stride) = (60, 9, n_dims + n_dims % 3);
        // Few different values make ties, and every tenth vector is one of zeros.
        let mut values: Vec<f32> = (0..n_vectors * stride)
            .map(|_| random.below(if n_dims < 9 { 3 } else { 1000 }) as f32 / 8.0 - 0.25)
            .collect();
        values.chunks_mut(stride).step_by(10).for_each(|row| row.fill(0.0));
        let queries = random.floats(n_queries * n_dims, -1.0..1.0);
        let both = (rows(&queries, n_dims, n_dims), rows(&values, n_dims, stride));
        let query_rows = FloatRows::new("queries", &queries, n_queries, n_dims, n_dims).unwrap();
        let vectors = FloatRows::new("vectors", &values, n_vectors, n_dims, stride).unwrap();
        for n in [0, 1, 7, 50] {
            // With duplicates, and some that are missing.
            let ids: Vec<i64> = (0..n_queries * n).map(|_| random.below(n_vectors + 5) as i64 - 5).collect();
            let ids: Vec<i64> = ids.into_iter().map(|id| id.max(-1)).collect();
            let scale = if n_dims < 9 { 1.0 } else { n_dims as f32 * 1000.0 };
            let bounds: Vec<f32> = ids.iter().map(|_| (random.unit() - 0.5) * scale).collect();
            for (metric, k) in METRICS.iter().flat_map(|metric| [0, 1, 3, n, n + 2].map(|k| (*metric, k))) {
                for bounds in [None, Some(&bounds[..])] {
                    let known = expected((&both.0, &both.1), &ids, bounds, metric, k);
                    for (level, threads) in
                        Level::available().into_iter().flat_map(|level| [(level, 1), (level, 2)])
                    {
                        let mut found = (vec![f32::INFINITY; n_queries * k], vec![-1; n_queries * k]);
                        let mut n_read = vec![0; n_queries];
                        let candidates = Candidates { ids: &ids, rows: None, bounds };
                        let out = Neighbors::new(&mut found.0, &mut found.1, k);
                        let run = &Run::new(level, threads, &|| false);
                        nearest(query_rows, candidates, vectors, metric, out, &mut n_read, run).unwrap();
                        let bits: Vec<u32> = found.0.iter().map(|distance| distance.to_bits()).collect();
                        assert_eq!((bits, found.1, n_read), known, "{n_dims} {n} {k} {metric:?} {level:?}");
                    }
                }
            }
        }
        for (metric, (query, vector)) in
            METRICS.iter().flat_map(|metric| both.0.iter().zip(&both.1).map(move |pair| (*metric, pair)))
        {
            let (true_distance, error) = precise(metric, query, vector);
            let difference = f64::from(distance(metric, query, vector)) - true_distance;
            assert!(difference.abs() <= error, "{n_dims} {metric:?} {difference}");
        }
    }
}

#[test]
fn candidates_may_come_in_parts_with_rows_of_their_own() {
    let mut random = Random::new(2);
    let (n_dims, n_vectors, n_queries, n, k) = (20, 300, 5, 90, 7);
    let (values, queries) =
        (random.floats(n_vectors * n_dims, 0.0..1.0), random.floats(n_queries * n_dims, 0.0..1.0));
    let query_rows = FloatRows::new("queries", &queries, n_queries, n_dims, n_dims).unwrap();
    let ids: Vec<i64> = (0..n_queries * n).map(|_| random.below(n_vectors) as i64).collect();
    // In ascending order, as a caller has to pass them in parts.
    let mut bounds: Vec<f32> = ids.iter().map(|_| random.unit() * 2.0).collect();
    bounds.chunks_mut(n).for_each(|bounds| bounds.sort_by(f32::total_cmp));
    for bounds in [None, Some(&bounds[..])] {
        let both = (&rows(&queries, n_dims, n_dims)[..], &rows(&values, n_dims, n_dims)[..]);
        let known = expected(both, &ids, bounds, Metric::L2, k);
        let mut found = (vec![f32::INFINITY; n_queries * k], vec![-1; n_queries * k], vec![0; n_queries]);
        for start in (0..n).step_by(25) {
            let part = |values: &[i64]| -> Vec<i64> {
                values.chunks(n).flat_map(|row| &row[start..n.min(start + 25)]).copied().collect()
            };
            let ids = part(&ids);
            // The vectors of the part alone, the last one first.
            let gathered: Vec<f32> = ids.iter().rev().flat_map(|id| both.1[*id as usize]).copied().collect();
            let places: Vec<i64> = (0..ids.len() as i64).rev().collect();
            let vectors = FloatRows::new("vectors", &gathered, ids.len(), n_dims, n_dims).unwrap();
            let bounds: Option<Vec<f32>> =
                bounds.map(|b| b.chunks(n).flat_map(|row| &row[start..n.min(start + 25)]).copied().collect());
            let candidates = Candidates { ids: &ids, rows: Some(&places), bounds: bounds.as_deref() };
            let out = Neighbors::new(&mut found.0, &mut found.1, k);
            let run = &Run::serial(Level::best());
            nearest(query_rows, candidates, vectors, Metric::L2, out, &mut found.2, run).unwrap();
        }
        let bits: Vec<u32> = found.0.iter().map(|distance| distance.to_bits()).collect();
        assert_eq!((bits, found.1, found.2), known);
    }
}

#[test]
fn bounds_of_any_value_are_in_order() {
    let values: Vec<f32> = (0..8).map(|value| value as f32).collect();
    let vectors = FloatRows::new("vectors", &values, 8, 1, 1).unwrap();
    let query = FloatRows::new("queries", &[0.0], 1, 1, 1).unwrap();
    let read = |bounds: &[f32], k: usize| {
        let ids: Vec<i64> = (0..bounds.len() as i64).collect();
        let (mut distances, mut indices, mut n_read) = (vec![f32::INFINITY; k], vec![-1; k], [0]);
        let candidates = Candidates { ids: &ids, rows: None, bounds: Some(bounds) };
        let out = Neighbors::new(&mut distances, &mut indices, k);
        nearest(query, candidates, vectors, Metric::L2, out, &mut n_read, &Run::serial(Level::best()))
            .unwrap();
        (indices, n_read[0])
    };
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    // Zeros of both signs tie, and a bound as large as the distance so far is read.
    assert_eq!(read(&[0.0, -0.0, 0.0], 1), (vec![0], 3));
    assert_eq!(read(&[1.0, 1.0, -inf, 4.0, 5.0], 1), (vec![0], 2));
    // Infinite bounds are read until there are `k`, unlike NaN.
    assert_eq!(read(&[inf, inf, inf], 2), (vec![0, 1], 2));
    assert_eq!(read(&[nan, inf, -nan], 2), (vec![1, -1], 1));
}

#[test]
fn distances_that_are_not_finite_are_errors_that_name_the_id() {
    let mut values = vec![1.0; 40];
    values[4] = f32::NAN;
    values[8] = f32::INFINITY;
    values[12..14].fill(3e38);
    let vectors = FloatRows::new("vectors", &values, 10, 4, 4).unwrap();
    let queries = FloatRows::new("queries", &[2.0; 4], 1, 4, 4).unwrap();
    for (metric, level) in
        METRICS.iter().flat_map(|metric| Level::available().into_iter().map(|level| (*metric, level)))
    {
        for row in 0..5 {
            let (mut distances, mut indices, mut n_read) = ([f32::INFINITY], [-1], [0]);
            let candidates = Candidates { ids: &[row + 100], rows: Some(&[row]), bounds: None };
            let out = Neighbors::new(&mut distances, &mut indices, 1);
            let result = nearest(queries, candidates, vectors, metric, out, &mut n_read, &Run::serial(level));
            match row {
                1..=3 => {
                    let message = result.unwrap_err().to_string();
                    let expected = format!(
                        "vectors has a row, {}, whose distance to a query is not a finite",
                        row + 100
                    );
                    assert!(message.starts_with(&expected), "{message}");
                }
                _ => assert_eq!(result, Ok(())),
            }
        }
    }
}

#[test]
fn arrays_that_do_not_go_together_are_errors() {
    let values = [0.0; 12];
    let vectors = FloatRows::new("vectors", &values, 4, 3, 3).unwrap();
    let call = |queries: FloatRows<'_>, candidates: Candidates<'_>, len: usize, n_read: usize| {
        let (mut distances, mut indices) = (vec![f32::INFINITY; len], vec![-1; len]);
        let out = Neighbors::new(&mut distances, &mut indices, 1);
        nearest(
            queries,
            candidates,
            vectors,
            Metric::L2,
            out,
            &mut vec![0; n_read],
            &Run::serial(Level::best()),
        )
    };
    let queries = |n_dims: usize| FloatRows::new("queries", &values, 2, n_dims, n_dims).unwrap();
    let ids = |ids| Candidates { ids, rows: None, bounds: None };
    assert_eq!(call(queries(3), ids(&[0, 3, -1, -7]), 2, 2), Ok(()));
    assert!(matches!(call(queries(4), ids(&[0, 1]), 2, 2), Err(Error::Mismatch { .. })));
    assert_eq!(
        call(queries(3), ids(&[0, 4]), 2, 2),
        Err(Error::Row { name: "candidates", row: 4, n_rows: 4 })
    );
    let wrong = [
        call(queries(3), ids(&[0, 1, 2]), 2, 2),
        call(queries(3), ids(&[0, 1]), 1, 2),
        call(queries(3), ids(&[0, 1]), 2, 1),
        call(queries(3), Candidates { rows: Some(&[0]), ..ids(&[0, 1]) }, 2, 2),
        call(queries(3), Candidates { bounds: Some(&[0.0; 3]), ..ids(&[0, 1]) }, 2, 2),
        FloatRows::new("vectors", &values, 4, 3, 4).map(|_| ()),
        FloatRows::new("vectors", &values, 2, 3, usize::MAX).map(|_| ()),
    ];
    assert!(wrong.iter().all(|result| matches!(result, Err(Error::Length { .. }))), "{wrong:?}");
}

#[test]
fn the_nearest_of_all_are_those_with_all_vectors_as_candidates() {
    for (n_vectors, n_dims) in [(0, 5), (1, 1), (70, 33), (300, 64), (90, 128)] {
        let mut random = Random::new(n_dims as u64);
        let n_queries = 37;
        let (q, mut x) =
            (random.floats(n_queries * n_dims, -1.0..1.0), random.floats(n_vectors * n_dims, -1.0..1.0));
        if n_vectors > 9 {
            x.copy_within(0..3 * n_dims, 5 * n_dims); // ties
        }
        let queries = FloatRows::new("queries", &q, n_queries, n_dims, n_dims).unwrap();
        let vectors = FloatRows::new("vectors", &x, n_vectors, n_dims, n_dims).unwrap();
        let ids: Vec<i64> = (0..n_queries).flat_map(|_| 0..n_vectors as i64).collect();
        for metric in METRICS {
            for k in [0, 1, 7, n_vectors + 2] {
                let found = |of_all: bool, run: &Run<'_>| {
                    let (mut distances, mut indices) =
                        (vec![f32::INFINITY; n_queries * k], vec![-1; n_queries * k]);
                    let out = Neighbors::new(&mut distances, &mut indices, k);
                    if of_all {
                        nearest_of_all(queries, vectors, metric, out, run).unwrap();
                    } else {
                        let candidates = Candidates { ids: &ids, rows: None, bounds: None };
                        nearest(queries, candidates, vectors, metric, out, &mut [0; 37], run).unwrap();
                    }
                    (distances, indices)
                };
                let expected = found(false, &Run::serial(Level::PORTABLE));
                for level in Level::available() {
                    for threads in [1, 2] {
                        let run = Run::new(level, threads, &|| false);
                        assert_eq!(found(true, &run), expected, "{n_vectors} x {n_dims}, {metric:?}, {k}");
                    }
                }
            }
        }
    }
}
