//! The block_motion family. `fastcodes.block_motion` makes the planes.

use fastcodes_core::block_motion::{self, Block, Image, Method, Planes, Window};
use numpy::ndarray::{Ix2, Ix3, Ix4};
use numpy::{Element, PyArray, PyArray3};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::arrays::{ReadArray, count, elements_of_axes, empty, to_py_err, writable};
use crate::results::filled;
use crate::runtime::{detached, n_threads};

const FRAME: &str = "a numpy uint8 array (height, width)";
const PLANES: &str = "a numpy uint8 array (n_planes, height, n_bytes) of packed bits";
const VECTORS: &str = "a numpy int16 array (n_rows, n_columns, k, 2)";

/// Costs, and vectors, which have one axis more.
type Found<'py, C, V> = (Bound<'py, PyArray<i32, C>>, Bound<'py, PyArray<i16, V>>);

fn image<'a>(array: &'a ReadArray<'_, u8>, name: &'static str) -> PyResult<Image<'a>> {
    let (height, width) = (array.shape()[0], array.shape()[1]);
    Image::new(name, array.as_slice()?, width, height).map_err(to_py_err)
}

fn bands<'a>(array: &'a ReadArray<'_, u8>, name: &'static str, width: usize) -> PyResult<Planes<'a>> {
    let (n_bands, height) = (array.shape()[0], array.shape()[1]);
    Planes::new(name, array.as_slice()?, n_bands, width, height).map_err(to_py_err)
}

fn axes<'py, T: Element>(value: &Bound<'py, PyAny>, name: &str, n: usize) -> PyResult<ReadArray<'py, T>> {
    let expected = match n {
        2 => FRAME,
        3 => PLANES,
        _ => VECTORS,
    };
    elements_of_axes(value, name, expected, n)
}

/// The method of a name.
pub fn method(name: &str) -> PyResult<Method> {
    match name {
        "full" => Ok(Method::Full),
        "epzs" => Ok(Method::Predictive),
        _ => Err(PyValueError::new_err(format!("method must be \"full\" or \"epzs\"; got {name:?}"))),
    }
}

/// See `fastcodes.block_motion.search`.
#[pyfunction]
pub fn block_motion_search<'py>(
    py: Python<'py>,
    frame: &Bound<'py, PyAny>,
    reference: &Bound<'py, PyAny>,
    method: &str,
    block: &Bound<'py, PyAny>,
    radius: &Bound<'py, PyAny>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Found<'py, Ix2, Ix3>> {
    let (threads, side, radius) =
        (n_threads(threads)?, count(block, "block", 1)?, count(radius, "radius", 0)?);
    let method = self::method(method)?;
    let window = Window { block: Block::new(side).map_err(to_py_err)?, radius };
    let (frame, reference) = (axes::<u8>(frame, "frame", 2)?, axes::<u8>(reference, "reference", 2)?);
    let (n_rows, n_columns) = (frame.shape()[0].div_ceil(side), frame.shape()[1].div_ceil(side));
    let (frame, reference) = (image(&frame, "frame")?, image(&reference, "reference")?);
    let vectors: Bound<'_, PyArray<i16, Ix3>> = empty(py, &[n_rows, n_columns, 2])?;
    let costs = filled::<i32, Ix2>(py, None, &[n_rows, n_columns], |costs| {
        let mut vectors = writable(&vectors)?;
        let vectors = vectors.as_slice_mut()?.as_chunks_mut().0;
        detached(py, threads, |run| match method {
            Method::Full => block_motion::search(frame, reference, window, 1, vectors, costs, run),
            Method::Predictive => {
                block_motion::predictive_search(frame, reference, window, vectors, costs, run)
            }
        })
    })?;
    Ok((costs, vectors))
}

/// See `fastcodes.block_motion.one_bit_candidates`.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "each is a different part of one search")]
pub fn block_motion_one_bit<'py>(
    py: Python<'py>,
    planes: &Bound<'py, PyAny>,
    reference: &Bound<'py, PyAny>,
    width: &Bound<'py, PyAny>,
    k: &Bound<'py, PyAny>,
    block: &Bound<'py, PyAny>,
    radius: &Bound<'py, PyAny>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Found<'py, Ix3, Ix4>> {
    let (threads, side, radius) =
        (n_threads(threads)?, count(block, "block", 1)?, count(radius, "radius", 0)?);
    let (width, k) = (count(width, "width", 1)?, count(k, "k", 1)?);
    let window = Window { block: Block::new(side).map_err(to_py_err)?, radius };
    let (planes, reference) = (axes::<u8>(planes, "planes", 3)?, axes::<u8>(reference, "reference", 3)?);
    let shape = [planes.shape()[1].div_ceil(side), width.div_ceil(side), k];
    let (planes, reference) = (bands(&planes, "planes", width)?, bands(&reference, "reference", width)?);
    let vectors: Bound<'_, PyArray<i16, Ix4>> = empty(py, &[shape[0], shape[1], k, 2])?;
    let costs = filled::<i32, Ix3>(py, None, &shape, |costs| {
        let mut vectors = writable(&vectors)?;
        let vectors = vectors.as_slice_mut()?.as_chunks_mut().0;
        detached(py, threads, |run| {
            block_motion::one_bit_search(planes, reference, window, k, vectors, costs, run)
        })
    })?;
    Ok((costs, vectors))
}

/// See `fastcodes.block_motion.sad`.
#[pyfunction]
pub fn block_motion_sad<'py>(
    py: Python<'py>,
    frame: &Bound<'py, PyAny>,
    reference: &Bound<'py, PyAny>,
    vectors: &Bound<'py, PyAny>,
    block: &Bound<'py, PyAny>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray3<i32>>> {
    let (threads, side) = (n_threads(threads)?, count(block, "block", 1)?);
    let block = Block::new(side).map_err(to_py_err)?;
    let (frame, reference) = (axes::<u8>(frame, "frame", 2)?, axes::<u8>(reference, "reference", 2)?);
    let vectors = axes::<i16>(vectors, "vectors", 4)?;
    let (frame, reference) = (image(&frame, "frame")?, image(&reference, "reference")?);
    let shape = [vectors.shape()[0], vectors.shape()[1], vectors.shape()[2]];
    let vectors = vectors.as_slice()?.as_chunks().0;
    filled::<i32, Ix3>(py, None, &shape, |costs| {
        detached(py, threads, |run| block_motion::sad(frame, reference, block, vectors, costs, run))
    })
}
