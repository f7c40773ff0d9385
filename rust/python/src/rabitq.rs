//! The rabitq family. `fastcodes.rabitq` converts vectors to float32 and fills in offsets.

use fastcodes_core::rabitq::{self, Database, Grid, Metric, Queries, Weights};
use numpy::{PyArray1, PyArray2};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::adc::CodesSource;
use crate::arrays::{CodesArray, FloatsArray, MaskArray, count, described, empty, real, to_py_err, writable};
use crate::probes::{Lists, ProbesArrays};
use crate::results::{self, CsrArrays, NeighborArrays};
use crate::runtime::{detached, n_threads};

/// Codes and factors.
type EncodedArrays<'py> = (Bound<'py, PyArray2<u8>>, Bound<'py, PyArray2<f32>>);

const X: &str = "a numpy float32 array (n, d), as fastcodes.hadamard.rotate makes it";
const CODES: &str = "a numpy uint8 array (n, n_bytes), as fastcodes.rabitq.encode makes it";
const FACTORS: &str = "a numpy float32 array (n, 2), as fastcodes.rabitq.encode makes it";
const OFFSETS: &str = "a numpy float32 array (nq,)";

fn grid(n_bits: &Bound<'_, PyAny>) -> PyResult<Grid> {
    Grid::new(count(n_bits, "n_bits", 1)?).map_err(to_py_err)
}

fn metric_of(metric: &Bound<'_, PyAny>) -> PyResult<Metric> {
    match metric.extract::<&str>() {
        Ok("l2") => Ok(Metric::L2),
        Ok("ip") => Ok(Metric::Ip),
        _ => {
            let given = described(metric);
            Err(PyValueError::new_err(format!("metric must be \"l2\" or \"ip\"; got {given}")))
        }
    }
}

/// The factors of `n_rows` rows.
fn factors_of<'py>(value: &Bound<'py, PyAny>, name: &str, n_rows: usize) -> PyResult<FloatsArray<'py>> {
    let factors = FloatsArray::new(value, name, 1..=2, FACTORS)?;
    let shape: [usize; 2] = factors.shape();
    if shape != [n_rows, 2] {
        let given = described(value);
        return Err(PyValueError::new_err(format!(
            "{name} must have shape ({n_rows}, 2), two numbers for each code; got {given}"
        )));
    }
    Ok(factors)
}

/// Weights of `n_dims` dimensions.
fn weights_of<'py>(value: &Bound<'py, PyAny>, n_dims: usize) -> PyResult<FloatsArray<'py>> {
    let expected = format!("a numpy float32 array ({n_dims}, {n_dims})");
    let weights = FloatsArray::new(value, "weights", 2..=2, &expected)?;
    if weights.shape::<2>() != [n_dims, n_dims] {
        return Err(PyValueError::new_err(format!("weights must be {expected}; got {}", described(value))));
    }
    Ok(weights)
}

/// Codes and their factors, whose arrays stay claimed during a call.
struct Source<'py> {
    codes: CodesSource<'py>,
    factors: FloatsArray<'py>,
    grid: Grid,
}

impl<'py> Source<'py> {
    fn new(codes: &Bound<'py, PyAny>, factors: &Bound<'py, PyAny>, grid: Grid) -> PyResult<Self> {
        let codes = CodesSource::new(codes, CODES)?;
        let n_rows = codes.n_rows();
        Ok(Source { factors: factors_of(factors, "factors", n_rows)?, codes, grid })
    }

    fn database(&self) -> PyResult<Database<'_>> {
        let factors = self.factors.values()?;
        match &self.codes {
            CodesSource::Rows(codes) => Database::from_rows(codes.view()?, factors, self.grid),
            CodesSource::Packed(packed) => Database::from_packed(packed, factors, self.grid),
        }
        .map_err(to_py_err)
    }
}

/// Queries with their offsets, likewise.
struct QueriesSource<'py> {
    values: FloatsArray<'py>,
    offsets: FloatsArray<'py>,
    grid: Grid,
    metric: Metric,
}

impl<'py> QueriesSource<'py> {
    fn new(
        queries: &Bound<'py, PyAny>,
        offsets: &Bound<'py, PyAny>,
        grid: Grid,
        metric: &Bound<'py, PyAny>,
    ) -> PyResult<Self> {
        Ok(QueriesSource {
            values: FloatsArray::new(queries, "queries", 1..=2, X)?,
            offsets: FloatsArray::new(offsets, "offsets", 1..=1, OFFSETS)?,
            grid,
            metric: metric_of(metric)?,
        })
    }

