//! How a model learns from texts.
//!
//! All texts are counted first. Then each text in turn is taken out of the counts, predicted from all others, and put back: the weights
//! learn from the counts that a new text will meet.

use super::cells::{BLOCK_DEPTH, Block, CELLS_PER_LINE, Cells, Counts, Levels, NOWHERE, sum};
use super::classes::classes;
use super::code::{Code, Step};
use super::contexts::{History, N_CONTEXTS, Symbols};
use super::predictor::{Branch, Predictor};
use super::vocabulary::{END, Symbol, Vocabulary};
use super::{TextModel, Texts};
use crate::error::{try_push, try_vec};
use crate::{Error, Run};

/// Bytes of a model for each word it may know.
const BYTES_PER_WORD: usize = 128;

/// Symbols that weights are learned from.
const MAX_LEARNED: usize = 1 << 21;

/// Symbols that are counted, or taken out of the counts, at a time.
const SYMBOLS_PER_PART: usize = 1024;

/// The rates of weights and of logits, at the start and at the end.
const RATES: [[u32; 2]; 2] = [[655, 1311], [33, 13]];

/// In a slot: the cell is one of those that are kept with one branch fewer than the others.
const KEPT_SOONER: u32 = 1 << 31;

/// Which cells a model keeps: those counted at least `least` times, and of those counted once less a part, by their keys.
struct Kept {
    least: usize,
    part: u64,
}

impl Kept {
    /// Of all cells as many as `most`.
    fn new(counts: &Counts, most: usize) -> Self {
        // How many were counted how often.
        let mut histogram = [0; 64];
        for (_, counts) in counts.iter() {
            histogram[sum(counts).min(63)] += 1;
        }
        let (mut least, mut n) = (63, histogram[63]);
        while least > 1 && n + histogram[least - 1] <= most {
            least -= 1;
            n += histogram[least];
        }
        let part = if least > 1 && n < most { ((most - n) << 8) / histogram[least - 1] } else { 0 };
        Kept { least, part: part as u64 }
    }

    #[inline]
    fn sooner(&self, key: u64) -> bool {
        (key >> 36) & 0xFF < self.part
    }

    #[inline]
    fn keeps(&self, counts: [u16; 2], sooner: bool) -> bool {
        sum(counts) + usize::from(sooner) >= self.least
    }
}

pub(super) fn fit(texts: &Texts<'_>, model_bytes: usize, run: &Run<'_>) -> Result<TextModel, Error> {
    let rows = || (0..texts.len()).map(|row| texts.text(row));
    let vocabulary = Vocabulary::of_texts(rows(), model_bytes / BYTES_PER_WORD, run)?;
    let (mut all, mut of_text): (Vec<Symbol>, Vec<Symbol>) = (Vec::new(), Vec::new());
    let mut frequencies = try_vec(0, vocabulary.n_symbols())?;
    for text in rows() {
        vocabulary.split(text, &mut of_text)?;
        all.try_reserve(of_text.len())?;
        all.extend_from_slice(&of_text);
        of_text.iter().for_each(|symbol| frequencies[usize::from(*symbol)] += 1);
        if run.should_stop() {
            return Err(Error::Interrupted);
        }
    }
    let classes = classes(&all, &frequencies, run)?;
    let code = Code::of_counts(&frequencies, &classes)?;
    let symbols = Symbols::new(&vocabulary, classes)?;
    let mut model = TextModel {
        predictor: Predictor::new(code.n_nodes())?,
        cells: Cells::new(0)?,
        vocabulary,
        code,
        symbols,
    };

    let most_lines = model_bytes.saturating_sub(model.n_bytes() + super::HEADER_ROOM) / (2 * CELLS_PER_LINE);
    // Four times the cells that can be kept, in a table that is filled to 7/8.
    let max_bits = (most_lines * CELLS_PER_LINE * 4).next_power_of_two().trailing_zeros().clamp(16, 30);
    let mut counts = Counts::new(max_bits)?;
    let mut history = History::new();
    for part in all.chunks(SYMBOLS_PER_PART) {
        for symbol in part {
            let contexts = history.contexts();
            for steps in model.code.steps(*symbol).chunks(BLOCK_DEPTH) {
                let mut block = Block::new(&contexts, steps[0].node);
                counts.load(&block);
                for step in steps {
                    block.keys().iter().try_for_each(|key| counts.add(*key, step.bit))?;
                    block.descend(step.bit);
                }
            }
            history.read(*symbol, &model.symbols);
        }
        if run.should_stop() {
            return Err(Error::Interrupted);
        }
    }

    let n_cells = counts.iter().count();
    let n_lines = most_lines.min(n_cells / 24 + 1);
    let kept = Kept::new(&counts, n_lines * CELLS_PER_LINE / 8 * 7);
    let levels = Levels::new()?;
    learn(&mut model, &all, &mut counts, &kept, &levels, run)?;
    model.predictor.round();

    // The most frequent cells first, since a bucket can be full.
    model.cells = Cells::new(n_lines)?;
    let mut above = usize::MAX;
    for least in [64, 16, 4, 3, 2, 1] {
        for (key, counts) in counts.iter() {
            if (least..above).contains(&sum(counts)) && kept.keeps(counts, kept.sooner(key)) {
                model.cells.insert(key, levels.level(counts));
            }
        }
        above = least;
    }
    Ok(model)
}

