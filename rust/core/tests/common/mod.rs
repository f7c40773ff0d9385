//! Repeatable random inputs: the same for the same seed, on every machine.
#![allow(dead_code, reason = "each test uses some of these functions")]

use std::ops::Range;

/// A small generator of random numbers (xorshift: Marsaglia, J. Stat. Softw. 8, 2003).
pub struct Random(u64);

impl Random {
    /// Different seeds give unrelated numbers.
    pub fn new(seed: u64) -> Self {
        Random(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// 64 bits, of which the upper ones are better than the lower ones.
    pub fn word(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// An integer from 0 to `limit - 1`; `limit` is at least 1 and fits 32 bits.
    pub fn below(&mut self, limit: usize) -> usize {
        (((self.word() >> 32) * limit as u64) >> 32) as usize
    }

    /// A number from 0 up to 1, a multiple of 2^-24.
    pub fn unit(&mut self) -> f32 {
        (self.word() >> 40) as f32 / (1 << 24) as f32
    }

    /// Numbers of a range.
    pub fn floats(&mut self, len: usize, range: Range<f32>) -> Vec<f32> {
        (0..len).map(|_| range.start + self.unit() * (range.end - range.start)).collect()
    }

    /// Bytes of every value.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| (self.word() >> 56) as u8).collect()
    }

    /// Bytes with `eighths` ones among eight bits on average; all zeros for 0, all ones for 8.
    pub fn bytes_of_density(&mut self, len: usize, eighths: usize) -> Vec<u8> {
        let mut bit = || u8::from(self.below(8) < eighths);
        (0..len).map(|_| (0..8).fold(0, |byte, _| byte << 1 | bit())).collect()
    }
}
