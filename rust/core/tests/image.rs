//! Pictures: samples that come back, equal bytes for every number of threads and at every level, damaged bytes.
#![allow(missing_docs)]

mod common;

use std::thread::sleep;
use std::time::Duration;

use common::Random;
use fastcodes_core::image::{self, Coding, Kind, Samples, SamplesOf, Step, Tune};
use fastcodes_core::{Error, Level, Run};

const SHAPES: [(usize, usize); 10] =
    [(1, 1), (2, 1), (1, 33), (31, 7), (64, 40), (511, 9), (12, 513), (1025, 20), (65_535, 1), (530, 30)];

fn kind(width: usize, height: usize, n_channels: usize, n_bits: u32) -> Kind {
    Kind { width, height, n_channels, n_bits }
}

/// Ramps with some noise.
fn picture(kind: Kind, random: &mut Random) -> Vec<u8> {
    let mut samples = Vec::new();
    for y in 0..kind.height {
        for x in 0..kind.width {
            let noise = random.below(9);
            samples.extend((0..kind.n_channels).map(|c| ((x * (c + 1) + 2 * y + noise) / 2 % 256) as u8));
        }
    }
    samples
}

fn lossy(step: f64, tune: Tune) -> Coding {
    Coding::Lossy { step: Step::new(step).unwrap(), tune }
}

/// Runs with one thread, and with several at every level.
fn runs() -> impl Iterator<Item = Run<'static>> {
    let several = Level::available().into_iter().map(|level| Run::new(level, 3, &|| false));
    std::iter::once(Run::serial(Level::best())).chain(several)
}

fn is_damaged<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::Incompatible { problem }) if problem.starts_with("data is no picture"))
}

/// The bytes and the picture at each resolution, after a check that all runs agree on them.
fn coded(samples: Samples<'_>, kind: Kind, coding: Coding) -> (Vec<u8>, Vec<image::Picture>) {
    let serial = Run::serial(Level::PORTABLE);
    let bytes = image::encode(samples, kind, coding, &serial).unwrap();
    let pictures: Vec<_> = (0..image::N_RESOLUTIONS)
        .map(|halvings| image::decode(&bytes, halvings, usize::MAX, &serial).unwrap())
        .collect();
    for run in runs() {
        assert!(image::encode(samples, kind, coding, &run).unwrap() == bytes, "{kind:?}, {coding:?}");
        for (halvings, expected) in pictures.iter().enumerate() {
            assert!(
                image::decode(&bytes, halvings, usize::MAX, &run).unwrap() == *expected,
                "{kind:?}, {coding:?}"
            );
        }
    }
    assert_eq!(image::inspect(&bytes).unwrap().0, kind);
    for (halvings, found) in pictures.iter().enumerate() {
        let half = |side: usize| side.div_ceil(1 << halvings);
        assert_eq!(found.kind, Kind { width: half(kind.width), height: half(kind.height), ..kind });
    }
    (bytes, pictures)
}

#[test]
fn pictures_come_back_at_every_level_and_number_of_threads() {
    let random = &mut Random::new(1);
    for (width, height) in SHAPES {
        for n_channels in [1, 3] {
            let kind = kind(width, height, n_channels, 8);
            let samples = picture(kind, random);
            let (_, pictures) = coded(SamplesOf::Eight(&samples), kind, Coding::Lossless);
            assert!(pictures[0].samples == SamplesOf::Eight(samples), "{kind:?}");
        }
        let kind = kind(width, height, 1, 16);
        let deep: Vec<u16> = picture(kind, random).iter().map(|sample| u16::from(*sample) * 257).collect();
        let (_, pictures) = coded(SamplesOf::Sixteen(&deep), kind, Coding::Lossless);
        assert!(pictures[0].samples == SamplesOf::Sixteen(deep), "{kind:?}");
    }
}

#[test]
fn samples_of_every_size_come_back() {
    let random = &mut Random::new(2);
    let serial = Run::serial(Level::PORTABLE);
    for n_bits in 1..=16 {
        let kind = kind(40, 30, 1, 16);
        let deep: Vec<u16> = (0..1200).map(|_| (random.word() >> (64 - n_bits)) as u16).collect();
        let bytes = image::encode(SamplesOf::Sixteen(&deep), kind, Coding::Lossless, &serial).unwrap();
        assert!(bytes.len() < 1200 * n_bits as usize / 8 * 12 / 10 + 200, "{n_bits} bits: {}", bytes.len());
        assert!(image::decode(&bytes, 0, usize::MAX, &serial).unwrap().samples == SamplesOf::Sixteen(deep));
    }
}

