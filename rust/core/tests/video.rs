//! Frames: errors that fit the step, equal bytes at every level and for every number of threads, damaged bytes.
#![allow(missing_docs)]

mod common;

use std::time::Instant;

use common::Random;
use fastcodes_core::block_motion::Method;
use fastcodes_core::image::Step;
use fastcodes_core::video::{Coder, From, Job, Planes, Reach, Shape};
use fastcodes_core::{Error, Level, Run};

/// A pattern that moves by (1, 2) quarters of a sample a frame, with some noise.
fn frame(shape: Shape, index: usize, random: &mut Random) -> Planes<Vec<u8>> {
    let plane = |width: usize, height: usize, random: &mut Random| {
        let at = |y: usize, x: usize| {
            let (y, x) = (y as f32 + 0.25 * index as f32, x as f32 + 0.5 * index as f32);
            128.0 + 50.0 * (y / 5.0).sin() + 50.0 * (x / 4.0 + y / 9.0).cos()
        };
        let mut samples = Vec::new();
        for y in 0..height {
            samples.extend((0..width).map(|x| (at(y, x) + random.unit() * 4.0) as u8));
        }
        samples
    };
    let (width, height) = (shape.width.div_ceil(2), shape.height.div_ceil(2));
    let luma = plane(shape.width, shape.height, random);
    match shape.has_chroma {
        true => [luma, plane(width, height, random), plane(width, height, random)],
        false => [luma, Vec::new(), Vec::new()],
    }
}

const REACH: Reach = Reach { radius: 9, method: Method::Full };

/// Frame, references and slot of an intra, a forward and two bidirectional frames.
const ORDER: [(usize, &[From], Option<usize>); 4] = [
    (0, &[], Some(0)),
    (3, &[(0, 3)], Some(7)),
    (2, &[(0, 2), (7, 1)], Some(2)),
    (1, &[(0, 1), (2, 1)], None),
];

fn job((_, references, keep): (usize, &[From], Option<usize>), step: f64) -> Job<'_> {
    Job { references, step: Step::new(step).unwrap(), keep }
}

fn views(planes: &Planes<Vec<u8>>) -> Planes<&[u8]> {
    [&planes[0], &planes[1], &planes[2]]
}

fn encoded(shape: Shape, frames: &[Planes<Vec<u8>>], step: f64, run: &Run<'_>) -> Vec<Vec<u8>> {
    encoded_by(Method::Full, shape, frames, step, run)
}

fn encoded_by(
    method: Method,
    shape: Shape,
    frames: &[Planes<Vec<u8>>],
    step: f64,
    run: &Run<'_>,
) -> Vec<Vec<u8>> {
    let mut coder = Coder::new(shape).unwrap();
    let reach = Reach { radius: 9, method };
    ORDER.iter().map(|o| coder.encode(views(&frames[o.0]), job(*o, step), reach, run).unwrap()).collect()
}

fn error(a: &[u8], b: &[u8]) -> f64 {
    let squares = a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2));
    squares.sum::<f64>() / a.len().max(1) as f64
}

#[test]
fn frames_come_back_about_as_exactly_as_the_step_says() {
    let mut random = Random::new(1);
    for (width, height) in [(1, 1), (2, 3), (16, 16), (33, 50), (90, 41)] {
        for has_chroma in [false, true] {
            let shape = Shape { width, height, has_chroma };
            let frames: Vec<_> = (0..4).map(|index| frame(shape, index, &mut random)).collect();
            for step in [1.0, 8.0, 40.0] {
                let serial = Run::serial(Level::PORTABLE);
                let bytes = encoded(shape, &frames, step, &serial);
                let mut coder = Coder::new(shape).unwrap();
                let decoded: Vec<_> = ORDER
                    .iter()
                    .zip(&bytes)
                    .map(|(o, bytes)| coder.decode(bytes, job(*o, step), &serial).unwrap())
                    .collect();
                for (o, planes) in ORDER.iter().zip(&decoded) {
                    for (plane, original) in planes.iter().zip(&frames[o.0]) {
                        assert_eq!(plane.len(), original.len());
                        // Of larger steps the pattern is lost in part, but no more than without any coefficient.
                        let most = if step < 9.0 { 0.5 + step * step / 3.0 } else { 900.0 };
                        assert!(error(plane, original) < most, "{shape:?} {step} {}", error(plane, original));
                    }
                }
                for level in Level::available() {
                    let run = Run::new(level, 3, &|| false);
                    assert!(encoded(shape, &frames, step, &run) == bytes, "{shape:?} {level:?}");
                    let mut coder = Coder::new(shape).unwrap();
                    for ((o, bytes), expected) in ORDER.iter().zip(&bytes).zip(&decoded) {
                        assert!(coder.decode(bytes, job(*o, step), &run).unwrap() == *expected);
                    }
                }
            }
        }
    }
}