    fn n_queries(&self) -> usize {
        self.values.shape::<2>()[0]
    }

    fn rounded(&self) -> PyResult<Queries> {
        let [_, n_dims] = self.values.shape();
        let (values, offsets) = (self.values.values()?, self.offsets.values()?);
        Queries::new(values, n_dims, offsets, self.grid, self.metric).map_err(to_py_err)
    }
}

/// See `fastcodes.rabitq.encode`.
#[pyfunction]
pub fn rabitq_encode<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyAny>,
    n_bits: &Bound<'py, PyAny>,
    weights: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<EncodedArrays<'py>> {
    let (threads, grid) = (n_threads(threads)?, grid(n_bits)?);
    let x = FloatsArray::new(x, "x", 1..=2, X)?;
    let [_, n_dims]: [usize; 2] = x.shape();
    let weights = weights.map(|weights| weights_of(weights, n_dims)).transpose()?;
    let weights = weights.as_ref().map(FloatsArray::values).transpose()?;
    let ([n_rows, n_dims], values) = (x.shape(), x.values()?);
    let codes: Bound<'py, PyArray2<u8>> = empty(py, &[n_rows, grid.n_bytes(n_dims)])?;
    let factors: Bound<'py, PyArray2<f32>> = empty(py, &[n_rows, 2])?;
    {
        let (mut codes, mut factors) = (writable(&codes)?, writable(&factors)?);
        let (codes, factors) = (codes.as_slice_mut()?, factors.as_slice_mut()?);
        detached(py, threads, |run| {
            let weights = weights.map(|weights| Weights::new(weights, n_dims)).transpose()?;
            rabitq::encode(values, n_dims, grid, weights, codes, factors, run)
        })?;
    }
    Ok((codes, factors))
}

/// See `fastcodes.rabitq.decode`.
#[pyfunction]
pub fn rabitq_decode<'py>(
    py: Python<'py>,
    codes: &Bound<'py, PyAny>,
    factors: &Bound<'py, PyAny>,
    n_bits: &Bound<'py, PyAny>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let (threads, grid) = (n_threads(threads)?, grid(n_bits)?);
    let codes = CodesArray::described(codes, "codes", CODES)?;
    let factors = factors_of(factors, "factors", codes.n_rows())?;
    let (codes, factors) = (codes.view()?, factors.values()?);
    let n_dims = grid.n_dims(codes.n_bytes()).map_err(to_py_err)?;
    results::filled(py, None, &[codes.n_rows(), n_dims], |out| {
        detached(py, threads, |run| rabitq::decode(codes, factors, grid, out, run))
    })
}

/// See `fastcodes.rabitq.errors`.
#[pyfunction]
pub fn rabitq_errors<'py>(
    py: Python<'py>,
    codes: &Bound<'py, PyAny>,
    factors: &Bound<'py, PyAny>,
    n_bits: &Bound<'py, PyAny>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray1<f32>>> {
    let (threads, grid) = (n_threads(threads)?, grid(n_bits)?);
    let codes = CodesArray::described(codes, "codes", CODES)?;
    let factors = factors_of(factors, "factors", codes.n_rows())?;
    let (codes, factors) = (codes.view()?, factors.values()?);
    results::filled(py, None, &[codes.n_rows()], |out| {
        detached(py, threads, |run| rabitq::errors(codes, factors, grid, out, run))
    })
}

