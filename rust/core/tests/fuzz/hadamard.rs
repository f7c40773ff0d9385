//! Random rotations.

use fastcodes_core::hadamard::orthogonal::{self, Orthogonal, ROUNDS};
use fastcodes_core::hadamard::{self, Signs};
use fastcodes_core::{Codes, Level, Run};
use proptest::prelude::*;

use crate::{content, entry, fuzz};

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
fn orthogonal_rotations_of_all_levels_agree_and_are_undone() {
    let n_bytes = prop_oneof![1usize..12, 1usize..80, Just(128usize), Just(250)];
    let case = (n_bytes, 0usize..5, 0usize..8, any::<u32>(), 1usize..4);
    fuzz(case, |(n_bytes, n_rows, missing, seed, threads)| {
        let (all, n_rows, seed) = (8 * n_bytes, *n_rows, u64::from(*seed));
        let n_dims = all - missing;
        let bytes = content(4 * n_rows * n_dims, 4, seed);
        let x: Vec<f32> =
            bytes.as_chunks().0.iter().map(|bytes| entry(1, u32::from_ne_bytes(*bytes))).collect();
        let signs = content(ROUNDS * n_bytes, 4, !seed);
        let rotation = Orthogonal::new(Codes::new(&signs, ROUNDS, *n_bytes).unwrap()).unwrap();
        let answers = |level, threads| {
            let run = &Run::new(level, threads, &|| false);
            let mut rotated = vec![f32::NAN; n_rows * all];
            orthogonal::rotate(&x, n_dims, &rotation, false, &mut rotated, run).unwrap();
            let mut back = vec![f32::NAN; n_rows * n_dims];
            orthogonal::rotate(&rotated, n_dims, &rotation, true, &mut back, run).unwrap();
            (rotated, back)
        };
        let expected = answers(Level::PORTABLE, 1);
        let square = |x: &[f32]| x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
        for (row, rotated) in x.chunks_exact(n_dims).zip(expected.0.chunks_exact(all)) {
            prop_assert!((square(rotated) - square(row)).abs() <= 1e-5 * square(row), "length");
        }
        prop_assert!(x.iter().zip(&expected.1).all(|(a, b)| (a - b).abs() < 1e-5), "inverse");
        for level in Level::available() {
            prop_assert!(answers(level, *threads) == expected, "{:?}", level);
        }
        Ok(())
    });
}