#[test]
fn motion_takes_fewer_bytes_than_none() {
    let mut random = Random::new(2);
    let shape = Shape { width: 96, height: 80, has_chroma: false };
    let frames: Vec<_> = (0..4).map(|index| frame(shape, index, &mut random)).collect();
    let run = Run::serial(Level::best());
    let bytes = encoded(shape, &frames, 8.0, &run);
    for other in &bytes[1..] {
        assert!(3 * other.len() < bytes[0].len(), "{:?}", bytes.iter().map(Vec::len).collect::<Vec<_>>());
    }
}

#[test]
fn the_fast_search_gives_the_same_bytes_at_every_level_but_not_those_of_the_full_one() {
    let mut random = Random::new(5);
    let shape = Shape { width: 96, height: 80, has_chroma: true };
    let mut frames: Vec<_> = (0..4).map(|index| frame(shape, index, &mut random)).collect();
    let n_bytes = |frames: &[Vec<u8>]| frames.iter().map(Vec::len).sum::<usize>();
    let both = |frames: &[Planes<Vec<u8>>]| {
        let run = Run::serial(Level::PORTABLE);
        [Method::Full, Method::Predictive].map(|method| encoded_by(method, shape, frames, 8.0, &run))
    };
    let [full, fast] = both(&frames);
    assert!(10 * n_bytes(&fast) < 11 * n_bytes(&full));
    // Noise that moves has no slope to the vector that only the full search finds.
    let noise = random.bytes(32 * 32);
    for (index, [luma, ..]) in frames.iter_mut().enumerate() {
        for (y, row) in noise.chunks(32).enumerate() {
            let first = (20 + y + 2 * index) * 96 + 20 + 2 * index;
            luma[first..first + 32].copy_from_slice(row);
        }
    }
    let [full, fast] = both(&frames);
    assert!(n_bytes(&fast) > n_bytes(&full));
    for level in Level::available() {
        let run = Run::new(level, 3, &|| false);
        assert!(encoded_by(Method::Predictive, shape, &frames, 8.0, &run) == fast, "{level:?}");
    }
}

#[test]
fn a_frame_like_no_other_is_coded_alone() {
    let mut random = Random::new(3);
    let shape = Shape { width: 64, height: 48, has_chroma: false };
    let noise = [random.bytes(64 * 48), Vec::new(), Vec::new()];
    let ramp: Vec<u8> = (0..64 * 48).map(|i| (i % 64 + 2 * (i / 64)) as u8).collect();
    let ramp = [ramp, Vec::new(), Vec::new()];
    let run = Run::serial(Level::best());
    let mut coder = Coder::new(shape).unwrap();
    coder.encode(views(&noise), job(ORDER[0], 8.0), REACH, &run).unwrap();
    let bytes = coder.encode(views(&ramp), job(ORDER[1], 8.0), REACH, &run).unwrap();
    assert_eq!(bytes[0], 0);
    assert!(bytes.len() < 300, "{}", bytes.len());
}

