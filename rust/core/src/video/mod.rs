//! Compression of the frames of a video: prediction by the motion of blocks, and what that leaves by the wavelet coder of `image`.
//!
//! ```text
//! frame -> motion -> prediction -> rest -> wavelet bands -> integers -> decisions -> bytes
//!          `motion`   `prediction`         `wavelet`         `image::planes`         `entropy::range`
//!          `field`
//! ```
//!
//! A frame is predicted from one decoded frame or from two, or from none. The prediction is made of what a decoder has: samples of
//! 8 bits. All that is learned about decisions is kept for further frames of the same kind, until the coder is reset.
//!
//! ```text
//! bytes of a frame
//! 1        0: predicted from none; 1, 2: from as many references
//! 2, 4     luma, chroma: how far coefficients of size 1, and larger ones, are moved towards zero, for each plane: int8, of step / 256
//!          a message of the range coder: motion (`field`), the rest of luma, of both planes of chroma (`image::coefficients`)
//! ```

mod field;
mod motion;
mod prediction;

use crate::block_motion::{Image, Method};
use crate::entropy::{Decoder, Encoder};
use crate::error::{check_len, try_collect, try_vec};
use crate::image::Step;
use crate::image::planes::PlaneCoder;
use crate::wavelet::Plane;
use crate::{Error, Run};
use field::{Cell, Choice, Field, MAX_COMPONENT, Place};
use motion::{Macroblock, Search};
use prediction::{CELL, Reference};

/// Frames that can be kept as references.
pub const N_SLOTS: usize = 8;

/// The longest side.
pub const MAX_SIDE: usize = 16_384;

/// Fractional bits of rates.
const BITS_OF_RATE: u32 = 16;

/// Squared error, of step^2, that a bit of the rest is worth.
const LAMBDA: f32 = 0.14;

/// Absolute differences that a bit of motion is worth, of the step.
const MOTION_LAMBDA: f32 = 0.3;

/// The value that planes of frames without prediction are relative to.
const MIDDLE: u8 = 128;

/// Where decisions about motion go to, or come from.
trait Bits {
    /// Whether what is coded is learned.
    const LEARNS: bool;

    /// Codes a decision; `bit` has no meaning when it is read.
    fn bit(&mut self, bit: bool, p_true: u32) -> Result<bool, Error>;
}

impl Bits for Encoder<'_> {
    const LEARNS: bool = true;

    fn bit(&mut self, bit: bool, p_true: u32) -> Result<bool, Error> {
        Encoder::bit(self, bit, p_true)?;
        Ok(bit)
    }
}

impl Bits for Decoder<'_> {
    const LEARNS: bool = true;

    fn bit(&mut self, _: bool, p_true: u32) -> Result<bool, Error> {
        Ok(Decoder::bit(self, p_true))
    }
}

/// What all frames of a video have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Samples of a row of luma.
    pub width: usize,
    /// Rows of luma.
    pub height: usize,
    /// Whether there are two planes of chroma, with half the samples in both directions.
    pub has_chroma: bool,
}

impl Shape {
    fn chroma(self) -> (usize, usize) {
        (self.width.div_ceil(2), self.height.div_ceil(2))
    }

    /// Samples of each plane.
    fn sizes(self) -> [usize; 3] {
        let (width, height) = self.chroma();
        let of_chroma = if self.has_chroma { width * height } else { 0 };
        [self.width * self.height, of_chroma, of_chroma]
    }
}

/// Luma and both planes of chroma, which are empty where there are none.
pub type Planes<T> = [T; 3];

/// A reference: the slot that a frame is in, and how many frames lie between, plus one.
pub type From = (usize, u16);

/// How a frame is coded.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// None, an earlier frame, or an earlier and a later one.
    pub references: &'a [From],
    /// Between two values of a coefficient.
    pub step: Step,
    /// The slot that it is kept in.
    pub keep: Option<usize>,
}

/// Where an encoder looks for vectors.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// The largest component of a vector in samples; refining adds a little more.
    pub radius: usize,
    /// How this window is searched.
    pub method: Method,
}

/// A decoded frame.
struct Frame {
    planes: Planes<Vec<u8>>,
    luma: Reference,
    cells: Vec<Cell>,
    /// How far its own references were.
    distances: [u16; 2],
}

/// What was learned about frames of a kind.
#[derive(Default)]
struct Learned {
    motion: Option<field::Coder>,
    luma: Option<PlaneCoder>,
    chroma: Option<PlaneCoder>,
}

/// Codes frames one after the other, or decodes them.
pub struct Coder {
    shape: Shape,
    /// Of frames with no reference, with one and with two.
    learned: [Learned; 3],
    slots: [Option<Frame>; N_SLOTS],
}

