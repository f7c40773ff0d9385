//! Convolution of packed images as a product of matrices: a row of the left-hand side are the bits under the filters at one
//! place.
//!
//! ```text
//! image (h, w, bytes), channels last           one row, for a 2x2 filter at (y, x)
//!
//!        x     x+1                             | (y,x) | (y,x+1) | (y+1,x) | (y+1,x+1) |
//! y    | c.. | c.. |                             bytes of all channels, then the next place
//! y+1  | c.. | c.. |
//! ```
//!
//! Filters are laid out likewise. Bits after the last channel of a place are zero in both, and count nothing. Images of bytes have
//! a byte for each channel instead.

use std::ops::Range;

use super::bytes::{self, ByteValues};
use super::multiply::{Left, multiply};
use super::operand::{Matrix, Operand, Values, check_padding};
use super::output::{Finish, Output, RowsOut};
use super::pieces::Rows;
use crate::codes::for_each_word;
use crate::error::try_vec;
use crate::{Codes, Error, Level, Parallel};

/// Images of bits, channels last: `(n, height, width, ceil(channels / 8))` bytes, C-contiguous. Or of bytes:
/// `(n, height, width, channels)`.
#[derive(Clone, Copy, Debug)]
pub struct Images<'a> {
    pixels: Codes<'a>,
    shape: [usize; 3],
    n_channels: usize,
    /// What bytes stand for; none for bits.
    byte_values: Option<ByteValues>,
}

impl<'a> Images<'a> {
    /// Images of a given shape `[n, height, width]`, without ones after the last channel.
    ///
    /// # Errors
    /// [`Error::FeaturesLength`] if `n_bytes` are not those of so many channels, [`Error::Length`] if `bytes` are
    /// fewer than the shape says, [`Error::PaddingBits`].
    pub fn new(bytes: &'a [u8], shape: [usize; 3], n_bytes: usize, n_channels: usize) -> Result<Self, Error> {
        if n_channels == 0 || n_bytes != n_channels.div_ceil(8) {
            return Err(Error::FeaturesLength { name: "images", n_bytes, n_features: n_channels });
        }
        let pixels = Codes::new(bytes, n_pixels(shape), n_bytes)?;
        check_padding("images", pixels, n_channels)?;
        Ok(Images { pixels, shape, n_channels, byte_values: None })
    }

    /// Images of bytes, which stand for numbers, of a given shape `[n, height, width]`.
    ///
    /// # Errors
    /// [`Error::Range`] without channels, [`Error::Length`] if `bytes` are fewer than the shape says.
    pub fn of_bytes(
        bytes: &'a [u8],
        shape: [usize; 3],
        n_channels: usize,
        byte_values: ByteValues,
    ) -> Result<Self, Error> {
        let pixels = Codes::new(bytes, n_pixels(shape), n_channels)?;
        Ok(Images { pixels, shape, n_channels, byte_values: Some(byte_values) })
    }

    pub(super) fn shape(&self) -> [usize; 3] {
        self.shape
    }

    pub(super) fn n_bytes(&self) -> usize {
        self.pixels.n_bytes()
    }

    pub(super) fn bytes(&self) -> &'a [u8] {
        self.pixels.as_bytes()
    }
}

fn n_pixels(shape: [usize; 3]) -> usize {
    shape.iter().fold(1_usize, |product, n| product.saturating_mul(*n))
}

/// Results of which the groups are computed one after the other.
const BATCH_ROWS: usize = 1 << 14;

/// What lies around an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// -1.
    Minus,
    /// +1.
    Plus,
    /// Nothing: products with it are left out.
    Zero,
}

impl Padding {
    fn value(self) -> i32 {
        match self {
            Padding::Minus => -1,
            Padding::Plus => 1,
            Padding::Zero => 0,
        }
    }

    /// A pixel of it; there are no bits for zero.
    fn bits(self, n_channels: usize) -> Vec<u8> {
        let mut pixel = vec![if self == Padding::Plus { u8::MAX } else { 0 }; n_channels.div_ceil(8)];
        if let (Some(last), used @ 1..) = (pixel.last_mut(), n_channels % 8) {
            *last &= !(u8::MAX >> used);
        }
        pixel
    }
}

/// How filters move over an image; each pair is for rows and for columns.
#[derive(Clone, Copy, Debug)]
pub struct Conv {
    /// Places from one result to the next.
    pub stride: [usize; 2],
    /// Places around the image: before and after it.
    pub padding: [[usize; 2]; 2],
    /// What these hold.
    pub pad_value: Padding,
    /// Places from one element of a filter to the next.
    pub dilation: [usize; 2],
}

