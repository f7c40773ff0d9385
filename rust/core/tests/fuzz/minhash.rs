//! MinHash signatures.

use fastcodes_core::minhash::{self, Hasher, Scheme, Sets, Slots};
use fastcodes_core::{Codes, Level, Run};
use proptest::prelude::*;

use crate::{content, fuzz};

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
