//! Convolution of packed images as a product of matrices: each row of the left-hand side is a patch of an image, the pixels
//! under the filters at one position.
//!
//! ```text
//! image (h, w, bytes), channels last           one row, for a 2x2 filter at (y, x)
//!
//!        x     x+1                             | (y,x) | (y,x+1) | (y+1,x) | (y+1,x+1) |
//! y    | c.. | c.. |                             bytes of all channels of a pixel, then the next pixel
//! y+1  | c.. | c.. |
//! ```
//!
//! Filters have the same layout. Bits after the last channel of a pixel are zero in both, which adds nothing to their distance.
//! Images of bytes have one byte for each channel instead.

use std::ops::Range;

use super::bytes::{self, ByteValues};
use super::multiply::{LeftBits, multiply};
use super::operand::{Matrix, Operand, Values, check_padding, check_row_bytes};
use super::output::{Finish, Output, RowsOut};
use super::pieces::LeftRows;
use crate::codes::for_each_word;
use crate::error::{try_collect, try_push, try_vec};
use crate::{Codes, Error, Run};

/// Images of bits, channels last: `(n, height, width, ceil(channels / 8))` bytes, C-contiguous. Or of bytes:
/// `(n, height, width, channels)`.
#[derive(Clone, Copy, Debug)]
pub struct Images<'a> {
    pixels: Codes<'a>,
    shape: [usize; 3],
    n_channels: usize,
    /// The numbers of bytes; None for bits.
    byte_values: Option<ByteValues>,
}

impl<'a> Images<'a> {
    /// Images of a given shape `[n, height, width]`, without ones after the last channel.
    ///
    /// # Errors
    /// [`Error::Length`] if `n_bytes` does not fit the channels or `bytes` is too short for the shape, [`Error::Padding`] for
    /// ones after the last channel.
    pub fn new(bytes: &'a [u8], shape: [usize; 3], n_bytes: usize, n_channels: usize) -> Result<Self, Error> {
        check_row_bytes("images", n_bytes, n_channels)?;
        let pixels = Codes::new(bytes, n_pixels(shape), n_bytes)?;
        check_padding("images", pixels, n_channels)?;
        Ok(Images { pixels, shape, n_channels, byte_values: None })
    }

    /// Images of bytes of a given shape `[n, height, width]`.
    ///
    /// # Errors
    /// [`Error::Range`] without channels, [`Error::Length`] if `bytes` is too short for the shape.
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

/// Rows of results of which the groups are computed in turn.
const ROWS_PER_BATCH: usize = 1 << 14;

/// The value of the pixels around an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// -1.
    Minus,
    /// +1.
    Plus,
    /// 0: products with it are omitted.
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

    /// The bits of such a pixel; those of -1 for zero, which has none.
    fn bits(self, n_channels: usize) -> Result<Vec<u8>, Error> {
        let mut pixel = try_vec(if self == Padding::Plus { u8::MAX } else { 0 }, n_channels.div_ceil(8))?;
        if let (Some(last), used @ 1..) = (pixel.last_mut(), n_channels % 8) {
            *last &= !(u8::MAX >> used);
        }
        Ok(pixel)
    }
}

/// How filters move over an image; each pair is for rows and for columns.
#[derive(Clone, Copy, Debug)]
pub struct Conv {
    /// Pixels from one result to the next.
    pub stride: [usize; 2],
    /// Pixels around the image: before and after it.
    pub padding: [[usize; 2]; 2],
    /// The value of these pixels.
    pub pad_value: Padding,
    /// Pixels from one element of a filter to the next.
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
        _ => Err(Error::Incompatible {
            problem: format!(
                "filters with dilation cover {kernel} {axis}, but images with padding have {padded}; expected at most that"
            ),
        }),
    }
}

impl Conv {
    /// Height and width of the results for images of a given shape.
    ///
    /// # Errors
    /// [`Error::Incompatible`] if a dilated filter is larger than a padded image.
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
    /// Channels per filter.
    n_channels: usize,
    /// `[group][pixel][filter]`: the sum over the channels of a pixel, which zero padding omits.
    sums: Vec<Vec<i32>>,
}