/// The number of results along one axis.
fn n_results(
    axis: &'static str,
    image: usize,
    kernel: usize,
    stride: usize,
    padding: [usize; 2],
    dilation: usize,
) -> Result<usize, Error> {
    let padded = image.saturating_add(padding[0]).saturating_add(padding[1]);
    let kernel = (kernel - 1).saturating_mul(dilation).saturating_add(1);
    match padded.checked_sub(kernel) {
        Some(room) if stride > 0 => Ok(room / stride + 1),
        _ => Err(Error::KernelTooLarge { axis, kernel, image: padded }),
    }
}

impl Conv {
    /// Height and width of the results for images of a given shape.
    ///
    /// # Errors
    /// [`Error::KernelTooLarge`] if a filter covers more than an image with its padding.
    pub fn out_shape(&self, image: [usize; 2], kernel: [usize; 2]) -> Result<[usize; 2], Error> {
        let axis = |axis: usize, name| {
            let (stride, padding, dilation) = (self.stride[axis], self.padding[axis], self.dilation[axis]);
            n_results(name, image[axis], kernel[axis], stride, padding, dilation)
        };
        Ok([axis(0, "rows")?, axis(1, "columns")?])
    }
}

/// Filters of -1 and +1, prepared for many convolutions.
pub struct Filters {
    groups: Vec<Matrix>,
    kernel: [usize; 2],
    /// Channels of a filter.
    n_channels: usize,
    /// `[group][place][filter]`: the sum over channels, which zero padding leaves out.
    sums: Vec<Vec<i32>>,
}

impl Filters {
    /// `bytes` are `(filters, height, width, ceil(channels / 8))`, C-contiguous; `shape` is `[filters, height, width]`. The
    /// filters of each group see their own channels, `n_channels` of them.
    ///
    /// # Errors
    /// [`Error::FeaturesLength`], [`Error::PaddingBits`] or [`Error::Length`] for bytes that do not fit, [`Error::Groups`]
    /// for groups that do not divide the filters or do not begin with a byte, [`Error::EmptyAxis`] without places.
    pub fn new(
        level: Level,
        bytes: &[u8],
        shape: [usize; 3],
        n_bytes: usize,
        n_channels: usize,
        n_groups: usize,
        parallel: &Parallel<'_>,
    ) -> Result<Self, Error> {
        let [n_filters, height, width] = shape;
        if n_channels == 0 || n_bytes != n_channels.div_ceil(8) {
            return Err(Error::FeaturesLength { name: "filters", n_bytes, n_features: n_channels });
        }
        let n_places = height.saturating_mul(width);
        if n_places == 0 {
            return Err(Error::EmptyAxis { name: "filters", axis: "places" });
        }
        let fits = n_groups > 0 && n_filters.is_multiple_of(n_groups);
        if !fits
            || (n_groups > 1 && !(n_channels.is_multiple_of(8) && (n_filters / n_groups).is_multiple_of(8)))
        {
            return Err(Error::Groups { n_groups, n_filters, n_channels });
        }
        let places = Codes::new(bytes, n_filters.saturating_mul(n_places), n_bytes)?;
        check_padding("filters", places, n_channels)?;
        let filters = Codes::new(bytes, n_filters, n_bytes.saturating_mul(n_places))?;
        let (mut groups, mut sums) = (Vec::new(), Vec::new());
        let in_group = n_filters / n_groups;
        for group in 0..n_groups {
            let rows = filters.slice(group * in_group, (group + 1) * in_group);
            let operand = Operand::padded_signs(rows, n_places, n_channels);
            groups.push(Matrix::new(level, &operand, parallel)?);
            let mut group_sums = try_vec(0, n_places * in_group)?;
            for (filter, row) in (0..in_group).map(|filter| (filter, rows.row(filter))) {
                for (place, bytes) in row.chunks_exact(n_bytes).enumerate() {
                    let mut ones = 0;
                    for_each_word(bytes, |_, word| ones += word.count_ones() as i32);
                    group_sums[place * in_group + filter] = 2 * ones - n_channels as i32;
                }
            }
            sums.push(group_sums);
        }
        Ok(Filters { groups, kernel: [height, width], n_channels, sums })
    }

    /// Filters of all groups.
    pub fn n_filters(&self) -> usize {
        self.groups.iter().map(|group| group.n_rows).sum()
    }

    /// Height and width.
    pub fn kernel(&self) -> [usize; 2] {
        self.kernel
    }

    /// Channels that a filter sees.
    pub fn n_channels(&self) -> usize {
        self.n_channels
    }

    /// Groups of filters with their own channels.
    pub fn n_groups(&self) -> usize {
        self.groups.len()
    }

    /// The rows of each group, as they were given.
    pub fn rows(&self) -> impl Iterator<Item = &[u8]> {
        self.groups.iter().flat_map(Matrix::planes)
    }
}

