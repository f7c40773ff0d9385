//! The `lists=` argument of searches in inverted lists.

use fastcodes_core::Probes;
use pyo3::prelude::*;

use crate::arrays::{ReadArray, elements, to_py_err};

/// List `p` of query `q` holds the rows at `starts[q, p]:stops[q, p]` of the codes, with the ids at the same places of `ids`;
/// `offsets[q, p]` is added to their distances.
#[derive(FromPyObject)]
pub struct Lists<'py>(Bound<'py, PyAny>, Bound<'py, PyAny>, Option<Bound<'py, PyAny>>, Bound<'py, PyAny>);

/// Their arrays, which stay claimed during a call.
pub struct ProbesArrays<'py> {
    starts: ReadArray<'py, i64>,
    stops: ReadArray<'py, i64>,
    offsets: Option<ReadArray<'py, f32>>,
    ids: ReadArray<'py, u32>,
}

impl<'py> ProbesArrays<'py> {
    pub fn new(lists: &Lists<'py>) -> PyResult<Self> {
        let Lists(starts, stops, offsets, ids) = lists;
        Ok(ProbesArrays {
            starts: elements(starts, "starts", "an int64 array")?,
            stops: elements(stops, "stops", "an int64 array")?,
            offsets: offsets
                .as_ref()
                .map(|offsets| elements(offsets, "offsets", "a float32 array"))
                .transpose()?,
            ids: elements(ids, "ids", "a uint32 array")?,
        })
    }

    pub fn view(&self, n_queries: usize) -> PyResult<Probes<'_>> {
        let (starts, stops, ids) = (self.starts.as_slice()?, self.stops.as_slice()?, self.ids.as_slice()?);
        let probes = Probes::new(starts, stops, ids, n_queries).map_err(to_py_err)?;
        match &self.offsets {
            Some(offsets) => probes.with_offsets(offsets.as_slice()?).map_err(to_py_err),
            None => Ok(probes),
        }
    }
}
