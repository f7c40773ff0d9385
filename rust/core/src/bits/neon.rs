//! NEON has no instruction that gathers bits: a comparison leaves all ones or all zeros in a lane, which is narrowed to a byte by `uzp1`,
//! keeps the bit of its place, and is added to its neighbours by three `addp`, for 64 dimensions together. Unpacking spreads a byte of the
//! code over lanes by `tbl` or `dup`, tests one bit in each lane, and blends the two values with `bsl`. `rbit` reverses the bits of bytes,
//! and `cnt` counts them.
//!
//! Bottleneck: from memory, the loads and stores; from the cache, the vector ports: 12 instructions for 64 bools, 52 for half floats, 36
//! for single ones and 68 for double ones, and about four for each register that is unpacked (the compiler makes two of each `cmtst`).

use std::arch::aarch64::*;
use std::arch::asm;
use std::array;

use super::{BitOrder, F16_INFINITY, Limits, Rows, pack_rows, portable, unpack_rows};
use crate::Codes;

/// Rows whose ones are counted together.
const ROWS_PER_BLOCK: usize = 16;

/// Bytes of a row whose counts are added up before anything else: four registers.
const BYTES_PER_CHUNK: usize = 64;

/// Chunks whose counts, of 32 at most, fit a byte.
const CHUNKS_PER_BYTE: usize = u8::MAX as usize / 32;

/// The bit of each byte's place. The compiler knows no better, else it takes additions of different bits apart.
#[inline]
#[target_feature(enable = "neon")]
fn places() -> uint8x16_t {
    let mut places = vreinterpretq_u8_u64(vdupq_n_u64(BitOrder::Little.bit_of_byte()));
    // SAFETY: no instruction at all.
    unsafe { asm!("/* {0:v} */", inout(vreg) places, options(nomem, nostack, preserves_flags)) };
    places
}

/// Bit `i` of 64 is whether byte `i` is all ones; else it is zero.
#[inline]
#[target_feature(enable = "neon")]
fn bits_of(bytes: [uint8x16_t; 4], places: uint8x16_t) -> u64 {
    let [a, b, c, d] = bytes.map(|bytes| vandq_u8(bytes, places));
    // Of eight bytes four, of these two, of these one with all bits.
    let sums = vpaddq_u8(vpaddq_u8(a, b), vpaddq_u8(c, d));
    let sums = vpadd_u8(vget_low_u8(sums), vget_high_u8(sums));
    vget_lane_u64::<0>(vreinterpret_u64_u8(sums))
}

/// The lower halves of lanes, those of the first operand first.
#[inline]
#[target_feature(enable = "neon")]
fn narrow_16(low: uint16x8_t, high: uint16x8_t) -> uint8x16_t {
    vuzp1q_u8(vreinterpretq_u8_u16(low), vreinterpretq_u8_u16(high))
}

#[inline]
#[target_feature(enable = "neon")]
fn narrow_32(low: uint32x4_t, high: uint32x4_t) -> uint16x8_t {
    vuzp1q_u16(vreinterpretq_u16_u32(low), vreinterpretq_u16_u32(high))
}

#[inline]
#[target_feature(enable = "neon")]
fn narrow_64(low: uint64x2_t, high: uint64x2_t) -> uint32x4_t {
    vuzp1q_u32(vreinterpretq_u32_u64(low), vreinterpretq_u32_u64(high))
}

#[target_feature(enable = "neon")]
pub(super) fn pack_bool(x: Rows<'_>, nothing: &[Limits<()>], out: &mut [u8]) {
    let places = places();
    pack_rows::<1, _>(x, nothing, out, |x, _| {
        let chunks = x.as_chunks::<16>().0;
        bits_of(
            array::from_fn(|i| {
                let x = load(&chunks[i]);
                vtstq_u8(x, x)
            }),
            places,
        )
    });
}

#[target_feature(enable = "neon")]
pub(super) fn pack_f16(x: Rows<'_>, thresholds: &[Limits<i16>], out: &mut [u8]) {
    // NaN has the keys above infinity and below minus infinity, which become the lowest when infinity becomes the highest.
    let to_highest = vdupq_n_s16(i16::MAX - F16_INFINITY);
    let magnitude = vdupq_n_s16(i16::MAX);
    let above = |x: &[[u8; 2]; 8], t: &[i16; 8]| {
        let x = vreinterpretq_s16_u8(load(x));
        let key = veorq_s16(x, vandq_s16(vshrq_n_s16::<15>(x), magnitude));
        let threshold = vreinterpretq_s16_u8(load(t));
        vcgtq_s16(vaddq_s16(key, to_highest), vaddq_s16(threshold, to_highest))
    };
    let places = places();
    pack_rows::<2, _>(x, thresholds, out, |x, t| {
        let (x, t) = (x.as_chunks::<8>().0, t.as_chunks::<8>().0);
        bits_of(
            array::from_fn(|i| {
                let [low, high] = [2 * i, 2 * i + 1].map(|i| above(&x[i], &t[i]));
                narrow_16(low, high)
            }),
            places,
        )
    });
}