/// See `fastcodes.rabitq.knn`.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "each is a different part of one search")]
pub fn rabitq_knn<'py>(
    py: Python<'py>,
    queries: &Bound<'py, PyAny>,
    offsets: &Bound<'py, PyAny>,
    codes: &Bound<'py, PyAny>,
    factors: &Bound<'py, PyAny>,
    k: &Bound<'py, PyAny>,
    n_bits: &Bound<'py, PyAny>,
    metric: &Bound<'py, PyAny>,
    mask: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
    lists: Option<Lists<'py>>,
) -> PyResult<NeighborArrays<'py, f32>> {
    let (threads, grid, k) = (n_threads(threads)?, grid(n_bits)?, count(k, "k", 0)?);
    let (mask, queries) = (MaskArray::new(mask)?, QueriesSource::new(queries, offsets, grid, metric)?);
    let source = Source::new(codes, factors, grid)?;
    let (database, mask, rounded) = (source.database()?, mask.view()?, queries.rounded()?);
    let lists = lists.as_ref().map(ProbesArrays::new).transpose()?;
    let probes = lists.as_ref().map(|lists| lists.view(queries.n_queries())).transpose()?;
    results::neighbors(py, queries.n_queries(), database.n_rows(), k, |out| {
        detached(py, threads, |run| match probes {
            None => rabitq::knn(&rounded, database, mask, out, run),
            Some(probes) => rabitq::lists_knn(&rounded, database, probes, mask, out, run),
        })
    })
}

/// See `fastcodes.rabitq.radius`.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "each is a different part of one search")]
pub fn rabitq_radius<'py>(
    py: Python<'py>,
    queries: &Bound<'py, PyAny>,
    offsets: &Bound<'py, PyAny>,
    codes: &Bound<'py, PyAny>,
    factors: &Bound<'py, PyAny>,
    radius: &Bound<'py, PyAny>,
    n_bits: &Bound<'py, PyAny>,
    metric: &Bound<'py, PyAny>,
    mask: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
    lists: Option<Lists<'py>>,
) -> PyResult<CsrArrays<'py, f32>> {
    let (threads, grid, radius) = (n_threads(threads)?, grid(n_bits)?, real(radius, "radius", None)?);
    let (mask, queries) = (MaskArray::new(mask)?, QueriesSource::new(queries, offsets, grid, metric)?);
    let source = Source::new(codes, factors, grid)?;
    let (database, mask, rounded) = (source.database()?, mask.view()?, queries.rounded()?);
    let lists = lists.as_ref().map(ProbesArrays::new).transpose()?;
    let probes = lists.as_ref().map(|lists| lists.view(queries.n_queries())).transpose()?;
    let found = detached(py, threads, |run| match probes {
        None => rabitq::radius(&rounded, database, radius, mask, run),
        Some(probes) => rabitq::lists_radius(&rounded, database, probes, radius, mask, run),
    })?;
    Ok(results::csr(py, found))
}

/// See `fastcodes.rabitq.scan`.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "those of the public function")]
pub fn rabitq_scan<'py>(
    py: Python<'py>,
    queries: &Bound<'py, PyAny>,
    offsets: &Bound<'py, PyAny>,
    codes: &Bound<'py, PyAny>,
    factors: &Bound<'py, PyAny>,
    n_bits: &Bound<'py, PyAny>,
    metric: &Bound<'py, PyAny>,
    out: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let (threads, grid) = (n_threads(threads)?, grid(n_bits)?);
    let queries = QueriesSource::new(queries, offsets, grid, metric)?;
    let source = Source::new(codes, factors, grid)?;
    let (database, rounded) = (source.database()?, queries.rounded()?);
    results::filled(py, out, &[queries.n_queries(), database.n_rows()], |distances| {
        detached(py, threads, |run| rabitq::scan(&rounded, database, distances, run))
    })
}

/// See `fastcodes.rabitq.cdist`.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "those of the public function")]
pub fn rabitq_cdist<'py>(
    py: Python<'py>,
    a: &Bound<'py, PyAny>,
    a_factors: &Bound<'py, PyAny>,
    b: &Bound<'py, PyAny>,
    b_factors: &Bound<'py, PyAny>,
    n_bits: &Bound<'py, PyAny>,
    metric: &Bound<'py, PyAny>,
    out: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let (threads, grid, metric) = (n_threads(threads)?, grid(n_bits)?, metric_of(metric)?);
    let (a, b) = (CodesArray::described(a, "a", CODES)?, CodesArray::described(b, "b", CODES)?);
    let a_factors = factors_of(a_factors, "a_factors", a.n_rows())?;
    let b_factors = factors_of(b_factors, "b_factors", b.n_rows())?;
    let (a, b) = ((a.view()?, a_factors.values()?), (b.view()?, b_factors.values()?));
    results::filled(py, out, &[a.0.n_rows(), b.0.n_rows()], |distances| {
        detached(py, threads, |run| rabitq::cdist(a, b, grid, metric, distances, run))
    })
}