impl Coder {
    /// A coder that has seen no frame.
    ///
    /// # Errors
    /// [`Error::Range`].
    pub fn new(shape: Shape) -> Result<Self, Error> {
        for (name, given) in [("width", shape.width), ("height", shape.height)] {
            if !(1..=MAX_SIDE).contains(&given) {
                return Err(Error::Range { name, unit: "", given, low: 1, high: MAX_SIDE });
            }
        }
        Ok(Coder { shape, learned: Default::default(), slots: Default::default() })
    }

    /// Forgets all frames and what was learned.
    pub fn reset(&mut self) {
        (self.learned, self.slots) = Default::default();
    }

    /// The bytes of a frame.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::Range`], [`Error::Incompatible`], [`Error::OutOfMemory`], [`Error::Interrupted`].
    pub fn encode(
        &mut self,
        planes: Planes<&[u8]>,
        job: Job<'_>,
        reach: Reach,
        run: &Run<'_>,
    ) -> Result<Vec<u8>, Error> {
        for (plane, expected) in planes.iter().zip(self.shape.sizes()) {
            check_len("planes", "samples", plane.len(), expected)?;
        }
        self.check(job)?;
        let Shape { width, height, has_chroma } = self.shape;
        let mut all_learned = std::mem::take(&mut self.learned);
        let references = self.references(job)?;
        let mut bytes = Vec::new();
        let step = job.step.value();

        let lumas = try_collect(references.iter().map(|frame| &frame.luma))?;
        let image = Image::new("planes", planes[0], width, height)?;
        let search = match references.is_empty() {
            true => None,
            false => {
                let images =
                    try_collect(references.iter().map(|f| Image::new("", &f.planes[0], width, height)))?;
                let images = images.into_iter().collect::<Result<Vec<_>, _>>()?;
                let search = Search::new(image, &lumas, &images, reach, MOTION_LAMBDA * step, run)?;
                (!search.is_in_vain(width, height)).then_some(search)
            }
        };
        let n_lists = if search.is_some() { references.len() } else { 0 };
        let learned = &mut all_learned[n_lists];
        let mut message = Vec::new();
        let mut encoder = Encoder::new(&mut message);
        let mut field = self.field(n_lists, job)?;
        if let Some(search) = search {
            let coder = known(&mut learned.motion, field::Coder::new)?;
            for (y, x) in macroblocks(&field) {
                let place = Place { y, x, side: 2 };
                match search.macroblock(coder, &mut field, place)? {
                    Macroblock::Whole(choice) => {
                        coder.macroblock(&mut encoder, &mut field, place, choice, false)?;
                    }
                    Macroblock::Split(choices) => {
                        coder.macroblock(&mut encoder, &mut field, place, Choice::default(), true)?;
                        for (index, choice) in choices.iter().enumerate() {
                            coder.cell(&mut encoder, &mut field, place.quarter(index), *choice)?;
                        }
                    }
                }
                if run.should_stop() {
                    return Err(Error::Interrupted);
                }
            }
        }
        let predicted = self.predicted(&references, &field, run)?;
        let rest = |plane: usize| self.rest(planes[plane], &predicted[plane], plane);
        let mut luma = [rest(0)?];
        let coder = known(&mut learned.luma, PlaneCoder::new)?;
        let (mut encoder, moves) = coder.encode(&mut luma, job.step, LAMBDA, encoder, run)?;
        let [luma] = luma;
        let mut all = [Some(luma), None, None];
        bytes.push(n_lists as u8);
        push_moves(&mut bytes, &moves[..1]);
        if has_chroma {
            let mut chroma = [rest(1)?, rest(2)?];
            let coder = known(&mut learned.chroma, PlaneCoder::new)?;
            let moves;
            (encoder, moves) = coder.encode(&mut chroma, job.step, LAMBDA, encoder, run)?;
            push_moves(&mut bytes, &moves[..2]);
            let [blue, red] = chroma;
            (all[1], all[2]) = (Some(blue), Some(red));
        }
        encoder.finish()?;
        bytes.try_reserve(message.len())?;
        bytes.extend_from_slice(&message);
        let decoded = decoded(predicted, all)?;
        self.learned = all_learned;
        self.keep(decoded, field, job, run)?;
        Ok(bytes)
    }