#[test]
fn damaged_bytes_are_errors_or_other_frames() {
    let mut random = Random::new(4);
    let shape = Shape { width: 40, height: 34, has_chroma: true };
    let frames: Vec<_> = (0..4).map(|index| frame(shape, index, &mut random)).collect();
    let run = Run::serial(Level::best());
    let bytes = encoded(shape, &frames, 10.0, &run);
    let mut n_noticed = 0;
    for trial in 0..300 {
        let mut coder = Coder::new(shape).unwrap();
        for (index, (o, bytes)) in ORDER.iter().zip(&bytes).enumerate() {
            let mut altered = bytes.clone();
            if index == trial % 4 {
                match random.below(3) {
                    0 => altered.truncate(random.below(bytes.len())),
                    1 => {
                        let len = random.below(60);
                        altered = random.bytes(len);
                    }
                    _ => altered[random.below(bytes.len())] ^= 1 << random.below(8),
                }
            }
            match coder.decode(&altered, job(*o, 10.0), &run) {
                Ok(planes) => assert!(planes.iter().zip(&frames[0]).all(|(a, b)| a.len() == b.len())),
                Err(Error::Incompatible { problem }) => {
                    assert!(problem.starts_with("data is not a frame"), "{problem}");
                    n_noticed += 1;
                    break;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert!(n_noticed > 150, "{n_noticed}");
}

#[test]
fn the_work_ends_where_the_bytes_do() {
    let mut random = Random::new(6);
    let shape = Shape { width: 1200, height: 1000, has_chroma: false };
    let frames: Vec<_> = (0..4).map(|index| frame(shape, index, &mut random)).collect();
    let (step, run) = (60.0, Run::serial(Level::best()));
    let mut coder = Coder::new(shape).unwrap();
    let reach = Reach { radius: 3, method: Method::Predictive };
    let mut encode = |o: &(usize, &[From], Option<usize>)| {
        coder.encode(views(&frames[o.0]), job(*o, step), reach, &run).unwrap()
    };
    let whole: Vec<Vec<u8>> = ORDER[..2].iter().map(&mut encode).collect();
    for (index, bytes) in whole.iter().enumerate() {
        let seconds = |bytes: &[u8]| {
            let mut coder = Coder::new(shape).unwrap();
            for (o, bytes) in ORDER.iter().zip(&whole[..index]) {
                coder.decode(bytes, job(*o, step), &run).unwrap();
            }
            let begun = Instant::now();
            let is_frame = coder.decode(bytes, job(ORDER[index], step), &run).is_ok();
            (begun.elapsed().as_secs_f64(), is_frame)
        };
        let least = |bytes: &[u8], is_frame: bool| {
            let found = [0; 3].map(|_| seconds(bytes));
            assert!(found.iter().all(|found| found.1 == is_frame));
            found.iter().map(|found| found.0).fold(f64::INFINITY, f64::min)
        };
        // Without its motion, the prediction from it, and the inverse transform.
        let (all, cut) = (least(bytes, true), least(&bytes[..3], false));
        assert!(cut < all / 6.0, "{cut} s of {all} s");
    }
}

#[test]
fn wrong_arguments_are_errors() {
    let shape = Shape { width: 8, height: 8, has_chroma: false };
    let run = Run::serial(Level::best());
    let samples = [7; 64];
    let encode = |planes: Planes<&[u8]>, references: &[From], keep| {
        let job = Job { references, step: Step::new(8.0).unwrap(), keep };
        Coder::new(shape).unwrap().encode(planes, job, REACH, &run)
    };
    assert!(encode([&samples, &[], &[]], &[], Some(0)).is_ok());
    assert!(matches!(encode([&samples[1..], &[], &[]], &[], None), Err(Error::Length { .. })));
    assert!(matches!(encode([&samples, &[1], &[]], &[], None), Err(Error::Length { .. })));
    assert!(matches!(encode([&samples, &[], &[]], &[], Some(8)), Err(Error::Range { .. })));
    assert!(matches!(encode([&samples, &[], &[]], &[(1, 1)], None), Err(Error::Incompatible { .. })));
    assert!(Coder::new(Shape { width: 0, ..shape }).is_err());
    assert!(Coder::new(Shape { height: 16_385, ..shape }).is_err());
}
