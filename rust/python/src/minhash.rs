//! The minhash family, and the signatures behind `fastcodes.index.MinHashIndex`. `fastcodes.minhash` checks numbers and options.

use fastcodes_core::minhash::{self, Bands, Hasher, Scheme, Sets, Shingles, Slots, Unit};
use numpy::{IntoPyArray, Ix1, Ix2, PyArray1, PyArray2};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::arrays::{CodesArray, ReadArray, elements_of_axes, shape_text, to_py_err};
use crate::objects;
use crate::results::{CsrArrays, PairArrays, csr, filled, pairs};
use crate::runtime::{detached, n_threads};
use crate::versions::Versions;

const ROWS: &str =
    "a numpy uint32 array (n, n_hashes) of signatures, or a uint8 array (n, n_bytes) of packed ones";
const SIGNATURES: &str = "a numpy uint32 array (n, n_hashes)";

/// Tokens and offsets.
type TokenLists<'py> = (Bound<'py, PyArray1<u64>>, Bound<'py, PyArray1<i64>>);

/// `(n_hashes, seed, one_permutation)`.
type HasherParts = (usize, u64, bool);

/// `(unit, size, lowercase)`.
type ShingleParts = (String, usize, bool);

fn hasher_of((n_hashes, seed, one_permutation): HasherParts) -> PyResult<Hasher> {
    let scheme = if one_permutation { Scheme::OnePermutation } else { Scheme::Independent };
    Hasher::new(scheme, n_hashes, seed).map_err(to_py_err)
}

fn shingles_of((unit, size, lowercase): ShingleParts) -> PyResult<Shingles> {
    let unit = match unit.as_str() {
        "word" => Unit::Words,
        "char" => Unit::Characters,
        _ => return Err(PyValueError::new_err(format!("unit must be \"word\" or \"char\"; got {unit:?}"))),
    };
    Shingles::new(unit, size, lowercase).map_err(to_py_err)
}

fn slots_of(n_bits: Option<usize>) -> Slots {
    n_bits.map_or(Slots::Words, Slots::Bits)
}

/// Sets as tokens and offsets.
struct SetsArrays<'py> {
    tokens: ReadArray<'py, u64>,
    offsets: ReadArray<'py, i64>,
}

impl<'py> SetsArrays<'py> {
    fn new(tokens: &Bound<'py, PyAny>, offsets: &Bound<'py, PyAny>) -> PyResult<Self> {
        Ok(SetsArrays {
            tokens: elements_of_axes(tokens, "tokens", "a numpy uint64 array (n_tokens,)", 1)?,
            offsets: elements_of_axes(offsets, "offsets", "a numpy int64 array (n + 1,)", 1)?,
        })
    }

    fn view(&self) -> PyResult<Sets<'_>> {
        Sets::new(self.tokens.as_slice()?, self.offsets.as_slice()?).map_err(to_py_err)
    }
}

fn rows_of_pairs<'py>(value: &Bound<'py, PyAny>, name: &str) -> PyResult<ReadArray<'py, i64>> {
    elements_of_axes(value, name, "a numpy int64 array (n_pairs,) of rows", 1)
}

/// The tokens of sets from number `first` on: of all that are left, or of as many as have `most` tokens.
#[pyfunction]
pub fn minhash_tokens<'py>(
    py: Python<'py>,
    sets: &Bound<'py, PyList>,
    first: usize,
    most: usize,
) -> PyResult<TokenLists<'py>> {
    let (tokens, offsets) = objects::tokens_of_sets(sets, first, most)?;
    Ok((tokens.into_pyarray(py), offsets.into_pyarray(py)))
}

