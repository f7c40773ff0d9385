//! Signatures of every level against a naive loop over tokens and slots.
#![allow(missing_docs)]

use fastcodes_core::minhash::{self, Bands, Hasher, Scheme, Sets, Shingles, Slots, Unit};
use fastcodes_core::{At, Codes, Error, Level, Run};

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn fmix32(mut h: u32) -> u32 {
    h = (h ^ (h >> 16)).wrapping_mul(0x85EB_CA6B);
    h = (h ^ (h >> 13)).wrapping_mul(0xC2B2_AE35);
    h ^ (h >> 16)
}

fn word(seed: u64, i: usize) -> u64 {
    mix(seed.wrapping_add((i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)))
}

fn naive(scheme: Scheme, tokens: &[u64], n_hashes: usize, seed: u64) -> Vec<u32> {
    if tokens.is_empty() {
        return vec![u32::MAX; n_hashes];
    }
    let key = word(seed, 0);
    let slot = |random: u64| (((random >> 32) * n_hashes as u64) >> 32) as usize;
    let minima: Vec<u32> = match scheme {
        Scheme::Independent => (0..n_hashes)
            .map(|i| {
                let multiplier = (word(seed, 16 * (i / 32) + i % 16 + 1) >> 32) as u32 | 1;
                let value = |z: u64| {
                    multiplier.wrapping_mul((z >> 32) as u32).wrapping_add(if i % 32 < 16 {
                        0
                    } else {
                        z as u32
                    })
                };
                tokens.iter().map(|x| value(mix(x ^ key))).min().unwrap()
            })
            .collect(),
        Scheme::OnePermutation => {
            let mut own = vec![None; n_hashes];
            for z in tokens.iter().map(|x| mix(x ^ key)) {
                let least = &mut own[slot(z)];
                *least = Some(least.map_or(z as u32, |least: u32| least.min(z as u32)));
            }
            let asked = |i: u64| (1_u64..).map(move |attempt| slot(mix(key ^ mix((i << 32) | attempt))));
            (0..n_hashes as u64)
                .map(|i| own[i as usize].unwrap_or_else(|| asked(i).find_map(|slot| own[slot]).unwrap()))
                .collect()
        }
    };
    (0_u32..).zip(minima).map(|(i, least)| fmix32(least.wrapping_add(i.wrapping_mul(0x9E37_79B9)))).collect()
}

fn signatures(level: Level, sets: &Sets<'_>, hasher: &Hasher, threads: usize) -> Vec<u32> {
    let mut out = vec![7; sets.len() * hasher.n_hashes()];
    minhash::signatures(sets, hasher, &mut out, &Run::new(level, threads, &|| false)).unwrap();
    out
}

const SCHEMES: [Scheme; 2] = [Scheme::Independent, Scheme::OnePermutation];

