//! The coder behind `fastcodes.coding.VideoCodec`, which checks frames and decides on their order.

use std::sync::{Mutex, PoisonError};

use fastcodes_core::Error;
use fastcodes_core::image::Step;
use fastcodes_core::video::{Coder, Job, Planes, Reach, Shape};
use numpy::{IntoPyArray, PyArray1};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::arrays::{elements, elements_of_axes, to_py_err};
use crate::block_motion::method;
use crate::results;
use crate::runtime::{detached, n_threads};

/// References with their distances, the step, and the slot that the frame is kept in.
type Place = (Vec<(usize, u16)>, f64, Option<usize>);

/// Codes frames one after the other, or decodes them.
#[pyclass(frozen, module = "fastcodes._native")]
pub struct VideoCoder(Mutex<Coder>);

#[pymethods]
impl VideoCoder {
    /// Of frames of this size.
    #[new]
    fn new(width: usize, height: usize, has_chroma: bool) -> PyResult<Self> {
        Ok(VideoCoder(Mutex::new(Coder::new(Shape { width, height, has_chroma }).map_err(to_py_err)?)))
    }

    /// Forgets all frames and what was learned.
    fn reset(&self, py: Python<'_>) {
        py.detach(|| self.0.lock().unwrap_or_else(PoisonError::into_inner).reset());
    }

    /// The bytes of a frame, whose planes are uint8 of any shape; `reach` is the radius of the search, and its method.
    fn encode<'py>(
        &self,
        py: Python<'py>,
        planes: [Bound<'py, PyAny>; 3],
        place: Place,
        reach: (usize, String),
        threads: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let threads = n_threads(threads)?;
        let [luma, blue, red] = planes.map(|plane| elements::<u8>(&plane, "planes", "numpy uint8 arrays"));
        let (luma, blue, red) = (luma?, blue?, red?);
        let planes = [luma.as_slice()?, blue.as_slice()?, red.as_slice()?];
        let (references, step, keep) = place;
        let job = Job { references: &references, step: Step::new(step).map_err(to_py_err)?, keep };
        let reach = Reach { radius: reach.0, method: method(&reach.1)? };
        let bytes = detached(py, threads, |run| {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).encode(planes, job, reach, run)
        })?;
        results::bytes(py, &bytes)
    }

    /// The planes of a frame, each with one axis; None if its bytes were damaged.
    fn decode<'py>(
        &self,
        py: Python<'py>,
        data: &Bound<'py, PyAny>,
        place: Place,
        threads: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Option<Planes<Bound<'py, PyArray1<u8>>>>> {
        let threads = n_threads(threads)?;
        let data = elements_of_axes::<u8>(data, "data", "a numpy uint8 array (n_bytes,)", 1)?;
        let (references, step, keep) = place;
        let job = Job { references: &references, step: Step::new(step).map_err(to_py_err)?, keep };
        let bytes = data.as_slice()?;
        let planes = detached(py, threads, |run| {
            match self.0.lock().unwrap_or_else(PoisonError::into_inner).decode(bytes, job, run) {
                Err(Error::Incompatible { .. }) => Ok(None),
                planes => planes.map(Some),
            }
        })?;
        Ok(planes.map(|planes| planes.map(|plane| plane.into_pyarray(py))))
    }
}
