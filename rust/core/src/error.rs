//! [`Error`]: one variant for each broken precondition, worded for the user.

use std::fmt;

/// Values that are checked without a branch.
const CHUNK_LEN: usize = 4096;

/// Where an element of an array is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// In this row.
    Row(usize),
    /// At this position of a one-dimensional array.
    Position(usize),
    /// In this row and column.
    Cell(usize, usize),
    /// At this element, counted through all axes.
    Element(usize),
}

impl fmt::Display for At {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Row(row) => write!(formatter, "in row {row}"),
            At::Position(position) => write!(formatter, "at position {position}"),
            At::Cell(row, column) => write!(formatter, "in row {row}, column {column}"),
            At::Element(index) => write!(formatter, "at element {index}, counted through all axes"),
        }
    }
}

/// What was wrong with the arguments, or what stopped the work.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A level that does not exist, or that this CPU lacks.
    Level {
        /// What is wrong with it, in words.
        problem: String,
    },
    /// An argument has the wrong number of elements, rows or bytes.
    Length {
        /// The argument.
        name: &'static str,
        /// What is counted.
        unit: &'static str,
        /// How many there are.
        given: usize,
        /// How many there should be.
        expected: usize,
    },
    /// Two arguments that have to agree in a length do not.
    Mismatch {
        /// What is counted.
        unit: &'static str,
        /// The first argument, and how many it has.
        first: (&'static str, usize),
        /// The second argument, and how many it has.
        second: (&'static str, usize),
        /// Why they have to agree, or what may have gone wrong.
        hint: &'static str,
    },
    /// A number, or the length of an axis, is out of range.
    Range {
        /// The argument.
        name: &'static str,
        /// What it has; empty if the argument is the number itself.
        unit: &'static str,
        /// The number.
        given: usize,
        /// The smallest that is allowed.
        low: usize,
        /// The largest that is allowed; `usize::MAX` for no limit.
        high: usize,
    },
    /// An element of an array is out of range.
    Value {
        /// The argument.
        name: &'static str,
        /// The element.
        value: String,
        /// Where it is.
        at: At,
        /// What was expected there.
        expected: String,
    },
    /// An element of an array is NaN or infinite.
    NotFinite {
        /// The argument.
        name: &'static str,
        /// Where the first such element is, counted through all axes.
        index: usize,
        /// That element.
        value: String,
    },
    /// An index names no row.
    Row {
        /// The argument.
        name: &'static str,
        /// The index.
        row: i64,
        /// Rows that there are.
        n_rows: usize,
    },
    /// Packed bits have ones after the last bit of a row.
    Padding {
        /// The argument.
        name: &'static str,
        /// The first such row.
        row: usize,
        /// The bits of a row.
        n_bits: usize,
    },
    /// Arguments that are right by themselves do not go together.
    Incompatible {
        /// What does not, and what was expected, in words.
        problem: String,
    },
    /// The results, or what is needed to find them, do not fit the memory.
    OutOfMemory,
    /// The caller asked the work to stop (Ctrl-C).
    Interrupted,
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Level { problem } | Error::Incompatible { problem } => formatter.write_str(problem),
            Error::Length { name, unit, given, expected } => {
                write!(formatter, "{name} {} {given} {unit}; expected {expected}", have(name))
            }
            Error::Mismatch { unit, first, second, hint } => {
                let (a, b) = (have(first.0), have(second.0));
                write!(
                    formatter,
                    "{} {a} {} {unit} but {} {b} {}; {hint}",
                    first.0, first.1, second.0, second.1
                )
            }
            Error::Range { name, unit: "", given, low, high } => match *high {
                usize::MAX => write!(formatter, "{name} must be {low} or more; got {given}"),
                _ => write!(formatter, "{name} must be from {low} to {high}; got {given}"),
            },
            Error::Range { name, unit, given, low, high } => match *high {
                usize::MAX => {
                    write!(formatter, "{name} {} {given} {unit}; expected at least {low}", have(name))
                }
                _ => write!(formatter, "{name} {} {given} {unit}; expected from {low} to {high}", have(name)),
            },
            Error::Value { name, value, at, expected } => {
                write!(formatter, "{name} has {value} {at}; expected {expected}")
            }
            Error::Row { name, row, n_rows: 0 } => {
                write!(formatter, "{name} has the row {row}, but there are no rows")
            }
            Error::Row { name, row, n_rows } => {
                write!(formatter, "{name} has the row {row}; expected rows from 0 to {}", n_rows - 1)
            }
            Error::Padding { name, row, n_bits } => {
                write!(formatter, "{name} has ones after bit {n_bits} in row {row}; expected zeros there")
            }
            Error::NotFinite { name, index, value } => write!(
                formatter,
                "{name} must be finite; got {value} at element {index}, counted through all axes"
            ),
            Error::OutOfMemory => write!(
                formatter,
                "the results, or what is needed to find them, do not fit the memory; give fewer rows or smaller \
                 pictures at a time, or search a smaller radius"
            ),
            Error::Interrupted => write!(formatter, "interrupted"),
        }
    }
}

