//! Products of packed rows by level and shape, without Python; preparing the right-hand side is not timed.
#![allow(missing_docs)]

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fastcodes_core::xnor::{self, Conv, Filters, Images, Matrix, Operand, Output, Padding, Values};
use fastcodes_core::{Codes, Level, Run};

#[path = "../../rust/core/tests/common/mod.rs"]
mod common;

fn random_bytes(len: usize) -> Vec<u8> {
    common::Random::new(0).bytes(len)
}

/// Checks each level against the portable one, then times it; the throughput counts multiplications.
fn levels(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    multiplications: usize,
    prepare: impl Fn(Level) -> Box<dyn Fn() -> Vec<u8>>,
) {
    group.throughput(Throughput::Elements(multiplications as u64)).sample_size(10);
    let expected = prepare(Level::PORTABLE)();
    for level in Level::available() {
        let compute = prepare(level);
        assert!(compute() == expected);
        group.bench_function(BenchmarkId::new(name, level.name()), |bencher| bencher.iter(&compute));
    }
}

fn matmul(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("xnor/matmul");
    for (m, n, n_bits) in
        [(1024, 1024, 1024), (1024, 1024, 4096), (1024, 1024, 16_384), (1, 4096, 4096), (8, 4096, 4096)]
    {
        let n_bytes = n_bits / 8;
        levels(&mut group, &format!("{m} x {n}, {n_bits} bits"), m * n * n_bits, |level| {
            let (a, b) = (random_bytes(m * n_bytes), random_bytes(n * n_bytes));
            let codes = Codes::new(&b, n, n_bytes).unwrap();
            let b = Operand::new("b", vec![codes], Values::Signs, n_bits).unwrap();
            let matrix = Matrix::new(&b, &Run::serial(level)).unwrap();
            let thresholds = vec![0; n];
            Box::new(move || {
                let codes = Codes::new(&a, m, n_bytes).unwrap();
                let a = Operand::new("a", vec![codes], Values::Signs, n_bits).unwrap();
                let mut out = vec![0; m * n / 8];
                let output = Output::Bits { thresholds: &thresholds, flips: &[], out: &mut out };
                xnor::matmul(&a, &matrix, output, &Run::serial(level)).unwrap();
                out
            })
        });
    }
    group.finish();
}

/// Images of bytes by signs: the first layer of a network.
fn bitserial(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("xnor/bitserial_matmul");
    let (m, n, n_features) = (256, 1024, 784);
    levels(&mut group, "8 planes by signs, 256 x 1024, 784 features", m * n * n_features, |level| {
        let (values, b) = (random_bytes(m * n_features), random_bytes(n * n_features / 8));
        let codes = Codes::new(&b, n, n_features / 8).unwrap();
        let b = Operand::new("b", vec![codes], Values::Signs, n_features).unwrap();
        let matrix = Matrix::new(&b, &Run::serial(level)).unwrap();
        let thresholds = vec![0; n];
        Box::new(move || {
            let run = &Run::serial(level);
            let values = Codes::new(&values, m, n_features).unwrap();
            let mut planes = vec![0; m * n_features];
            xnor::planes(values, 8, &mut planes, run).unwrap();
            let planes = planes.chunks(m * n_features / 8);
            let planes = planes.map(|plane| Codes::new(plane, m, n_features / 8).unwrap()).collect();
            let a = Operand::new("a", planes, Values::Unsigned, n_features).unwrap();
            let mut out = vec![0; m * n / 8];
            let output = Output::Bits { thresholds: &thresholds, flips: &[], out: &mut out };
            xnor::matmul(&a, &matrix, output, run).unwrap();
            out
        })
    });
    group.finish();
}

fn conv2d(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("xnor/conv2d");
    let side = 56;
    for n_channels in [64, 128, 256] {
        let multiplications = side * side * n_channels * n_channels * 9;
        let name = format!("3 x 3, {side} x {side} x {n_channels} -> {n_channels}");
        levels(&mut group, &name, multiplications, |level| {
            let n_bytes = n_channels / 8;
            let (images, filters) =
                (random_bytes(side * side * n_bytes), random_bytes(n_channels * 9 * n_bytes));
            let shape = [n_channels, 3, 3];
            let filters = Filters::new(&filters, shape, n_bytes, n_channels, 1, &Run::serial(level)).unwrap();
            let conv =
                Conv { stride: [1, 1], padding: [[1, 1]; 2], pad_value: Padding::Zero, dilation: [1, 1] };
            let thresholds = vec![0; n_channels];
            Box::new(move || {
                let images = Images::new(&images, [1, side, side], n_bytes, n_channels).unwrap();
                let mut out = vec![0; side * side * n_bytes];
                let output = Output::Bits { thresholds: &thresholds, flips: &[], out: &mut out };
                xnor::conv2d(images, &filters, conv, output, &Run::serial(level)).unwrap();
                out
            })
        });
    }
    group.finish();
}

criterion_group!(benches, matmul, bitserial, conv2d);
criterion_main!(benches);