#[test]
fn errors_are_about_as_large_as_the_step_says() {
    let random = &mut Random::new(3);
    for (width, height) in SHAPES {
        for n_channels in [1, 3] {
            let kind = kind(width, height, n_channels, 8);
            let samples = picture(kind, random);
            for (step, tune) in [(1.0, Tune::Psnr), (8.0, Tune::Psnr), (6.0, Tune::MsSsim)] {
                let (_, pictures) = coded(SamplesOf::Eight(&samples), kind, lossy(step, tune));
                let SamplesOf::Eight(decoded) = &pictures[0].samples else { panic!("16 bits") };
                let error: f64 =
                    samples.iter().zip(decoded).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
                let error = error / samples.len() as f64;
                let limit = step * step * if tune == Tune::Psnr { 0.2 } else { 2.0 } + 1.0;
                assert!(error < limit, "{kind:?}, {step}, {tune:?}: {error}");
            }
        }
    }
}

#[test]
fn steps_are_those_that_can_be_written() {
    for step in [0.0625, 0.3, 1.0, 1.999, 2.0, 77.7, 16_384.0] {
        let found = f64::from(Step::new(step).unwrap().value());
        assert!((found / step - 1.0).abs() <= 1.0 / 512.0, "{step}: {found}");
    }
    for step in [0.0, 0.06, 16_385.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(Step::new(step).is_err(), "{step}");
    }
}

/// Small pictures of each kind, as bytes.
fn small() -> Vec<Vec<u8>> {
    let (random, serial) = (&mut Random::new(4), Run::serial(Level::PORTABLE));
    let codings = [Coding::Lossless, lossy(6.0, Tune::Psnr), lossy(6.0, Tune::MsSsim)];
    let mut all = Vec::new();
    for n_channels in [1, 3] {
        let kind = kind(23, 17, n_channels, 8);
        let samples = picture(kind, random);
        for coding in codings {
            all.push(image::encode(SamplesOf::Eight(&samples), kind, coding, &serial).unwrap());
        }
    }
    all
}

#[test]
fn cut_and_altered_bytes_are_refused() {
    let run = Run::serial(Level::best());
    for bytes in small() {
        for len in 0..bytes.len() {
            assert!(
                is_damaged(image::decode(&bytes[..len], 0, usize::MAX, &run)),
                "{len} of {} bytes",
                bytes.len()
            );
        }
        for place in 0..8 * bytes.len() {
            let mut altered = bytes.clone();
            altered[place / 8] ^= 1 << (place % 8);
            assert!(is_damaged(image::decode(&altered, 0, usize::MAX, &run)), "bit {place}");
        }
        let longer = [bytes.as_slice(), &[0]].concat();
        assert!(is_damaged(image::decode(&longer, 0, usize::MAX, &run)));
    }
}

/// The CRC-16 of the format.
fn crc(bytes: &[u8]) -> [u8; 2] {
    let step = |value: u16, _| if value >> 15 == 1 { value << 1 ^ 0x1021 } else { value << 1 };
    let value =
        bytes.iter().fold(0xffff, |value: u16, byte| (0..8).fold(value ^ u16::from(*byte) << 8, step));
    value.to_le_bytes()
}

/// A header without losses and with these lengths of parts, and the parts.
fn forged(width: u16, height: u16, flags: u8, parts: &[Vec<u8>], n_tiles: usize) -> Vec<u8> {
    let mut bytes = b"FCI\x01".to_vec();
    bytes.push(flags);
    bytes.extend(width.to_le_bytes());
    bytes.extend(height.to_le_bytes());
    bytes.push(0);
    for part in parts {
        bytes.extend([part.len() as u8 | 0x80, (part.len() >> 7) as u8 | 0x80, (part.len() >> 14) as u8]);
    }
    for of_resolution in parts.chunks(n_tiles) {
        bytes.extend(crc(&of_resolution.concat()));
    }
    let check = crc(&bytes);
    bytes.extend(check);
    bytes.extend(parts.concat());
    bytes
}