#[target_feature(enable = "neon")]
pub(super) fn pack_f32(x: Rows<'_>, thresholds: &[Limits<f32>], out: &mut [u8]) {
    let above = |x: &[[u8; 4]; 4], t: &[f32; 4]| {
        vcgtq_f32(vreinterpretq_f32_u8(load(x)), vreinterpretq_f32_u8(load(t)))
    };
    let places = places();
    pack_rows::<4, _>(x, thresholds, out, |x, t| {
        let (x, t) = (x.as_chunks::<4>().0, t.as_chunks::<4>().0);
        bits_of(
            array::from_fn(|i| {
                let [a, b, c, d] = [4 * i, 4 * i + 1, 4 * i + 2, 4 * i + 3].map(|i| above(&x[i], &t[i]));
                narrow_16(narrow_32(a, b), narrow_32(c, d))
            }),
            places,
        )
    });
}

#[target_feature(enable = "neon")]
pub(super) fn pack_f64(x: Rows<'_>, thresholds: &[Limits<f64>], out: &mut [u8]) {
    let places = places();
    pack_rows::<8, _>(x, thresholds, out, |x, t| {
        let (x, t) = (x.as_chunks::<16>().0, t.as_chunks::<16>().0);
        bits_of(array::from_fn(|i| above_f64(&x[i], &t[i])), places)
    });
}

/// Which values exceed their thresholds, a byte for each.
#[inline]
#[target_feature(enable = "neon")]
fn above_f64(x: &[[u8; 8]; 16], t: &[f64; 16]) -> uint8x16_t {
    let (x, t) = (x.as_chunks::<2>().0, t.as_chunks::<2>().0);
    let [a, b, c, d, e, f, g, h] =
        array::from_fn(|i| vcgtq_f64(vreinterpretq_f64_u8(load(&x[i])), vreinterpretq_f64_u8(load(&t[i]))));
    let [a, b, c, d] = [narrow_64(a, b), narrow_64(c, d), narrow_64(e, f), narrow_64(g, h)];
    narrow_16(narrow_32(a, b), narrow_32(c, d))
}

/// The compiler makes one `rbit` of 16 bytes.
#[target_feature(enable = "neon")]
pub(super) fn reverse_bits(bytes: &mut [u8]) {
    portable::reverse_bits(bytes);
}

#[target_feature(enable = "neon")]
pub(super) fn unpack_8(
    codes: Rows<'_>,
    n_bits: usize,
    values: [u8; 2],
    order: BitOrder,
    out: &mut [[u8; 1]],
) {
    let [zero, one] = values.map(|value| vdupq_n_u8(value));
    // Each byte of the code fills eight lanes, and a lane tests its own bit.
    let byte_of_lane: [_; 4] =
        array::from_fn(|i| load(&array::from_fn::<u8, 16, _>(|lane| (2 * i + lane / 8) as u8)));
    let bit_of_lane = vreinterpretq_u8_u64(vdupq_n_u64(order.bit_of_byte()));
    unpack_rows(codes, n_bits, out, |bytes, out| {
        let bytes = vreinterpretq_u8_u64(vdupq_n_u64(u64::from_le_bytes(bytes)));
        for (out, byte_of_lane) in out.as_chunks_mut::<16>().0.iter_mut().zip(byte_of_lane) {
            let is_one = vtstq_u8(vqtbl1q_u8(bytes, byte_of_lane), bit_of_lane);
            store(out, vbslq_u8(is_one, one, zero));
        }
    });
}

/// `$lanes` elements to a register, each with all bits of the byte of the code that has its own.
macro_rules! unpack {
    ($name:ident, $element:ident, $lanes:literal, $dup:ident, $test:ident, $from_bytes:ident, $to_bytes:ident) => {
        #[target_feature(enable = "neon")]
        pub(super) fn $name(
            codes: Rows<'_>,
            n_bits: usize,
            values: [$element; 2],
            order: BitOrder,
            out: &mut [[u8; size_of::<$element>()]],
        ) {
            let [zero, one] = values.map(|value| $to_bytes($dup(value)));
            let bits = order.bit_of_byte().to_le_bytes().map($element::from);
            let bits_of_lanes: [_; 8 / $lanes] =
                array::from_fn(|i| $from_bytes(load::<_, $lanes>(&bits.as_chunks().0[i])));
            unpack_rows(codes, n_bits, out, |bytes, out| {
                for (byte, out) in bytes.into_iter().zip(out.as_chunks_mut::<8>().0) {
                    let lanes = $from_bytes(vdupq_n_u8(byte));
                    for (out, bit_of_lane) in out.as_chunks_mut::<$lanes>().0.iter_mut().zip(bits_of_lanes) {
                        store(out, vbslq_u8($to_bytes($test(lanes, bit_of_lane)), one, zero));
                    }
                }
            });
        }
    };
}

unpack!(unpack_16, u16, 8, vdupq_n_u16, vtstq_u16, vreinterpretq_u16_u8, vreinterpretq_u8_u16);
unpack!(unpack_32, u32, 4, vdupq_n_u32, vtstq_u32, vreinterpretq_u32_u8, vreinterpretq_u8_u32);
unpack!(unpack_64, u64, 2, vdupq_n_u64, vtstq_u64, vreinterpretq_u64_u8, vreinterpretq_u8_u64);

