//! Random rotations.

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
