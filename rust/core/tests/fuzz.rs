//! Random shapes and contents: every level gives what the portable one gives. Runs for `FASTCODES_FUZZ_SECONDS` a family (one
//! second if unset); a failing case is shrunk and printed.
#![allow(missing_docs)]

use std::time::{Duration, Instant};

use fastcodes_core::adc::{self, Blocks, Codebooks, PackedCodes, TableMetric, Tables, Vectors};
use fastcodes_core::asymmetric::RealQueries;
use fastcodes_core::bits::{self, Along, BitOrder, Rows, Thresholds};
use fastcodes_core::hadamard::{self, Signs};
use fastcodes_core::lists::Probes;
use fastcodes_core::minhash::{self, Hasher, Scheme, Sets, Slots};
use fastcodes_core::xnor::{
    self, ByteValues, Conv, Filters, Images, Matrix, Operand, Output, Padding, Values,
};
use fastcodes_core::{Codes, Level, Mask, Neighbors, Parallel, Run, asymmetric, hamming, jaccard, lists};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// Runs `check` on cases of `strategy` until the time is up.
fn fuzz<S: Strategy>(strategy: S, check: impl Fn(&S::Value) -> Result<(), TestCaseError>) {
    let seconds =
        std::env::var("FASTCODES_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let (begun, mut cases) = (Instant::now(), 0);
    while begun.elapsed() < Duration::from_secs(seconds) {
        let config =
            Config { cases: 64, failure_persistence: None, max_shrink_iters: 4096, ..Config::default() };
        let result = TestRunner::new(config).run(&strategy, |case| check(&case));
        if let Err(failure) = result {
            panic!("{failure}");
        }
        cases += 64;
    }
    println!("{cases} cases in {:.0?}", begun.elapsed());
}

/// Repeatable bytes with about `eighths` ones in eight bits; all alike at both ends, which makes for ties.
fn content(len: usize, eighths: u32, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bit = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        u8::from((state >> 32) % 8 < u64::from(eighths))
    };
    (0..len).map(|_| (0..8).fold(0, |byte, _| byte << 1 | bit())).collect()
}

/// Shapes and a seed: the contents follow from it, so a failing case shrinks to a small shape.
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
    ($family:ident, $distance:ty, $case:expr, $level:expr, $threads:expr, $radius:expr) => {{
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
        $family::knn(queries, codes, mask, out, run).unwrap();
        let mut cdist = vec![<$distance>::MAX; n_queries * n_rows];
        $family::cdist(queries, codes, &mut cdist, run).unwrap();
        let found = $family::radius(queries, codes, radius, mask, run).unwrap();
        // All pairs of thousands of rows would take longer than the rest.
        let few = codes.slice(0, n_rows.min(200));
        (knn, cdist, found, $family::pairs(few, radius, run).unwrap())
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
        let expected = answers!(jaccard, f32, case, Level::PORTABLE, 1, case.radius);
        for level in Level::available() {
            prop_assert_eq!(
                &answers!(jaccard, f32, case, level, case.threads, case.radius),
                &expected,
                "{:?}",
                level
            );
        }
        Ok(())
    });
}

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
            let parallel = &Parallel::new(threads, &|| false);
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
fn rotations_of_all_levels_agree() {
    let n_dims = prop_oneof![1usize..70, 1usize..600, Just(1024usize), Just(2000)];
    let case = (n_dims, 0usize..5, 1usize..3, 0f32..1.0, any::<u32>(), 1usize..4);
    fuzz(case, |(n_dims, n_rows, n_rotations, share, seed, threads)| {
        let (n_dims, n_rows, seed) = (*n_dims, *n_rows, u64::from(*seed));
        let size = hadamard::padded(n_dims);
        let bytes = content(4 * n_rows * n_dims, 4, seed);
        let x: Vec<f32> =
            bytes.as_chunks().0.iter().map(|bytes| entry(1, u32::from_ne_bytes(*bytes))).collect();
        let signs = content(3 * n_rotations * size / 8, 4, !seed);
        let signs = Signs::new(Codes::new(&signs, 3 * n_rotations, size / 8).unwrap(), n_dims).unwrap();
        let n_features = ((share * (n_rotations * size) as f32) as usize).max(1);
        let answers = |level, threads| {
            let run = &Run::new(level, threads, &|| false);
            let mut projected = vec![f32::NAN; n_rows * n_features];
            hadamard::project(&x, &signs, n_features, &mut projected, run).unwrap();
            let mut packed = vec![0xaa; n_rows * n_features.div_ceil(8)];
            hadamard::pack(&x, &signs, n_features, &mut packed, run).unwrap();
            (projected.iter().map(|value| value.to_bits()).collect::<Vec<_>>(), packed)
        };
        let expected = answers(Level::PORTABLE, 1);
        for level in Level::available() {
            prop_assert!(answers(level, *threads) == expected, "{:?}", level);
        }
        Ok(())
    });
}

