//! The quantised coefficients of a band.

use crate::Error;
use crate::error::try_vec;

/// Zeros around a grid, so that neighbours of a coefficient at the edge exist.
pub(super) const PAD: usize = 3;

/// Coefficients with their sizes, which are what contexts are made of.
pub(super) struct Grid {
    pub(super) width: usize,
    pub(super) height: usize,
    stride: usize,
    values: Vec<i32>,
    sizes: Vec<u8>,
}

impl Grid {
    pub(super) fn new(width: usize, height: usize) -> Result<Self, Error> {
        let stride = width + 2 * PAD;
        let n_values = stride * (height + 2 * PAD);
        Ok(Grid { width, height, stride, values: try_vec(0, n_values)?, sizes: try_vec(0, n_values)? })
    }

    /// Sizes of row `y - PAD`, with those of the padding.
    #[inline(always)]
    pub(super) fn sizes(&self, y: usize) -> &[u8] {
        &self.sizes[y * self.stride..][..self.stride]
    }

    /// Values of row `y - PAD`, with those of the padding.
    #[inline(always)]
    pub(super) fn values(&self, y: usize) -> &[i32] {
        &self.values[y * self.stride..][..self.stride]
    }

    /// Values of a row.
    pub(super) fn row(&self, y: usize) -> &[i32] {
        &self.values(y + PAD)[PAD..][..self.width]
    }

    #[inline(always)]
    pub(super) fn set(&mut self, x: usize, y: usize, value: i32, size: u8) {
        let place = (y + PAD) * self.stride + x + PAD;
        self.values[place] = value;
        self.sizes[place] = size;
    }
}
