//! Pictures: round trips, equal bytes for every number of threads, and bytes that no encoder wrote.

use fastcodes_core::image::{self, Coding, Kind, N_RESOLUTIONS, Picture, SamplesOf, Step, Tune};
use fastcodes_core::{Error, Level, Run};
use proptest::prelude::*;

use crate::common::Random;
use crate::{content, fuzz};

/// What bytes decode to; only damage is an error.
fn decoded(bytes: &[u8], n_halvings: usize, run: &Run<'_>) -> Result<Option<Picture>, TestCaseError> {
    match image::decode(bytes, n_halvings, usize::MAX, run) {
        Ok(picture) => Ok(Some(picture)),
        Err(Error::Incompatible { problem }) => {
            prop_assert!(problem.starts_with("data is no picture"), "{problem}");
            Ok(None)
        }
        Err(error) => Err(TestCaseError::fail(format!("{error}"))),
    }
}

fn crc(bytes: &[u8]) -> u16 {
    let step = |value: u16, _| if value >> 15 == 1 { value << 1 ^ 0x1021 } else { value << 1 };
    bytes.iter().fold(0xffff, |value: u16, byte| (0..8).fold(value ^ u16::from(*byte) << 8, step))
}

/// A header of one tile with any fields, parts of any bytes, and the checks that belong to them.
fn forged(flags: u8, width: u16, height: u16, fields: &[u8], parts: [&[u8]; N_RESOLUTIONS]) -> Vec<u8> {
    let mut bytes = b"FCI\x01".to_vec();
    bytes.push(flags);
    bytes.extend(width.to_le_bytes());
    bytes.extend(height.to_le_bytes());
    let n_fields = match (flags & 1, flags & 2) {
        (1, _) => 1,
        (_, 2) => 8,
        _ => 4,
    };
    bytes.extend(&fields[..n_fields]);
    for part in parts {
        bytes.extend([part.len() as u8 | 0x80, (part.len() >> 7) as u8]);
    }
    parts.iter().for_each(|part| bytes.extend(crc(part).to_le_bytes()));
    let check = crc(&bytes);
    bytes.extend(check.to_le_bytes());
    bytes.extend(parts.concat());
    bytes
}

/// Bytes that were cut, lengthened or altered.
fn damaged(data: &[u8], random: &mut Random) -> Vec<u8> {
    let mut wrong = data.to_vec();
    match random.below(4) {
        0 => wrong.truncate(random.below(data.len())),
        1 => wrong.extend(random.bytes(3)),
        _ => {
            for _ in 0..1 + random.below(4) {
                let n_places = if random.below(2) == 0 { data.len() } else { data.len().min(40) };
                wrong[random.below(n_places)] = random.word() as u8;
            }
        }
    }
    wrong
}

#[test]
fn image_pictures_come_back() {
    let side = || prop_oneof![3 => 1usize..70, 1 => 1usize..3, 1 => 505usize..520];
    fuzz((side(), 1usize..50, 0usize..6, 0usize..9, any::<u64>()), |case| {
        let (width, height, way, eighths, seed) = *case;
        let random = &mut Random::new(seed);
        let n_channels = [1, 3][way % 2];
        let kind = Kind { width, height, n_channels, n_bits: if way == 4 { 16 } else { 8 } };
        let noise = content(2 * width * height * n_channels, eighths as u32, seed);
        let eight: Vec<u8> = noise[..width * height * n_channels].to_vec();
        let sixteen: Vec<u16> = noise.as_chunks().0.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
        let step = Step::new(f64::from(random.unit() * 18.0 - 4.0).exp2()).unwrap();
        let (samples, coding) = match way {
            0 | 1 => (SamplesOf::Eight(&eight[..]), Coding::Lossless),
            4 => (SamplesOf::Sixteen(&sixteen[..width * height]), Coding::Lossless),
            _ => {
                let tune = if way == 5 { Tune::MsSsim } else { Tune::Psnr };
                (SamplesOf::Eight(&eight[..]), Coding::Lossy { step, tune })
            }
        };
        let serial = &Run::serial(Level::PORTABLE);
        let bytes = image::encode(samples, kind, coding, serial).unwrap();
        let two = &Run::new(Level::best(), 2, &|| false);
        prop_assert!(image::encode(samples, kind, coding, two).unwrap() == bytes);
        let found = image::decode(&bytes, 0, usize::MAX, two).unwrap();
        if coding == Coding::Lossless {
            let is_equal = match (&found.samples, samples) {
                (SamplesOf::Eight(found), SamplesOf::Eight(samples)) => found == samples,
                (SamplesOf::Sixteen(found), SamplesOf::Sixteen(samples)) => found == samples,
                _ => false,
            };
            prop_assert!(is_equal, "other samples came back");
        }
        prop_assert!(image::decode(&bytes, 0, usize::MAX, serial).unwrap() == found);
        let wrong = damaged(&bytes, random);
        let n_halvings = random.below(N_RESOLUTIONS);
        let of_wrong = decoded(&wrong, n_halvings, serial)?;
        prop_assert!(decoded(&wrong, n_halvings, two)? == of_wrong);
        Ok(())
    });
}

#[test]
fn image_any_bytes_are_decoded_or_refused() {
    fuzz((0usize..3, 1u16..300, 1u16..200, any::<u64>()), |(way, width, height, seed)| {
        let (random, serial) = (&mut Random::new(*seed), &Run::serial(Level::best()));
        let n_halvings = random.below(N_RESOLUTIONS);
        if *way == 0 {
            let (len, eighths) = (random.below(300), random.below(9));
            let mut bytes = random.bytes_of_density(len, eighths);
            bytes.splice(0..bytes.len().min(4), *b"FCI\x01");
            decoded(&bytes, n_halvings, serial)?;
            return Ok(());
        }
        let parts: Vec<Vec<u8>> = (0..N_RESOLUTIONS)
            .map(|_| {
                let n_bits = random.below(12);
                let (len, eighths) = (random.below(1 << n_bits), random.below(9));
                random.bytes_of_density(len, eighths)
            })
            .collect();
        let flags =
            if random.below(9) == 0 { random.word() as u8 } else { [0, 1, 2, 3, 5, 8, 10][random.below(7)] };
        let mut fields = random.bytes(8);
        if random.below(4) > 0 {
            // A step, and a number of bits, that exist.
            fields[0] = if flags & 1 == 1 { random.below(13) as u8 } else { fields[0] };
            fields[1] = 4 + random.below(18) as u8;
        }
        let bytes = forged(flags, *width, *height, &fields, [0, 1, 2, 3].map(|part| parts[part].as_slice()));
        if let Some(picture) = decoded(&bytes, n_halvings, serial)? {
            let sides = [*width, *height].map(|side| usize::from(side).div_ceil(1 << n_halvings));
            prop_assert_eq!([picture.kind.width, picture.kind.height], sides);
        }
        Ok(())
    });
}