/// The verb of an argument, most of which are named for several things.
fn have(name: &str) -> &'static str {
    if name.ends_with('s') { "have" } else { "has" }
}

impl std::error::Error for Error {}

impl From<std::collections::TryReserveError> for Error {
    fn from(_: std::collections::TryReserveError) -> Self {
        Error::OutOfMemory
    }
}

/// Checks that `name` has as many elements, rows or bytes as it should have.
pub(crate) fn check_len(
    name: &'static str,
    unit: &'static str,
    given: usize,
    expected: usize,
) -> Result<(), Error> {
    if given == expected { Ok(()) } else { Err(Error::Length { name, unit, given, expected }) }
}

/// Checks that every value is finite; `name` is what errors call them.
pub(crate) fn check_finite(name: &'static str, values: &[f32]) -> Result<(), Error> {
    match first_bad(values, |value| !value.is_finite()) {
        None => Ok(()),
        Some((index, value)) => Err(Error::NotFinite { name, index, value: value.to_string() }),
    }
}

/// The first value that is bad, and its index.
pub(crate) fn first_bad(values: &[f32], is_bad: impl Fn(f32) -> bool) -> Option<(usize, f32)> {
    // In chunks, each without a branch: vector code.
    let any_bad = |chunk: &[f32]| chunk.iter().fold(false, |bad, value| bad | is_bad(*value));
    let chunk = values.chunks(CHUNK_LEN).position(any_bad)?;
    let rest = values.iter().copied().enumerate().skip(chunk * CHUNK_LEN);
    // The array may have changed since: then the first of the chunk stands for the bad one.
    let first = rest.clone().next();
    rest.take(CHUNK_LEN).find(|(_, value)| is_bad(*value)).or(first)
}

/// `len` copies of `value`, if there is memory for them: for what grows with the arguments of a call.
pub(crate) fn try_vec<T: Clone>(value: T, len: usize) -> Result<Vec<T>, Error> {
    let mut vec = Vec::new();
    vec.try_reserve_exact(len)?;
    vec.resize(len, value);
    Ok(vec)
}

/// A copy of a slice, if there is memory for it.
pub(crate) fn try_copy<T: Copy>(slice: &[T]) -> Result<Vec<T>, Error> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(slice.len())?;
    copy.extend_from_slice(slice);
    Ok(copy)
}

/// [`Vec::resize`], if there is memory for it: for buffers that are used again.
pub(crate) fn try_resize<T: Clone>(vec: &mut Vec<T>, len: usize, value: T) -> Result<(), Error> {
    vec.try_reserve(len.saturating_sub(vec.len()))?;
    vec.resize(len, value);
    Ok(())
}

/// [`Vec::push`], if there is memory for it.
pub(crate) fn try_push<T>(vec: &mut Vec<T>, item: T) -> Result<(), Error> {
    vec.try_reserve(1)?;
    vec.push(item);
    Ok(())
}

/// The items of an iterator, if there is memory for them.
pub(crate) fn try_collect<T>(items: impl IntoIterator<Item = T>) -> Result<Vec<T>, Error> {
    let items = items.into_iter();
    let mut vec = Vec::new();
    vec.try_reserve_exact(items.size_hint().0)?;
    for item in items {
        try_push(&mut vec, item)?;
    }
    Ok(vec)
}