/// Fits the weights and logits.
fn learn(
    model: &mut TextModel,
    all: &[Symbol],
    counts: &mut Counts,
    kept: &Kept,
    levels: &Levels,
    run: &Run<'_>,
) -> Result<(), Error> {
    let learned = &all[..all.len().min(MAX_LEARNED)];
    let (mut steps, mut slots): (Vec<(usize, Step)>, Vec<[u32; N_CONTEXTS]>) = (Vec::new(), Vec::new());
    let (mut branch, mut history, mut n_done) = (Branch::default(), History::new(), 0);
    for part in
        learned.split_inclusive(|symbol| *symbol == END).flat_map(|text| text.chunks(SYMBOLS_PER_PART))
    {
        steps.clear();
        slots.clear();
        for symbol in part {
            let contexts = history.contexts();
            for (index, chunk) in model.code.steps(*symbol).chunks(BLOCK_DEPTH).enumerate() {
                let mut block = Block::new(&contexts, chunk[0].node);
                counts.load(&block);
                for (step, depth) in chunk.iter().zip(index * BLOCK_DEPTH..) {
                    try_push(&mut steps, (depth, *step))?;
                    let slots_of_step = block.keys().map(|key| {
                        let slot = counts.find(key);
                        if slot != NOWHERE && kept.sooner(key) { slot | KEPT_SOONER } else { slot }
                    });
                    try_push(&mut slots, slots_of_step)?;
                    block.descend(step.bit);
                }
            }
            history.read(*symbol, &model.symbols);
        }
        for ((_, step), slots) in steps.iter().zip(&slots) {
            slots.iter().for_each(|slot| counts.take_out(slot & !KEPT_SOONER, step.bit));
        }
        // The rates fall with the square of what is left, of 2^16.
        let left = (((learned.len() - n_done) as u64) << 16) / learned.len() as u64;
        let rates = std::array::from_fn(|index| {
            let [start, end] = RATES.map(|rates| u64::from(rates[index]));
            (((start * left * left) >> 32) + end) as u32
        });
        for ((depth, step), slots) in steps.iter().zip(&slots) {
            let levels = slots.map(|slot| {
                let counts = counts.get(slot & !KEPT_SOONER);
                if kept.keeps(counts, slot & KEPT_SOONER != 0) { levels.level(counts) } else { 0 }
            });
            let p = model.predictor.predict(levels, step.node, *depth, &mut branch);
            model.predictor.learn(&branch, step.bit, p, rates);
        }
        for ((_, step), slots) in steps.iter().zip(&slots) {
            slots.iter().for_each(|slot| counts.put_back(slot & !KEPT_SOONER, step.bit));
        }
        n_done += part.len();
        if run.should_stop() {
            return Err(Error::Interrupted);
        }
    }
    Ok(())
}
