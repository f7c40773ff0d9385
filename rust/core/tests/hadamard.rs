//! The hadamard family against its definition: every level, awkward shapes, every thread count.
#![allow(missing_docs)]

mod common;

use common::Random;
use fastcodes_core::hadamard::{self, MAX_SIZE, MIN_SIZE, Signs, padded};
use fastcodes_core::{At, Codes, Error, Level, Run};

struct Case {
    x: Vec<f32>,
    signs: Vec<u8>,
    n_dims: usize,
    n_rotations: usize,
}

impl Case {
    fn random(n_rows: usize, n_dims: usize, n_rotations: usize) -> Case {
        let mut random = Random::new(n_dims as u64);
        Case {
            x: random.floats(n_rows * n_dims, -1.0..3.0),
            signs: random.bytes(n_rotations * 3 * padded(n_dims) / 8),
            n_dims,
            n_rotations,
        }
    }

    fn n_rows(&self) -> usize {
        self.x.len() / self.n_dims
    }

    fn signs(&self) -> Signs {
        let codes = Codes::new(&self.signs, 3 * self.n_rotations, padded(self.n_dims) / 8).unwrap();
        Signs::new(codes, self.n_dims).unwrap()
    }

    /// The definition, in float64: matrices by their entries.
    fn projected(&self, n_features: usize) -> Vec<f64> {
        let size = padded(self.n_dims);
        let mut out = Vec::new();
        for x in self.x.chunks(self.n_dims) {
            let mut features = Vec::new();
            for rotation in self.signs.chunks(3 * size / 8) {
                let mut numbers: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
                numbers.resize(size, 0.0);
                for diagonal in rotation.chunks(size / 8) {
                    for (index, number) in numbers.iter_mut().enumerate() {
                        *number *= if diagonal[index / 8] >> (7 - index % 8) & 1 == 1 { 1.0 } else { -1.0 };
                    }
                    numbers = (0..size)
                        .map(|i| {
                            let entry =
                                |j: usize| if (i & j).count_ones().is_multiple_of(2) { 1.0 } else { -1.0 };
                            (0..size).map(|j| entry(j) * numbers[j]).sum()
                        })
                        .collect();
                }
                features.extend(numbers.iter().map(|number| number / size as f64));
            }
            out.extend(&features[..n_features]);
        }
        out
    }

    /// Every level gives the definition but for rounding, and the same bits as the others.
    fn check(&self, n_features: usize) {
        let place = format!("{} rows, d = {}, {n_features} features", self.n_rows(), self.n_dims);
        let (signs, expected) = (self.signs(), self.projected(n_features));
        let n_bytes = n_features.div_ceil(8);
        let mut first = None;
        for level in Level::available() {
            for threads in [1, 2] {
                let run = &Run::new(level, threads, &|| false);
                let mut values = vec![f32::NAN; self.n_rows() * n_features];
                hadamard::project(&self.x, &signs, n_features, &mut values, run).unwrap();
                let norm = self.x.iter().map(|x| f64::from(x * x)).sum::<f64>().sqrt();
                for (value, expected) in values.iter().zip(&expected) {
                    assert!((f64::from(*value) - expected).abs() <= 1e-5 * norm, "{level:?}, {place}");
                }
                let mut codes = vec![0xAA; self.n_rows() * n_bytes];
                hadamard::pack(&self.x, &signs, n_features, &mut codes, run).unwrap();
                for (values, codes) in values.chunks(n_features).zip(codes.chunks(n_bytes)) {
                    for bit in 0..8 * n_bytes {
                        let is_set = codes[bit / 8] >> (7 - bit % 8) & 1 == 1;
                        assert_eq!(
                            is_set,
                            values.get(bit).is_some_and(|value| *value > 0.0),
                            "{level:?}, {place}"
                        );
                    }
                }
                let bits: Vec<u32> = values.iter().map(|value| value.to_bits()).collect();
                assert_eq!(first.get_or_insert_with(|| bits.clone()), &bits, "{level:?}, {place}");
            }
        }
    }
}

#[test]
fn every_number_of_dimensions_equals_the_definition() {
    for n_dims in [1, 2, 7, 8, 9, 63, 64, 65, 127, 128, 129, 255, 256, 300, 513] {
        for n_features in [1, 10, 64] {
            Case::random(3, n_dims, 1).check(n_features);
        }
    }
}