    /// The frame of these bytes.
    ///
    /// # Errors
    /// [`Error::Incompatible`] for bytes that are not a frame, or were cut or altered, [`Error::OutOfMemory`], [`Error::Interrupted`].
    pub fn decode(&mut self, bytes: &[u8], job: Job<'_>, run: &Run<'_>) -> Result<Planes<Vec<u8>>, Error> {
        self.check(job)?;
        let Shape { width, height, has_chroma } = self.shape;
        let mut all_learned = std::mem::take(&mut self.learned);
        let references = self.references(job)?;
        let n_moves = if has_chroma { 6 } else { 2 };
        let Some((&[n_lists], rest)) = bytes.split_first_chunk() else {
            return Err(damaged("it has no bytes"));
        };
        let n_lists = usize::from(n_lists);
        if n_lists != 0 && n_lists != references.len() {
            return Err(damaged("it has another kind than its place demands"));
        }
        let Some((of_moves, message)) = rest.split_at_checked(n_moves) else {
            return Err(damaged("it has fewer bytes than any frame"));
        };
        let mut moves = [[0; 2]; 3];
        for (out, byte) in moves.as_flattened_mut().iter_mut().zip(of_moves) {
            *out = byte.cast_signed();
        }
        let learned = &mut all_learned[n_lists];
        let mut decoder = Decoder::new(message);
        let mut field = self.field(n_lists, job)?;
        if n_lists > 0 {
            let coder = known(&mut learned.motion, field::Coder::new)?;
            for (y, x) in macroblocks(&field) {
                let place = Place { y, x, side: 2 };
                if coder.macroblock(&mut decoder, &mut field, place, Choice::default(), false)? {
                    for index in 0..4 {
                        coder.cell(&mut decoder, &mut field, place.quarter(index), Choice::default())?;
                    }
                }
                if decoder.is_past_end() {
                    return Err(cut());
                }
                if run.should_stop() {
                    return Err(Error::Interrupted);
                }
            }
        }
        let coder = known(&mut learned.luma, PlaneCoder::new)?;
        let mut all = [None, None, None];
        let (mut decoder, luma) =
            coder.decode((width, height), 1, job.step, moves, decoder, run)?.ok_or_else(cut)?;
        luma.into_iter().zip(&mut all).for_each(|(plane, out)| *out = Some(plane));
        if has_chroma {
            let coder = known(&mut learned.chroma, PlaneCoder::new)?;
            let [_, blue, red] = moves;
            let chroma;
            (decoder, chroma) = coder
                .decode(self.shape.chroma(), 2, job.step, [blue, red, [0; 2]], decoder, run)?
                .ok_or_else(cut)?;
            chroma.into_iter().zip(&mut all[1..]).for_each(|(plane, out)| *out = Some(plane));
        }
        if !decoder.is_complete() {
            return Err(cut());
        }
        let predicted = self.predicted(&references, &field, run)?;
        let planes = decoded(predicted, all)?;
        self.learned = all_learned;
        let copies = try_collect(planes.iter().map(|plane| crate::error::try_copy(plane)))?;
        let mut copies = copies.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter();
        self.keep(planes, field, job, run)?;
        Ok(std::array::from_fn(|_| copies.next().unwrap_or_default()))
    }

    fn check(&self, job: Job<'_>) -> Result<(), Error> {
        let slots = job.references.iter().map(|(slot, _)| *slot).chain(job.keep);
        let bad = slots.into_iter().find(|slot| *slot >= N_SLOTS);
        if let Some(given) = bad {
            return Err(Error::Range { name: "slot", unit: "", given, low: 0, high: N_SLOTS - 1 });
        }
        if job.references.len() > 2 {
            let problem = format!("a frame has at most 2 references; got {}", job.references.len());
            return Err(Error::Incompatible { problem });
        }
        Ok(())
    }

    fn references(&self, job: Job<'_>) -> Result<Vec<&Frame>, Error> {
        let frames = job.references.iter().filter_map(|(slot, _)| self.slots[*slot].as_ref());
        let frames = try_collect(frames)?;
        match frames.len() == job.references.len() {
            true => Ok(frames),
            false => Err(damaged("the frames that it refers to are missing")),
        }
    }

    /// The field of a frame that is predicted so, with the motion that the nearest reference had at each place.
    fn field(&self, n_lists: usize, job: Job<'_>) -> Result<Field, Error> {
        let Shape { width, height, .. } = self.shape;
        let (n_columns, n_rows) = (2 * width.div_ceil(2 * CELL), 2 * height.div_ceil(2 * CELL));
        let mut temporal = Vec::new();
        if let Some((slot, _)) = job.references[..n_lists].last()
            && let Some(frame) = &self.slots[*slot]
        {
            let distances = [0, 1].map(|list| job.references.get(list).map_or(1, |(_, distance)| *distance));
            let continued = |cell: &Cell| continued(cell, frame.distances, n_lists, distances);
            temporal = try_collect(frame.cells.iter().map(continued))?;
        }
        Field::new(n_columns, n_rows, n_lists, temporal)
    }

