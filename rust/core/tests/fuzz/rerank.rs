//! Re-ranking of candidates by float vectors.

use fastcodes_core::rerank::{Candidates, FloatRows, Metric, nearest};
use fastcodes_core::{Level, Neighbors, Run};
use proptest::prelude::*;

use crate::{content, entry, fuzz};

#[test]
fn reranking_of_all_levels_agrees() {
    let shape = (0usize..200, 1usize..60, 0usize..9, 0usize..50, 0usize..5);
    let case = (shape, 0usize..60, 0u8..3, 0u8..12, any::<bool>(), any::<u32>(), 1usize..4);
    fuzz(case, |((n_dims, n_vectors, n_queries, n, gap), k, metric, kind, is_bounded, seed, threads)| {
        let (n_dims, n_vectors, n_queries, n, k) = (*n_dims, *n_vectors, *n_queries, *n, *k);
        let (stride, seed) = (n_dims + gap, u64::from(*seed));
        let words = |len: usize, seed: u64| -> Vec<u32> {
            content(4 * len, 4, seed).as_chunks().0.iter().map(|bytes| u32::from_ne_bytes(*bytes)).collect()
        };
        let floats = |len: usize, seed: u64| -> Vec<f32> {
            words(len, seed).into_iter().map(|bits| entry(*kind, bits)).collect()
        };
        let (values, queries) = (floats(n_vectors * stride, seed), floats(n_queries * n_dims, !seed));
        let vectors = FloatRows::new("vectors", &values, n_vectors, n_dims, stride).unwrap();
        let queries = FloatRows::new("queries", &queries, n_queries, n_dims, n_dims).unwrap();
        let ids: Vec<i64> = words(n_queries * n, seed ^ 1)
            .into_iter()
            .map(|word| word as i64 % (n_vectors as i64 + 1) - 1)
            .collect();
        let bounds = floats(n_queries * n, seed ^ 2);
        let bounds = is_bounded.then_some(&bounds[..]);
        let metric = [Metric::L2, Metric::Ip, Metric::Cosine][usize::from(*metric)];
        let answers = |level, threads| {
            let mut found = (vec![f32::INFINITY; n_queries * k], vec![-1; n_queries * k], vec![0; n_queries]);
            let (run, out) =
                (&Run::new(level, threads, &|| false), Neighbors::new(&mut found.0, &mut found.1, k));
            let candidates = Candidates { ids: &ids, rows: None, bounds };
            // Which candidate a distance that is not finite belongs to is the same, too.
            nearest(queries, candidates, vectors, metric, out, &mut found.2, run)?;
            Ok((found.0.iter().map(|distance| distance.to_bits()).collect::<Vec<_>>(), found.1, found.2))
        };
        let expected: Result<_, fastcodes_core::Error> = answers(Level::PORTABLE, 1);
        for level in Level::available() {
            prop_assert_eq!(&answers(level, *threads), &expected, "{:?}", level);
        }
        Ok(())
    });
}