/// The tokens of the shingles of `texts`, the first of which is number `first` in errors.
#[pyfunction]
pub fn minhash_shingles<'py>(
    py: Python<'py>,
    texts: &Bound<'py, PyList>,
    first: usize,
    shingles: ShingleParts,
) -> PyResult<TokenLists<'py>> {
    let (shingles, texts) = (shingles_of(shingles)?, objects::texts(texts, first)?);
    let (tokens, offsets) = py
        .detach(|| {
            let (mut tokens, mut offsets) = (Vec::new(), vec![0]);
            offsets.try_reserve_exact(texts.len())?;
            for text in &texts {
                shingles.append(text, &mut tokens)?;
                offsets.push(tokens.len() as i64);
            }
            Ok((tokens, offsets))
        })
        .map_err(to_py_err)?;
    Ok((tokens.into_pyarray(py), offsets.into_pyarray(py)))
}

/// Fills `out`, uint32 `(n, n_hashes)`, with the signatures of sets.
#[pyfunction]
pub fn minhash_signatures<'py>(
    py: Python<'py>,
    tokens: &Bound<'py, PyAny>,
    offsets: &Bound<'py, PyAny>,
    hasher: HasherParts,
    out: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray2<u32>>> {
    let threads = n_threads(threads)?;
    let (hasher, sets) = (hasher_of(hasher)?, SetsArrays::new(tokens, offsets)?);
    let sets = sets.view()?;
    filled::<u32, Ix2>(py, out, &[sets.len(), hasher.n_hashes()], |out| {
        detached(py, threads, |run| minhash::signatures(&sets, &hasher, out, run))
    })
}

/// The same for texts.
#[pyfunction]
pub fn minhash_text_signatures<'py>(
    py: Python<'py>,
    texts: &Bound<'py, PyList>,
    first: usize,
    shingles: ShingleParts,
    hasher: HasherParts,
    out: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray2<u32>>> {
    let threads = n_threads(threads)?;
    let (hasher, shingles) = (hasher_of(hasher)?, shingles_of(shingles)?);
    let texts = objects::texts(texts, first)?;
    filled::<u32, Ix2>(py, out, &[texts.len(), hasher.n_hashes()], |out| {
        detached(py, threads, |run| minhash::text_signatures(&texts, &shingles, &hasher, out, run))
    })
}

/// See `fastcodes.minhash.pack`.
#[pyfunction]
pub fn minhash_pack<'py>(
    py: Python<'py>,
    signatures: &Bound<'py, PyAny>,
    n_bits: usize,
    out: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray2<u8>>> {
    let threads = n_threads(threads)?;
    let signatures = elements_of_axes::<u32>(signatures, "signatures", SIGNATURES, 2)?;
    let [n_rows, n_hashes] = [signatures.shape()[0], signatures.shape()[1]];
    let n_bytes = minhash::packed_bytes(n_hashes, n_bits).map_err(to_py_err)?;
    let slots = signatures.as_slice()?;
    filled::<u8, Ix2>(py, out, &[n_rows, n_bytes], |out| {
        detached(py, threads, |run| minhash::pack(slots, n_hashes, n_bits, out, run))
    })
}

/// See `fastcodes.minhash.band_keys`.
#[pyfunction]
pub fn minhash_band_keys<'py>(
    py: Python<'py>,
    signatures: &Bound<'py, PyAny>,
    n_bands: usize,
    n_rows: usize,
    out: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray2<u64>>> {
    let threads = n_threads(threads)?;
    let signatures = elements_of_axes::<u32>(signatures, "signatures", SIGNATURES, 2)?;
    let [n, n_hashes] = [signatures.shape()[0], signatures.shape()[1]];
    minhash::check_bands(n_hashes, n_bands, n_rows).map_err(to_py_err)?;
    let slots = signatures.as_slice()?;
    filled::<u64, Ix2>(py, out, &[n, n_bands], |out| {
        detached(py, threads, |run| minhash::band_keys(slots, n_hashes, n_bands, n_rows, out, run))
    })
}

