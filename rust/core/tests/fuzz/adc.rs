//! Look-ups over quantised codes.

use fastcodes_core::adc::{self, Blocks, Codebooks, PackedCodes, TableMetric, Tables, Vectors};
use fastcodes_core::{Codes, Level, Mask, Neighbors, Run};
use proptest::prelude::*;

use crate::{content, entry, fuzz};

#[test]
fn adc_levels_agree() {
    let n_subspaces = prop_oneof![3 => 1usize..20, 1 => 20usize..80, 1 => 250usize..260];
    let n_codewords = prop_oneof![Just(16usize), Just(256), 1usize..257];
    // A search for few neighbours bounds sums where there are more than 8192 rows.
    let n_rows = prop_oneof![0usize..700, 8000usize..11_000];
    let shape = (n_subspaces, n_codewords, n_rows, 0usize..6, 0usize..9);
    let search = (0usize..40, 0u8..4, 0f32..1.1, 1usize..4);
    let case = (shape, search, 0u8..12, 1usize..5, any::<u32>());
    fuzz(case, |((n_subspaces, n_codewords, n_rows, n_queries, gap), search, kind, n_dims, seed)| {
        let (n_subspaces, n_codewords, n_rows) = (*n_subspaces, *n_codewords, *n_rows);
        let (n_queries, n_dims, seed) = (*n_queries, *n_dims, u64::from(*seed));
        let (k, mask, share, threads) = *search;
        let bytes = content(4 * n_queries * n_subspaces * n_codewords, 4, seed);
        let values = bytes.as_chunks().0.iter().map(|bytes| entry(*kind, u32::from_ne_bytes(*bytes)));
        let values: Vec<f32> = values.collect();
        let tables = Tables::new(&values, n_queries, n_subspaces, n_codewords).unwrap();
        let stride = n_subspaces + gap;
        // Seldom ones make for codes alike.
        let mut rows = content(n_rows * stride, 1 + (seed % 4) as u32, !seed);
        rows.iter_mut().for_each(|code| *code = (usize::from(*code) % n_codewords) as u8);
        let codes = Codes::strided(&rows, n_rows, n_subspaces, stride).unwrap();
        let booleans = content(n_rows, 1, seed ^ 1);
        let some: Vec<u8> = booleans.iter().map(|byte| u8::from(*byte > 128)).collect();
        let ids: Vec<i64> = (0..).zip(&some).filter(|(_, some)| **some != 0).map(|(id, _)| id).collect();
        let mask =
            [Mask::All, Mask::Booleans(&booleans), Mask::Booleans(&some), Mask::Ids(&ids)][usize::from(mask)];

        let width = if n_codewords <= 16 && seed % 2 == 0 { 16 } else { 256 };
        let packed = |run: &Run<'_>| {
            let mut packed = PackedCodes::new(n_subspaces, width).unwrap();
            let cut = if n_rows == 0 { 0 } else { seed as usize % n_rows };
            packed.append(codes.slice(0, cut), run).unwrap();
            packed.append(codes.slice(cut, n_rows), run).unwrap();
            packed
        };
        let answers = |level, threads, blocks: Blocks<'_>, radius| {
            let run = &Run::new(level, threads, &|| false);
            let mut sums = vec![f32::NAN; n_queries * n_rows];
            adc::scan(tables, blocks, &mut sums, run).unwrap();
            let mut knn = (vec![f32::NAN; n_queries * k], vec![7; n_queries * k]);
            adc::knn(tables, blocks, mask, Neighbors::new(&mut knn.0, &mut knn.1, k), run).unwrap();
            let within = adc::radius(tables, blocks, radius, mask, run).unwrap();
            (sums, knn, within)
        };
        let portable = packed(&Run::serial(Level::PORTABLE));
        let rows = Blocks::from_rows(codes, n_codewords);
        // A radius that is met, and seldom far from the smallest sum.
        let (mut sums, _, _) = answers(Level::PORTABLE, 1, rows, 0.0);
        sums.sort_by(f32::total_cmp);
        let place = (share * share * share * sums.len() as f32) as usize;
        let radius = sums.get(place).copied().unwrap_or(f32::INFINITY);
        let expected = answers(Level::PORTABLE, 1, rows, radius);
        // The results that the bounds leave are right, not only equal at every level.
        let selected = |row: usize| match mask {
            Mask::All => true,
            Mask::Booleans(booleans) => booleans[row] != 0,
            Mask::Ids(_) => some[row] != 0,
        };
        let (sums, knn, within) = &expected;
        for query in 0..n_queries {
            let sums = sums[query * n_rows..][..n_rows].iter().copied().zip(0_i64..);
            let mut nearest: Vec<(f32, i64)> = sums.filter(|(_, row)| selected(*row as usize)).collect();
            nearest.sort_by(|a, b| a.partial_cmp(b).unwrap());
            let found = knn.0[query * k..][..k].iter().copied().zip(knn.1[query * k..][..k].iter().copied());
            let padded = nearest.iter().copied().chain(std::iter::repeat((f32::INFINITY, -1))).take(k);
            prop_assert!(found.eq(padded), "knn of query {}", query);
            let part = within.offsets[query] as usize..within.offsets[query + 1] as usize;
            let found =
                within.distances[part.clone()].iter().copied().zip(within.indices[part].iter().copied());
            prop_assert!(found.eq(nearest.into_iter().filter(|(sum, _)| *sum <= radius)), "radius");
        }

        let codebooks: Vec<f32> =
            (0..n_subspaces * n_codewords * n_dims).map(|i| values.get(i).copied().unwrap_or(0.5)).collect();
        let books = Codebooks::new(&codebooks, n_subspaces, n_codewords, n_dims).unwrap();
        let n_vectors = n_rows % 40;
        let x: Vec<f32> = (0..n_vectors * n_subspaces * n_dims)
            .map(|i| entry(*kind, (i as u32).wrapping_mul(0x9e37_79b9)))
            .collect();
        let vectors = Vectors::new("x", &x, n_vectors, n_subspaces * n_dims).unwrap();
        let codewords = |level, threads| {
            let run = &Run::new(level, threads, &|| false);
            let tables = [TableMetric::L2, TableMetric::Ip].map(|metric| {
                let mut out = vec![f32::NAN; n_vectors * n_subspaces * n_codewords];
                adc::tables(vectors, books, metric, &mut out, run).unwrap();
                out.iter().map(|entry| entry.to_bits()).collect::<Vec<u32>>()
            });
            let mut codes = vec![99; n_vectors * n_subspaces];
            adc::encode(vectors, books, &mut codes, None, run).unwrap();
            (tables, codes)
        };
        let expected_codewords = codewords(Level::PORTABLE, 1);
        for level in Level::available() {
            let packed = packed(&Run::new(level, threads, &|| false));
            prop_assert!(packed.as_bytes() == portable.as_bytes(), "pack, {:?}", level);
            prop_assert!(answers(level, threads, rows, radius) == expected, "rows, {:?}", level);
            prop_assert!(answers(level, threads, packed.blocks(), radius) == expected, "packed, {:?}", level);
            prop_assert!(codewords(level, threads) == expected_codewords, "codewords, {:?}", level);
        }
        Ok(())
    });
}