#[test]
fn one_damaged_tile_is_an_error_for_every_number_of_threads() {
    let random = &mut Random::new(5);
    // Four tiles, of which one ends early: the others stop, but nobody interrupted the call.
    for damaged in 0..4 {
        let parts: Vec<Vec<u8>> =
            (0..16).map(|part| if part % 4 == damaged { Vec::new() } else { random.bytes(60_000) }).collect();
        let bytes = forged(2048, 30, 1, &parts, 4);
        for run in runs() {
            for halvings in 0..image::N_RESOLUTIONS {
                assert!(is_damaged(image::decode(&bytes, halvings, usize::MAX, &run)), "tile {damaged}");
            }
        }
    }
}

#[test]
fn random_messages_are_decoded_or_refused() {
    let random = &mut Random::new(6);
    let run = Run::serial(Level::best());
    let mut n_decoded = 0;
    for case in 0..400 {
        let (width, height) = (1 + random.below(80) as u16, 1 + random.below(80) as u16);
        let flags = [1, 3, 5][random.below(3)];
        let parts: Vec<Vec<u8>> = (0..4)
            .map(|_| {
                let (len, eighths) = (random.below(700), [0, 1, 4, 7, 8][random.below(5)]);
                random.bytes_of_density(len, eighths)
            })
            .collect();
        let bytes = forged(width, height, flags, &parts, 1);
        for halvings in 0..image::N_RESOLUTIONS {
            match image::decode(&bytes, halvings, usize::MAX, &run) {
                Ok(picture) => {
                    n_decoded += 1;
                    assert_eq!(picture.kind.width, usize::from(width).div_ceil(1 << halvings));
                }
                Err(error) => assert!(is_damaged(Err::<(), _>(error)), "{case}"),
            }
        }
    }
    assert!(n_decoded > 40, "{n_decoded}");
}

#[test]
fn bytes_that_claim_many_pixels_are_refused_at_once() {
    let run = Run::serial(Level::best());
    let n_tiles = 128 * 128;
    for parts in [vec![Vec::new(); 4], vec![Vec::new(); 4 * n_tiles]] {
        let bytes = forged(65_535, 65_535, 1, &parts, parts.len() / 4);
        let begun = std::time::Instant::now();
        for halvings in 0..image::N_RESOLUTIONS {
            assert!(is_damaged(image::decode(&bytes, halvings, usize::MAX, &run)));
        }
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn what_is_no_picture_is_an_error() {
    let run = &Run::serial(Level::best());
    let encode = |samples, kind, coding| image::encode(samples, kind, coding, run).unwrap_err().to_string();
    let (bytes, words) = (vec![0; 12], vec![0; 12]);
    let eight = SamplesOf::Eight(bytes.as_slice());
    let lossless = Coding::Lossless;
    assert!(encode(eight, kind(4, 4, 1, 8), lossless).contains("samples"));
    assert!(encode(eight, kind(0, 4, 1, 8), lossless).contains("width"));
    assert!(encode(eight, kind(4, 65_536, 1, 8), lossless).contains("height"));
    assert!(encode(eight, kind(3, 4, 1, 16), lossless).contains("grey of 8 or 16 bits"));
    assert!(encode(eight, kind(3, 2, 2, 8), lossless).contains("grey of 8 or 16 bits"));
    let sixteen = SamplesOf::Sixteen(words.as_slice());
    assert!(encode(sixteen, kind(2, 2, 3, 16), lossless).contains("grey of 8 or 16 bits"));
    assert!(encode(sixteen, kind(3, 4, 1, 16), lossy(3.0, Tune::Psnr)).contains("lossless only"));
    let small = &small()[0];
    assert!(matches!(image::decode(small, 4, usize::MAX, run), Err(Error::Range { given: 4, high: 3, .. })));
}

#[test]
fn a_call_ends_when_it_is_asked_to() {
    let random = &mut Random::new(7);
    let kind = kind(700, 600, 3, 8);
    let samples = picture(kind, random);
    for coding in [Coding::Lossless, lossy(1.0, Tune::Psnr)] {
        let samples = SamplesOf::Eight(samples.as_slice());
        let bytes = image::encode(samples, kind, coding, &Run::serial(Level::best())).unwrap();
        for threads in [1, 2] {
            let run = || {
                let run = Run::new(Level::best(), threads, &|| true);
                sleep(Duration::from_millis(60));
                run
            };
            assert_eq!(image::encode(samples, kind, coding, &run()), Err(Error::Interrupted));
            assert_eq!(image::decode(&bytes, 0, usize::MAX, &run()), Err(Error::Interrupted));
        }
    }
}