impl Filters {
    /// `bytes` are `(filters, height, width, ceil(channels / 8))`, C-contiguous; `shape` is `[filters, height, width]`. The
    /// filters of each group see their own channels, `n_channels` of them.
    ///
    /// # Errors
    /// [`Error::Length`] or [`Error::Padding`] for wrong bytes, [`Error::Incompatible`] if the groups do not divide the
    /// filters into whole bytes, [`Error::Range`] for filters without pixels, [`Error::OutOfMemory`].
    pub fn new(
        bytes: &[u8],
        shape: [usize; 3],
        n_bytes: usize,
        n_channels: usize,
        n_groups: usize,
        run: &Run<'_>,
    ) -> Result<Self, Error> {
        let [n_filters, height, width] = shape;
        check_row_bytes("filters", n_bytes, n_channels)?;
        let n_pixels = height.saturating_mul(width);
        if n_pixels == 0 {
            let high = usize::MAX;
            return Err(Error::Range { name: "filters", unit: "pixels", given: 0, low: 1, high });
        }
        let fits = n_groups > 0 && n_filters.is_multiple_of(n_groups);
        if !fits
            || (n_groups > 1 && !(n_channels.is_multiple_of(8) && (n_filters / n_groups).is_multiple_of(8)))
        {
            let problem = format!(
                "groups do not go with filters: {n_groups} groups of {n_filters} filters of {n_channels} channels; expected \
                 groups that divide the filters and, if there are several, filters and channels of a group that are \
                 multiples of 8"
            );
            return Err(Error::Incompatible { problem });
        }
        let pixels = Codes::new(bytes, n_filters.saturating_mul(n_pixels), n_bytes)?;
        check_padding("filters", pixels, n_channels)?;
        let filters = Codes::new(bytes, n_filters, n_bytes.saturating_mul(n_pixels))?;
        let (mut groups, mut sums) = (Vec::new(), Vec::new());
        let in_group = n_filters / n_groups;
        for group in 0..n_groups {
            let rows = filters.slice(group * in_group, (group + 1) * in_group);
            let operand = Operand::padded_signs(rows, n_pixels, n_channels);
            try_push(&mut groups, Matrix::new(&operand, run)?)?;
            let mut group_sums = try_vec(0, n_pixels * in_group)?;
            for (filter, row) in (0..in_group).map(|filter| (filter, rows.row(filter))) {
                for (pixel, bytes) in row.chunks_exact(n_bytes).enumerate() {
                    let mut ones = 0;
                    for_each_word(bytes, |_, word| ones += word.count_ones() as i32);
                    group_sums[pixel * in_group + filter] = 2 * ones - n_channels as i32;
                }
            }
            try_push(&mut sums, group_sums)?;
        }
        Ok(Filters { groups, kernel: [height, width], n_channels, sums })
    }

    /// Number of filters, of all groups.
    pub fn n_filters(&self) -> usize {
        self.groups.iter().map(|group| group.n_rows).sum()
    }

    /// Height and width.
    pub fn kernel(&self) -> [usize; 2] {
        self.kernel
    }

    /// Channels per filter.
    pub fn n_channels(&self) -> usize {
        self.n_channels
    }

    /// Number of groups.
    pub fn n_groups(&self) -> usize {
        self.groups.len()
    }

    /// The rows of each group, as given.
    pub fn rows(&self) -> impl Iterator<Item = &[u8]> {
        self.groups.iter().flat_map(Matrix::planes)
    }
}

/// The patches of images for one group of filters: a row for each result, for some of the results.
struct Patches<'a> {
    rows: Range<usize>,
    images: Images<'a>,
    conv: Conv,
    kernel: [usize; 2],
    out_shape: [usize; 2],
    /// The bytes of a pixel that belong to the group.
    bytes: Range<usize>,
    /// The bytes of a pixel of the padding.
    pad: Vec<u8>,
    borders: Option<Borders>,
}

/// Corrections for padding whose value has no bits or bytes. Results of the same kind have the same pixels outside the image.
struct Borders {
    /// The kind of each result along an axis.
    kinds: [Vec<usize>; 2],
    n_kinds: usize,
    /// `[kind of row][kind of column]`: the initial values of twice the dot products, by column.
    columns: Vec<Vec<i32>>,
}

