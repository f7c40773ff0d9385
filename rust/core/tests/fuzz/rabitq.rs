//! RaBitQ codes.

use fastcodes_core::adc::PackedCodes;
use fastcodes_core::rabitq::{self, Database, Grid, Metric, Queries, Weights};
use fastcodes_core::{Codes, Level, Mask, Neighbors, Run};
use proptest::prelude::*;

use crate::{content, entry, fuzz};

/// Numbers whose squares are finite, of one of the kinds of `entry`.
fn numbers(kind: u8, len: usize, seed: u64) -> Vec<f32> {
    let bytes = content(4 * len, 4, seed);
    bytes.as_chunks().0.iter().map(|bytes| entry(kind, u32::from_ne_bytes(*bytes))).collect()
}

#[test]
fn rabitq_levels_agree() {
    let n_groups = prop_oneof![3 => 1usize..20, 1 => 20usize..80, 1 => 250usize..260];
    let n_rows = prop_oneof![3 => 0usize..300, 1 => 500usize..1100];
    let shape = (1usize..9, n_groups, n_rows, 0usize..9, 0usize..9);
    let search = (0usize..40, 0u8..4, 0f32..1.0, 1usize..4);
    fuzz((shape, search, 0u8..4, any::<bool>(), any::<u32>()), |(shape, search, kind, is_l2, seed)| {
        let (n_bits, n_groups, n_rows, n_queries, gap) = *shape;
        let ((k, mask, share, threads), seed) = (*search, u64::from(*seed));
        let (grid, n_dims) = (Grid::new(n_bits).unwrap(), 8 * n_groups);
        let n_bytes = grid.n_bytes(n_dims);
        let x = numbers(*kind, n_rows * n_dims, seed);
        let encoded = |level, threads, n_rows, weights| {
            let run = &Run::new(level, threads, &|| false);
            let (mut codes, mut factors) = (vec![0xaa; n_rows * n_bytes], vec![f32::NAN; n_rows * 2]);
            let x = &x[..n_rows * n_dims];
            rabitq::encode(x, n_dims, grid, weights, &mut codes, &mut factors, run).unwrap();
            (codes, factors)
        };
        let portable = encoded(Level::PORTABLE, 1, n_rows, None);
        // Few, since they take longer.
        let (n_weighted, weights) = (n_rows.min(3), numbers(1, n_dims * n_dims, seed ^ 3));
        let weights = (n_dims < 200).then(|| Weights::new(&weights, n_dims).unwrap());
        let weighted = encoded(Level::PORTABLE, 1, n_weighted, weights);
        let (encoded_rows, factors) = &portable;
        // Rows with a gap, some of which are any codes.
        let stride = n_bytes + gap;
        let mut rows = content(n_rows * stride, 4, !seed);
        for (row, code) in rows.chunks_exact_mut(stride).zip(encoded_rows.chunks_exact(n_bytes)).step_by(2) {
            row[..n_bytes].copy_from_slice(code);
        }
        let codes = Codes::strided(&rows, n_rows, n_bytes, stride).unwrap();
        let metric = if *is_l2 { Metric::L2 } else { Metric::Ip };
        let values = numbers(*kind, n_queries * n_dims, seed ^ 2);
        let offsets: Vec<f32> = (0..n_queries).map(|query| query as f32 * 0.25 - 1.0).collect();
        let queries = Queries::new(&values, n_dims, &offsets, grid, metric).unwrap();
        let booleans = content(n_rows, 1, seed ^ 1);
        let some: Vec<u8> = booleans.iter().map(|byte| u8::from(*byte > 128)).collect();
        let ids: Vec<i64> = (0..).zip(&some).filter(|(_, some)| **some != 0).map(|(id, _)| id).collect();
        let mask =
            [Mask::All, Mask::Booleans(&booleans), Mask::Booleans(&some), Mask::Ids(&ids)][usize::from(mask)];
        let answers = |level, threads, database: Database<'_>, radius| {
            let run = &Run::new(level, threads, &|| false);
            let mut all = vec![f32::NAN; n_queries * n_rows];
            rabitq::scan(&queries, database, &mut all, run).unwrap();
            let mut knn = (vec![f32::NAN; n_queries * k], vec![7; n_queries * k]);
            rabitq::knn(&queries, database, mask, Neighbors::new(&mut knn.0, &mut knn.1, k), run).unwrap();
            (all, knn, rabitq::radius(&queries, database, radius, mask, run).unwrap())
        };
        let of_rows = Database::from_rows(codes, factors, grid).unwrap();
        let (mut all, _, _) = answers(Level::PORTABLE, 1, of_rows, 0.0);
        all.sort_by(f32::total_cmp);
        let place = (share * share * share * all.len() as f32) as usize;
        let radius = all.get(place).copied().unwrap_or(f32::INFINITY);
        let expected = answers(Level::PORTABLE, 1, of_rows, radius);
        // Results are right, not only equal at every level.
        let selected = |row: usize| match mask {
            Mask::All => true,
            Mask::Booleans(booleans) => booleans[row] != 0,
            Mask::Ids(_) => some[row] != 0,
        };
        let (all, knn, within) = &expected;
        for query in 0..n_queries {
            let own = all[query * n_rows..][..n_rows].iter().copied().zip(0_i64..);
            let mut nearest: Vec<(f32, i64)> = own.filter(|(_, row)| selected(*row as usize)).collect();
            nearest.sort_by(|a, b| a.partial_cmp(b).unwrap());
            let found = knn.0[query * k..][..k].iter().copied().zip(knn.1[query * k..][..k].iter().copied());
            let padded = nearest.iter().copied().chain(std::iter::repeat((f32::INFINITY, -1))).take(k);
            prop_assert!(found.eq(padded), "knn of query {}", query);
            let part = within.offsets[query] as usize..within.offsets[query + 1] as usize;
            let found =
                within.distances[part.clone()].iter().copied().zip(within.indices[part].iter().copied());
            prop_assert!(found.eq(nearest.into_iter().filter(|(own, _)| *own <= radius)), "radius");
        }

        let others = codes.slice(0, n_rows.min(30));
        let others = (others, &factors[..2 * others.n_rows()]);
        let decoded = |level, threads| {
            let run = &Run::new(level, threads, &|| false);
            let mut decoded = vec![f32::NAN; n_rows * n_dims];
            rabitq::decode(codes, factors, grid, &mut decoded, run).unwrap();
            let mut errors = vec![f32::NAN; n_rows];
            rabitq::errors(codes, factors, grid, &mut errors, run).unwrap();
            let mut cdist = vec![f32::NAN; others.0.n_rows() * n_rows];
            rabitq::cdist(others, (codes, factors), grid, metric, &mut cdist, run).unwrap();
            [decoded, errors, cdist].map(|of| of.iter().map(|value| value.to_bits()).collect::<Vec<_>>())
        };
        let expected_of_codes = decoded(Level::PORTABLE, 1);
        for level in Level::available() {
            prop_assert!(encoded(level, threads, n_rows, None) == portable, "encode, {:?}", level);
            prop_assert!(
                encoded(level, threads, n_weighted, weights) == weighted,
                "encode with weights, {:?}",
                level
            );
            prop_assert!(answers(level, threads, of_rows, radius) == expected, "rows, {:?}", level);
            prop_assert!(decoded(level, threads) == expected_of_codes, "decode, {:?}", level);
            if n_bits == 1 {
                let run = &Run::new(level, threads, &|| false);
                let mut packed = PackedCodes::new(n_bytes, 256).unwrap();
                packed.append(codes, run).unwrap();
                let packed = Database::from_packed(&packed, factors, grid).unwrap();
                prop_assert!(answers(level, threads, packed, radius) == expected, "packed, {:?}", level);
            }
        }
        Ok(())
    });
}