#[test]
fn bits_levels_agree() {
    // Any float32 may come, NaN and infinities too; thresholds from a few values, so that equality happens.
    let element = prop_oneof![any::<u32>().prop_map(f32::from_bits), (-2i8..3).prop_map(f32::from)];
    let shape = (0usize..12, 0usize..400, 0usize..9, any::<bool>(), any::<bool>(), 1usize..4);
    let case = (shape, prop::collection::vec(element, 400), any::<u32>(), 1usize..17);
    fuzz(case, |((n_rows, dims, gap, per_dimension, big, threads), pool, seed, n_bits)| {
        let (n_rows, dims, gap, n_bits) = (*n_rows, *dims, *gap, *n_bits);
        let order = if *big { BitOrder::Big } else { BitOrder::Little };
        let seed = u64::from(*seed);
        let picks = content(n_rows * (dims + gap) * 2, 4, seed);
        let (picks, _) = picks.as_chunks::<2>();
        let elements =
            picks.iter().flat_map(|pick| pool[usize::from(u16::from_ne_bytes(*pick)) % 400].to_ne_bytes());
        let bytes: Vec<u8> = elements.collect();
        let x = Rows::new(&bytes, n_rows, 4 * dims, 4 * (dims + gap)).unwrap();
        let limits: Vec<f32> =
            pool.iter().rev().map(|limit| if limit.is_nan() { 0.0 } else { *limit }).collect();
        let thresholds = Thresholds::F32(if *per_dimension { &limits[..dims] } else { &limits[..1] });
        // A single dimension cannot tell its threshold from one for all.
        let thresholds = if dims == 0 { Thresholds::F32(&limits[..1]) } else { thresholds };

        let n_bytes = dims.div_ceil(8);
        let answers = |level, threads| {
            let run = &Run::new(level, threads, &|| false);
            let mut packed = vec![0xaa; n_rows * n_bytes];
            bits::pack(x, Along::Rows, thresholds, order, &mut packed, run).unwrap();
            let (limit, mut columns) = (Thresholds::F32(&limits[..1]), vec![0xaa; dims * n_rows.div_ceil(8)]);
            bits::pack(x, Along::Columns, limit, order, &mut columns, run).unwrap();
            let mut unpacked = vec![0xaa; n_rows * dims * 2];
            let codes = Rows::new(&packed, n_rows, n_bytes, n_bytes).unwrap();
            bits::unpack(codes, dims, [&[1, 2], &[3, 4]], order, &mut unpacked, run).unwrap();
            let mut ones = vec![-1; n_rows];
            if n_bytes > 0 {
                bits::popcount(Codes::new(&packed, n_rows, n_bytes).unwrap(), &mut ones, run).unwrap();
            }
            (packed, columns, unpacked, ones)
        };
        let expected = answers(Level::PORTABLE, 1);
        for level in Level::available() {
            prop_assert_eq!(&answers(level, *threads), &expected, "{:?}", level);
        }

        let values: Vec<u16> = picks.iter().map(|pick| u16::from_ne_bytes(*pick) >> (16 - n_bits)).collect();
        let width = dims + gap;
        let run = &Run::new(Level::best(), *threads, &|| false);
        let mut packed = vec![0xaa; n_rows * (width * n_bits).div_ceil(8)];
        bits::pack_uint(&values, width, n_bits, &mut packed, run).unwrap();
        let mut back = vec![0u16; values.len()];
        bits::unpack_uint(&packed, width, n_bits, &mut back, run).unwrap();
        prop_assert_eq!(back, values);
        Ok(())
    });
}