/// See `fastcodes.minhash.cdist`; signatures are given as their bytes, and without `n_bits`.
#[pyfunction]
pub fn minhash_cdist<'py>(
    py: Python<'py>,
    a: &Bound<'py, PyAny>,
    b: &Bound<'py, PyAny>,
    n_bits: Option<usize>,
    out: Option<&Bound<'py, PyAny>>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray2<i32>>> {
    let threads = n_threads(threads)?;
    let (a, b) = (CodesArray::described(a, "a", ROWS)?, CodesArray::described(b, "b", ROWS)?);
    let (a_view, b_view) = (a.view()?, b.view()?);
    filled::<i32, Ix2>(py, out, &[a.n_rows(), b.n_rows()], |out| {
        detached(py, threads, |run| minhash::cdist(a_view, b_view, slots_of(n_bits), out, run))
    })
}

/// See `fastcodes.minhash.paired`; signatures are given as their bytes, and without `n_bits`.
#[pyfunction]
pub fn minhash_paired<'py>(
    py: Python<'py>,
    a: &Bound<'py, PyAny>,
    b: &Bound<'py, PyAny>,
    i: &Bound<'py, PyAny>,
    j: &Bound<'py, PyAny>,
    n_bits: Option<usize>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray1<i32>>> {
    let threads = n_threads(threads)?;
    let (a, b) = (CodesArray::described(a, "a", ROWS)?, CodesArray::described(b, "b", ROWS)?);
    let (i, j) = (rows_of_pairs(i, "i")?, rows_of_pairs(j, "j")?);
    let (a, b, i, j) = (a.view()?, b.view()?, i.as_slice()?, j.as_slice()?);
    filled::<i32, Ix1>(py, None, &[i.len()], |out| {
        detached(py, threads, |run| minhash::paired(a, b, i, j, slots_of(n_bits), out, run))
    })
}

/// See `fastcodes.minhash.jaccard`: sets as `(tokens, offsets)`.
#[pyfunction]
pub fn minhash_jaccard<'py>(
    py: Python<'py>,
    a: (Bound<'py, PyAny>, Bound<'py, PyAny>),
    b: (Bound<'py, PyAny>, Bound<'py, PyAny>),
    i: &Bound<'py, PyAny>,
    j: &Bound<'py, PyAny>,
    threads: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyArray1<f32>>> {
    let threads = n_threads(threads)?;
    let (a, b) = (SetsArrays::new(&a.0, &a.1)?, SetsArrays::new(&b.0, &b.1)?);
    let (i, j) = (rows_of_pairs(i, "i")?, rows_of_pairs(j, "j")?);
    let (a, b, i, j) = (a.view()?, b.view()?, i.as_slice()?, j.as_slice()?);
    filled::<f32, Ix1>(py, None, &[i.len()], |out| {
        detached(py, threads, |run| minhash::jaccard(&a, &b, i, j, out, run))
    })
}

/// Signatures and the tables of their bands.
#[pyclass(frozen, module = "fastcodes._native")]
pub struct MinHashBands {
    n_hashes: usize,
    bands: Versions<Bands>,
}

impl MinHashBands {
    fn rows<'py>(&self, value: &Bound<'py, PyAny>) -> PyResult<ReadArray<'py, u32>> {
        let expected = format!("a numpy uint32 array (n, {})", self.n_hashes);
        let rows = elements_of_axes::<u32>(value, "signatures", &expected, 2)?;
        match rows.shape()[1] == self.n_hashes {
            true => Ok(rows),
            false => Err(PyValueError::new_err(format!(
                "signatures must be {expected}; got shape {}",
                shape_text(rows.shape())
            ))),
        }
    }
}

#[pymethods]
impl MinHashBands {
    /// Without signatures.
    #[new]
    fn new(n_hashes: usize, n_bands: usize, n_rows: usize) -> PyResult<Self> {
        let bands = Bands::new(n_hashes, n_bands, n_rows).map_err(to_py_err)?;
        Ok(MinHashBands { n_hashes, bands: Versions::new(bands) })
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.bands.current(py).len()
    }