#[test]
fn every_number_of_features_equals_the_definition() {
    for n_features in [1, 7, 8, 9, 16, 17, 63, 64, 65, 100, 128, 129, 255, 256, 257, 300, 511, 512] {
        Case::random(2, 200, 2).check(n_features);
    }
    Case::random(0, 5, 1).check(3);
}

#[test]
fn large_sizes_take_every_kind_of_step() {
    for n_dims in [1000, 2048, 2049] {
        Case::random(1, n_dims, 1).check(256);
        Case::random(1, n_dims, 1).check(padded(n_dims));
    }
}

#[test]
fn many_rows_are_split_over_tasks() {
    // More rows than a task has: the last is as it is alone.
    let case = Case::random(9000, 40, 1);
    let alone = Case { x: case.x[8999 * 40..].to_vec(), signs: case.signs.clone(), ..case };
    let mut values = [vec![0.0; 9000 * 10], vec![0.0; 10]];
    for (case, values) in [&case, &alone].into_iter().zip(&mut values) {
        let run = Run::new(Level::best(), 2, &|| false);
        hadamard::project(&case.x, &case.signs(), 10, values, &run).unwrap();
    }
    assert_eq!(values[0][8999 * 10..], values[1]);
}

#[test]
fn a_projection_keeps_lengths_on_the_whole() {
    // All rows of a rotation together are a multiple of an orthogonal matrix.
    let case = Case::random(5, 100, 1);
    let (signs, n) = (case.signs(), padded(100));
    let mut values = vec![0.0; 5 * n];
    hadamard::project(&case.x, &signs, n, &mut values, &Run::serial(Level::best())).unwrap();
    for (x, values) in case.x.chunks(100).zip(values.chunks(n)) {
        let [from, to] = [x, values].map(|v| v.iter().map(|v| f64::from(v * v)).sum::<f64>());
        assert!((to / n as f64 / from - 1.0).abs() < 1e-5);
    }
}

#[test]
fn broken_preconditions_are_errors() {
    let case = Case::random(3, 100, 1);
    let (signs, run) = (case.signs(), &Run::serial(Level::best()));
    let project = |x: &[f32], n_features: usize, n_out: usize| {
        hadamard::project(x, &signs, n_features, &mut vec![0.0; n_out], run)
    };
    assert_eq!(project(&case.x, 8, 24), Ok(()));
    assert!(matches!(project(&case.x[1..], 8, 24), Err(Error::Length { name: "x", .. })));
    assert!(matches!(project(&case.x, 0, 0), Err(Error::Range { given: 0, high: 128, .. })));
    assert!(matches!(project(&case.x, 129, 387), Err(Error::Range { given: 129, high: 128, .. })));
    assert!(matches!(
        project(&case.x, 8, 23),
        Err(Error::Length { name: "out", given: 23, expected: 24, .. })
    ));
    for (n_rows, n_bytes) in [(2, 16), (0, 16), (3, 8)] {
        let codes = Codes::new(&case.signs[..n_rows * n_bytes], n_rows, n_bytes).unwrap();
        assert!(matches!(Signs::new(codes, 100), Err(Error::Incompatible { .. })));
    }
    for n_dims in [0, MAX_SIZE + 1] {
        let signs = Signs::new(Codes::new(&[], 0, 8).unwrap(), n_dims);
        assert!(matches!(signs, Err(Error::Range { name: "x", high: MAX_SIZE, .. })));
    }
    assert_eq!((padded(1), padded(65)), (MIN_SIZE, 128));
}

#[test]
fn what_is_not_finite_is_found_wherever_it_stands() {
    for level in Level::available() {
        for (place, value) in [(0, f32::NAN), (155, f32::INFINITY), (299, f32::NEG_INFINITY), (100, f32::MAX)]
        {
            let mut case = Case::random(3, 100, 1);
            let n_alike = if value.is_finite() { 100 } else { 1 };
            case.x[place..place + n_alike].fill(value);
            // The signs of the first product are those of the entries of a row: all numbers add up.
            case.signs.fill(255);
            let (signs, run) = (case.signs(), &Run::serial(level));
            let error = hadamard::project(&case.x, &signs, 5, &mut [0.0; 15], run).unwrap_err();
            let packed = hadamard::pack(&case.x, &signs, 5, &mut [0; 3], run).unwrap_err();
            assert_eq!(error, packed);
            match error {
                Error::NotFinite { index, .. } => assert!(index == place && !value.is_finite()),
                Error::Value { at, .. } => assert!(at == At::Element(place) && value.is_finite()),
                other => panic!("{other}"),
            }
        }
    }
}