#[test]
fn signatures_are_the_minima_at_every_level() {
    let lengths = [0_usize, 1, 2, 3, 0, 17, 1023, 1024, 1025, 5000, 1, 0];
    let tokens: Vec<u64> = (0..lengths.iter().sum::<usize>() as u64)
        .map(|i| if i % 3 == 0 { i } else { mix(i) | (u64::MAX << (i % 64)) })
        .collect();
    let mut offsets = vec![0_i64];
    lengths.iter().for_each(|length| offsets.push(offsets.last().unwrap() + *length as i64));
    let sets = Sets::new(&tokens, &offsets).unwrap();
    for n_hashes in [1, 8, 15, 16, 17, 63, 64, 65, 127, 128, 129, 200, 256] {
        for scheme in SCHEMES {
            let hasher = Hasher::new(scheme, n_hashes, 42).unwrap();
            let expected: Vec<u32> =
                (0..sets.len()).flat_map(|set| naive(scheme, sets.set(set), n_hashes, 42)).collect();
            for level in Level::available() {
                for threads in [1, 3] {
                    assert!(
                        signatures(level, &sets, &hasher, threads) == expected,
                        "{level:?} {n_hashes} {scheme:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_set_larger_than_a_task_is_one_set() {
    let tokens: Vec<u64> = (0..(1 << 20) + 5000).collect();
    let sets = Sets::new(&tokens, &[0, 3, 3, tokens.len() as i64]).unwrap();
    for scheme in SCHEMES {
        let hasher = Hasher::new(scheme, 20, 1).unwrap();
        let found = signatures(Level::best(), &sets, &hasher, 2);
        assert_eq!(found[..20], naive(scheme, &tokens[..3], 20, 1));
        assert_eq!(found[20..40], [u32::MAX; 20]);
        assert_eq!(found[40..], naive(scheme, &tokens[3..], 20, 1));
    }
}

#[test]
fn texts_have_the_signatures_of_their_shingles() {
    let long = "a few words, and a few words more; ".repeat(200);
    let texts = ["", "one", "Two words", &long, " \n", "Ein schönes Ärgernis für alle"];
    let hasher = Hasher::new(Scheme::Independent, 50, 3).unwrap();
    for unit in [Unit::Words, Unit::Characters] {
        let shingles = Shingles::new(unit, 3, true).unwrap();
        let (mut tokens, mut offsets) = (Vec::new(), vec![0]);
        for text in texts {
            shingles.append(text, &mut tokens).unwrap();
            offsets.push(tokens.len() as i64);
        }
        let expected = signatures(Level::PORTABLE, &Sets::new(&tokens, &offsets).unwrap(), &hasher, 1);
        for level in Level::available() {
            let mut out = vec![7; texts.len() * 50];
            let run = Run::new(level, 2, &|| false);
            minhash::text_signatures(&texts, &shingles, &hasher, &mut out, &run).unwrap();
            assert!(out == expected, "{level:?} {unit:?}");
        }
    }
}

#[test]
fn differing_slots_are_counted_at_every_level_and_width() {
    for n_hashes in [1, 7, 8, 9, 63, 64, 65, 128, 200] {
        let slots: Vec<u32> = (0..11 * n_hashes).map(|i| (mix(i as u64) % 3) as u32 * 0x1_0001).collect();
        let (a, b) = slots.split_at(4 * n_hashes);
        let differing = |n_bits: usize| -> Vec<i32> {
            let mask = (1_u64 << n_bits).wrapping_sub(1) as u32;
            let rows = |of: &[u32]| of.chunks(n_hashes).map(<[u32]>::to_vec).collect::<Vec<_>>();
            let count =
                |a: &[u32], b: &[u32]| a.iter().zip(b).filter(|(a, b)| *a & mask != *b & mask).count() as i32;
            rows(a).iter().flat_map(|a| rows(b).iter().map(|b| count(a, b)).collect::<Vec<_>>()).collect()
        };
        let (i, j): (Vec<i64>, Vec<i64>) = (0..28).map(|p| (p / 7, p % 7)).unzip();
        let check = |kind: Slots, a: &[u8], b: &[u8], expected: Vec<i32>| {
            let (a, b) = (Codes::new(a, 4, a.len() / 4).unwrap(), Codes::new(b, 7, b.len() / 7).unwrap());
            for level in Level::available() {
                let (mut all, mut paired) = (vec![-1; 28], vec![-1; 28]);
                let run = Run::serial(level);
                minhash::cdist(a, b, kind, &mut all, &run).unwrap();
                minhash::paired(a, b, &i, &j, kind, &mut paired, &run).unwrap();
                assert_eq!((&all, &paired), (&expected, &expected), "{level:?} {kind:?} {n_hashes}");
            }
        };
        let bytes = |slots: &[u32]| slots.iter().flat_map(|slot| slot.to_ne_bytes()).collect::<Vec<u8>>();
        check(Slots::Words, &bytes(a), &bytes(b), differing(32));
        for n_bits in [1, 2, 3, 8, 16] {
            let pack = |slots: &[u32]| {
                let n_rows = slots.len() / n_hashes;
                let mut out = vec![0; n_rows * minhash::packed_bytes(n_hashes, n_bits).unwrap()];
                minhash::pack(slots, n_hashes, n_bits, &mut out, &Run::serial(Level::best())).unwrap();
                out
            };
            check(Slots::Bits(n_bits), &pack(a), &pack(b), differing(n_bits));
        }
    }
}

#[test]
fn exact_similarity_counts_each_token_once() {
    let tokens = [1, 2, 2, 3, 3, 2, 4, u64::MAX];
    let sets = Sets::new(&tokens, &[0, 4, 7, 7, 8, 8]).unwrap();
    let (i, j) = ([0, 0, 0, 2, 3, 1], [1, 0, 2, 4, 3, 0]);
    let mut out = [9.0; 6];
    minhash::jaccard(&sets, &sets, &i, &j, &mut out, &Run::serial(Level::best())).unwrap();
    assert_eq!(out, [0.5, 1.0, 0.0, 1.0, 1.0, 0.5]);
}

#[test]
fn band_keys_are_hashes_of_the_slots_of_each_band() {
    let run = |threads| Run::new(Level::best(), threads, &|| false);
    for (n_hashes, n_bands, n_rows) in [(1, 1, 1), (12, 3, 4), (13, 4, 3), (128, 14, 9), (64, 64, 1)] {
        let signatures: Vec<u32> = (0..3000 * n_hashes).map(|i| (mix(i as u64) % 3) as u32).collect();
        let mut expected = Vec::new();
        for row in signatures.chunks(n_hashes) {
            for slots in row.chunks(n_rows).take(n_bands) {
                expected.push(slots.iter().fold(0, |key, slot| mix(key ^ u64::from(*slot))));
            }
        }
        for threads in [1, 3] {
            let mut out = vec![7; 3000 * n_bands];
            minhash::band_keys(&signatures, n_hashes, n_bands, n_rows, &mut out, &run(threads)).unwrap();
            assert!(out == expected, "{n_hashes} {n_bands} {n_rows} {threads}");
        }
    }
    // As published: the keys must not change between versions and platforms.
    let mut key = [0];
    minhash::band_keys(&[1, 2], 2, 1, 2, &mut key, &run(1)).unwrap();
    assert_eq!(key, [mix(mix(1) ^ 2)]);
    minhash::band_keys(&[], 2, 1, 2, &mut [], &run(1)).unwrap();
    assert!(minhash::band_keys(&[1, 2, 3], 2, 1, 2, &mut [0], &run(1)).is_err());
    assert!(minhash::band_keys(&[1, 2], 2, 1, 2, &mut [0; 2], &run(1)).is_err());
    assert!(minhash::band_keys(&[1, 2], 2, 2, 2, &mut [0; 2], &run(1)).is_err());
}

#[test]
fn arguments_that_do_not_fit_are_errors() {
    for n_hashes in [0, 8193] {
        let hasher = Hasher::new(Scheme::Independent, n_hashes, 0);
        assert!(matches!(hasher, Err(Error::Range { name: "n_hashes", high: 8192, .. })));
    }
    assert!(matches!(Sets::new(&[1, 2], &[]), Err(Error::Incompatible { .. })));
    for (offsets, position) in [([0, 3], 1), ([-1, 2], 0), ([2, 1], 1)] {
        let sets = Sets::new(&[1, 2], &offsets);
        assert!(
            matches!(sets, Err(Error::Value { at: At::Position(at), .. }) if at == position),
            "{offsets:?}"
        );
    }
    for size in [0, 1025] {
        assert!(matches!(Shingles::new(Unit::Words, size, true), Err(Error::Range { name: "size", .. })));
    }
    for (n_bands, n_rows) in [(0, 1), (1, 0), (3, 3), (usize::MAX, 2)] {
        assert!(matches!(Bands::new(8, n_bands, n_rows), Err(Error::Incompatible { .. })));
    }
    assert!(minhash::packed_bytes(8, 0).is_err() && minhash::packed_bytes(8, 17).is_err());
    let codes = Codes::new(&[0; 12], 2, 6).unwrap();
    let run = &Run::serial(Level::PORTABLE);
    assert!(minhash::cdist(codes, codes, Slots::Words, &mut [0; 4], run).is_err());
    assert!(minhash::cdist(codes, codes, Slots::Bits(4), &mut [0; 4], run).is_err());
    let paired =
        |i: &[i64], j: &[i64], out: &mut [i32]| minhash::paired(codes, codes, i, j, Slots::Bits(2), out, run);
    assert!(paired(&[0], &[1], &mut [0]).is_ok());
    assert!(paired(&[2], &[1], &mut [0]).is_err() && paired(&[0], &[-1], &mut [0]).is_err());
    assert!(paired(&[0], &[1, 1], &mut [0]).is_err() && paired(&[0], &[1], &mut []).is_err());
    assert!(Bands::new(8, 2, 4).unwrap().add(&[0; 9], run).is_err());
}

#[test]
fn a_call_ends_when_it_is_asked_to() {
    let tokens = vec![1; 1 << 23];
    let offsets: Vec<i64> = (0..=64).map(|i| i << 17).collect();
    let hasher = Hasher::new(Scheme::Independent, 128, 0).unwrap();
    let mut out = vec![0; 64 * 128];
    let sets = Sets::new(&tokens, &offsets).unwrap();
    let run = Run::new(Level::best(), 1, &|| true);
    std::thread::sleep(std::time::Duration::from_millis(60));
    let result = minhash::signatures(&sets, &hasher, &mut out, &run);
    assert_eq!(result, Err(Error::Interrupted));
}