/// One group's view of the images: a row for each place of each result, for some of them.
struct Patches<'a> {
    rows: Range<usize>,
    images: Images<'a>,
    conv: Conv,
    kernel: [usize; 2],
    out_shape: [usize; 2],
    /// The bytes of a pixel that belong to the group.
    bytes: Range<usize>,
    /// What a place of the padding holds.
    pad: Vec<u8>,
    borders: Option<Borders>,
}

/// What padding changes that no bits or bytes stand for: rows of results at the same distance of the border have the same
/// places outside the image.
struct Borders {
    /// For each result along an axis, which kind it is.
    kinds: [Vec<usize>; 2],
    n_kinds: usize,
    /// `[kind of row][kind of column]`: what twice the dot products begin with, by column.
    columns: Vec<Vec<i32>>,
}

/// For each result along an axis, which elements of the filter lie on the image.
fn covered(
    n_results: usize,
    image: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
) -> (Vec<usize>, Vec<Vec<bool>>) {
    let mut kinds: Vec<Vec<bool>> = Vec::new();
    let of_result = (0..n_results).map(|result| {
        let on_image = |element: usize| {
            (result * stride + element * dilation).checked_sub(padding).is_some_and(|place| place < image)
        };
        let kind: Vec<bool> = (0..kernel).map(on_image).collect();
        // Neighbours are alike, and there are few kinds.
        kinds.iter().rposition(|known| *known == kind).unwrap_or_else(|| {
            kinds.push(kind);
            kinds.len() - 1
        })
    });
    (of_result.collect(), kinds)
}

impl<'a> Patches<'a> {
    fn new(
        images: Images<'a>,
        conv: Conv,
        filters: &Filters,
        group: usize,
        out_shape: [usize; 2],
    ) -> Result<Self, Error> {
        let mut patches = Patches {
            rows: 0..images.shape[0] * out_shape[0] * out_shape[1],
            images,
            conv,
            kernel: filters.kernel,
            out_shape,
            bytes: 0..0,
            pad: Vec::new(),
            borders: None,
        };
        // What the bits or bytes of padding stand for.
        let held = match images.byte_values {
            None => {
                patches.pad = conv.pad_value.bits(filters.n_channels);
                if conv.pad_value == Padding::Plus { 1 } else { -1 }
            }
            Some(byte_values) => {
                patches.pad = vec![0; filters.n_channels];
                byte_values.offset
            }
        };
        patches.bytes = group * patches.pad.len()..(group + 1) * patches.pad.len();
        let value = conv.pad_value.value();
        if conv.padding != [[0; 2]; 2] && value != held {
            // What twice the dot products begin with in the middle of an image.
            let matrix = &filters.groups[group];
            let begin = match images.byte_values {
                None => try_vec((matrix.n_features as i32).wrapping_mul(2), matrix.n_rows)?,
                Some(byte_values) => bytes::columns_of_zeros(matrix, byte_values)?,
            };
            let factor = value.wrapping_sub(held).wrapping_mul(2);
            patches.borders = Some(patches.borders(begin, factor, &filters.sums[group])?);
        }
        Ok(patches)
    }

    /// `sums` are those of the channels of a filter, `factor` times which is added for each place outside of the image.
    fn borders(&self, begin: Vec<i32>, factor: i32, sums: &[i32]) -> Result<Borders, Error> {
        let [rows, columns] = [0, 1].map(|axis| {
            let (conv, image) = (self.conv, self.images.shape[1 + axis]);
            let before = conv.padding[axis][0];
            covered(
                self.out_shape[axis],
                image,
                self.kernel[axis],
                conv.stride[axis],
                before,
                conv.dilation[axis],
            )
        });
        let mut by_kind = Vec::new();
        for row_kind in &rows.1 {
            for column_kind in &columns.1 {
                let mut totals = try_vec(0, begin.len())?;
                totals.copy_from_slice(&begin);
                let covered =
                    row_kind.iter().flat_map(|row| column_kind.iter().map(move |column| row & column));
                for (sums, is_covered) in sums.chunks(begin.len()).zip(covered) {
                    if !is_covered {
                        for (total, sum) in totals.iter_mut().zip(sums) {
                            *total = total.wrapping_add(factor.wrapping_mul(*sum));
                        }
                    }
                }
                by_kind.push(totals);
            }
        }
        Ok(Borders { kinds: [rows.0, columns.0], n_kinds: columns.1.len(), columns: by_kind })
    }

    /// Image, row and column of a result.
    fn place(&self, row: usize) -> (usize, usize, usize) {
        let ([height, width], row) = (self.out_shape, self.rows.start + row);
        (row / (height * width), row / width % height, row % width)
    }
}