    /// Bytes of signatures and tables.
    #[getter]
    fn nbytes(&self, py: Python<'_>) -> usize {
        self.bands.current(py).n_bytes()
    }

    /// A copy of all signatures, uint32 `(n, n_hashes)`.
    fn signatures<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<u32>>> {
        let bands = self.bands.current(py);
        filled::<u32, Ix2>(py, None, &[bands.len(), self.n_hashes], |out| {
            py.detach(|| out.copy_from_slice(bands.signatures()));
            Ok(())
        })
    }

    /// Appends signatures.
    fn add(
        &self,
        py: Python<'_>,
        signatures: &Bound<'_, PyAny>,
        threads: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let threads = n_threads(threads)?;
        let signatures = self.rows(signatures)?;
        let signatures = signatures.as_slice()?;
        self.bands.change(py, threads, |bands| bands.try_clone(), |bands, run| bands.add(signatures, run))
    }

    /// `(offsets, differing slots, rows)` of the candidates of each query that agree in at least `n_equal` slots.
    fn query<'py>(
        &self,
        py: Python<'py>,
        signatures: &Bound<'py, PyAny>,
        n_equal: usize,
        threads: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<CsrArrays<'py, i32>> {
        let threads = n_threads(threads)?;
        let signatures = self.rows(signatures)?;
        let signatures = signatures.as_slice()?;
        let bands = self.bands.current(py);
        let found = detached(py, threads, |run| bands.query(signatures, n_equal, run))?;
        Ok(csr(py, found))
    }

    /// `(i, j, differing slots)` of all candidate pairs that agree in at least `n_equal` slots.
    fn pairs<'py>(
        &self,
        py: Python<'py>,
        n_equal: usize,
        threads: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<PairArrays<'py, i32>> {
        let threads = n_threads(threads)?;
        let bands = self.bands.current(py);
        let found = detached(py, threads, |run| bands.pairs(n_equal, run))?;
        Ok(pairs(py, found))
    }

    /// The number of slots in which rows `i[p]` and `j[p]` differ.
    #[pyo3(signature = (i, j, threads=None))]
    fn differing<'py>(
        &self,
        py: Python<'py>,
        i: &Bound<'py, PyAny>,
        j: &Bound<'py, PyAny>,
        threads: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyArray1<i32>>> {
        let threads = n_threads(threads)?;
        let (i, j) = (rows_of_pairs(i, "i")?, rows_of_pairs(j, "j")?);
        let (i, j, bands) = (i.as_slice()?, j.as_slice()?, self.bands.current(py));
        filled::<i32, Ix1>(py, None, &[i.len()], |out| {
            detached(py, threads, |run| bands.differing(i, j, out, run))
        })
    }

    /// For each row the lowest one of its group, by pairs that agree in at least `n_equal` slots.
    fn groups<'py>(
        &self,
        py: Python<'py>,
        n_equal: usize,
        threads: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyArray1<i64>>> {
        let threads = n_threads(threads)?;
        let bands = self.bands.current(py);
        let groups = detached(py, threads, |run| bands.groups(n_equal, run))?;
        Ok(groups.into_pyarray(py))
    }

    /// The same by pairs whose sets, as tokens and offsets, have a similarity of at least `least`.
    fn groups_of_sets<'py>(
        &self,
        py: Python<'py>,
        tokens: &Bound<'py, PyAny>,
        offsets: &Bound<'py, PyAny>,
        least: f32,
        threads: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyArray1<i64>>> {
        let threads = n_threads(threads)?;
        let sets = SetsArrays::new(tokens, offsets)?;
        let sets = sets.view()?;
        let bands = self.bands.current(py);
        let groups = detached(py, threads, |run| bands.groups_of_sets(&sets, least, run))?;
        Ok(groups.into_pyarray(py))
    }
}