#[test]
fn minhash_levels_agree() {
    let lengths = prop::collection::vec(prop_oneof![4 => 0usize..40, 1 => 0usize..1500], 0..12);
    let case = (lengths, 1usize..300, any::<u64>(), any::<bool>(), 1usize..17, 0usize..20, 1usize..4);
    fuzz(case, |(lengths, n_hashes, seed, one_permutation, n_bits, gap, threads)| {
        let bytes = content(8 * lengths.iter().sum::<usize>(), 1 + (seed % 4) as u32, *seed);
        let tokens: Vec<u64> = bytes.as_chunks().0.iter().map(|bytes| u64::from_ne_bytes(*bytes)).collect();
        let mut offsets = vec![0_i64];
        lengths.iter().for_each(|length| offsets.push(offsets[offsets.len() - 1] + *length as i64));
        let sets = Sets::new(&tokens, &offsets).unwrap();
        let scheme = if *one_permutation { Scheme::OnePermutation } else { Scheme::Independent };
        let hasher = Hasher::new(scheme, *n_hashes, *seed).unwrap();
        // Slots that agree often, in rows that lie apart.
        let n_bytes = minhash::packed_bytes(*n_hashes, *n_bits).unwrap();
        let rows = content(9 * (n_bytes + gap), (seed % 9) as u32, !seed);
        let codes = Codes::strided(&rows, 9, n_bytes, n_bytes + gap).unwrap();
        let few: Vec<u8> = content(9 * 4 * n_hashes, 1, seed ^ 1).into_iter().map(|byte| byte & 1).collect();
        let words = Codes::new(&few, 9, 4 * n_hashes).unwrap();
        let answers = |level, threads| {
            let run = &Run::new(level, threads, &|| false);
            let mut signatures = vec![7; lengths.len() * n_hashes];
            minhash::signatures(&sets, &hasher, &mut signatures, run).unwrap();
            let [mut of_bits, mut of_words] = [(); 2].map(|()| vec![-1; 81]);
            minhash::cdist(codes, codes, Slots::Bits(*n_bits), &mut of_bits, run).unwrap();
            minhash::cdist(words, words, Slots::Words, &mut of_words, run).unwrap();
            (signatures, of_bits, of_words)
        };
        let expected = answers(Level::PORTABLE, 1);
        for level in Level::available() {
            prop_assert_eq!(&answers(level, *threads), &expected, "{:?}", level);
        }
        Ok(())
    });
}

/// Entries of tables, in kinds: what a lower bound in small integers could stumble over.
fn entry(kind: u8, bits: u32) -> f32 {
    let unit = (bits >> 8) as f32 / (1 << 24) as f32;
    match kind {
        0 => unit,
        1 => unit - 0.5,
        2 => (unit * 5.0).floor() - 2.0,
        3 => (unit - 0.5) * 1e-43,
        4 => (unit - 0.5) * 1e30,
        5 => 1e8 + unit * 64.0,
        6 => (unit - 0.5) * f32::MAX,
        7 if bits.is_multiple_of(97) => 1e30,
        8 if bits.is_multiple_of(97) => -1e30,
        7 | 8 => unit,
        9 if bits.is_multiple_of(2) => 1.7e7 + (unit * 9.0).floor(),
        9 => (unit * 9.0).floor() - 1.7e7,
        // Any finite number.
        _ => f32::from_bits(if bits & 0x7f80_0000 == 0x7f80_0000 { bits ^ 0x4000_0000 } else { bits }),
    }
}

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
        // What the bounds leave is right, not only the same everywhere.
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

