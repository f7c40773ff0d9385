//! How one text is encoded and decoded.

use super::cells::{BLOCK_DEPTH, Block};
use super::code::LEAF;
use super::contexts::History;
use super::predictor::Branch;
use super::vocabulary::{END, FIRST_WORD, Symbol};
use super::{MAX_TEXT_BYTES, TextModel};
use crate::Error;
use crate::entropy::{Decoder, Encoder, PROBABILITY_BITS};

/// The probability, of 2^16, that a text is coded by the model. Others are spelled in bytes: such a text is one that the model finds so
/// improbable that its code would be longer than the text.
const BY_MODEL: u32 = (1 << PROBABILITY_BITS) - 256;

/// The probability that a spelled text goes on.
const GOES_ON: u32 = (1 << PROBABILITY_BITS) - 64;

/// What is used again from text to text.
#[derive(Default)]
pub(super) struct Scratch {
    symbols: Vec<Symbol>,
    branch: Branch,
}

impl TextModel {
    /// The probability of a one at a node.
    #[inline]
    fn probability(&self, block: &Block, node: u16, depth: usize, branch: &mut Branch) -> u32 {
        let levels = block.keys().map(|key| self.cells.level(key));
        self.predictor.predict(levels, node, depth, branch)
    }

    /// Calls `take` for each branch of a text, with its probability of a one.
    fn for_each_branch(
        &self,
        text: &[u8],
        scratch: &mut Scratch,
        mut take: impl FnMut(bool, u32) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.vocabulary.split(text, &mut scratch.symbols)?;
        let mut history = History::new();
        take(true, BY_MODEL)?;
        for symbol in &scratch.symbols {
            let contexts = history.contexts();
            for (index, steps) in self.code.steps(*symbol).chunks(BLOCK_DEPTH).enumerate() {
                let mut block = Block::new(&contexts, steps[0].node);
                for (step, depth) in steps.iter().zip(index * BLOCK_DEPTH..) {
                    take(step.bit, self.probability(&block, step.node, depth, &mut scratch.branch))?;
                    block.descend(step.bit);
                }
            }
            history.push(*symbol, &self.symbols);
        }
        Ok(())
    }

    /// Appends the code of a text.
    pub(super) fn encode_text(
        &self,
        text: &[u8],
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let first = out.len();
        let mut encoder = Encoder::new(out);
        self.for_each_branch(text, scratch, |bit, p| encoder.bit(bit, p))?;
        encoder.finish()?;
        if out.len() - first <= text.len() {
            return Ok(());
        }
        let (by_model, start) = (out.len() - first, out.len());
        let mut encoder = Encoder::new(out);
        encoder.bit(false, BY_MODEL)?;
        for byte in text {
            encoder.bit(true, GOES_ON)?;
            encoder.raw(u32::from(*byte), 8)?;
        }
        encoder.bit(false, GOES_ON)?;
        encoder.finish()?;
        if out.len() - start < by_model {
            out.drain(first..start);
        } else {
            out.truncate(start);
        }
        Ok(())
    }

    /// Bits that the probabilities of a text come to, by the model or spelled, whichever are fewer; without those of
    /// [`TextModel::encode_text`] to end on a whole byte.
    pub(super) fn bits_of_text(&self, text: &[u8], scratch: &mut Scratch) -> Result<f64, Error> {
        let bits_of = |bit: bool, p: u32| {
            let p = if bit { p } else { (1 << PROBABILITY_BITS) - p };
            f64::from(PROBABILITY_BITS) - f64::from(p).log2()
        };
        let mut bits = 0.0;
        self.for_each_branch(text, scratch, |bit, p| {
            bits += bits_of(bit, p);
            Ok(())
        })?;
        let ends = bits_of(false, BY_MODEL) + bits_of(false, GOES_ON);
        let spelled = ends + text.len() as f64 * (8.0 + bits_of(true, GOES_ON));
        Ok(bits.min(spelled))
    }

    /// Appends the text of a code, or returns false if these bytes are not one.
    pub(super) fn decode_text(
        &self,
        code: &[u8],
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Result<bool, Error> {
        let (mut decoder, start) = (Decoder::new(code), out.len());
        let may_go_on = |decoder: &Decoder<'_>, out: &Vec<u8>| {
            !decoder.is_past_end() && out.len() - start <= MAX_TEXT_BYTES
        };
        if !decoder.bit(BY_MODEL) {
            while decoder.bit(GOES_ON) {
                let byte = decoder.raw(8) as u8;
                out.try_reserve(1)?;
                out.push(byte);
                if !may_go_on(&decoder, out) {
                    return Ok(false);
                }
            }
            return Ok(decoder.is_complete());
        }
        let mut history = History::new();
        loop {
            let contexts = history.contexts();
            let (mut child, mut depth) = (0, 0);
            let mut block = Block::new(&contexts, child);
            while child & LEAF == 0 {
                if depth > 0 && depth % BLOCK_DEPTH == 0 {
                    block = Block::new(&contexts, child);
                }
                let bit = decoder.bit(self.probability(&block, child, depth, &mut scratch.branch));
                block.descend(bit);
                child = self.code.children()[usize::from(child)][usize::from(bit)];
                depth += 1;
            }
            let symbol = child & !LEAF;
            if symbol == END {
                return Ok(decoder.is_complete());
            }
            out.try_reserve(1)?;
            match u8::try_from(symbol) {
                Ok(byte) => out.push(byte),
                Err(_) => {
                    let word = self.vocabulary.word(usize::from(symbol - FIRST_WORD));
                    out.try_reserve(word.len())?;
                    out.extend_from_slice(word);
                }
            }
            history.push(symbol, &self.symbols);
            if !may_go_on(&decoder, out) {
                return Ok(false);
            }
        }
    }
}