    fn predicted(
        &self,
        references: &[&Frame],
        field: &Field,
        run: &Run<'_>,
    ) -> Result<Planes<Vec<u8>>, Error> {
        let Shape { width, height, has_chroma } = self.shape;
        if field.n_lists() == 0 {
            let [luma, blue, red] = self.shape.sizes().map(|len| try_vec(MIDDLE, len));
            return Ok([luma?, blue?, red?]);
        }
        let lumas = try_collect(references.iter().map(|frame| &frame.luma))?;
        let luma = prediction::luma(&lumas, field, width, height, run)?;
        let chroma = |plane: usize| {
            let planes = try_collect(references.iter().map(|frame| &frame.planes[plane][..]))?;
            let (width, height) = self.shape.chroma();
            prediction::chroma(&planes, field, width, height, run)
        };
        Ok(match has_chroma {
            true => [luma, chroma(1)?, chroma(2)?],
            false => [luma, Vec::new(), Vec::new()],
        })
    }

    /// What a prediction leaves of a plane.
    fn rest(&self, samples: &[u8], predicted: &[u8], plane: usize) -> Result<Plane<f32>, Error> {
        let (width, height) =
            if plane == 0 { (self.shape.width, self.shape.height) } else { self.shape.chroma() };
        let mut rest = Plane::new(width, height)?;
        for ((out, sample), predicted) in rest.samples.iter_mut().zip(samples).zip(predicted) {
            *out = f32::from(*sample) - f32::from(*predicted);
        }
        Ok(rest)
    }

    fn keep(
        &mut self,
        planes: Planes<Vec<u8>>,
        field: Field,
        job: Job<'_>,
        run: &Run<'_>,
    ) -> Result<(), Error> {
        if let Some(slot) = job.keep {
            let luma = Reference::new(&planes[0], self.shape.width, self.shape.height, run)?;
            let distances = [0, 1].map(|list| job.references.get(list).map_or(1, |(_, distance)| *distance));
            let cells = try_collect(field.into_cells())?;
            self.slots[slot] = Some(Frame { planes, luma, cells, distances });
        }
        Ok(())
    }
}

/// What was learned, or nothing yet.
fn known<T>(learned: &mut Option<T>, new: impl FnOnce() -> Result<T, Error>) -> Result<&mut T, Error> {
    if learned.is_none() {
        *learned = Some(new()?);
    }
    learned.as_mut().ok_or(Error::OutOfMemory)
}

/// The places of macroblocks, row by row.
fn macroblocks(field: &Field) -> impl Iterator<Item = (usize, usize)> + use<> {
    let (width, height) = (field.width, field.height);
    (0..height).step_by(2).flat_map(move |y| (0..width).step_by(2).map(move |x| (y, x)))
}

fn push_moves(bytes: &mut Vec<u8>, moves: &[[i8; 2]]) {
    bytes.extend(moves.as_flattened().iter().map(|part| part.cast_unsigned()));
}

/// Samples of 8 bits: a prediction and what it left.
fn decoded(mut planes: Planes<Vec<u8>>, rest: Planes<Option<Plane<f32>>>) -> Result<Planes<Vec<u8>>, Error> {
    for (samples, rest) in planes.iter_mut().zip(&rest) {
        for (sample, rest) in samples.iter_mut().zip(rest.iter().flat_map(|plane| &plane.samples)) {
            *sample = (f32::from(*sample) + rest + 0.5).clamp(0.0, 255.0) as u8;
        }
    }
    Ok(planes)
}

/// The motion of a cell of a reference, continued over the distances of this frame's references.
fn continued(cell: &Cell, spans: [u16; 2], n_lists: usize, distances: [u16; 2]) -> Cell {
    // Per frame, forwards in time: vectors to earlier references point backwards.
    let (list, sign) = if cell.has(0) { (0, -1) } else { (1, 1) };
    if cell.lists == 0 {
        return Cell::default();
    }
    let span = i32::from(spans[list].max(1));
    let scaled = |distance: u16, sign: i32| {
        cell.vectors[list].map(|component| {
            let scaled = sign * i32::from(component) * i32::from(distance);
            (scaled / span).clamp(-MAX_COMPONENT, MAX_COMPONENT) as i16
        })
    };
    let mut found = Cell::still(n_lists);
    found.vectors[0] = scaled(distances[0], -sign);
    if n_lists == 2 {
        found.vectors[1] = scaled(distances[1], sign);
    }
    found
}

/// The error of bytes that are not a frame.
fn damaged(what: &str) -> Error {
    Error::Incompatible { problem: format!("data is not a frame of this video, or was damaged: {what}") }
}

/// The error of bytes that are not those of a whole frame.
fn cut() -> Error {
    damaged("it was cut or altered")
}