/// Rows of bits with zeros after the last.
fn rows_of_bits(n_rows: usize, n_bits: usize, stride: usize, eighths: u32, seed: u64) -> Vec<u8> {
    let mut bytes = content(n_rows * stride, eighths, seed);
    let last = n_bits.div_ceil(8) - 1;
    if !n_bits.is_multiple_of(8) {
        bytes.chunks_mut(stride).for_each(|row| row[last] &= !(u8::MAX >> (n_bits % 8)));
    }
    bytes
}

/// Thresholds that are met, and now and then beyond everything.
fn limit(index: usize, seed: u64, about: usize) -> i32 {
    let random = (index as u64 ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    match random % 16 {
        0 => i32::MIN,
        1 => i32::MAX,
        2 => 0,
        _ => (random % (2 * about as u64 + 2)) as i32 - about as i32,
    }
}

/// Everything that can become of dot products; `compute` fills outputs of `shape`, rows and columns.
fn all_outputs(
    [m, n]: [usize; 2],
    about: usize,
    seed: u64,
    mut compute: impl FnMut(Output<'_>),
) -> (Vec<i32>, Vec<u8>, Vec<u8>, Vec<u32>) {
    let thresholds: Vec<i32> = (0..n).map(|column| limit(column, seed, about)).collect();
    let mut flips = content(n.div_ceil(8), 4, seed);
    if let (Some(last), true) = (flips.last_mut(), !n.is_multiple_of(8)) {
        *last &= !(u8::MAX >> (n % 8));
    }
    let scale: Vec<f32> = (0..n).map(|column| limit(column, !seed, 9) as f32 * 0.1).collect();
    let bias: Vec<f32> = (0..n).map(|column| limit(column, seed ^ 1, 9) as f32 * 0.3).collect();
    let mut dots = vec![7; m * n];
    compute(Output::Dots(&mut dots));
    let [mut plain, mut flipped] = [(); 2].map(|()| vec![0xaa; m * n.div_ceil(8)]);
    compute(Output::Bits { thresholds: &thresholds, flips: &[], out: &mut plain });
    compute(Output::Bits { thresholds: &thresholds, flips: &flips, out: &mut flipped });
    let mut floats = vec![f32::NAN; m * n];
    compute(Output::Floats { scale: &scale, bias: &bias, out: &mut floats });
    (dots, plain, flipped, floats.iter().map(|float| float.to_bits()).collect())
}

#[test]
fn xnor_products_of_all_levels_agree() {
    let n_bits =
        prop_oneof![4 => 1usize..600, 2 => (1usize..70).prop_map(|words| words * 64), 1 => 4000usize..9000];
    let shape = (0usize..140, 0usize..300, n_bits, 0usize..9);
    // 0 planes: signs.
    let planes = (0usize..9, any::<bool>(), 0usize..9, any::<bool>());
    let case = (shape, planes, 0u32..9, any::<u32>(), 1usize..4);
    fuzz(case, |((m, n, n_bits, gap), planes, eighths, seed, threads)| {
        let (m, n, n_bits, seed) = (*m, *n, *n_bits, u64::from(*seed));
        let (n_bytes, stride) = (n_bits.div_ceil(8), n_bits.div_ceil(8) + gap);
        let (a_planes, a_signed, b_planes, b_signed) = *planes;
        // Many planes take long: then with fewer rows.
        let rows_at_most = 4000 / (a_planes.max(1) * b_planes.max(1)) * 64 / n_bits.max(64) + 5;
        let (m, n) = (m.min(rows_at_most), if a_planes * b_planes > 4 { n.min(70) } else { n });
        let values = |n_planes: usize, signed: bool| match (n_planes, signed) {
            (0, _) => Values::Signs,
            (_, false) => Values::Unsigned,
            (_, true) => Values::TwosComplement,
        };
        let bytes = |n_rows: usize, n_planes: usize, seed: u64| -> Vec<Vec<u8>> {
            let planes = (0..n_planes.max(1)).map(|plane| seed ^ (plane as u64) << 40);
            planes.map(|seed| rows_of_bits(n_rows, n_bits, stride, *eighths, seed)).collect()
        };
        let (a_bytes, b_bytes) = (bytes(m, a_planes, seed), bytes(n, b_planes, !seed));
        let (a_values, b_values) = (values(a_planes, a_signed), values(b_planes, b_signed));
        let view = |plane, n_rows| Codes::strided(plane, n_rows, n_bytes, stride).unwrap();
        let a_views = a_bytes.iter().map(|plane: &Vec<u8>| view(plane, m)).collect();
        let b_views = b_bytes.iter().map(|plane: &Vec<u8>| view(plane, n)).collect();
        let a = Operand::new("a", a_views, a_values, n_bits).unwrap();
        let b = Operand::new("b", b_views, b_values, n_bits).unwrap();
        let answers = |level, threads| {
            let run = &Run::new(level, threads, &|| false);
            let matrix = Matrix::new(&b, run).unwrap();
            all_outputs([m, n], n_bits, seed, |output| xnor::matmul(&a, &matrix, output, run).unwrap())
        };
        let expected = answers(Level::PORTABLE, 1);
        // What all levels share is right, too.
        let number = |bytes: &[Vec<u8>], values, row: usize, index: usize| -> i64 {
            let bit = |plane: &[u8]| i64::from(plane[row * stride + index / 8] >> (7 - index % 8) & 1);
            let weights = (0..bytes.len()).map(|plane| match values {
                Values::TwosComplement if plane + 1 == bytes.len() => -(1_i64 << plane),
                _ => 1 << plane,
            });
            let sum: i64 = bytes.iter().zip(weights).map(|(plane, weight)| bit(plane) * weight).sum();
            if values == Values::Signs { 2 * sum - 1 } else { sum }
        };
        for (i, j) in [(0, 0), (m / 2, n / 3), (m.saturating_sub(1), n.saturating_sub(1))] {
            if i < m && j < n {
                let products = (0..n_bits)
                    .map(|index| number(&a_bytes, a_values, i, index) * number(&b_bytes, b_values, j, index));
                prop_assert_eq!(i64::from(expected.0[i * n + j]), products.sum::<i64>(), "dot {}, {}", i, j);
            }
        }
        for level in Level::available() {
            prop_assert!(answers(level, *threads) == expected, "{:?}", level);
        }

        let n_values = n_bits.min(700);
        let integers = content(m * (n_values + gap), 4, seed ^ 2);
        let integers = Codes::strided(&integers, m, n_values, n_values + gap).unwrap();
        let planes = |level, threads| {
            let mut out = vec![0xaa; a_planes.max(1) * m * n_values.div_ceil(8)];
            let run = &Run::new(level, threads, &|| false);
            xnor::planes(integers, a_planes.max(1), &mut out, run).unwrap();
            out
        };
        let expected = planes(Level::PORTABLE, 1);
        for level in Level::available() {
            prop_assert!(planes(level, *threads) == expected, "planes, {:?}", level);
        }

        let signs_bytes = rows_of_bits(n, n_values, n_values.div_ceil(8), *eighths, !seed);
        let signs_rows = Codes::new(&signs_bytes, n, n_values.div_ceil(8)).unwrap();
        let signs = Operand::new("b", vec![signs_rows], Values::Signs, n_values).unwrap();
        let numbers = ByteValues { scale: a_planes as i32 - 4, offset: b_planes as i32 * 7 - 20 };
        let answers = |level, threads| {
            let run = &Run::new(level, threads, &|| false);
            let matrix = Matrix::new(&signs, run).unwrap();
            all_outputs([m, n], n_values, seed, |output| {
                xnor::byte_matmul(integers, numbers, &matrix, output, run).unwrap();
            })
        };
        let expected = answers(Level::PORTABLE, 1);
        for (i, j) in [(0, 0), (m / 2, n / 3), (m.saturating_sub(1), n.saturating_sub(1))] {
            if i < m && j < n {
                let bits = signs_rows.row(j);
                let products = integers.row(i).iter().enumerate().map(|(index, byte)| {
                    let sign = 2 * i32::from(bits[index / 8] >> (7 - index % 8) & 1) - 1;
                    (numbers.offset + numbers.scale * i32::from(*byte)) * sign
                });
                prop_assert_eq!(expected.0[i * n + j], products.sum::<i32>(), "bytes, {}, {}", i, j);
            }
        }
        for level in Level::available() {
            prop_assert!(answers(level, *threads) == expected, "bytes, {:?}", level);
        }
        Ok(())
    });
}

#[test]
fn xnor_convolutions_of_all_levels_agree() {
    let pair = |range: std::ops::Range<usize>| [range.clone(), range];
    // Channels and filters of a group; several groups have whole bytes.
    let shape = (0usize..4, pair(0..14), pair(1..5), 1usize..140, 0usize..40, 1usize..4);
    let conv = (pair(1..4), [pair(0..4), pair(0..4)], 0usize..3, pair(1..3));
    let case = (shape, conv, 0u32..9, any::<u32>(), 1usize..4);
    fuzz(case, |((n, image, kernel, channels, filters, groups), conv, eighths, seed, threads)| {
        let ([height, width], seed, n_groups) = (*image, u64::from(*seed), *groups);
        let whole = |n: usize| if n_groups > 1 { n.next_multiple_of(8) } else { n };
        let (n_channels, n_filters) = (whole(*channels), whole(*filters) * n_groups);
        let (stride, padding, pad_value, dilation) = *conv;
        let pad_value = [Padding::Minus, Padding::Zero, Padding::Plus][pad_value];
        let conv = Conv { stride, padding, pad_value, dilation };
        let Ok([out_height, out_width]) = conv.out_shape(*image, *kernel) else { return Ok(()) };
        let (all_channels, n_bytes) = (n_channels * n_groups, n_channels.div_ceil(8));
        let image_bytes = all_channels.div_ceil(8);
        let images = rows_of_bits(n * height * width, all_channels, image_bytes, *eighths, seed);
        let places = n_filters * kernel[0] * kernel[1];
        let filters = rows_of_bits(places, n_channels, n_bytes, 8 - *eighths, !seed);
        let bits = Images::new(&images, [*n, height, width], image_bytes, all_channels).unwrap();
        let bytes = content(n * height * width * all_channels, 4, seed ^ 3);
        let numbers = ByteValues { scale: 1 + stride[0] as i32, offset: dilation[0] as i32 - 2 };
        let bytes = Images::of_bytes(&bytes, [*n, height, width], all_channels, numbers).unwrap();
        let answers = |level, threads, images| {
            let run = &Run::new(level, threads, &|| false);
            let shape = [n_filters, kernel[0], kernel[1]];
            let prepared = Filters::new(&filters, shape, n_bytes, n_channels, n_groups, run).unwrap();
            let rows = n * out_height * out_width;
            let about = n_channels * kernel[0] * kernel[1];
            let found = all_outputs([rows, n_filters], about, seed, |output| {
                xnor::conv2d(images, &prepared, conv, output, run).unwrap();
            });
            let mut pooled = Vec::new();
            if let Ok([pooled_height, pooled_width]) = xnor::pooled_shape([height, width], *kernel, stride) {
                pooled = vec![0xaa; n * pooled_height * pooled_width * image_bytes];
                xnor::max_pool2d(bits, *kernel, stride, &mut pooled, run).unwrap();
            }
            (found, pooled)
        };
        let expected = answers(Level::PORTABLE, 1, bits);
        // What all levels share keeps to what a sum of so many products can be.
        let about = (n_channels * kernel[0] * kernel[1]) as i32;
        prop_assert!(expected.0.0.iter().all(|dot| dot.abs() <= about));
        prop_assert!(pad_value == Padding::Zero || expected.0.0.iter().all(|dot| (dot - about) % 2 == 0));
        let expected_of_bytes = answers(Level::PORTABLE, 1, bytes);
        for level in Level::available() {
            prop_assert!(answers(level, *threads, bits) == expected, "{:?}", level);
            prop_assert!(answers(level, *threads, bytes) == expected_of_bytes, "bytes, {:?}", level);
        }
        Ok(())
    });
}
