//! Searches by real queries, in inverted lists and by multi-index hashing.

use fastcodes_core::asymmetric::RealQueries;
use fastcodes_core::lists::multi_index;
use fastcodes_core::{Codes, Level, Mask, Neighbors, Probes, Run, asymmetric, hamming, lists};
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

#[test]
fn multi_index_hashing_of_all_levels_agrees_with_full_searches() {
    let n_rows = prop_oneof![1usize..700, 8000usize..40_000];
    let shape = (1usize..200, n_rows, 0usize..20, 1usize..60, 1usize..9);
    let case = (shape, 0usize..40, 0u32..40, 0u8..3, any::<u32>(), 1usize..4);
    fuzz(case, |((n_bits, n_rows, n_queries, n_tables, kinds), k, radius, mask, seed, threads)| {
        let (n_bits, n_rows, n_queries, k) = (*n_bits, *n_rows, *n_queries, *k);
        let n_bytes = n_bits.div_ceil(8);
        // A few different rows, with some bits flipped, and queries that differ from rows in no more.
        let (few, noise) = (content(n_bytes << kinds, 4, u64::from(*seed)), content(n_rows * n_bytes, 1, 7));
        let mut rows: Vec<u8> =
            few.iter().cycle().zip(&noise).map(|(byte, noise)| byte ^ (noise & (noise >> 3))).collect();
        for row in rows.chunks_mut(n_bytes) {
            row[n_bytes - 1] &= 0xFF << (n_bytes * 8 - n_bits);
        }
        let n_queries = n_queries.min(n_rows);
        let codes = Codes::new(&rows, n_rows, n_bytes).unwrap();
        let queries = codes.slice(n_rows - n_queries, n_rows);
        let booleans = content(n_rows, 1, 5);
        let ids: Vec<i64> =
            (0..).zip(&booleans).filter(|(_, selected)| **selected != 0).map(|(id, _)| id).collect();
        let mask = [Mask::All, Mask::Booleans(&booleans), Mask::Ids(&ids)][usize::from(*mask)];

        let first = codes.slice(0, n_rows * 9 / 10);
        let (n_tables, width) = multi_index::shape(n_rows, n_bits, Some((*n_tables).min(n_bits))).unwrap();
        let mut starts = vec![0; n_tables * ((1 << width) + 1)];
        let mut entries = vec![0; n_tables * first.n_rows()];
        let serial = &Run::serial(Level::best());
        multi_index::fill(first, n_bits, n_tables, &mut starts, &mut entries, serial).unwrap();
        let tables = [multi_index::Tables::new(n_bits, n_tables, &starts, &entries).unwrap()];
        let mut nearest = (vec![7; n_queries * k], vec![7; n_queries * k]);
        hamming::knn(queries, codes, mask, Neighbors::new(&mut nearest.0, &mut nearest.1, k), serial)
            .unwrap();
        let near = hamming::radius(queries, codes, *radius, mask, serial).unwrap();
        for level in Level::available() {
            let run = &Run::new(level, *threads, &|| false);
            let mut found = (vec![7; n_queries * k], vec![7; n_queries * k]);
            let out = Neighbors::new(&mut found.0, &mut found.1, k);
            multi_index::knn(queries, codes, &tables, mask, out, run).unwrap();
            prop_assert_eq!(&found, &nearest, "{:?}", level);
            let found = multi_index::radius(queries, codes, &tables, *radius, mask, run).unwrap();
            prop_assert_eq!(&found, &near, "{:?}", level);
        }
        Ok(())
    });
}