/// The kind of each result along an axis, and for each kind, which elements of the filter lie on the image.
fn covered(
    n_results: usize,
    image: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
) -> Result<(Vec<usize>, Vec<Vec<bool>>), Error> {
    let (mut of_result, mut kinds) = (Vec::new(), Vec::new());
    for result in 0..n_results {
        let on_image = |element: usize| {
            (result * stride + element * dilation).checked_sub(padding).is_some_and(|pixel| pixel < image)
        };
        let kind = try_collect((0..kernel).map(on_image))?;
        // Neighbours are of the same kind, and there are few kinds.
        let known = kinds.iter().rposition(|known| *known == kind);
        try_push(&mut of_result, known.unwrap_or(kinds.len()))?;
        if known.is_none() {
            try_push(&mut kinds, kind)?;
        }
    }
    Ok((of_result, kinds))
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
        // The number that the bits or bytes of padding stand for.
        let stored = match images.byte_values {
            None => {
                patches.pad = conv.pad_value.bits(filters.n_channels)?;
                if conv.pad_value == Padding::Plus { 1 } else { -1 }
            }
            Some(byte_values) => {
                patches.pad = try_vec(0, filters.n_channels)?;
                byte_values.offset
            }
        };
        patches.bytes = group * patches.pad.len()..(group + 1) * patches.pad.len();
        let value = conv.pad_value.value();
        if conv.padding != [[0; 2]; 2] && value != stored {
            // The initial values in the middle of an image.
            let matrix = &filters.groups[group];
            let begin = match images.byte_values {
                None => try_vec((matrix.n_features as i32).wrapping_mul(2), matrix.n_rows)?,
                Some(byte_values) => bytes::columns_of_zeros(matrix, byte_values)?,
            };
            let factor = value.wrapping_sub(stored).wrapping_mul(2);
            patches.borders = Some(patches.borders(begin, factor, &filters.sums[group])?);
        }
        Ok(patches)
    }

    /// Adds `factor` times the sum over channels, from `sums`, for each pixel outside the image.
    fn borders(&self, begin: Vec<i32>, factor: i32, sums: &[i32]) -> Result<Borders, Error> {
        let along = |axis: usize| {
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
        };
        let (rows, columns) = (along(0)?, along(1)?);
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
                try_push(&mut by_kind, totals)?;
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

impl LeftBits for Patches<'_> {
    fn values(&self) -> (Values, usize) {
        (Values::Signs, 1)
    }
}

impl LeftRows for Patches<'_> {
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
            // Without dilation and groups, a line of a filter lies on consecutive bytes.
            let is_contiguous = dilation[1] == 1
                && pixel_bytes == self.bytes.len()
                && left >= padding[1][0]
                && left - padding[1][0] + self.kernel[1] <= width;
            for element in 0..self.kernel[0] {
                let y = (top + element * dilation[0]).checked_sub(padding[0][0]).filter(|y| *y < height);
                let line =
                    y.map(|y| &pixels[(image * height + y) * width * pixel_bytes..][..width * pixel_bytes]);
                if let (Some(line), true) = (line, is_contiguous) {
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

/// Slides filters over images: `out[n, y, x, f]` is the dot product of filter `f` and the patch at `(y, x)`.
///
/// # Errors
/// [`Error::Incompatible`] if filters and images differ in their channels or a filter is too large, and as
/// [`super::matmul`].
pub fn conv2d(
    images: Images<'_>,
    filters: &Filters,
    conv: Conv,
    output: Output<'_>,
    run: &Run<'_>,
) -> Result<(), Error> {
    let (n_groups, n_channels) = (filters.n_groups(), filters.n_channels);
    if images.n_channels != n_channels * n_groups {
        let problem = format!(
            "images have {} channels, but {n_groups} groups of filters with {n_channels} channels take {}",
            images.n_channels,
            n_channels * n_groups
        );
        return Err(Error::Incompatible { problem });
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
        try_push(&mut groups, (Patches::new(images, conv, filters, group, out_shape)?, matrix))?;
    }
    if let [(patches, matrix)] = groups.as_slice() {
        return slide(patches, matrix, finish, |n_rows| Ok(vec![rows.take_rows(n_rows)]), run);
    }
    for start in (0..n_rows).step_by(ROWS_PER_BATCH) {
        let batch = start..(start + ROWS_PER_BATCH).min(n_rows);
        let mut rows = try_collect(rows.take_rows(batch.len()).split())?;
        for (group, (patches, matrix)) in groups.iter_mut().enumerate() {
            patches.rows = batch.clone();
            let mut own = RowsOut::take_columns(&mut rows, matrix.n_rows)?.into_iter();
            let next_rows = |n_rows| try_collect(own.by_ref().take(n_rows));
            slide(patches, matrix, finish.from(group * matrix.n_rows), next_rows, run)?;
        }
    }
    Ok(())
}

/// Convolves with the filters of one group.
fn slide<'o>(
    patches: &Patches<'_>,
    matrix: &Matrix,
    finish: Finish<'_>,
    next_rows: impl FnMut(usize) -> Result<Vec<RowsOut<'o>>, Error>,
    run: &Run<'_>,
) -> Result<(), Error> {
    match patches.images.byte_values {
        None => multiply(patches, matrix, finish, next_rows, run),
        Some(byte_values) => bytes::multiply(patches, byte_values, matrix, finish, next_rows, run),
    }
}