impl Left for Patches<'_> {
    fn values(&self) -> (Values, usize) {
        (Values::Signs, 1)
    }
}

impl Rows for Patches<'_> {
    fn n_rows(&self) -> usize {
        self.rows.len()
    }

    fn gather(&self, rows: Range<usize>, bytes: &mut Vec<u8>) {
        let ([_, height, width], pixel_bytes) = (self.images.shape, self.images.n_bytes());
        let Conv { stride, padding, dilation, .. } = self.conv;
        let pixels = self.images.bytes();
        for row in rows {
            let (image, y, x) = self.place(row);
            let (top, left) = (y * stride[0], x * stride[1]);
            // Elements of a filter that follow each other lie on pixels that do, if nothing is between them.
            let together = dilation[1] == 1
                && pixel_bytes == self.bytes.len()
                && left >= padding[1][0]
                && left - padding[1][0] + self.kernel[1] <= width;
            for element in 0..self.kernel[0] {
                let y = (top + element * dilation[0]).checked_sub(padding[0][0]).filter(|y| *y < height);
                let line =
                    y.map(|y| &pixels[(image * height + y) * width * pixel_bytes..][..width * pixel_bytes]);
                if let (Some(line), true) = (line, together) {
                    let start = (left - padding[1][0]) * pixel_bytes;
                    bytes.extend_from_slice(&line[start..start + self.kernel[1] * pixel_bytes]);
                    continue;
                }
                for element in 0..self.kernel[1] {
                    let x = (left + element * dilation[1]).checked_sub(padding[1][0]).filter(|x| *x < width);
                    bytes.extend_from_slice(match (line, x) {
                        (Some(line), Some(x)) => &line[x * pixel_bytes..][self.bytes.clone()],
                        _ => &self.pad,
                    });
                }
            }
        }
    }

    fn columns(&self, row: usize) -> Option<&[i32]> {
        self.borders.as_ref().map(|borders| {
            let (_, y, x) = self.place(row);
            borders.columns[borders.kinds[0][y] * borders.n_kinds + borders.kinds[1][x]].as_slice()
        })
    }
}

/// Slides filters over images: `out[n, y, x, f]` is the dot product of filter `f` and what lies under it at `(y, x)`.
///
/// # Errors
/// [`Error::Groups`] if the filters do not see the channels of the images, [`Error::KernelTooLarge`], and as
/// [`super::matmul`].
pub fn conv2d(
    images: Images<'_>,
    filters: &Filters,
    conv: Conv,
    output: Output<'_>,
    parallel: &Parallel<'_>,
) -> Result<(), Error> {
    let (n_groups, n_channels) = (filters.n_groups(), filters.n_channels);
    if images.n_channels != n_channels * n_groups {
        return Err(Error::ChannelsDiffer { images: images.n_channels, filters: n_channels, n_groups });
    }
    let [n, height, width] = images.shape;
    let out_shape = conv.out_shape([height, width], filters.kernel)?;
    let n_rows = n.saturating_mul(out_shape[0]).saturating_mul(out_shape[1]);
    let (finish, mut rows) = output.into_rows(n_rows, filters.n_filters())?;
    if n_rows == 0 || filters.n_filters() == 0 {
        return Ok(());
    }
    let mut groups = Vec::new();
    for (group, matrix) in filters.groups.iter().enumerate() {
        groups.push((Patches::new(images, conv, filters, group, out_shape)?, matrix));
    }
    if let [(patches, matrix)] = groups.as_slice() {
        return slide(patches, matrix, finish, |n_rows| vec![rows.take_rows(n_rows)], parallel);
    }
    for start in (0..n_rows).step_by(BATCH_ROWS) {
        let batch = start..(start + BATCH_ROWS).min(n_rows);
        let mut rows: Vec<_> = rows.take_rows(batch.len()).split().collect();
        for (group, (patches, matrix)) in groups.iter_mut().enumerate() {
            patches.rows = batch.clone();
            let mut own = RowsOut::take_columns(&mut rows, matrix.n_rows).into_iter();
            let next_rows = |n_rows| own.by_ref().take(n_rows).collect();
            slide(patches, matrix, finish.from(group * matrix.n_rows), next_rows, parallel)?;
        }
    }
    Ok(())
}

/// Convolves with the filters of one group.
fn slide<'o>(
    patches: &Patches<'_>,
    matrix: &Matrix,
    finish: Finish<'_>,
    next_rows: impl FnMut(usize) -> Vec<RowsOut<'o>>,
    parallel: &Parallel<'_>,
) -> Result<(), Error> {
    match patches.images.byte_values {
        None => multiply(patches, matrix, finish, next_rows, parallel),
        Some(byte_values) => bytes::multiply(patches, byte_values, matrix, finish, next_rows, parallel),
    }
}
