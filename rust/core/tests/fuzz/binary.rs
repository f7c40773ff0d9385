//! Hamming and Jaccard searches.

use fastcodes_core::jaccard::{self, SortedRows, Tversky};
use fastcodes_core::{Codes, Level, Mask, Neighbors, Run, hamming};
use proptest::prelude::*;

use crate::{content, fuzz};

/// Shapes and a seed, from which the contents follow, so that a failing case shrinks to a small shape.
#[derive(Clone, Debug)]
struct SearchCase {
    n_bytes: usize,
    gap: usize,
    n_queries: usize,
    n_rows: usize,
    k: usize,
    threads: usize,
    /// 0: all rows, 1: booleans, 2: ids.
    mask: u8,
    eighths: u32,
    seed: u64,
    /// As a share of the bits.
    radius: f32,
}

fn search_case() -> impl Strategy<Value = SearchCase> {
    let n_bytes = prop_oneof![1usize..20, 20usize..300, (1usize..12).prop_map(|words| words * 8)];
    let n_rows = prop_oneof![4 => 0usize..150, 1 => 0usize..5000];
    let shape = (n_bytes, 0usize..20, 0usize..12, n_rows);
    (shape, 0usize..30, 1usize..4, 0u8..3, 0u32..9, any::<u32>(), 0f32..1.1).prop_map(
        |((n_bytes, gap, n_queries, n_rows), k, threads, mask, eighths, seed, radius)| {
            let seed = u64::from(seed);
            SearchCase { n_bytes, gap, n_queries, n_rows, k, threads, mask, eighths, seed, radius }
        },
    )
}

/// All answers of a family for a case.
macro_rules! answers {
    ($family:ident, $distance:ty, $case:expr, $level:expr, $threads:expr, $radius:expr $(, $metric:expr, $n_sorted:expr)?) => {{
        let (case, level, radius): (&SearchCase, Level, _) = ($case, $level, $radius);
        let run = &Run::new(level, $threads, &|| false);
        let SearchCase { n_bytes, n_queries, n_rows, eighths, seed, .. } = *case;
        let stride = n_bytes + case.gap;
        let (queries, rows) =
            (content(n_queries * n_bytes, eighths, seed), content(n_rows * stride, eighths, !seed));
        let queries = Codes::new(&queries, n_queries, n_bytes).unwrap();
        let codes = Codes::strided(&rows, n_rows, n_bytes, stride).unwrap();
        let booleans = content(n_rows, 1, seed ^ 1);
        let ids: Vec<i64> =
            (0..).zip(&booleans).filter(|(_, selected)| **selected != 0).map(|(id, _)| id).collect();
        let mask = [Mask::All, Mask::Booleans(&booleans), Mask::Ids(&ids)][usize::from(case.mask)];
        let mut knn = (vec![<$distance>::MAX; n_queries * case.k], vec![7i64; n_queries * case.k]);
        let out = Neighbors::new(&mut knn.0, &mut knn.1, case.k);
        $(
            let n_sorted: Option<usize> = $n_sorted;
            let sorted = n_sorted.map(|n| SortedRows::new(codes.slice(0, n), run).unwrap());
        )?
        $family::knn(queries, codes, $(sorted.as_ref(), $metric,)? mask, out, run).unwrap();
        let mut cdist = vec![<$distance>::MAX; n_queries * n_rows];
        $family::cdist(queries, codes, $($metric,)? &mut cdist, run).unwrap();
        let found = $family::radius(queries, codes, radius, $(sorted.as_ref(), $metric,)? mask, run).unwrap();
        // All pairs of thousands of rows would take longer than the rest.
        let few = codes.slice(0, n_rows.min(200));
        let groups = $family::groups(few, radius, run).unwrap();
        (knn, cdist, found, groups, $family::pairs(few, radius, run).unwrap())
    }};
}

#[test]
fn hamming_levels_agree() {
    fuzz(search_case(), |case| {
        let radius = (case.radius * (case.n_bytes * 8) as f32) as u32;
        let expected = answers!(hamming, i32, case, Level::PORTABLE, 1, radius);
        for level in Level::available() {
            prop_assert_eq!(
                &answers!(hamming, i32, case, level, case.threads, radius),
                &expected,
                "{:?}",
                level
            );
        }
        Ok(())
    });
}

#[test]
fn jaccard_levels_agree() {
    fuzz(search_case(), |case| {
        let weight = |number: u64| [0.0, 0.5, 1.0, 3.7, 1e30][(number % 5) as usize];
        let metric = Tversky::new(weight(case.seed), weight(case.seed / 5)).unwrap();
        let n_sorted = [None, Some(case.n_rows), Some(case.n_rows / 2)][(case.seed / 25 % 3) as usize];
        let expected = answers!(jaccard, f32, case, Level::PORTABLE, 1, case.radius, metric, None);
        for level in Level::available() {
            prop_assert_eq!(
                &answers!(jaccard, f32, case, level, case.threads, case.radius, metric, n_sorted),
                &expected,
                "{:?}",
                level
            );
        }
        Ok(())
    });
}
