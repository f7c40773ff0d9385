//! Random changes of codes, which depend on the vector, the iteration and a seed only.

/// A number that stands for a vector.
pub(super) fn hash(seed: u64, values: &[f32]) -> u64 {
    values.iter().fold(seed, |hash, value| {
        // Zero has no sign here.
        (hash ^ u64::from((value + 0.0).to_bits())).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    })
}

/// Puts codebooks into the random order of an iteration.
pub(super) fn shuffle(order: &mut [usize], seed: u64, iteration: u64) {
    let mut random = Random(seed ^ mixed(iteration));
    for index in (1..order.len()).rev() {
        order.swap(index, random.below(index + 1));
    }
}

/// Gives some random codewords to different codebooks, in an iteration of the search for a vector with a [`hash`].
pub(super) fn change(code: &mut [u8], n_changes: usize, n_codewords: usize, hash: u64, iteration: u64) {
    let mut random = Random(hash ^ mixed(!iteration));
    let n_books = code.len();
    let mut left = n_changes.min(n_books);
    for (book, code) in code.iter_mut().enumerate() {
        // Each set of codebooks is equally likely.
        if random.below(n_books - book) < left {
            left -= 1;
            *code = random.below(n_codewords) as u8;
        }
    }
}

/// A word in which every bit depends on all of the given one (splitmix64: Steele, Lea and Flood, OOPSLA 2014).
fn mixed(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ word >> 31
}

/// Random numbers: a counter, mixed.
struct Random(u64);

impl Random {
    /// An integer from 0 to `limit - 1`; `limit` is at least 1.
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        (((mixed(self.0) >> 32) * limit as u64) >> 32) as usize
    }
}
