//! Searches by real queries and in inverted lists.

use fastcodes_core::asymmetric::RealQueries;
use fastcodes_core::lists::Probes;
use fastcodes_core::{Codes, Level, Mask, Neighbors, Run, asymmetric, lists};
use proptest::prelude::*;

use crate::{content, entry, fuzz};

#[test]
fn searches_by_real_queries_and_by_lists_of_all_levels_agree() {
    // A search for few neighbours bounds sums where there are more than 8192 rows.
    let n_rows = prop_oneof![0usize..700, 8000usize..11_000];
    let shape = (1usize..300, n_rows, 0usize..5, 0usize..6);
    let case = (shape, 0usize..40, 0u8..12, 0u8..3, 0u32..9, any::<u32>(), 1usize..4);
    fuzz(case, |((n_bits, n_rows, n_queries, gap), k, kind, mask, eighths, seed, threads)| {
        let (n_bits, n_rows, n_queries, k, seed) = (*n_bits, *n_rows, *n_queries, *k, u64::from(*seed));
        let n_bytes = n_bits.div_ceil(8);
        let stride = n_bytes + gap;
        let bytes = content(4 * n_queries * n_bits, 4, seed);
        let values = bytes.as_chunks().0.iter().map(|bytes| entry(*kind, u32::from_ne_bytes(*bytes)));
        let values: Vec<f32> = values.map(|value| value.clamp(-8e37, 8e37)).collect();
        let real = RealQueries::new(&values, n_queries, n_bits).unwrap();
        let rows = content(n_rows * stride, *eighths, !seed);
        let codes = Codes::strided(&rows, n_rows, n_bytes, stride).unwrap();
        let booleans = content(n_rows, 1, seed ^ 1);
        let ids: Vec<i64> =
            (0..).zip(&booleans).filter(|(_, selected)| **selected != 0).map(|(id, _)| id).collect();
        let mask = [Mask::All, Mask::Booleans(&booleans), Mask::Ids(&ids)][usize::from(*mask)];

        let queries = content(n_queries * n_bytes, *eighths, seed ^ 2);
        let queries = Codes::new(&queries, n_queries, n_bytes).unwrap();
        let pick = |seed: u64, len: usize, below: usize| -> Vec<usize> {
            let picks = content(4 * len, 4, seed);
            picks
                .as_chunks()
                .0
                .iter()
                .map(|bytes| u32::from_ne_bytes(*bytes) as usize % below.max(1))
                .collect()
        };
        let members: Vec<u32> =
            pick(seed ^ 3, if n_rows > 0 { 2000 } else { 0 }, n_rows).iter().map(|id| *id as u32).collect();
        let starts: Vec<i64> =
            pick(seed ^ 4, 7 * n_queries, members.len() / 2).iter().map(|id| *id as i64).collect();
        let lens = pick(seed ^ 5, 7 * n_queries, members.len() / 2);
        let stops: Vec<i64> = starts.iter().zip(lens).map(|(start, len)| start + len as i64).collect();
        let probes = Probes::new(&starts, &stops, &members, n_queries).unwrap();
        let answers = |level, threads| {
            let mut knn = (vec![7.0_f32; n_queries * k], vec![7i64; n_queries * k]);
            let run = &Run::new(level, threads, &|| false);
            let out = Neighbors::new(&mut knn.0, &mut knn.1, k);
            asymmetric::knn(real, codes, mask, out, run).unwrap();
            let mut few = (vec![7; n_queries * k], vec![7i64; n_queries * k]);
            let out = Neighbors::new(&mut few.0, &mut few.1, k);
            lists::hamming_knn(queries, codes, probes, mask, out, &Run::new(level, threads, &|| false))
                .unwrap();
            (knn.0.iter().map(|sum| sum.to_bits()).collect::<Vec<_>>(), knn.1, few)
        };
        let expected = answers(Level::PORTABLE, 1);
        for level in Level::available() {
            prop_assert_eq!(&answers(level, *threads), &expected, "{:?}", level);
        }
        Ok(())
    });
}
