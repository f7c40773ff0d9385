//! Random shapes and contents: every level gives the results of the portable one. Runs for `FASTCODES_FUZZ_SECONDS` per family
//! (one second if unset). A failing case is shrunk and printed.
#![allow(missing_docs)]

mod adc;
mod additive;
mod binary;
mod bits;
mod block_motion;
#[path = "../common/mod.rs"]
mod common;
mod entropy;
mod hadamard;
mod image;
mod lists;
mod minhash;
mod rabitq;
mod rerank;
mod text;
mod video;
mod xnor;

use std::time::{Duration, Instant};

use common::Random;
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

/// Repeatable bytes with `eighths` ones in eight bits on average: all alike at both ends, which makes ties.
fn content(len: usize, eighths: u32, seed: u64) -> Vec<u8> {
    Random::new(seed).bytes_of_density(len, eighths as usize)
}

/// Entries of tables of several kinds, which are hard to bound by small integers.
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