#[target_feature(enable = "neon")]
pub(super) fn popcount(codes: Codes<'_>, out: &mut [i32]) {
    let contiguous = codes.stride() == codes.n_bytes();
    let done = match codes.n_bytes() {
        8 if contiguous => popcount_short::<8>(codes.as_bytes(), out),
        16 if contiguous => popcount_short::<16>(codes.as_bytes(), out),
        32 if contiguous => popcount_short::<32>(codes.as_bytes(), out),
        _ => 0,
    };
    for (row, out) in (done..).zip(&mut out[done..]) {
        *out = popcount_row(codes.row(row)) as i32;
    }
}

/// 16 rows of `BYTES` bytes at a time, which fill `BYTES` registers; returns how many rows were done.
#[inline]
#[target_feature(enable = "neon")]
fn popcount_short<const BYTES: usize>(rows: &[u8], out: &mut [i32]) -> usize {
    let (blocks, _) = rows.as_chunks::<BYTES>().0.as_chunks::<ROWS_PER_BLOCK>();
    for (rows, out) in blocks.iter().zip(out.as_chunks_mut::<ROWS_PER_BLOCK>().0) {
        let (registers, _) = rows.as_flattened().as_chunks::<16>();
        let eight = |from: usize| {
            array::from_fn(|index| match BYTES {
                32 => {
                    let [low, high] = [0, 1].map(|half| &registers[2 * (from + index) + half]);
                    vaddq_u8(vcntq_u8(load(low)), vcntq_u8(load(high)))
                }
                _ => vcntq_u8(load(&registers[from + index])),
            })
        };
        let [low, high] = match BYTES {
            8 => {
                let sums = add_within(eight(0));
                [vmovl_u8(vget_low_u8(sums)), vmovl_high_u8(sums)]
            }
            _ => [vpaddlq_u8(add_within(eight(0))), vpaddlq_u8(add_within(eight(8)))],
        };
        let fours = [
            vmovl_u16(vget_low_u16(low)),
            vmovl_high_u16(low),
            vmovl_u16(vget_low_u16(high)),
            vmovl_high_u16(high),
        ];
        for (out, four) in out.as_chunks_mut::<4>().0.iter_mut().zip(fours) {
            // SAFETY: the array has 16 bytes.
            unsafe { vst1q_u32(out.as_mut_ptr().cast(), four) };
        }
    }
    blocks.len() * ROWS_PER_BLOCK
}

/// The sums of each eight numbers, those of the first operand first.
#[inline]
#[target_feature(enable = "neon")]
fn add_within([a, b, c, d, e, f, g, h]: [uint8x16_t; 8]) -> uint8x16_t {
    let [a, b, c, d] = [vpaddq_u8(a, b), vpaddq_u8(c, d), vpaddq_u8(e, f), vpaddq_u8(g, h)];
    vpaddq_u8(vpaddq_u8(a, b), vpaddq_u8(c, d))
}

#[inline]
#[target_feature(enable = "neon")]
fn popcount_row(row: &[u8]) -> u32 {
    let (chunks, rest) = row.as_chunks::<BYTES_PER_CHUNK>();
    let (registers, tail) = rest.as_chunks::<16>();
    let mut sums = vdupq_n_u32(0);
    for chunks in chunks.chunks(CHUNKS_PER_BYTE) {
        let mut counts = vdupq_n_u8(0);
        for chunk in chunks {
            let [a, b, c, d] = array::from_fn(|i| vcntq_u8(load(&chunk.as_chunks::<16>().0[i])));
            counts = vaddq_u8(counts, vaddq_u8(vaddq_u8(a, b), vaddq_u8(c, d)));
        }
        sums = vpadalq_u16(sums, vpaddlq_u8(counts));
    }
    let mut counts = vdupq_n_u8(0);
    for bytes in registers {
        counts = vaddq_u8(counts, vcntq_u8(load(bytes)));
    }
    if !tail.is_empty() {
        let mut bytes = [0_u8; 16];
        bytes[..tail.len()].copy_from_slice(tail);
        counts = vaddq_u8(counts, vcntq_u8(load(&bytes)));
    }
    vaddvq_u32(vpadalq_u16(sums, vpaddlq_u8(counts)))
}

#[inline]
#[target_feature(enable = "neon")]
fn load<T: Copy, const N: usize>(from: &[T; N]) -> uint8x16_t {
    const { assert!(size_of::<[T; N]>() == 16) };
    // SAFETY: the array has 16 bytes, and the load needs no alignment.
    unsafe { vld1q_u8(from.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "neon")]
fn store<const W: usize, const N: usize>(to: &mut [[u8; W]; N], value: uint8x16_t) {
    const { assert!(W * N == 16) };
    // SAFETY: the array has 16 bytes, any bytes are valid for it, and the store needs no alignment.
    unsafe { vst1q_u8(to.as_mut_ptr().cast(), value) }
}
