//! Classes of symbols that occur in similar places, by the exchange algorithm (Kneser and Ney, 1993; Martin, Liermann and Ney, 1998): symbol
//! after symbol moves to the class that makes the bigrams of classes most likely.

use super::vocabulary::Symbol;
use crate::entropy::mixing::log2;
use crate::error::{try_collect, try_push, try_vec};
use crate::{Error, Run};

/// Classes of symbols that occur.
pub(super) const N_CLASSES: usize = 48;

/// The class of symbols that never occur, and what stands before a text.
pub(super) const NO_CLASS: u8 = N_CLASSES as u8;

/// Passes over all symbols.
const N_PASSES: usize = 8;

/// Bigrams that classes are learned from.
const MAX_BIGRAMS: usize = 1 << 20;

const ALL: usize = N_CLASSES + 1;

/// Bigrams with one symbol: the other symbol, and how often they occur.
struct Lists {
    others: Vec<(u16, u32)>,
    starts: Vec<usize>,
}

impl Lists {
    /// From bigrams, sorted by the first symbol.
    fn new(bigrams: &[(u16, u16)], n_symbols: usize) -> Result<Self, Error> {
        let (mut others, mut starts) = (Vec::new(), try_vec(0, n_symbols + 1)?);
        for run in bigrams.chunk_by(|a, b| a == b) {
            try_push(&mut others, (run[0].1, run.len() as u32))?;
            starts[usize::from(run[0].0) + 1] = others.len();
        }
        for index in 1..=n_symbols {
            starts[index] = starts[index].max(starts[index - 1]);
        }
        Ok(Lists { others, starts })
    }

    fn of(&self, symbol: usize) -> &[(u16, u32)] {
        &self.others[self.starts[symbol]..self.starts[symbol + 1]]
    }
}

/// Bigrams of classes.
struct Pairs {
    counts: Vec<[i64; ALL]>,
    /// Their sums by the first and by the second class.
    firsts: [i64; ALL],
    seconds: [i64; ALL],
}

/// The bigrams of one symbol: those with a symbol of each class after it and before it, and those with itself.
struct Own {
    outs: [i64; ALL],
    ins: [i64; ALL],
    with_itself: i64,
}

impl Pairs {
    /// Adds (`sign` 1) a symbol to a class or takes it out (-1).
    fn transfer(&mut self, class: usize, own: &Own, sign: i64) {
        for other in 0..ALL {
            self.counts[class][other] += sign * own.outs[other];
            self.counts[other][class] += sign * own.ins[other];
        }
        self.counts[class][class] += sign * own.with_itself;
        self.firsts[class] += sign * (own.outs.iter().sum::<i64>() + own.with_itself);
        self.seconds[class] += sign * (own.ins.iter().sum::<i64>() + own.with_itself);
    }

    /// The class in which a symbol without one makes the texts most likely; `old` if none does.
    fn best_class(&self, own: &Own, old: usize, x_log_x: impl Fn(i64) -> i64) -> usize {
        let gain = |before: i64, more: i64| x_log_x(before + more) - x_log_x(before);
        let n_out = own.outs.iter().sum::<i64>() + own.with_itself;
        let n_in = own.ins.iter().sum::<i64>() + own.with_itself;
        let (mut best, mut most) = (old, i64::MIN);
        for class in 0..N_CLASSES {
            let mut sum = gain(self.counts[class][class], own.outs[class] + own.ins[class] + own.with_itself);
            for other in (0..ALL).filter(|other| *other != class) {
                if own.outs[other] > 0 {
                    sum += gain(self.counts[class][other], own.outs[other]);
                }
                if own.ins[other] > 0 {
                    sum += gain(self.counts[other][class], own.ins[other]);
                }
            }
            sum -= gain(self.firsts[class], n_out) + gain(self.seconds[class], n_in);
            if sum > most {
                (best, most) = (class, sum);
            }
        }
        best
    }
}

/// The class of each symbol, given how often it occurs and the texts, each of which ends with the same symbol.
///
/// # Errors
/// [`Error::OutOfMemory`], [`Error::Interrupted`].
pub(super) fn classes(symbols: &[Symbol], counts: &[u64], run: &Run<'_>) -> Result<Vec<u8>, Error> {
    let n_symbols = counts.len();
    let mut order = try_collect((0..n_symbols).filter(|symbol| counts[*symbol] > 0))?;
    order.sort_unstable_by_key(|symbol| (std::cmp::Reverse(counts[*symbol]), *symbol));
    let mut classes = try_vec(NO_CLASS, n_symbols)?;
    for (rank, symbol) in order.iter().enumerate() {
        classes[*symbol] = (rank % N_CLASSES) as u8;
    }
    // The end of a text is also what stands before the next one.
    let taken = &symbols[..symbols.len().min(MAX_BIGRAMS)];
    let mut bigrams = try_collect(taken.iter().zip(taken.iter().skip(1)).map(|(a, b)| (*a, *b)))?;
    bigrams.sort_unstable();
    let after = Lists::new(&bigrams, n_symbols)?;
    bigrams.iter_mut().for_each(|(a, b)| std::mem::swap(a, b));
    bigrams.sort_unstable();
    let before = Lists::new(&bigrams, n_symbols)?;

    let mut pairs = Pairs { counts: try_vec([0; ALL], ALL)?, firsts: [0; ALL], seconds: [0; ALL] };
    for (b, a) in &bigrams {
        let (first, second) = (usize::from(classes[usize::from(*a)]), usize::from(classes[usize::from(*b)]));
        pairs.counts[first][second] += 1;
        pairs.firsts[first] += 1;
        pairs.seconds[second] += 1;
    }
    let log = try_collect((0..1 << 10).map(x_log_x))?;
    let x_log_x = |n: i64| log.get(n as usize).copied().unwrap_or_else(|| x_log_x(n));
    for _ in 0..N_PASSES {
        let mut n_moved = 0;
        for &symbol in &order {
            if run.should_stop() {
                return Err(Error::Interrupted);
            }
            let old = usize::from(classes[symbol]);
            let mut own = Own { outs: [0; ALL], ins: [0; ALL], with_itself: 0 };
            for &(other, count) in after.of(symbol) {
                match usize::from(other) == symbol {
                    true => own.with_itself += i64::from(count),
                    false => own.outs[usize::from(classes[usize::from(other)])] += i64::from(count),
                }
            }
            for &(other, count) in before.of(symbol).iter().filter(|other| usize::from(other.0) != symbol) {
                own.ins[usize::from(classes[usize::from(other)])] += i64::from(count);
            }
            pairs.transfer(old, &own, -1);
            let best = pairs.best_class(&own, old, x_log_x);
            pairs.transfer(best, &own, 1);
            n_moved += usize::from(best != old);
            classes[symbol] = best as u8;
        }
        if n_moved == 0 {
            break;
        }
    }
    Ok(classes)
}

fn x_log_x(n: i64) -> i64 {
    if n > 0 { n * log2(n as u64) } else { 0 }
}
